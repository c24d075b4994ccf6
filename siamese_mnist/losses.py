"""Pair losses over every pair of a batch. Both kinds of pair weigh the same, however rare one of them is."""

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese_mnist.model import pairwise_distance


def bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of logits (B, B) against label equality (1 = same), over the B(B-1)/2 pairs of labels (B,).

    ½ mean over positive pairs of log(1 + e^-z) + ½ mean over negative pairs of log(1 + e^z). ValueError without both.
    """
    same, different = _pairs(labels)
    return (F.softplus(-logits[same]).mean() + F.softplus(logits[different]).mean()) / 2


def contrastive(embeddings: Tensor, labels: Tensor, margin: float = 1.0) -> Tensor:
    """Contrastive loss of embeddings (B, D), label 1 = same; Hadsell, Chopra and LeCun 2006, equation 4 (Y = 0 there).

    ½ D² for a positive pair, ½ max(0, margin - D)² for a negative one, D their Euclidean distance; the mean of the two
    kinds' means. ValueError unless both kinds occur.
    """
    same, different = _pairs(labels)
    distances = pairwise_distance(embeddings, embeddings)
    return (distances[same].square().mean() + F.relu(margin - distances[different]).square().mean()) / 4


def _pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (B, B) of the positive and the negative pairs, each pair once, none with itself."""
    equal = labels[:, None] == labels[None, :]
    once = torch.ones_like(equal).triu(1)
    same, different = equal & once, ~equal & once
    if not same.any() or not different.any():
        raise ValueError("a batch needs a pair of the same class and a pair of different classes")
    return same, different
