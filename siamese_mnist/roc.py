"""What two sorted lists of scores say: of pairs of the same class (positives) and of different ones (negatives)."""

import bisect
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

Scores = np.ndarray  # float32 (P,), ascending


def auc(positives: Scores, negatives: Scores) -> float:
    """The chance that a random positive scores above a random negative; a tie counts half."""
    ranks = 0
    for part in np.array_split(positives, 1 + len(positives) // 500_000):  # ranks take 8 bytes each
        ranks += np.searchsorted(negatives, part, "left").sum() + np.searchsorted(negatives, part, "right").sum()
    return float(ranks / 2 / len(positives) / len(negatives))


def equal_error(positives: Scores, negatives: Scores) -> tuple[float, float]:
    """The equal error rate, where the steps of misses and false alarms cross, and the score at which they do.

    The middle of the gap, where all positives score above all negatives.
    """
    if negatives[-1] < positives[0]:
        return 0.0, float(negatives[-1] + (positives[0] - negatives[-1]) / 2)

    def rates(k: int, side: Literal["left", "right"]) -> tuple[float, float]:
        """Misses and false alarms at a threshold of the k-th positive ("left"), and just above it ("right")."""
        misses = np.searchsorted(positives, positives[k], side) / len(positives)
        return misses, 1 - np.searchsorted(negatives, positives[k], side) / len(negatives)

    crossed = range(len(positives))
    k = bisect.bisect_left(crossed, True, key=lambda k: bool(np.greater_equal(*rates(k, "right"))))
    (misses, alarms), (more_misses, fewer_alarms) = rates(k, "left"), rates(k, "right")
    if alarms <= misses:
        return float(misses), float(positives[k])
    gap, next_gap = alarms - misses, more_misses - fewer_alarms
    return float(misses + gap / (gap + next_gap) * (more_misses - misses)), float(positives[k])


def error_rates(positives: Scores, negatives: Scores, threshold: float) -> tuple[float, float]:
    """Misses (positives below the threshold) and false alarms (negatives at or above it), as fractions."""
    at = np.float32(threshold)
    misses, below = np.searchsorted(positives, at) / len(positives), np.searchsorted(negatives, at) / len(negatives)
    return float(misses), float(1 - below)


def curve(positives: Scores, negatives: Scores, points: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """False alarms and misses, (points,) each, where one or the other is 10⁻⁶ to 1, evenly in logarithm."""
    rates = np.geomspace(1e-6, 1, points // 2)
    thresholds = np.sort(np.concatenate([_quantiles(positives, rates), _quantiles(negatives, 1 - rates)]))
    misses = np.searchsorted(positives, thresholds) / len(positives)
    return 1 - np.searchsorted(negatives, thresholds) / len(negatives), misses


def spread(log_odds: Scores, bins: int = 50) -> np.ndarray:
    """Shares (bins,) of the log-odds by their probability, in equal bins of [0, 1]."""
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    below = np.searchsorted(log_odds, np.log(inner / (1 - inner)).astype(np.float32)) / len(log_odds)
    return np.diff(below, prepend=0, append=1)


def log_loss(positives: Scores, negatives: Scores, scale: float = 1.0, offset: float = 0.0) -> float:
    """Mean cross-entropy in nats, at even odds, of log-odds scale · score + offset."""
    miss = _mean_softplus(positives, -scale, -offset)
    return (miss + _mean_softplus(negatives, scale, offset)) / 2


def fit_calibration(positives: Scores, negatives: Scores, at_most: int = 300_000) -> tuple[float, float]:
    """(scale, offset) that make scale · score + offset log-odds at even odds; Platt 1999, by Newton's method.

    Of longer lists every n-th score is used, which keeps their distribution.
    """
    same, different = (scores[:: 1 + len(scores) // at_most].astype(np.float64) for scores in (positives, negatives))
    centre, spread = np.mean([same.mean(), different.mean()]), max(same.std() + different.std(), 1e-12)
    line = np.zeros(2)  # (scale, offset) of the standardised scores
    ridge = 1e-6 * np.eye(2)  # lists that do not overlap have no finite best line
    for _ in range(50):
        gradient, curvature = ridge @ line, ridge.copy()
        for scores, sign in ((same, -1), (different, 1)):
            design = np.stack([(scores - centre) / spread, np.ones(len(scores))])
            wrong = 1 / (1 + np.exp(-sign * np.clip(line @ design, -500, 500)))
            gradient += sign * (design @ wrong) / len(scores) / 2
            curvature += (design * (wrong * (1 - wrong))) @ design.T / len(scores) / 2
        step = np.linalg.solve(curvature, gradient)
        line -= step * min(1, 5 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-7:
            break
    scale = line[0] / spread
    return float(scale), float(line[1] - scale * centre)


def _mean_softplus(scores: Scores, scale: float, offset: float) -> float:
    chunks = torch.from_numpy(scores).split(500_000)
    return sum(F.softplus(chunk * scale + offset).sum(dtype=torch.double).item() for chunk in chunks) / len(scores)


def _quantiles(scores: Scores, rates: np.ndarray) -> Scores:
    return scores[np.minimum(rates * len(scores), len(scores) - 1).astype(np.int64)]
