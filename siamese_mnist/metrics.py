"""Metrics of two sorted lists of scores: of pairs of the same class (positives) and of different ones (negatives)."""

import bisect

import numpy as np
import torch
import torch.nn.functional as F

Scores = np.ndarray  # float32 (P,), ascending


def auc(positives: Scores, negatives: Scores) -> float:
    """Returns the chance that a random positive scores above a random negative; a tie counts half."""
    ranks = sum(np.searchsorted(negatives, positives, side).sum() for side in ("left", "right"))
    return float(ranks / 2 / len(positives) / len(negatives))


def equal_error(positives: Scores, negatives: Scores) -> tuple[float, float]:
    """Returns the equal error rate, where misses and false alarms cross, and the score there: of a gap, its middle."""
    if negatives[-1] < positives[0]:
        return 0.0, float(negatives[-1] + (positives[0] - negatives[-1]) / 2)

    def rates(k: int, side: str) -> tuple[float, float]:
        """Misses and false alarms at a threshold of the k-th positive ("left"), and just above it ("right")."""
        misses = np.searchsorted(positives, positives[k], side) / len(positives)
        return misses, 1 - np.searchsorted(negatives, positives[k], side) / len(negatives)

    k = bisect.bisect_left(range(len(positives)), True, key=lambda k: bool(np.greater_equal(*rates(k, "right"))))
    (misses, alarms), (more_misses, fewer_alarms) = rates(k, "left"), rates(k, "right")
    gap, next_gap = max(0, alarms - misses), more_misses - fewer_alarms
    return float(misses + gap / (gap + next_gap) * (more_misses - misses)), float(positives[k])


def error_rates(positives: Scores, negatives: Scores, threshold: float) -> tuple[float, float]:
    """Returns misses (positives below the threshold) and false alarms (negatives at or above it) as fractions."""
    misses, below = (np.searchsorted(kind, np.float32(threshold)) / len(kind) for kind in (positives, negatives))
    return float(misses), float(1 - below)


def roc_curve(positives: Scores, negatives: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Returns false alarms and hits, (500,) each, where false alarms or misses are 10⁻⁶ to 1, log-evenly."""
    rates = np.geomspace(1e-6, 1, 250)
    places = (positives, rates * len(positives)), (negatives, (1 - rates) * len(negatives))
    thresholds = np.sort(np.concatenate([kind[at.astype(int).clip(0, len(kind) - 1)] for kind, at in places]))
    misses, below = (np.searchsorted(scores, thresholds) / len(scores) for scores in (positives, negatives))
    return 1 - below, 1 - misses


def similarity_histogram(log_odds: Scores, bins: int = 50) -> np.ndarray:
    """Returns the shares (bins,) of the log-odds in equal bins of their probability."""
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    below = np.searchsorted(log_odds, np.log(inner / (1 - inner)).astype(np.float32)) / len(log_odds)
    return np.diff(below, prepend=0, append=1)


def log_loss(positives: Scores, negatives: Scores, scale: float = 1.0, offset: float = 0.0) -> float:
    """Returns the mean cross-entropy in nats, at even odds, of log-odds scale · score + offset."""
    return (_mean_softplus(positives, -scale, -offset) + _mean_softplus(negatives, scale, offset)) / 2


def _mean_softplus(scores: Scores, scale: float, offset: float) -> float:
    chunks = torch.from_numpy(scores).split(500_000)
    return sum(F.softplus(chunk * scale + offset).sum(dtype=torch.double).item() for chunk in chunks) / len(scores)
