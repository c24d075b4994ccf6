"""What validation sets on a network: its calibration, its threshold, and what is like no digit."""

import copy
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from siamese_mnist import Digits, metrics
from siamese_mnist.calibration import calibrate, fit, fit_calibration, fit_rejection
from siamese_mnist.matching import Matcher
from siamese_mnist.strangers import scribbles


def test_calibration_agrees_with_scikit_learn(scored):
    same, scores = scored.listed
    weights = np.where(same, 0.5 / same.mean(), 0.5 / (1 - same.mean()))
    platt = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(scores[:, None], same, sample_weight=weights)
    scale, offset = fit_calibration(*scored.kinds)
    assert scale == pytest.approx(platt.coef_.item(), rel=1e-3)
    assert offset == pytest.approx(platt.intercept_.item(), rel=1e-3)


@pytest.mark.parametrize("unit", [1000, 0.001])
def test_calibration_does_not_depend_on_the_scores_unit(scored, unit):
    positives, negatives = scored.kinds
    scale, offset = fit_calibration(positives, negatives)
    other_scale, other_offset = fit_calibration(unit * (positives + 0.5), unit * (negatives + 0.5))
    assert unit * other_scale == pytest.approx(scale, rel=1e-3)
    assert other_offset + unit * 0.5 * other_scale == pytest.approx(offset, rel=1e-3)


def test_calibration_of_up_to_twice_too_many_scores_uses_every_second(monkeypatch, scored):
    positives, negatives = (scores[:: len(scores) // 100] for scores in scored.kinds)
    halves = fit_calibration(positives[::2], negatives[::2])
    monkeypatch.setattr("siamese_mnist.calibration.MOST_FITTED_SCORES", 60)
    assert fit_calibration(positives, negatives) == halves


def test_calibration_of_perfectly_separated_scores_is_finite_and_keeps_doubt():
    scale, offset = fit_calibration(np.float32([5, 6, 7]), np.float32([1, 2, 3]))
    assert 3 < -offset / scale < 5
    assert 1e-6 < 1 / (1 + math.exp(-(3 * scale + offset))) < 0.5 < 1 / (1 + math.exp(-(5 * scale + offset))) < 1 - 1e-6


def test_calibration_of_scores_that_are_all_the_same_says_even_odds():
    scale, offset = fit_calibration(np.float32([2, 2]), np.float32([2, 2, 2]))
    assert 2 * scale + offset == pytest.approx(0, abs=1e-3)


def test_what_is_fitted_are_metrics_of_pairs_without_the_images_themselves(scored):
    (scale, offset), threshold, measured = fit((torch.from_numpy(scored.matrix), scored.labels))
    assert (scale, offset) == fit_calibration(*scored.kinds)
    eer, at = metrics.equal_error(*scored.kinds)
    assert threshold == pytest.approx(1 / (1 + math.exp(-(scale * at + offset))))
    misses, alarms = metrics.error_rates(*scored.kinds, at)
    assert measured["eer"] == eer
    assert measured["eer_error"] == pytest.approx(math.sqrt(eer * (1 - eer) / len(scored.labels)))
    assert measured["auc"] == metrics.auc(*scored.kinds)
    assert measured["balanced_accuracy"] == pytest.approx(1 - (misses + alarms) / 2)


def test_a_second_set_moves_the_threshold_by_its_share_whatever_its_size(scored):
    """Of real digits, with scores 4 higher: the threshold moves towards theirs, but not half-way; the metrics stay."""
    matrix = torch.from_numpy(scored.matrix)
    _, _, alone = fit((matrix, scored.labels))
    moved = []
    for few in (slice(0, 300, 5), slice(0, 300, 2), slice(None)):
        (scale, offset), threshold, measured = fit((matrix, scored.labels), (matrix[few, few] + 4, scored.labels[few]))
        at = (torch.tensor(threshold).logit().item() - offset) / scale
        moved.append(at - metrics.equal_error(*scored.kinds)[1])
        assert measured["eer"] == alone["eer"]
    assert 0.1 < min(moved) <= max(moved) < 2
    assert max(moved) - min(moved) < 0.2


def test_calibrate_leaves_a_network_whose_similarity_is_a_probability(network, train_digits):
    digits = train_digits.at_most(40)
    measured = calibrate(network, digits)
    embeddings = network.encode_all(digits.images)
    same, once = digits.labels[:, None] == digits.labels, torch.ones(400, 400).triu(1).bool()
    log_odds = network.logits(embeddings, embeddings).detach()
    kinds = [np.sort(log_odds[mask & once].numpy()) for mask in (same, ~same)]
    assert measured["auc"] == pytest.approx(metrics.auc(*kinds))
    assert fit_calibration(*kinds) == pytest.approx((1, 0), abs=1e-3)
    misses, alarms = metrics.error_rates(*kinds, math.log(network.threshold / (1 - network.threshold)))
    assert misses == pytest.approx(alarms, abs=0.01)
    assert misses == pytest.approx(measured["eer"], abs=0.01)


def test_neither_an_earlier_calibration_nor_the_unit_of_the_head_matters(released, test_digits):
    network, digits, found = copy.deepcopy(released), test_digits.at_most(30), []
    for _ in range(2):
        measured = calibrate(network, digits)
        embeddings = network.encode_all(digits.images[:20])
        log_odds = network.logits(embeddings[:1], embeddings)[0].tolist()
        thresholds = torch.tensor([network.threshold, network.rejection_threshold]).logit().tolist()
        found.append([*measured.values(), *thresholds, *log_odds])
        with torch.no_grad():
            network.head.output.weight.mul_(5)
            network.head.output.bias.mul_(5).add_(3)
            network.head.log_scale.add_(math.log(5))
    assert found[1] == pytest.approx(found[0], rel=1e-3)


class Stub:
    """A matcher of digits whose log-odds are given."""

    def __init__(self, labels):
        self.members = [torch.where(labels == label)[0] for label in labels.unique()]

    sample = Matcher.sample


def test_the_rejection_threshold_lies_between_digits_and_strangers_and_costs_few_digits():
    labels = torch.arange(10).repeat_interleave(30)
    digits = torch.where(labels[:, None] == labels, 5.0, -5.0)
    digits[::25] = 1.0  # odd ones, 4 %
    between = fit_rejection(Stub(labels), digits, torch.full((50, 300), -1.0))
    assert 1 / (1 + math.exp(1)) <= between <= 1 / (1 + math.exp(-1))
    for stranger in (2.0, 9.0):  # however like digits strangers are, no more than 1 % of the digits fail
        assert fit_rejection(Stub(labels), digits, torch.full((50, 300), stranger)) == pytest.approx(
            1 / (1 + math.exp(-1)), abs=1e-3
        )


def test_of_the_digits_one_in_a_hundred_is_refused_where_strangers_look_like_them():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(10).repeat_interleave(100)
    own = 5 + torch.randn(1000, 1, generator=generator).expand(1000, 1000)
    digits = torch.where(labels[:, None] == labels, own, torch.tensor(-50.0))
    at = fit_rejection(Stub(labels), digits, torch.full((50, 1000), 100.0))
    refused = (own[:, 0] < math.log(at / (1 - at))).float().mean()
    assert refused == pytest.approx(0.01, abs=0.002)


def test_the_same_references_are_drawn_each_time_and_none_is_matched_with_itself():
    labels, random = torch.arange(10).repeat_interleave(6), torch.Generator().manual_seed(0)
    digits, strangers = (torch.randn(count, 60, generator=random) for count in (60, 50))
    found = set()
    for itself in (-9.0, 0.0, 9.0):
        torch.manual_seed(int(itself))
        found.add(fit_rejection(Stub(labels), digits.fill_diagonal_(itself), strangers))
    assert len(found) == 1


def test_the_rejection_threshold_is_fitted_on_the_score_that_the_page_shows(released, test_digits):
    """Fitted and scored on the same digits and on scribbles of another seed, what is refused keeps the rule."""
    network = type(released)(**{**released.config, "rejection_threshold": 0.0})
    network.load_state_dict(released.state_dict())
    calibrate(network.eval(), test_digits)
    matcher, passed = Matcher(network, test_digits), []
    strangers = network.encode_all(scribbles(300, torch.Generator().manual_seed(1)))
    generator = torch.Generator().manual_seed(1)
    for _ in range(10):
        references = matcher.sample(generator)
        queries = torch.ones(500, dtype=torch.bool).index_fill(0, references.flatten(), False)
        rates = [
            (matcher.scores(embeddings, references).amax(1) >= network.rejection_threshold).float().mean()
            for embeddings in (matcher.embeddings[queries], strangers)
        ]
        passed.append(torch.stack(rates))
    digits, others = torch.stack(passed).mean(0)
    assert digits >= 1 - 0.015
    assert others < 0.15


@pytest.mark.parametrize("size", [2, 3])
def test_classes_of_few_images_have_a_threshold_too(network, train_digits, size):
    few: Digits = train_digits.at_most(size)
    calibrate(network, few)
    assert 0 < network.rejection_threshold < 1
