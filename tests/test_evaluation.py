"""An evaluation as a whole, and its intervals against a bootstrap that visits all pairs for each draw."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from siamese_mnist import allpairs, bootstrap, figures, metrics
from siamese_mnist.calibration import calibrate
from siamese_mnist.evaluation import Scoring, evaluate, evaluate_network

THRESHOLD = 0.3


def bins(scored):
    low, high = scored.kinds[0][0] - 1, scored.kinds[1][-1] + 1
    histograms = allpairs.count_in_bins(scored.log_odds, scored.labels, low, high)
    return histograms, np.linspace(low, high, allpairs.BINS + 1)


def test_intervals_are_those_of_drawing_images_anew(scored):
    random, size = np.random.default_rng(1), len(scored.matrix)
    upper = np.triu_indices(size, 1)
    same, scores = scored.listed
    called = scores >= THRESHOLD
    full = []
    for _ in range(150):
        drawn = np.bincount(random.integers(size, size=size), minlength=size)
        weights = (drawn[:, None] * drawn)[upper]
        balanced = (
            np.average(called[same], weights=weights[same]) + np.average(~called[~same], weights=weights[~same])
        ) / 2
        accuracy = np.average(called == same, weights=weights)
        full.append((roc_auc_score(same, scores, sample_weight=weights), balanced, accuracy))
    counts = allpairs.count_called_same(scored.log_odds, scored.labels, THRESHOLD)
    samples = bootstrap.sample_curves(*bins(scored), 1, 0) | bootstrap.sample_accuracies(counts, scored.labels)
    for name, draws in zip(("auc", "balanced_accuracy", "accuracy"), np.transpose(full)):
        low, high = bootstrap.interval(samples[name], samples[name][0])
        expected_low, expected_high = np.quantile(draws, (0.025, 0.975))
        assert high - low == pytest.approx(expected_high - expected_low, rel=0.25), name
        assert low < np.median(draws) < high, name


def test_an_interval_is_laid_around_the_exact_value():
    samples = np.concatenate([[0.5], np.linspace(0.4, 0.7, 1001)])
    assert bootstrap.interval(samples, 0.52) == pytest.approx([0.52 - 0.0925, 0.52 + 0.1925])


def test_where_nothing_went_wrong_the_interval_is_as_wide_as_the_images_are_few():
    for images, low in ((6, 0.6097), (500, 0.99238)):  # Wilson's, as statistics programs give them
        assert bootstrap.interval(np.ones(1001), 1.0, images) == pytest.approx([low, 1], abs=1e-4)
        assert bootstrap.interval(np.zeros(1001), 0.0, images) == pytest.approx([0, 1 - low], abs=1e-4)
    assert bootstrap.wilson_interval(0.1, 50) == pytest.approx([0.0435, 0.2136], abs=1e-4)
    assert bootstrap.interval(np.full(1001, 0.3), 0.3) == [0.3, 0.3]
    with_gaps = np.concatenate([[0.5], np.linspace(0.4, 0.7, 1001), [np.nan] * 9])  # draws that hold no pair
    assert bootstrap.interval(with_gaps, 0.52, 6) == pytest.approx([0.52 - 0.0925, 0.52 + 0.1925])


def test_a_class_of_which_one_image_is_mapped_is_mapped(released, test_digits, monkeypatch):
    evaluation = evaluate_network(released, test_digits.at_most(3), test_digits, 0)
    monkeypatch.setattr(figures, "MOST_MAPPED", 9)
    figure = figures.plot_embedding_map(evaluation)
    assert len(figure.axes[0].images) == len(figure.axes[0].patches) <= 9
    assert len(figure.axes[0].texts) == 9


def test_no_interval_reaches_below_0():
    samples = np.concatenate([[0.2], np.linspace(-0.3, 0.9, 1001)])
    assert bootstrap.interval(samples, 0.1)[0] == 0


def test_a_perfect_network_on_six_images_is_not_said_to_be_perfect(released, test_digits):
    digits = test_digits.select(torch.tensor([0, 1, 2, 350, 351, 352]))
    measured = evaluate(
        digits, Scoring("released", released.encode_all(digits.images), released.logits, 0.5), {}, 0
    ).metrics
    assert (measured["eer"], measured["accuracy"]) == (0, 1)
    for name in ("eer", "accuracy", "balanced_accuracy", "auc", "match_accuracy_1"):
        low, high = measured[f"{name}_ci95"]
        assert high - low > 0.3, name
        assert 0 <= low <= high <= 1, name


def test_the_interval_of_matches_knows_that_other_references_might_have_been_drawn():
    asked = torch.ones(100, 400, dtype=torch.bool)
    by_set, by_image = asked.clone(), asked.clone()
    by_set[:30], by_image[:, :120] = False, False  # the same accuracy, by bad references or by bad queries
    for won, count in ((by_set, 100), (by_image, 400)):
        samples = bootstrap.sample_matches(won, asked)
        assert samples[0] == pytest.approx(0.7)
        assert samples[1:].std() == pytest.approx((0.7 * 0.3 / count) ** 0.5, rel=0.15)


def test_samples_without_a_draw_are_the_metrics_themselves(scored):
    counts = allpairs.count_called_same(scored.log_odds, scored.labels, THRESHOLD)
    samples = bootstrap.sample_curves(*bins(scored), 0.5, 1.0) | bootstrap.sample_accuracies(counts, scored.labels)
    misses, alarms = metrics.error_rates(*scored.kinds, THRESHOLD)
    same, scores = scored.listed
    assert samples["balanced_accuracy"][0] == pytest.approx(1 - (misses + alarms) / 2)
    assert samples["accuracy"][0] == pytest.approx(((scores >= THRESHOLD) == same).mean())
    assert samples["auc"][0] == pytest.approx(metrics.auc(*scored.kinds), abs=1e-4)
    assert samples["eer"][0] == pytest.approx(metrics.equal_error(*scored.kinds)[0], abs=2e-3)
    assert samples["log_loss"][0] == pytest.approx(metrics.log_loss(*scored.kinds), abs=1e-3)
    assert samples["log_loss_recalibrated"][0] == pytest.approx(metrics.log_loss(*scored.kinds, 0.5, 1.0), abs=1e-3)


def test_an_evaluation_measures_what_the_pairs_say(scored, test_digits):
    """Every metric against the plain count, for scores of which every kind of error is known."""
    digits = scored.digits
    scoring = Scoring("cosine", scored.pixels, scored.score, 1 / (1 + np.exp(-THRESHOLD)))
    evaluation = evaluate(digits, scoring, {}, seed=0)
    same, scores = scored.listed
    called = scores >= THRESHOLD
    measured = evaluation.metrics
    assert measured["accuracy"] == pytest.approx((called == same).mean())
    assert measured["balanced_accuracy"] == pytest.approx((called[same].mean() + (~called)[~same].mean()) / 2)
    assert measured["auc"] == pytest.approx(roc_auc_score(same, scores), abs=1e-6)
    assert measured["log_loss"] == pytest.approx(metrics.log_loss(*scored.kinds))
    assert measured["log_loss_recalibrated"] < measured["log_loss"]
    won, asked = allpairs.match_references(scored.log_odds, scored.labels, 20, seed=0)
    assert measured["match_accuracy_20"] == pytest.approx((won.sum() / asked.sum()).item())
    for name in ("auc", "eer", "balanced_accuracy", "accuracy", "log_loss", "match_accuracy_1", "match_accuracy_20"):
        low, high = measured[f"{name}_ci95"]
        assert low < measured[name] < high, name


def test_bins_hold_the_metrics_of_a_good_network(released, test_digits, monkeypatch):
    found, sample_curves = [], bootstrap.sample_curves
    monkeypatch.setattr(bootstrap, "sample_curves", lambda *given: found.append(sample_curves(*given)) or found[-1])
    embeddings = released.encode_all(test_digits.images)
    scoring = Scoring("released", embeddings, released.logits, released.threshold)
    measured, (samples,) = evaluate(test_digits, scoring, {}, seed=0).metrics, found
    assert 1 - samples["auc"][0] == pytest.approx(1 - measured["auc"], rel=0.1)
    assert samples["log_loss"][0] == pytest.approx(measured["log_loss"], rel=0.1)
    assert samples["eer"][0] == pytest.approx(measured["eer"], rel=0.1)
    assert measured["auc_ci95"][1] <= 1


def test_classes_of_few_images_have_no_match_with_many_references(released, test_digits):
    digits = test_digits.at_most(20)
    scoring = Scoring("released", released.encode_all(digits.images), released.logits, released.threshold)
    measured = evaluate(digits, scoring, {}, seed=0).metrics
    assert measured["match_accuracy_20"] is measured["match_accuracy_20_ci95"] is None
    assert measured["match_accuracy_1"] > 0.9


def test_baselines_have_the_same_metrics(network, train_digits, test_digits):
    calibrate(network, train_digits.at_most(40))
    evaluation = evaluate_network(network, test_digits.at_most(25), train_digits.at_most(40), seed=0)
    assert set(evaluation.baselines) == {"always_different", "pixel_cosine", "untrained"}
    for baseline in evaluation.baselines.values():
        assert set(baseline.metrics) == set(evaluation.metrics)
    different = evaluation.baselines["always_different"].metrics
    assert different["accuracy"] == pytest.approx(1 - 3000 / 31125)
    assert different["balanced_accuracy"] == different["eer"] == different["auc"] == 0.5
    assert (different["match_accuracy_1"], different["log_loss"]) == (0, None)
    assert 0.6 < evaluation.baselines["pixel_cosine"].metrics["auc"] < 0.9
    assert evaluation.baselines["pixel_cosine"].metrics["log_loss"] < 0.69  # calibrated
    for name in ("auc", "balanced_accuracy"):
        assert evaluation.baselines["untrained"].metrics[name] == pytest.approx(evaluation.metrics[name], abs=0.1)
