"""Pair losses over every pair of a batch. Both kinds of pair weigh the same, however rare one of them is.

All take the network, embeddings (B, D), labels (B,) and the margin, and return a scalar. ValueError unless the batch
holds a pair of the same class and one of different classes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese_mnist.heads import pairwise_distance
from siamese_mnist.model import SiameseNetwork
from siamese_mnist.pairs import pair_masks

# The weights of the parts of a loss.
SYMBOLS_MATCH, SYMBOLS_BCE, UNLIKE = 1.0, 0.25, 0.2


def bce(model: SiameseNetwork, embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Binary cross-entropy of the head's logits z against label equality (1 = same); needs no margin.

    ½ mean over positive pairs of log(1 + e^-z) + ½ mean over negative pairs of log(1 + e^z).
    """
    return _bce(model.raw_scores(embeddings, embeddings), *pair_masks(labels))


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


def match(model: SiameseNetwork, embeddings: Tensor, labels: Tensor) -> Tensor:
    """How far each image is from resembling others of its class more than all of other classes; Sohn 2016, equation 7.

    The mean over ordered positive pairs (a, p) of log(1 + sum over negatives n of e^(z_an - z_ap))."""
    return _match(model.raw_scores(embeddings, embeddings), *pair_masks(labels))


def compare_symbols(model: SiameseNetwork, embeddings: Tensor, labels: Tensor, digits: int, weight: float) -> Tensor:
    """What is added to a pair loss of the first `digits` embeddings where those of symbols follow: `match` of either,
    that of digits by `weight`, `bce` of symbols, and of pairs of both, with little weight, as some look alike."""
    known, own = embeddings[:digits], embeddings[digits:]
    unlike = F.softplus(model.raw_scores(known, own)).mean()
    logits, kinds = model.raw_scores(own, own), pair_masks(labels[digits:])
    among_symbols = SYMBOLS_MATCH * _match(logits, *kinds) + SYMBOLS_BCE * _bce(logits, *kinds)
    return weight * match(model, known, labels[:digits]) + among_symbols + UNLIKE * unlike


def _bce(logits: Tensor, same: Tensor, different: Tensor) -> Tensor:
    return (F.softplus(-logits[same]).mean() + F.softplus(logits[different]).mean()) / 2


def _match(logits: Tensor, same: Tensor, different: Tensor) -> Tensor:
    negatives = logits.masked_fill(~(different | different.T), -torch.inf).logsumexp(1, keepdim=True)
    return F.softplus(negatives - logits)[same | same.T].mean()
