"""What is counted in the matrix of all pairs, against a plain loop over the same pairs."""

import numpy as np
import pytest
import torch

from siamese_mnist import allpairs

THRESHOLD = 0.3


def test_every_pair_is_scored_and_listed_once(scored):
    same, scores = scored.listed
    expected = scored.score(scored.pixels, scored.pixels).fill_diagonal_(-torch.inf)
    np.testing.assert_allclose(scored.log_odds, expected, atol=1e-5)
    assert torch.equal(scored.log_odds, scored.log_odds.T)
    np.testing.assert_array_equal(scored.kinds[0], np.sort(scores[same]))
    np.testing.assert_array_equal(scored.kinds[1], np.sort(scores[~same]))


def test_of_two_mirrored_tiles_one_is_scored(monkeypatch):
    monkeypatch.setattr(allpairs, "TILE", 2)
    numbers, tiles = torch.arange(5.0)[:, None], []

    def score(a, b):
        tiles.append((a, b))
        return a * b.T

    found = allpairs.score_all_pairs(numbers, score, "")
    assert torch.equal(found, (numbers * numbers.T).fill_diagonal_(-torch.inf))
    assert len(tiles) == 6


def same_of(scored):
    return (scored.labels[:, None] == scored.labels).numpy()


def test_images_called_the_same_are_counted_by_class_without_the_image_itself(scored):
    others = ~np.eye(len(scored.labels), dtype=bool)
    said = (scored.matrix >= THRESHOLD) & others
    expected = np.stack([said[:, scored.labels == label].sum(1) for label in range(10)], 1)
    found = allpairs.count_called_same(scored.log_odds, scored.labels, THRESHOLD)
    np.testing.assert_array_equal(found, expected.astype(np.float32), strict=True)
    at_a_score = float(scored.matrix[0, 1])
    assert (
        allpairs.count_called_same(scored.log_odds, scored.labels, at_a_score)[0].sum()
        == ((scored.matrix[0] >= at_a_score) & others[0]).sum()
    )


def test_bins_hold_each_pair_of_an_image_in_its_place(scored):
    low, high = -2.0, 3.0
    histograms = allpairs.count_in_bins(scored.log_odds, scored.labels, low, high)
    assert histograms.shape == (len(scored.labels), 2, allpairs.BINS)
    assert (histograms >= 0).all()
    same, others = same_of(scored), ~np.eye(len(scored.labels), dtype=bool)
    edges = np.linspace(low, high, allpairs.BINS + 1)
    for image in range(0, len(scored.labels), 40):
        for kind, chosen in ((0, ~same[image]), (1, same[image] & others[image])):
            expected, _ = np.histogram(scored.matrix[image, chosen].clip(low, high), edges)
            assert np.abs(np.cumsum(histograms[image, kind].numpy() - expected)).max() <= 1  # a score may be on an edge
            assert histograms[image, kind].sum() == chosen.sum()


@pytest.mark.parametrize("k", [1, 20])
def test_match_accuracy_equals_the_loop(scored, k):
    labels, random = scored.labels.numpy(), np.random.default_rng((3, k))
    members = [np.flatnonzero(labels == label) for label in range(10)]
    won, asked = allpairs.match_references(scored.log_odds, scored.labels, k, seed=3)
    assert won.shape == asked.shape == (allpairs.REFERENCE_SETS, len(labels))
    near_ties = 0
    for found, queries in zip(won, asked, strict=True):
        references = np.stack([random.choice(images, k, replace=False) for images in members])
        for image in range(0, len(labels), 7):
            assert queries[image] == (image not in references)
            means = scored.matrix[image, references].mean(1)
            right = image not in references and (means[labels[image]] > np.delete(means, labels[image])).all()
            near_ties += bool(found[image]) != right
    assert near_ties <= 3  # which fall either way in float32


def test_ties_count_as_wrong():
    labels = torch.arange(10).repeat_interleave(5)
    won, asked = allpairs.match_references(torch.zeros(50, 50), labels, 1, 0)
    assert asked.sum() == 100 * 40
    assert won.sum() == 0


def test_a_class_of_k_images_has_none_left_to_ask():
    labels = torch.tensor([0, 0, 1, 1, 1])
    assert allpairs.match_references(torch.zeros(5, 5), labels, 2, 0) is None
    assert allpairs.match_references(torch.zeros(5, 5), labels, 1, 0) is not None


def test_the_worst_pairs_are_wrong_and_no_image_is_in_two(scored):
    labels, matrix = scored.labels.numpy(), scored.matrix
    for same in (True, False):
        pairs = allpairs.find_worst(scored.log_odds, scored.labels, THRESHOLD, same, 6)
        assert len(pairs) == 6
        assert len({image for pair in pairs for image in pair}) == 12
        scores = [matrix[pair] for pair in pairs]
        assert scores == sorted(scores, reverse=not same)
        allowed = (labels[:, None] == labels) == same
        np.fill_diagonal(allowed, False)
        assert scores[0] == pytest.approx((matrix[allowed].min if same else matrix[allowed].max)())
        for a, b in pairs:
            assert (labels[a] == labels[b]) == same
            assert (matrix[a, b] < THRESHOLD) == same


def test_where_nothing_is_wrong_no_pair_is_the_worst():
    labels = torch.tensor([0, 0, 1, 1])
    log_odds = torch.where(labels[:, None] == labels, 2.0, -2.0).fill_diagonal_(-torch.inf)
    cases = ((0, True, 0), (0, False, 0), (2, True, 0), (2.5, True, 2), (-2, False, 1), (-1.9, False, 0))
    for threshold, same, count in cases:
        found = allpairs.find_worst(log_odds, labels, threshold, same, 6)
        assert len(found) == count, (threshold, same)
        assert all(a != b for a, b in found)
