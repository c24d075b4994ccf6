"""One image against references of every class: how it resembles each, and which it is, if any."""

from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor

from siamese_mnist.data import Digits
from siamese_mnist.errors import InputError
from siamese_mnist.heads import pairwise_distance
from siamese_mnist.listing import DIGIT_NAMES
from siamese_mnist.model import SiameseNetwork

REFERENCES = 20  # For each class.
TIE = 0.1  # Log-odds that lie no farther apart are even.


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
    """The log-odds by name, of classes then symbols, and the name that wins, if one is like enough."""

    log_odds: dict[str, float]
    winner: str | None

    @property
    def scores(self) -> dict[str, float]:
        """The similarity to each."""
        return dict(zip(self.log_odds, torch.tensor([*self.log_odds.values()], dtype=torch.float64).sigmoid().tolist()))

    @property
    def ranked(self) -> list[str]:
        """The names, the most alike first."""
        return sorted(self.log_odds, key=self.log_odds.__getitem__, reverse=True)

    @property
    def tied(self) -> list[str]:
        """The names that no one could tell from the winner by these scores; none if it stands alone."""
        if self.winner is None:
            return []
        names = [name for name in self.ranked if self.log_odds[name] > self.log_odds[self.winner] - TIE]
        return names if len(names) > 1 else []


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

    def match(self, embedding: Tensor, references: Tensor, symbols: dict[str, Symbol]) -> Match:
        """Matches one embedding (1, D) with the references of each class and the examples of each symbol, at their mean
        log-odds; a class may win from the rejection threshold on, a symbol, of few examples, from the threshold."""
        return self.decide(self.log_odds(embedding, references, symbols), symbols)

    @torch.no_grad()
    def log_odds(self, embedding: Tensor, references: Tensor, symbols: dict[str, Symbol]) -> dict[str, Tensor]:
        """The log-odds of one embedding (1, D) with each reference of each class, with each example of each symbol."""
        found = dict(zip(self.names, self.model.logits(embedding, self.embeddings)[0, references]))
        return found | {name: self.model.logits(embedding, own.embeddings)[0] for name, own in symbols.items()}

    def decide(self, log_odds: dict[str, Tensor], symbols: Collection[str]) -> Match:
        """The match that `log_odds` make, some of which are of symbols."""
        means = {name: own.mean().item() for name, own in log_odds.items()}
        best = max(means, key=means.__getitem__)
        enough = self.model.threshold if best in symbols else self.model.rejection_threshold
        return Match(means, best if torch.tensor(means[best]).sigmoid() >= enough else None)

    @torch.no_grad()
    def refuse_several(self, parts: Tensor, references: Tensor) -> None:
        """InputError if two of the parts (N, 1, 28, 28) of a drawing, by `prepare_parts`, are like a digit each."""
        if len(parts) > 1 and set(self.names) <= set(DIGIT_NAMES):
            best = self.scores(self.model.encode_all(parts), references).amax(1)
            if (best >= self.model.rejection_threshold).sum() > 1:
                raise InputError("more than one digit? Draw one at a time")
