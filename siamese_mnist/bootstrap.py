"""95 % intervals from drawing images, not pairs, with replacement, as the pairs of one image depend on each other."""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

DRAWS = 1000
_of_few_images = np.errstate(divide="ignore", invalid="ignore")  # A draw may hold no pair of the same class: NaN.
Samples = np.ndarray  # float64 (1 + DRAWS,): of the images as they are, then of each draw


def interval(samples: Samples, value: float, images: int = 0) -> list[float]:
    """Returns [low, high] around `value`, from samples of the metric that may be coarser, as they are binned.

    Where no draw differs, as where nothing went wrong, that of a rate among so many independent `images` is Wilson's.
    """
    moves = samples[1:] - samples[0]
    low, high = np.nanquantile(moves, (0.025, 0.975))  # NaN: a draw of few images without a pair of the same class.
    if images and np.nanmax(np.abs(moves)) < 1e-9:
        return wilson_interval(value, images)
    return [max(0.0, float(value + low)), float(value + high)]  # No metric is below 0.


def wilson_interval(rate: float, images: int) -> list[float]:
    """Returns the 95 % interval of a rate among so many images; not empty at 0 and 1. Wilson 1927."""
    z = 1.96  # The normal distribution's 97.5th percentile.
    centre, scale = rate + z**2 / (2 * images), 1 + z**2 / images
    spread = z * math.sqrt(rate * (1 - rate) / images + z**2 / (4 * images**2))
    return [max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)]


def sample_matches(won: Tensor, asked: Tensor) -> Samples:
    """Samples the match accuracy from bool (sets, N); the sets of references are drawn anew as well."""
    sets, images = won.shape
    drawn = list(zip(_weights(sets).float().split(100), _weights(images).split(100)))
    hits, trials = (
        torch.cat([(by_set @ kind.float() * weights).sum(1) for by_set, weights in drawn]) for kind in (won, asked)
    )
    return (hits.double() / trials.double()).numpy()


def sample_means(values: Tensor) -> Samples:
    """Samples the mean of values (N,), such as of tasks, of which so many are drawn with replacement."""
    return (_weights(len(values)).double() @ values.double() / len(values)).numpy()


@_of_few_images
def sample_accuracies(called_same: Tensor, labels: Tensor) -> dict[str, Samples]:
    """Samples accuracy and balanced accuracy, from counts (N, C) as of allpairs.count_called_same."""
    same = labels.bincount()[labels] - 1
    hits = called_same.gather(1, labels[:, None])[:, 0]
    counts = torch.stack([same - hits, called_same.sum(1) - hits, same, len(labels) - 1 - same], 1)
    misses, alarms, same, different = _resample(counts).T
    accuracy, balanced = 1 - (misses + alarms) / (same + different), 1 - (misses / same + alarms / different) / 2
    return {"accuracy": accuracy, "balanced_accuracy": balanced}


@_of_few_images
def sample_curves(histograms: Tensor, edges: np.ndarray, scale: float, offset: float) -> dict[str, Samples]:
    """Samples EER, AUC, log-loss, and log-loss after scale · log-odds + offset, from histograms (N, 2, bins)."""
    sums = _resample(histograms.flatten(1)).reshape(1 + DRAWS, 2, -1)
    different, same = np.moveaxis(sums / sums.sum(-1, keepdims=True), 1, 0)  # (1 + DRAWS, bins) each
    different_below, same_below = different.cumsum(-1), same.cumsum(-1)
    centres, misses, alarms = (edges[1:] + edges[:-1]) / 2, same_below, 1 - different_below
    crossing = np.abs(misses - alarms).argmin(1, keepdims=True)
    eer = np.take_along_axis((misses + alarms) / 2, crossing, 1)[:, 0]
    samples = {"eer": eer, "auc": (different * (1 - same_below + same / 2)).sum(-1)}
    for name, log_odds in (("log_loss", centres), ("log_loss_recalibrated", centres * scale + offset)):
        samples[name] = (same @ np.logaddexp(0, -log_odds) + different @ np.logaddexp(0, log_odds)) / 2
    return samples


@lru_cache(maxsize=2)
def _weights(count: int) -> Tensor:
    """uint8 (1 + DRAWS, N): once each of N as it is, then how often each is among N drawn of N."""
    random, weights = np.random.default_rng(count), torch.ones(1 + DRAWS, count, dtype=torch.uint8)
    for row in weights[1:]:
        row.copy_(torch.from_numpy(np.bincount(random.integers(count, size=count), minlength=count)))
    return weights


def _resample(by_image: Tensor) -> np.ndarray:
    """Samples sums over pairs, (1 + DRAWS, F), from sums by image (N, F), in which each pair counts twice."""
    # A pair's weight wᵢwⱼ is wᵢ + wⱼ - 1 to first order, for which the pairs need not be visited.
    drawn = torch.cat([weights.float() @ by_image for weights in _weights(len(by_image)).split(100)])
    return (drawn - by_image.sum(0) / 2).clamp(min=0).double().numpy()
