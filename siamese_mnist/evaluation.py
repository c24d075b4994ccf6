"""Figures of a siamese network on all pairs of a split, with intervals, beside what costs nothing."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from siamese_mnist import bootstrap, roc
from siamese_mnist.allpairs import REFERENCES, Score, score_all_pairs
from siamese_mnist.data import Digits
from siamese_mnist.device import bf16_autocast
from siamese_mnist.model import SiameseNetwork
from siamese_mnist.strangers import scribbles

ENCODE_AT_ONCE = 100
MOST_REFUSED = 0.01  # of validation digits may fall below the rejection threshold
SCRIBBLES = 500  # are held against it
REFERENCE_SETS = 10  # random ones, for the rejection threshold
VALIDATION_IMAGES_PER_CLASS = 200


@torch.no_grad()
def encode_all(model: SiameseNetwork, images: Tensor, title: str | None = None) -> Tensor:
    """Embeddings (N, D) of images (N, 1, 28, 28), with the model in evaluation mode; a bar where it has a title."""
    training = model.training
    if training:  # switching takes as long as encoding one image
        model.eval()
    parts = tqdm(images.split(ENCODE_AT_ONCE), desc=title, unit="batch", disable=title is None)
    with bf16_autocast(model.device):
        embeddings = torch.cat([model.encode(part) for part in parts])
    if training:
        model.train()
    return embeddings


@torch.no_grad()
def calibrate(model: SiameseNetwork, validation: Digits) -> dict[str, float]:
    """Sets calibration, threshold and rejection threshold from validation digits and generated scribbles.

    Gives eer with its standard error, auc and balanced_accuracy of the pairs of digits.
    """
    embeddings, labels = encode_all(model, validation.images), validation.labels
    raw_scores = model.raw_scores(embeddings, embeddings).cpu()
    model.calibration, model.threshold, figures = _fit(raw_scores, labels)
    strangers = encode_all(model, _scribbles())
    scale, offset = model.calibration
    similarities = torch.cat([raw_scores * scale + offset, model.logits(strangers, embeddings).cpu()]).sigmoid()
    model.rejection_threshold = _rejection_threshold(similarities, labels)
    return figures


@functools.cache
def _scribbles() -> Tensor:
    """Always the same ones; made once, for every epoch asks for them."""
    return scribbles(SCRIBBLES, torch.Generator().manual_seed(0))


def _fit(raw_scores: Tensor, labels: Tensor) -> tuple[tuple[float, float], float, dict[str, float]]:
    """Calibration, the similarity at the equal error rate, and the figures, of raw scores (N, N) and labels (N,)."""
    same = labels[:, None] == labels
    once = torch.ones_like(same).triu(1)
    positives, negatives = (np.sort(raw_scores[mask & once].numpy()) for mask in (same, ~same))
    calibration = roc.fit_calibration(positives, negatives)
    eer, at = roc.equal_error(positives, negatives)
    misses, alarms = roc.error_rates(positives, negatives, at)
    error = math.sqrt(eer * (1 - eer) / len(labels))  # of an image, whose pairs go wrong together
    figures = {
        "eer": eer,
        "eer_error": error,
        "auc": roc.auc(positives, negatives),
        "balanced_accuracy": 1 - (misses + alarms) / 2,
    }
    return calibration, torch.tensor(at * calibration[0] + calibration[1]).sigmoid().item(), figures


def _rejection_threshold(similarities: Tensor, labels: Tensor, k: int = 20) -> float:
    """The best mean similarity to k random references a class at which as many digits fail as strangers pass.

    Lower where more than 1 % of the digits would fail, and so low that one of the k may resemble none of its class.
    Who averages log-odds instead, as `matching` does, refuses fewer digits yet: an odd reference weighs less there.
    `similarities` (N + S, N) are those of digits with labels (N,), then of strangers, to the digits.
    """
    generator, count, classes = torch.Generator().manual_seed(0), len(labels), labels.unique()
    chosen, spare = torch.zeros(2, REFERENCE_SETS, count, len(classes))  # 1 for the k references of a set and class
    for number, column in np.ndindex(REFERENCE_SETS, len(classes)):
        members = torch.where(labels == classes[column])[0]
        drawn = members[torch.randperm(len(members), generator=generator)]
        chosen[number, drawn[:k], column] = 1
        spare[number, drawn[k : k + 1], column] = 1  # with which a reference is compared instead of with itself
    sums = similarities @ chosen  # (sets, N + S, classes)
    counts = chosen.sum(1, keepdim=True).expand_as(sums).clone()
    sums[:, :count] += chosen * (similarities[:count] @ spare - similarities.diagonal()[:, None])
    counts[:, :count] += chosen * (spare.sum(1, keepdim=True) - 1)
    best = (sums / counts).amax(2).double().numpy()
    digits, strangers = best[:, :count].flatten(), best[:, count:].flatten()
    digits *= 1 - 1 / k
    return min(roc.equal_error(np.sort(digits), np.sort(strangers))[1], float(np.quantile(digits, MOST_REFUSED)))


@dataclass
class Measured:
    """One way to score pairs: its figures as metrics.json has them, and what the plots need instead of all pairs."""

    figures: dict[str, Any]
    always_different: dict[str, Any]  # the figures of a program that says "different" of every pair
    operating_point: tuple[float, float]  # false alarms and hits at the threshold
    roc: tuple[np.ndarray, np.ndarray]  # false alarms and misses along the thresholds
    spread: np.ndarray  # (2, 50): shares of the different and of the same pairs by similarity, in 50 equal bins
    said_same: Tensor  # (N, C): how many images of each class each image was called the same as
    worst: dict[int, tuple[Tensor, Tensor]]  # as in allpairs.ByImage


def measure_network(model: SiameseNetwork, digits: Digits, embeddings: Tensor, seed: int, title: str) -> Measured:
    """Figures of the network's similarity, as calibrated, on all pairs of `digits` with embeddings (N, D)."""
    return _measure(embeddings, digits, model.logits, model.threshold, seed, title)


def measure_baselines(model: SiameseNetwork, digits: Digits, validation: Digits, seed: int) -> dict[str, Measured]:
    """The same figures for the cosine of the pixels and for an untrained network, calibrated on validation digits."""
    torch.manual_seed(seed)
    untrained = SiameseNetwork(model.encoder_name, model.head_name).to(model.device)
    calibrate(untrained, validation)
    pixels = validation.images.flatten(1)
    (scale, offset), threshold, _ = _fit(_cosine(pixels, pixels), validation.labels)

    def score(a: Tensor, b: Tensor) -> Tensor:
        return _cosine(a, b) * scale + offset

    cosine = _measure(digits.images.flatten(1), digits, score, threshold, seed, "pixel cosine")
    embeddings = encode_all(untrained, digits.images)
    return {"pixel_cosine": cosine, "untrained": measure_network(untrained, digits, embeddings, seed, "untrained")}


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosines (N, M) of uint8 pixels (N, D), (M, D)."""
    return F.normalize(a.float()) @ F.normalize(b.float()).T


def _always_different(samples: bootstrap.Samples) -> dict[str, Any]:
    """Figures for saying "different" of every pair, from samples of its accuracy. The log-loss is infinite: None."""
    figures: dict[str, Any] = {"auc": 0.5, "eer": 0.5, "balanced_accuracy": 0.5, "accuracy": float(samples[0])}
    figures |= {"log_loss": None, "log_loss_recalibrated": math.log(2)} | {
        f"match_accuracy_{k}": 0.0 for k in REFERENCES
    }
    return _with_intervals(figures, {"accuracy": samples})


def _measure(embeddings: Tensor, digits: Digits, score: Score, threshold: float, seed: int, title: str) -> Measured:
    labels = torch.searchsorted(torch.tensor(digits.classes), digits.labels)
    log_odds_threshold = torch.tensor(threshold).logit(eps=1e-12).item()
    pairs = score_all_pairs(embeddings, labels, score, log_odds_threshold, seed, title)
    positives, negatives, by_image = pairs.positives, pairs.negatives, pairs.by_image
    scale, offset = roc.fit_calibration(positives, negatives)
    misses, alarms = roc.error_rates(positives, negatives, log_odds_threshold)
    figures: dict[str, Any] = {
        "auc": roc.auc(positives, negatives),
        "eer": roc.equal_error(positives, negatives)[0],
        "balanced_accuracy": 1 - (misses + alarms) / 2,
        "accuracy": 1 - float(np.average([misses, alarms], weights=[len(positives), len(negatives)])),
        "log_loss": roc.log_loss(positives, negatives),
        "log_loss_recalibrated": roc.log_loss(positives, negatives, scale, offset),
    }
    samples = bootstrap.sample_accuracies(by_image) | bootstrap.sample_curves(by_image, scale, offset)
    for k in REFERENCES:
        figures[f"match_accuracy_{k}"] = None  # a class has too few images for k references and a query
        if k in by_image.references:
            won, asked = by_image.matches(k)
            figures[f"match_accuracy_{k}"] = (won.sum() / asked.sum()).item()
            samples[f"match_accuracy_{k}"] = bootstrap.sample_matches(won, asked)
    return Measured(
        _with_intervals(figures, samples),
        _always_different(samples["always_different"]),
        (alarms, 1 - misses),
        roc.curve(positives, negatives),
        np.stack([roc.spread(negatives), roc.spread(positives)]),
        by_image.said_same,
        by_image.worst,
    )


def _with_intervals(figures: dict[str, Any], samples: dict[str, bootstrap.Samples]) -> dict[str, Any]:
    """Each figure followed by its …_ci95; a figure without samples is exact."""
    complete: dict[str, Any] = {}
    for name, value in figures.items():
        complete[name] = value
        exact = None if value is None else [value, value]
        complete[f"{name}_ci95"] = bootstrap.interval(samples[name], value) if name in samples else exact
    return complete
