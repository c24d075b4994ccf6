"""What validation sets on a network: its calibration, its threshold, and its rejection threshold."""

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from siamese_mnist import metrics
from siamese_mnist.data import Digits
from siamese_mnist.matching import REFERENCES, Matcher, mean_log_odds
from siamese_mnist.model import SiameseNetwork
from siamese_mnist.pairs import pair_masks
from siamese_mnist.strangers import scribbles

SYMBOLS = 0.2  # A pair of symbols to one of digits. More would cost digits far more than it gained symbols.
MOST_REFUSED = 0.01  # At most this share of the validation digits may be refused.
FITTED_SCRIBBLES, REFERENCE_SETS = 500, 10
MOST_FITTED_SCORES = 300_000  # For each kind of pair; the fit of more would not differ.


@torch.no_grad()
def calibrate(model: SiameseNetwork, validation: Digits, symbols: Digits | None = None) -> dict[str, float]:
    """Sets calibration and thresholds from validation digits, symbols never trained on, if they shall be compared, too,
    and scribbles; returns metrics of the pairs of digits."""
    matcher = Matcher(model, validation)
    raw_scores = model.raw_scores(matcher.embeddings, matcher.embeddings).cpu()
    scored = [(raw_scores, validation.labels)]
    if symbols is not None:
        embeddings = model.encode_all(symbols.images)
        scored.append((model.raw_scores(embeddings, embeddings).cpu(), symbols.labels))
    model.calibration, model.threshold, measured = fit(*scored)
    scale, offset = model.calibration
    strangers = model.logits(model.encode_all(_scribbles()), matcher.embeddings).cpu()
    model.rejection_threshold = fit_rejection(matcher, raw_scores * scale + offset, strangers)
    return measured


@functools.cache
def _scribbles() -> Tensor:
    """Returns the same scribbles every time; they are made once, since every epoch asks for them."""
    return scribbles(FITTED_SCRIBBLES, torch.Generator().manual_seed(0))


def fit(*scored: tuple[Tensor, Tensor]) -> tuple[tuple[float, float], float, dict[str, float]]:
    """Returns calibration, similarity at the equal error rate, and metrics of raw scores (N, N), labels (N,).

    Sets of images beside the first have a share in calibration and threshold; the metrics are those of the first."""
    sets = [[np.sort(scores[mask].numpy()) for mask in pair_masks(labels)] for scores, labels in scored]
    positives, negatives = sets[0]
    pooled = [_pool(kinds) for kinds in zip(*sets)]
    scale, offset = fit_calibration(*pooled)
    at = metrics.equal_error(*pooled)[1]
    eer = metrics.equal_error(positives, negatives)[0]
    error = math.sqrt(eer * (1 - eer) / len(scored[0][1]))  # Of images, as all pairs of an odd one go wrong.
    balanced = 1 - sum(metrics.error_rates(positives, negatives, at)) / 2
    measured = {"eer": eer, "eer_error": error, "auc": metrics.auc(positives, negatives), "balanced_accuracy": balanced}
    return (scale, offset), torch.tensor(at * scale + offset).sigmoid().item(), measured


def _pool(lists: Sequence[np.ndarray]) -> np.ndarray:
    """One sorted list of sorted ones, thinned so that all but the first weigh SYMBOLS of what that does."""
    first, *others = lists
    count = min([len(first), *(round(len(scores) / SYMBOLS) for scores in others)])
    parts = [_thin(first, count), *(_thin(scores, round(SYMBOLS * count)) for scores in others)]
    return np.sort(np.concatenate(parts))


def _thin(scores: np.ndarray, count: int) -> np.ndarray:
    return scores[np.linspace(0, len(scores) - 1, count).round().astype(int)]


def fit_calibration(positives: np.ndarray, negatives: np.ndarray) -> tuple[float, float]:
    """Returns the (scale, offset) of least log-loss at even odds (Platt 1999); of long lists every n-th score."""
    kinds = [scores[:: 1 + len(scores) // MOST_FITTED_SCORES].astype(np.float64) for scores in (positives, negatives)]
    centre, spread = np.mean([kind.mean() for kind in kinds]), max(sum(kind.std() for kind in kinds), 1e-12)
    kinds = [(kind - centre) / spread for kind in kinds]

    def loss(line: np.ndarray) -> float:
        # Without the second term, lists that do not overlap would have no finite best line.
        return metrics.log_loss(*kinds, *line) + 5e-7 * line @ line

    scale, offset = minimize(loss, (1.0, 0.0), options={"gtol": 1e-8}).x
    return float(scale / spread), float(offset - scale / spread * centre)


def fit_rejection(matcher: Matcher, digits: Tensor, strangers: Tensor) -> float:
    """Returns the similarity at which as many digits fail as strangers pass, or 1 % of the digits fail, if lower.

    Both are given as log-odds with the matcher's N digits, (N, N) and (S, N), and scored as the page scores a drawing.
    """
    generator, at_most = torch.Generator().manual_seed(0), min(REFERENCES, *(len(own) - 1 for own in matcher.members))
    known, unknown = [], []
    for _ in range(REFERENCE_SETS):
        references = matcher.sample(generator, at_most)
        queries = torch.ones(len(digits), dtype=torch.bool).index_fill(0, references.flatten(), False)
        known.append(mean_log_odds(digits[queries], references).amax(1))
        unknown.append(mean_log_odds(strangers, references).amax(1))
    known, unknown = (np.sort(torch.cat(scores).numpy()) for scores in (known, unknown))
    at = min(metrics.equal_error(known, unknown)[1], np.quantile(known, MOST_REFUSED))
    return torch.tensor(at).sigmoid().item()
