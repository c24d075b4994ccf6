"""Pair losses over every pair of a batch. Both kinds of pair weigh the same, however rare one of them is.

All take the network, embeddings (B, D), labels (B,) and the margin, and return a scalar. ValueError unless the batch
holds a pair of the same class and one of different classes."""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from siamese_mnist.heads import pairwise_distance
from siamese_mnist.model import SiameseNetwork
from siamese_mnist.pairs import pair_masks


def bce(model: SiameseNetwork, embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Binary cross-entropy of the head's logits z against label equality (1 = same); needs no margin.

    ½ mean over positive pairs of log(1 + e^-z) + ½ mean over negative pairs of log(1 + e^z).
    """
    same, different = pair_masks(labels)
    logits = model.raw_scores(embeddings, embeddings)
    return (F.softplus(-logits[same]).mean() + F.softplus(logits[different]).mean()) / 2


def contrastive(model: SiameseNetwork, embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Contrastive loss of the distances D, label 1 = same; Hadsell, Chopra and LeCun 2006, equation 4 (Y = 0 there).

    ½ D² for a positive pair, ½ max(0, margin - D)² for a negative one; the mean of the two kinds' means.
    """
    same, different = pair_masks(labels)
    distances = pairwise_distance(embeddings, embeddings)
    return (distances[same].square().mean() + F.relu(margin - distances[different]).square().mean()) / 4


def both(model: SiameseNetwork, embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The sum of the two."""
    return bce(model, embeddings, labels, margin) + contrastive(model, embeddings, labels, margin)


class Loss(NamedTuple):
    """A pair loss, and whether it trains the head; where it does not, strangers would only spoil the distances."""

    function: Callable[[SiameseNetwork, Tensor, Tensor, float], Tensor]
    trains_head: bool = True


LOSSES = {"bce": Loss(bce), "contrastive": Loss(contrastive, trains_head=False), "both": Loss(both)}
