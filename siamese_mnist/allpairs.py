"""All pairs of N images as a symmetric matrix (N, N) of float32 log-odds with -inf on its diagonal, and its counts."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from siamese_mnist import distributed

TILE, BINS, REFERENCE_SETS = 500, 200, 100
NEAR_CACHE = 200_000  # So many numbers are counted at once: twice as fast.
Score = Callable[[Tensor, Tensor], Tensor]  # embeddings (N, D), (M, D) → log-odds (N, M)


@torch.inference_mode()
def score_all_pairs(embeddings: Tensor, score: Score, title: str) -> Tensor:
    """Returns the matrix of all pairs of embeddings (N, D), each pair scored once, by one of the ranks."""
    log_odds = torch.zeros(len(embeddings), len(embeddings))
    tiles = [(a, b) for a in _blocks(len(embeddings)) for b in _blocks(len(embeddings)) if a.start <= b.start]
    for rows, columns in tqdm(distributed.share(tiles), desc=title, unit="tile", disable=None):
        tile = score(embeddings[rows], embeddings[columns]).cpu()
        log_odds[rows, columns], log_odds[columns, rows] = tile, tile.T
    return distributed.add_up(log_odds).fill_diagonal_(-torch.inf)


def sorted_kinds(log_odds: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log-odds of the pairs of the same class and of different classes, each pair once, ascending."""
    kinds: dict[bool, list[np.ndarray]] = {True: [], False: []}
    for rows in _blocks(len(labels)):
        block, same = log_odds[rows, rows.start :].numpy(), (labels[rows, None] == labels[rows.start :]).numpy()
        for kind, parts in kinds.items():
            parts.append(block[np.triu(same == kind, 1)])
    positives, negatives = map(np.concatenate, kinds.values())
    positives.sort()
    negatives.sort()
    return positives, negatives


def count_called_same(log_odds: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Counts for each image the images of each class, labels 0 to C-1, it is called the same as: float32 (N, C)."""
    members = [labels == label for label in range(int(labels.max()) + 1)]
    return torch.stack([(log_odds[own] >= threshold).sum(0, dtype=torch.float) for own in members], 1)


def count_in_bins(log_odds: Tensor, labels: Tensor, low: float, high: float) -> Tensor:
    """Histograms (N, 2, BINS) of each image's log-odds with other classes and with its own, in [low, high]."""
    histograms = torch.zeros(len(labels), 2, BINS)
    for rows in _blocks(len(labels), max(1, NEAR_CACHE // len(labels))):
        same = labels[rows, None] == labels
        keys = ((log_odds[rows] - low) * (BINS / (high - low))).clamp_(0, BINS - 1).to(torch.int32)
        keys += torch.arange(len(keys), dtype=torch.int32)[:, None] * (2 * BINS) + same * BINS
        histograms[rows] = keys.flatten().bincount(minlength=len(keys) * 2 * BINS).view(-1, 2, BINS).float()
    histograms[:, 1, 0] -= 1  # an image with itself
    return histograms


def match_references(log_odds: Tensor, labels: Tensor, k: int, seed: int) -> tuple[Tensor, Tensor] | None:
    """Returns bool (sets, N) twice: is the image most like its class's k references, and none of them? Else None."""
    members = [np.flatnonzero(labels == label) for label in labels.unique()]
    if min(map(len, members)) <= k:
        return None
    random, won, asked = np.random.default_rng((seed, k)), [], []
    for _ in range(REFERENCE_SETS):
        references = torch.from_numpy(np.stack([random.choice(images, k, replace=False) for images in members]))
        resemblance = log_odds[references].mean(1)  # (C, N)
        mine = resemblance.gather(0, labels[None])[0]
        best_other = resemblance.scatter(0, labels[None], -torch.inf).amax(0)
        asked.append(torch.ones(len(labels), dtype=torch.bool).index_fill(0, references.flatten(), False))
        won.append((mine > best_other) & asked[-1])
    return torch.stack(won), torch.stack(asked)


def find_worst(log_odds: Tensor, labels: Tensor, threshold: float, same: bool, most: int) -> list[tuple[int, int]]:
    """Returns the pairs of one kind that are most wrong at the threshold, no image in two of them."""
    worst, partners = torch.zeros(len(labels)), torch.zeros(len(labels), dtype=torch.long)
    for label in labels.unique():
        own = torch.where(labels == label)[0]
        if same:
            worst[own], nearest = log_odds[own][:, own].fill_diagonal_(torch.inf).min(1)
            partners[own] = own[nearest]
        else:
            worst[own], partners[own] = log_odds[own].index_fill_(1, own, -torch.inf).max(1)
    pairs: list[tuple[int, int]] = []
    for image in worst.argsort(descending=not same).tolist():
        if (worst[image] >= threshold) == same or len(pairs) == most:
            break
        if not {image, int(partners[image])} & {index for pair in pairs for index in pair}:
            pairs.append((image, int(partners[image])))
    return pairs


def _blocks(count: int, size: int | None = None) -> Iterator[slice]:
    size = size or TILE
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
