"""Metrics of sorted scores against scikit-learn, and by hand on lists of a few numbers."""

import math

import numpy as np
import pytest
from sklearn.metrics import auc, log_loss, roc_auc_score, roc_curve

from siamese_mnist import metrics


def lists(positives, negatives):
    return np.array(positives, np.float32), np.array(negatives, np.float32)


@pytest.mark.parametrize(
    ("positives", "negatives", "area", "eer"),
    [
        ([3, 4], [1, 2], 1, 0),
        ([1, 2], [3, 4], 0, 1),
        ([1, 1], [1, 1], 0.5, 0.5),
        ([1, 3], [0, 2], 0.75, 0.5),
        ([1, 4, 5, 6], [0, 2, 3, 3.5], 13 / 16, 0.25),
        ([2, 5, 6], [1, 2, 3, 4], 9.5 / 12, 1 / 3),
    ],
)
def test_auc_and_eer_by_hand(positives, negatives, area, eer):
    scores = lists(positives, negatives)
    assert metrics.auc(*scores) == pytest.approx(area)
    assert metrics.equal_error(*scores)[0] == pytest.approx(eer)


def test_auc_and_eer_agree_with_scikit_learn(scored):
    same, scores = scored.listed
    assert metrics.auc(*scored.kinds) == pytest.approx(roc_auc_score(same, scores), abs=1e-6)
    alarms, hits, _ = roc_curve(same, scores, drop_intermediate=False)
    crossing = np.argmin(np.abs(alarms - (1 - hits)))
    eer, at = metrics.equal_error(*scored.kinds)
    assert eer == pytest.approx((alarms[crossing] + 1 - hits[crossing]) / 2, abs=2e-4)
    misses, false_alarms = metrics.error_rates(*scored.kinds, at)
    assert misses == pytest.approx(false_alarms, abs=1e-3)


def test_long_lists_are_ranked_in_parts(monkeypatch, scored):
    whole = metrics.auc(*scored.kinds)
    many = tuple(np.repeat(scores, 300) for scores in scored.kinds)
    assert len(many[0]) > 1_000_000
    assert metrics.auc(*many) == pytest.approx(whole)


def test_the_equal_error_is_the_middle_of_a_step_that_jumps_over_it():
    # At 5, 1 positive in 5 is missed and 3 in 4 negatives pass; just above, 3 in 5 are missed and 1 in 4 passes.
    # 11 in 18 of the way, 0.2 + 11 / 18 · 0.4 are missed, and as many, 0.75 - 11 / 18 · 0.5, pass.
    assert metrics.equal_error(*lists([3, 5, 5, 7, 8], [1, 5, 5, 6])) == (pytest.approx(0.2 + 11 / 18 * 0.4), 5)


def test_the_threshold_of_lists_that_do_not_overlap_is_the_middle_of_their_gap():
    assert metrics.equal_error(*lists([4, 6, 9], [-5, -2, 1])) == (0, 2.5)


def test_error_rates_count_a_score_at_the_threshold_as_the_same():
    assert metrics.error_rates(*lists([1, 2, 3, 4], [0, 1, 2]), 2) == (0.25, pytest.approx(1 / 3))
    assert metrics.error_rates(*lists([1, 2, 3, 4], [0, 1, 2]), 2.5) == (0.5, 0)


def test_the_roc_curve_holds_the_rates_of_its_thresholds(scored):
    alarms, hits = metrics.roc_curve(*scored.kinds)
    assert alarms.shape == hits.shape == (500,)
    assert (np.diff(alarms) <= 0).all()
    assert (np.diff(hits) <= 0).all()
    same, scores = scored.listed
    true_alarms, true_hits, _ = roc_curve(same, scores, drop_intermediate=False)
    known = {(round(a, 9), round(h, 9)) for a, h in zip(true_alarms, true_hits, strict=True)}
    assert {(round(a, 9), round(h, 9)) for a, h in zip(alarms, hits, strict=True)} <= known
    # the ends: every threshold from the least to the greatest score of both kinds
    assert (hits.max(), alarms.max()) == (1, 1)
    assert alarms.min() <= 1 / len(scored.kinds[1])
    assert auc(alarms, hits) == pytest.approx(metrics.auc(*scored.kinds), abs=0.02)


def test_the_roc_curve_runs_evenly_in_logarithm_along_false_alarms_then_misses():
    count, rates = 1_000_000, np.geomspace(1e-6, 1, 250)
    scores = np.arange(2 * count, dtype=np.float32)
    alarms, hits = metrics.roc_curve(scores[count:], scores[:count])
    np.testing.assert_allclose(alarms, [*rates[::-1], *np.zeros(250)], atol=1.5 / count)
    np.testing.assert_allclose(hits, [*np.ones(250), *(1 - rates)], atol=1.5 / count)


def test_a_histogram_is_of_probabilities_from_0_to_1():
    log_odds = np.log(np.float32([0.05, 0.15, 0.16, 0.55, 0.999]) / (1 - np.float32([0.05, 0.15, 0.16, 0.55, 0.999])))
    shares = metrics.similarity_histogram(log_odds, bins=10)
    np.testing.assert_allclose(shares, [0.2, 0.4, 0, 0, 0, 0.2, 0, 0, 0, 0.2])
    assert metrics.similarity_histogram(log_odds).shape == (50,)


def test_log_loss_agrees_with_scikit_learn(scored):
    same, scores = scored.listed
    weights = np.where(same, 0.5 / same.mean(), 0.5 / (1 - same.mean()))
    for scale, offset in ((1, 0), (0.5, 2)):
        probabilities = 1 / (1 + np.exp(-(scale * scores.astype(np.float64) + offset)))
        expected = log_loss(same, probabilities, sample_weight=weights)
        assert metrics.log_loss(*scored.kinds, scale, offset) == pytest.approx(expected, rel=1e-5)


def test_log_loss_by_hand():
    one, other = math.log(1 + math.exp(-2)), (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(3))) / 2
    assert metrics.log_loss(*lists([2], [-1, 3])) == pytest.approx((one + other) / 2)
