"""Measures a network on all pairs of a split: metrics with intervals, beside those of baselines."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from siamese_mnist import allpairs, bootstrap, metrics, one_shot
from siamese_mnist.calibration import calibrate, fit, fit_calibration
from siamese_mnist.data import Digits
from siamese_mnist.model import SiameseNetwork

BASELINE_IMAGES = 2000  # Baselines are measured on so many of the images: none of them is close.
MATCH_REFERENCES = (1, 20)  # A query is matched against so many images of each class.
RATES = ("eer", "balanced_accuracy", "accuracy", *(f"match_accuracy_{k}" for k in MATCH_REFERENCES))


class Scoring(NamedTuple):
    """A way to score pairs: embeddings (N, D), a function of them, and the similarity from which a pair is the same."""

    name: str
    embeddings: Tensor
    score: allpairs.Score
    threshold: float

    @property
    def log_odds_threshold(self) -> float:
        return torch.tensor(self.threshold).logit(eps=1e-12).item()


class Baseline(NamedTuple):
    """What is kept of another way to score pairs: its metrics, and false alarms and hits along the thresholds."""

    images: int  # It is measured on.
    metrics: dict[str, Any]
    roc: tuple[np.ndarray, np.ndarray] | None = None


class Evaluation(NamedTuple):
    """All pairs of N digits of C classes, scored and measured: whatever a figure is drawn from."""

    digits: Digits
    scoring: Scoring
    log_odds: Tensor  # (N, N), as of allpairs.score_all_pairs
    called_same: Tensor  # (N, C): of how many images of each class each image is called the same
    positives: np.ndarray  # the log-odds of the pairs of the same class, ascending
    negatives: np.ndarray  # and of different classes
    metrics: dict[str, Any]  # as metrics.json has them
    baselines: dict[str, Baseline]
    seed: int
    one_shot: dict[str, one_shot.Answers]  # by group; of no group, where it was not asked
    shown_pairs: int = 12


def evaluate_network(model: SiameseNetwork, digits: Digits, validation: Digits, seed: int) -> Evaluation:
    """Measures the network's similarity, and on some of the digits baselines, calibrated on validation digits.

    Of classes of which it has seen none, one-shot tasks are measured, too."""
    tasks = {} if set(digits.names) & set(model.classes) else one_shot.draw_tasks(digits, seed)
    (scale, offset), threshold, _ = fit((_cosine(*[validation.images.flatten(1)] * 2), validation.labels))
    torch.manual_seed(seed)
    untrained = SiameseNetwork(model.encoder_name, model.head_name).to(model.device)
    calibrate(untrained, validation)
    some = digits if tasks else digits.at_most(max(2, BASELINE_IMAGES // len(digits.classes)))
    cosine = Scoring("pixel_cosine", some.images.flatten(1), lambda a, b: _cosine(a, b) * scale + offset, threshold)
    chance = Scoring("untrained", untrained.encode_all(some.images), untrained.logits, untrained.threshold)
    baselines = {"always_different": Baseline(len(digits), _always_different(digits, tasks))}
    for scoring in (cosine, chance):
        one = evaluate(some, scoring, {}, seed, tasks)
        baselines[scoring.name] = Baseline(len(some), one.metrics, metrics.roc_curve(one.positives, one.negatives))
        del one  # The matrix of all pairs may be large.
    own = Scoring("this_network", model.encode_all(digits.images, "encoding"), model.logits, model.threshold)
    return evaluate(digits, own, baselines, seed, tasks)


def evaluate(
    digits: Digits,
    scoring: Scoring,
    baselines: dict[str, Baseline],
    seed: int,
    tasks: dict[str, one_shot.Tasks] | None = None,
) -> Evaluation:
    """Scores all pairs of the digits in one way, and measures it; one-shot tasks, too, where there are some."""
    labels, at = digits.labels.unique(return_inverse=True)[1], scoring.log_odds_threshold
    log_odds = allpairs.score_all_pairs(scoring.embeddings, scoring.score, scoring.name.replace("_", " "))
    kinds = positives, negatives = allpairs.sorted_kinds(log_odds, labels)
    called_same = allpairs.count_called_same(log_odds, labels, at)
    misses, alarms = metrics.error_rates(*kinds, at)
    scale, offset = fit_calibration(*kinds)
    measured: dict[str, Any] = {
        "auc": metrics.auc(*kinds),
        "eer": metrics.equal_error(*kinds)[0],
        "balanced_accuracy": 1 - (misses + alarms) / 2,
        "accuracy": 1 - float(np.average([misses, alarms], weights=[len(positives), len(negatives)])),
        "log_loss": metrics.log_loss(*kinds),
        "log_loss_recalibrated": metrics.log_loss(*kinds, scale, offset),
    }
    low = float(min(positives[0], negatives[len(negatives) // 2])) - 1  # Beyond these, no pair is confused.
    high = float(max(negatives[-1], positives[len(positives) // 2])) + 1
    histograms = allpairs.count_in_bins(log_odds, labels, low, high)
    samples = bootstrap.sample_accuracies(called_same, labels)
    samples |= bootstrap.sample_curves(histograms, np.linspace(low, high, allpairs.BINS + 1), scale, offset)
    for k in MATCH_REFERENCES:
        name, trials = f"match_accuracy_{k}", allpairs.match_references(log_odds, labels, k, seed)
        if trials:
            samples[name] = bootstrap.sample_matches(*trials)
        measured[name] = float(samples[name][0]) if trials else None  # None: a class has too few images.
    measured = _with_intervals(measured, samples, len(labels))
    answers = one_shot.answer(tasks or {}, scoring.embeddings, scoring.score)
    measured |= one_shot.measure(answers)
    return Evaluation(digits, scoring, log_odds, called_same, *kinds, measured, baselines, seed, answers)


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosines (N, M) of uint8 pixels (N, D), (M, D)."""
    return F.normalize(a.float()) @ F.normalize(b.float()).T


def _all_alike(a: Tensor, b: Tensor) -> Tensor:
    return torch.zeros(len(a), len(b))


def _always_different(digits: Digits, tasks: dict[str, one_shot.Tasks]) -> dict[str, Any]:
    """Returns the metrics of calling every pair different. Its log-loss is infinite, which is written as None."""
    classes, labels = digits.labels.unique(return_inverse=True)
    samples = bootstrap.sample_accuracies(torch.zeros(len(labels), len(classes)), labels)  # No pair is called the same.
    measured = dict.fromkeys(("auc", "eer", "balanced_accuracy"), 0.5) | {"accuracy": float(samples["accuracy"][0])}
    measured |= {"log_loss": None, "log_loss_recalibrated": math.log(2)}
    measured |= {f"match_accuracy_{k}": 0.0 for k in MATCH_REFERENCES}
    measured = _with_intervals(measured, {"accuracy": samples["accuracy"]})
    return measured | one_shot.measure(one_shot.answer(tasks, digits.labels, _all_alike))


def _with_intervals(measured: dict[str, Any], samples: dict[str, bootstrap.Samples], images: int = 0) -> dict[str, Any]:
    """Adds …_ci95 to each metric; of one without samples it is the value itself; `images` as of bootstrap.interval."""
    complete: dict[str, Any] = {}
    for name, value in measured.items():
        interval = None if value is None else [value, value]
        if name in samples:
            interval = bootstrap.interval(samples[name], value, images if name in (*RATES, "auc") else 0)
        complete |= {name: value, f"{name}_ci95": interval}
    return complete
