"""One image against references of every class: how it resembles each, and which it is, if any."""

from typing import NamedTuple

import torch
from torch import Tensor

from siamese_mnist.data import Digits
from siamese_mnist.errors import InputError
from siamese_mnist.heads import pairwise_distance
from siamese_mnist.model import SiameseNetwork
from siamese_mnist.sources import DIGIT_NAMES

REFERENCES = 20  # For each class.


def mean_log_odds(log_odds: Tensor, references: Tensor) -> Tensor:
    """Log-odds (N, C) with each class: the mean of those (N, M) with its references (C, K); no odd one rules."""
    return log_odds[:, references].mean(2)


@torch.no_grad()
def compare(model: SiameseNetwork, image_a: Tensor, image_b: Tensor) -> tuple[float, float]:
    """Similarity and Euclidean distance of two images (1, 1, 28, 28)."""
    a, b = model.encode_all(image_a), model.encode_all(image_b)
    return model.similarity(a, b).item(), pairwise_distance(a, b).item()


class Symbol(NamedTuple):
    """A class learned from examples alone: float images (N, 1, 28, 28) in [0, 1] and their embeddings (N, D)."""

    images: Tensor
    embeddings: Tensor


class Match(NamedTuple):
    """Similarities by name, of classes then symbols, and the name that wins, if one is like enough."""

    scores: dict[str, float]
    winner: str | None


class Matcher:
    """Scores images against references out of `digits`, each encoded once, when the matcher is made."""

    def __init__(self, model: SiameseNetwork, digits: Digits) -> None:
        self.model, self.digits, self.names, self.members = model, digits, digits.names, digits.members
        self.embeddings = model.encode_all(digits.images)

    def sample(self, generator: torch.Generator | None = None, at_most: int = REFERENCES) -> Tensor:
        """Draws the references: indices (classes, 20), or fewer where a class has fewer; the first is to be shown."""
        count = min(at_most, *map(len, self.members))
        return torch.stack([index[torch.randperm(len(index), generator=generator)[:count]] for index in self.members])

    @torch.no_grad()
    def scores(self, embeddings: Tensor, references: Tensor) -> Tensor:
        """The similarity (N, classes) of embeddings (N, D) to the references of each class, at their mean log-odds."""
        return mean_log_odds(self.model.logits(embeddings, self.embeddings), references).sigmoid()

    @torch.no_grad()
    def match(self, embedding: Tensor, references: Tensor, symbols: dict[str, Symbol]) -> Match:
        """Matches one embedding (1, D) with the references of each class and the examples of each symbol, at their mean
        log-odds; a class may win from the rejection threshold on, a symbol, of few examples, from the threshold."""
        scores = dict(zip(self.names, self.scores(embedding, references)[0].tolist()))
        for name, symbol in symbols.items():
            scores[name] = self.model.logits(embedding, symbol.embeddings).mean().sigmoid().item()
        best = max(scores, key=scores.__getitem__)
        enough = scores[best] >= (self.model.threshold if best in symbols else self.model.rejection_threshold)
        return Match(scores, best if enough else None)

    @torch.no_grad()
    def refuse_several(self, parts: Tensor, references: Tensor) -> None:
        """InputError if two of the parts (N, 1, 28, 28) of a drawing, by `prepare_parts`, are like a digit each."""
        if len(parts) > 1 and set(self.names) <= set(DIGIT_NAMES):
            best = self.scores(self.model.encode_all(parts), references).amax(1)
            if (best >= self.model.rejection_threshold).sum() > 1:
                raise InputError("more than one digit? Draw one at a time")
