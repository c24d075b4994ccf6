"""One pass over all pairs of a set of images, in square tiles, that keeps what the figures need and no more."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

TILE = 500
BINS = 200
SAMPLE = 1000  # images that tell where the bins should lie
REFERENCE_SETS = 100
REFERENCES = (1, 20)  # images of each class that a query is matched against
Score = Callable[[Tensor, Tensor], Tensor]  # embeddings (N, D), (M, D) → log-odds (N, M)


@dataclass
class AllPairs:
    """Log-odds of all pairs of N images, float32, each list ascending, and their sums by image."""

    positives: np.ndarray
    negatives: np.ndarray
    by_image: "ByImage"


@torch.inference_mode()
def score_all_pairs(
    embeddings: Tensor, labels: Tensor, score: Score, threshold: float, seed: int, title: str
) -> AllPairs:
    """Scores the N(N-1)/2 pairs of embeddings (N, D), labels (N,) 0 to C-1. Takes 4 bytes a pair and 12 kB an image."""
    sizes = labels.bincount()
    by_image = ByImage(labels, threshold, _range_of_interest(embeddings, labels, score), seed)
    n_positives = int((sizes * (sizes - 1)).sum()) // 2
    positives = np.empty(n_positives, np.float32)
    negatives = np.empty(len(labels) * (len(labels) - 1) // 2 - n_positives, np.float32)
    filled = {0: 0, 1: 0}
    starts = range(0, len(labels), TILE)
    tiles = [(slice(a, a + TILE), slice(b, b + TILE)) for a in starts for b in starts if a <= b]
    for rows, columns in tqdm(tiles, desc=title, unit="tile"):
        log_odds = score(embeddings[rows], embeddings[columns]).cpu()
        same = (labels[rows][:, None] == labels[columns]).numpy()
        once = np.triu(np.ones_like(same), 1) if rows == columns else True
        for kind, scores, mask in ((0, negatives, ~same & once), (1, positives, same & once)):
            part = log_odds.numpy()[mask]
            scores[filled[kind] : filled[kind] + len(part)] = part
            filled[kind] += len(part)
        by_image.add(rows, columns, log_odds)
        if rows != columns:
            by_image.add(columns, rows, log_odds.T.contiguous())
    positives.sort()
    negatives.sort()
    return AllPairs(positives, negatives, by_image)


class ByImage:
    """Sums over the pairs of each of N images of C classes; a pair (i, j) counts for i and for j.

    `histograms` (N, 2, BINS): log-odds of the pairs with another class, with the same. `said_same` (N, C): images of
    each class that score at least the threshold. `worst[kind]`: two (N,), the log-odds of the most wrong pair (negated
    for kind 0, different), and with which image.
    """

    def __init__(self, labels: Tensor, threshold: float, bounds: tuple[float, float], seed: int) -> None:
        count, classes = len(labels), int(labels.max()) + 1
        self.labels, self.threshold = labels, threshold
        self.edges = torch.linspace(*bounds, BINS + 1)
        self.one_hot = F.one_hot(labels, classes).float()
        self.histograms = torch.zeros(count, 2, BINS)
        self.said_same = torch.zeros(count, classes)
        self.worst = {kind: (torch.full((count,), torch.inf), torch.zeros(count, dtype=torch.long)) for kind in (0, 1)}
        self.references = {k: _draw_references(labels, k, seed) for k in REFERENCES if labels.bincount().min() > k}
        self.resemblance = {k: torch.zeros(REFERENCE_SETS * classes, count) for k in self.references}

    def add(self, rows: slice, columns: slice, log_odds: Tensor) -> None:
        """Counts a tile's pairs for the images of its rows; an image with itself is no pair."""
        same = self.labels[rows][:, None] == self.labels[columns]
        if rows == columns:
            log_odds = log_odds.clone().fill_diagonal_(-torch.inf)
            same.fill_diagonal_(False)
        low, high = self.edges[0], self.edges[-1]
        keys = ((log_odds - low) * (BINS / (high - low))).clamp_(0, BINS - 1).to(torch.int32)
        keys += torch.arange(len(keys), dtype=torch.int32)[:, None] * (2 * BINS) + same * BINS
        self.histograms[rows] += keys.flatten().bincount(minlength=len(keys) * 2 * BINS).view(-1, 2, BINS)
        if rows == columns:
            self.histograms[rows, 0, 0] -= 1  # the diagonal
        self.said_same[rows] += (log_odds >= self.threshold).float() @ self.one_hot[columns]
        to_references = log_odds.T.contiguous()
        for k, references in self.references.items():
            self.resemblance[k][:, rows] += _one_hot_rows(references, columns, len(to_references)) @ to_references
        for kind, wrong in ((0, (-log_odds).masked_fill(same, torch.inf)), (1, log_odds.masked_fill(~same, torch.inf))):
            found, (worst, partner) = wrong.min(1), self.worst[kind]
            better = found.values < worst[rows]
            worst[rows] = torch.where(better, found.values, worst[rows])
            partner[rows] = torch.where(better, found.indices + columns.start, partner[rows])

    def matches(self, k: int) -> tuple[Tensor, Tensor]:
        """bool (sets, N): did the image resemble its own class alone most, and was it asked, being no reference?"""
        own, won, asked = self.one_hot.T.bool(), [], []
        for resemblance, references in zip(self.resemblance[k].split(own.shape[0]), self.references[k]):
            query = torch.ones(len(self.labels), dtype=torch.bool)
            query[references.flatten()] = False
            mine, best_other = (resemblance * own).sum(0), resemblance.masked_fill(own, -torch.inf).amax(0)
            won.append((mine > best_other) & query)
            asked.append(query)
        return torch.stack(won), torch.stack(asked)


def _draw_references(labels: Tensor, k: int, seed: int) -> Tensor:
    """Indices (sets, C, k) of k distinct images of each class, drawn anew for each set."""
    random = np.random.default_rng((seed, k))
    members = [np.flatnonzero(labels == label) for label in labels.unique()]
    sets = [[random.choice(images, k, replace=False) for images in members] for _ in range(REFERENCE_SETS)]
    return torch.from_numpy(np.array(sets))


def _one_hot_rows(references: Tensor, columns: slice, width: int) -> Tensor:
    """Sparse (sets · C, width): 1 where an image of `columns` is a reference of that set and class."""
    images = references.flatten(0, 1)
    inside = (images >= columns.start) & (images < columns.stop)
    where = torch.stack([torch.where(inside)[0], images[inside] - columns.start])
    return torch.sparse_coo_tensor(where, torch.ones(where.shape[1]), (len(images), width), check_invariants=True)


def _range_of_interest(embeddings: Tensor, labels: Tensor, score: Score) -> tuple[float, float]:
    """The log-odds between which a sample has both kinds of pair, and the middle of each: beyond, none is confused."""
    sample = torch.from_numpy(np.random.default_rng(0).permutation(len(labels))[:SAMPLE])
    log_odds, same = score(embeddings[sample], embeddings[sample]).cpu(), labels[sample][:, None] == labels[sample]
    once = torch.ones_like(same).triu(1)
    positives, negatives = log_odds[same & once], log_odds[~same & once]
    low, high = min(positives.min(), negatives.median()), max(negatives.max(), positives.median())
    return low.item() - 1, high.item() + 1
