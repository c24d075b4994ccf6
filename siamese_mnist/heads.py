"""The heads: from two sets of embeddings to one score for every pair of them."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pairwise_distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances (N, M) of embeddings (N, D), (M, D); the gradient at distance 0 is 0, not NaN."""
    if not a.requires_grad and not b.requires_grad:  # cdist is ten times as fast; its gradient at 0 is NaN.
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.linalg.vector_norm(a[:, None] - b[None], dim=-1)


class SimilarityHead(nn.Module):
    """The scaled cosine plus an MLP on the order-free concatenation [(a-b)²; a⊙b]: logits (N, M) of embeddings (N, D),
    (M, D), brought to one length. The cosine also holds for classes never seen; what an MLP learns alone does not.

    Its first layer is linear in a⊙b, a² and b², so it is a matrix product, and no tensor (N, M, 2D) is ever made."""

    def __init__(self, dimensions: int, hidden: int = 16) -> None:
        super().__init__()
        self.product = nn.Linear(dimensions, hidden, bias=False)
        self.square = nn.Linear(dimensions, hidden)
        self.output = nn.Linear(hidden, 1)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0 / dimensions)))
        self.length = math.sqrt(dimensions)
        self.hidden = hidden

    @property
    def numbers_per_pair(self) -> int:
        """How many numbers the largest tensor holds for each pair."""
        return self.hidden if torch.is_grad_enabled() else 1

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = (self.length * F.normalize(embeddings) for embeddings in (a, b))
        cosine = self.log_scale.exp() * (a @ b.T)
        if not torch.is_grad_enabled():
            return self._score_by_unit(a, b, cosine)
        products = (a * self.product.weight[:, None]) @ b.T[None]  # (H, N, M)
        squares_a = self.square(a.square()).T[:, :, None]  # (H, N, 1)
        squares_b = F.linear(b.square(), self.square.weight).T[:, None]  # (H, 1, M)
        hidden = F.relu(products.add_(squares_a).add_(squares_b), inplace=True)
        return (self.output.weight @ hidden.flatten(1) + self.output.bias).view(len(a), len(b)) + cosine

    def _score_by_unit(self, a: Tensor, b: Tensor, cosine: Tensor) -> Tensor:
        """The same from one hidden unit after the other, whose numbers stay near the cache: half of the time."""
        squares_a, squares_b = self.square(a.square()), F.linear(b.square(), self.square.weight)
        scores = cosine.add_(self.output.bias)
        ones_a, ones_b = a.new_ones(len(a), 1), b.new_ones(len(b), 1)
        for unit, weight in enumerate(self.output.weight[0].tolist()):
            own = slice(unit, unit + 1)  # The squares are added as one more product each.
            left = torch.cat([a * self.product.weight[unit], squares_a[:, own], ones_a], 1)
            right = torch.cat([b, ones_b, squares_b[:, own]], 1)
            scores.add_((left @ right.T).relu_(), alpha=weight)
        return scores


class DistanceHead(nn.Module):
    """A logistic of the Euclidean distance D: logits (N, M) = scale · (offset - D), scale > 0."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.offset = nn.Parameter(torch.tensor(0.5))
        self.numbers_per_pair = dimensions

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.log_scale.exp() * (self.offset - pairwise_distance(a, b))
