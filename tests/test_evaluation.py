"""Figures against what a plain loop, or scikit-learn, says of the same pairs."""

import itertools

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score, roc_curve

from siamese_mnist import SiameseNetwork, allpairs, bootstrap, roc
from siamese_mnist.allpairs import score_all_pairs
from siamese_mnist.evaluation import calibrate, encode_all, measure_baselines, measure_network


@pytest.fixture(scope="module")
def scored(test_digits):
    """All pairs of 300 real digits by the cosine of their pixels, in tiles of 128 so that several meet."""
    digits = test_digits[torch.arange(0, 500, 1)[torch.arange(500) % 5 < 3]]
    pixels = torch.nn.functional.normalize(digits.images.flatten(1).float())

    def score(a, b):
        return 12 * (a @ b.T) - 6

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(allpairs, "TILE", 128)
        pairs = score_all_pairs(pixels, digits.labels, score, threshold=0.3, seed=0, title="test")
    matrix = score(pixels, pixels).numpy()
    same = (digits.labels[:, None] == digits.labels).numpy()
    return pairs, matrix, same, digits.labels.numpy()


def listed(scored):
    _, matrix, same, _ = scored
    upper = np.triu_indices(len(matrix), 1)
    return matrix[upper], same[upper]


def test_every_pair_is_scored_once(scored):
    pairs, scores, same = scored[0], *listed(scored)
    np.testing.assert_allclose(pairs.positives, np.sort(scores[same]), atol=1e-5)
    np.testing.assert_allclose(pairs.negatives, np.sort(scores[~same]), atol=1e-5)


def test_auc_and_eer_agree_with_scikit_learn(scored):
    pairs, scores, same = scored[0], *listed(scored)
    assert roc.auc(pairs.positives, pairs.negatives) == pytest.approx(roc_auc_score(same, scores), abs=1e-6)
    alarms, hits, _ = roc_curve(same, scores, drop_intermediate=False)
    crossing = np.argmin(np.abs(alarms - (1 - hits)))
    eer, at = roc.equal_error(pairs.positives, pairs.negatives)
    assert eer == pytest.approx((alarms[crossing] + 1 - hits[crossing]) / 2, abs=2e-4)
    misses, false_alarms = roc.error_rates(pairs.positives, pairs.negatives, at)
    assert misses == pytest.approx(false_alarms, abs=1e-3)


@pytest.mark.parametrize(
    ("positives", "negatives", "auc", "eer"),
    [([3, 4], [1, 2], 1, 0), ([1, 2], [3, 4], 0, 1), ([1, 1], [1, 1], 0.5, 0.5), ([1, 3], [0, 2], 0.75, 0.5)],
)
def test_auc_and_eer_by_hand(positives, negatives, auc, eer):
    lists = np.array(positives, np.float32), np.array(negatives, np.float32)
    assert roc.auc(*lists) == auc
    assert roc.equal_error(*lists)[0] == pytest.approx(eer)


def test_the_threshold_of_lists_that_do_not_overlap_is_the_middle_of_their_gap():
    lists = np.array([4, 9], np.float32), np.array([-5, 1], np.float32)
    assert roc.equal_error(*lists) == (0, 2.5)


def test_log_loss_and_calibration_agree_with_scikit_learn(scored):
    pairs, scores, same = scored[0], *listed(scored)
    weights = np.where(same, 0.5 / same.mean(), 0.5 / (1 - same.mean()))
    expected = log_loss(same, 1 / (1 + np.exp(-scores.astype(np.float64))), sample_weight=weights)
    assert roc.log_loss(pairs.positives, pairs.negatives) == pytest.approx(expected, rel=1e-5)
    platt = LogisticRegression(C=np.inf).fit(scores[:, None], same, sample_weight=weights)
    scale, offset = roc.fit_calibration(pairs.positives, pairs.negatives)
    assert scale == pytest.approx(platt.coef_.item(), rel=1e-2)
    assert offset == pytest.approx(platt.intercept_.item(), rel=2e-2)


def test_calibration_of_perfectly_separated_scores_is_finite():
    scale, offset = roc.fit_calibration(np.float32([5, 6, 7]), np.float32([1, 2, 3]))
    assert np.isfinite([scale, offset]).all()
    assert 3 < -offset / scale < 5


def test_sums_by_image_count_the_pairs_of_each(scored):
    pairs, matrix, same, labels = scored
    by_image = pairs.by_image
    others = ~np.eye(len(labels), dtype=bool)
    said = np.stack([((matrix >= 0.3) & others)[:, labels == label].sum(1) for label in range(10)], 1)
    np.testing.assert_array_equal(by_image.said_same, said)
    np.testing.assert_array_equal(by_image.histograms[:, 1].sum(1), (same & others).sum(1))
    np.testing.assert_array_equal(by_image.histograms[:, 0].sum(1), (~same).sum(1))
    for kind, allowed, sign in ((1, same & others, 1), (0, ~same, -1)):
        worst, partner = by_image.worst[kind]
        expected = np.where(allowed, sign * matrix, np.inf)
        np.testing.assert_allclose(worst, expected.min(1), atol=1e-5)
        assert all(allowed[image, other] for image, other in enumerate(partner.tolist()))


@pytest.mark.parametrize("k", [1, 20])
def test_match_accuracy_equals_the_loop(scored, k):
    pairs, matrix, _, labels = scored
    won, held = np.zeros(len(labels)), np.zeros(len(labels))
    for references, image in itertools.product(pairs.by_image.references[k].numpy(), range(len(labels))):
        assert (labels[references] == np.arange(10)[:, None]).all()
        if image not in references:
            means = matrix[image, references].mean(1)
            held[image] += 1
            won[image] += (means[labels[image]] > np.delete(means, labels[image])).all()
    found_won, asked = pairs.by_image.matches(k)
    np.testing.assert_array_equal(asked.sum(0), held)
    assert np.abs(found_won.sum(0).numpy() - won).sum() <= 3  # near ties fall either way in float32


def test_ties_count_as_wrong(test_digits):
    digits = test_digits[torch.arange(0, 500, 10)]
    pairs = score_all_pairs(torch.zeros(50, 2), digits.labels, lambda a, b: a @ b.T, 0.0, 0, "ties")
    won, asked = pairs.by_image.matches(1)
    assert asked.sum() > 0
    assert won.sum() == 0


def test_intervals_are_those_of_drawing_images_anew(scored):
    """The first-order weights of pairs against the full bootstrap, which visits all pairs for each draw."""
    pairs, matrix, same, _ = scored
    random, size = np.random.default_rng(1), len(matrix)
    upper = np.triu_indices(size, 1)
    scores, kinds, full = matrix[upper], same[upper], []
    for _ in range(150):
        drawn = np.bincount(random.integers(size, size=size), minlength=size)
        weights = (drawn[:, None] * drawn)[upper]
        full.append(roc_auc_score(kinds, scores, sample_weight=weights))
    auc = roc.auc(pairs.positives, pairs.negatives)
    low, high = bootstrap.interval(bootstrap.sample_curves(pairs.by_image, 1, 0)["auc"], auc)
    expected_low, expected_high = np.quantile(full, (0.025, 0.975))
    assert low < auc < high
    assert high - low == pytest.approx(expected_high - expected_low, rel=0.25)


def test_the_interval_of_matches_knows_that_other_references_might_have_been_drawn():
    asked = torch.ones(100, 400, dtype=torch.bool)
    by_set, by_image = asked.clone(), asked.clone()
    by_set[:30], by_image[:, :120] = False, False  # the same accuracy, by bad references or by bad queries
    for won, count in ((by_set, 100), (by_image, 400)):
        samples = bootstrap.sample_matches(won, asked)
        assert samples[0] == pytest.approx(0.7)
        assert samples[1:].std() == pytest.approx((0.7 * 0.3 / count) ** 0.5, rel=0.15)


def test_samples_without_a_draw_are_the_figures_themselves(scored):
    pairs = scored[0]
    samples = bootstrap.sample_curves(pairs.by_image, 1, 0) | bootstrap.sample_accuracies(pairs.by_image)
    misses, alarms = roc.error_rates(pairs.positives, pairs.negatives, 0.3)
    assert samples["balanced_accuracy"][0] == pytest.approx(1 - (misses + alarms) / 2)
    assert samples["auc"][0] == pytest.approx(roc.auc(pairs.positives, pairs.negatives), abs=1e-4)
    assert samples["eer"][0] == pytest.approx(roc.equal_error(pairs.positives, pairs.negatives)[0], abs=2e-3)
    assert samples["log_loss"][0] == pytest.approx(roc.log_loss(pairs.positives, pairs.negatives), abs=1e-3)


def test_bins_hold_the_figures_of_a_good_network_of_whose_errors_a_sample_shows_few(test_digits, monkeypatch):
    monkeypatch.setattr(allpairs, "SAMPLE", 100)
    model = SiameseNetwork.from_pretrained(REPOSITORY / "weights")
    embeddings = encode_all(model, test_digits.images)
    pairs = score_all_pairs(embeddings, test_digits.labels, model.logits, 0.0, seed=0, title="test")
    samples, auc = bootstrap.sample_curves(pairs.by_image, 1, 0), roc.auc(pairs.positives, pairs.negatives)
    assert 1 - samples["auc"][0] == pytest.approx(1 - auc, rel=0.1)
    assert samples["log_loss"][0] == pytest.approx(roc.log_loss(pairs.positives, pairs.negatives), rel=0.1)
    assert samples["eer"][0] == pytest.approx(roc.equal_error(pairs.positives, pairs.negatives)[0], rel=0.1)
    assert bootstrap.interval(samples["auc"], auc)[1] <= 1


def test_calibration_comes_with_the_network(network, train_digits, test_digits):
    figures = calibrate(network, train_digits.at_most(40))
    scores = network.similarity(*[encode_all(network, test_digits.images)] * 2)
    assert 0 < network.threshold < 1
    assert 0 < network.rejection_threshold < 1
    assert 0 <= figures["eer"] <= 1
    assert scores.isfinite().all()


def test_baselines_have_the_same_figures(network, train_digits, test_digits):
    calibrate(network, train_digits.at_most(40))
    digits = test_digits.at_most(25)
    measured = measure_network(network, digits, encode_all(network, digits.images), 0, "network")
    baselines = measure_baselines(network, digits, train_digits.at_most(40), 0)
    assert baselines["pixel_cosine"].figures.keys() == measured.figures.keys() == measured.always_different.keys()
    different = measured.always_different
    assert different["accuracy"] == pytest.approx(1 - 3000 / 31125)
    assert different["balanced_accuracy"] == different["eer"] == different["auc"] == 0.5
    assert 0.6 < baselines["pixel_cosine"].figures["auc"] < 0.9
    for figures in (measured.figures, baselines["pixel_cosine"].figures):
        for name in ("auc", "eer", "balanced_accuracy", "accuracy", "match_accuracy_1", "match_accuracy_20"):
            low, high = figures[f"{name}_ci95"]
            assert low <= figures[name] <= high


def test_encoding_leaves_the_mode_alone(network, test_digits):
    network.train()
    before = network.encoder[2].running_mean.clone()
    encode_all(network, test_digits.images[:50])
    assert network.training
    assert torch.equal(network.encoder[2].running_mean, before)
