"""Pairs of images: a fixed set to look at, class-balanced batches to train on, and masks of the pairs in a batch."""

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from siamese_mnist.data import Digits
from siamese_mnist.errors import InputError

FEWEST_IMAGES_OF_A_CLASS = 4


def pair_masks(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Masks (N, N) of the pairs of the same and of different classes, each pair once. ValueError without both kinds."""
    equal = labels[:, None] == labels
    once = torch.ones_like(equal).triu(1)
    same, different = equal & once, ~equal & once
    if not same.any() or not different.any():
        raise ValueError("a pair of the same class and a pair of different classes are needed")
    return same, different


class PairedDataset(Dataset):
    """`n_pairs` pairs ((image_a, image_b), same): uint8 images (1, 28, 28); `same` is 1 at even indices, else 0.

    Never an image with itself; any two classes are equally likely. Pair i depends on (seed, i) alone. InputError unless
    there are two classes or more, of two images or more."""

    def __init__(self, digits: Digits, n_pairs: int = 1000, seed: int = 0) -> None:
        self.digits, self.n_pairs, self.seed = digits, n_pairs, seed
        self.members = [members.numpy() for members in digits.members]
        if n_pairs < 1 or seed < 0:
            raise InputError(f"{n_pairs} pairs, seed {seed}: at least one pair, and a seed from 0, are needed")
        if len(self.members) < 2 or min(map(len, self.members)) < 2:
            raise InputError("pairs need two classes or more, with two images or more each")

    def __len__(self) -> int:
        return self.n_pairs

    def __getitem__(self, index: Any) -> Any:
        """One pair; of a slice, a list of them."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        a, b, same = self.indices(index)
        return (self.digits.images[a], self.digits.images[b]), same

    def indices(self, index: int) -> tuple[int, int, int]:
        """Returns where the two images of a pair stand in `digits`, and whether they are of the same class (1 or 0)."""
        if not -self.n_pairs <= index < self.n_pairs:
            raise IndexError(f"pair {index} of {self.n_pairs}")
        index = operator.index(index) % self.n_pairs
        random = np.random.default_rng((self.seed, index))
        same = 1 - index % 2
        if same:
            images = self.members[random.integers(len(self.members))]
            first, second = images[random.choice(len(images), 2, replace=False)]
        else:
            labels = random.choice(len(self.members), 2, replace=False)
            first, second = (random.choice(self.members[label]) for label in labels)
        return int(first), int(second), same


class BalancedBatches(Sampler[Tensor]):
    """Batches of P classes × K images as index tensors, P·K close to `batch_size`; an epoch sees N // (P·K) of them.

    P is all classes where each can have four images, else a random choice a batch. No image is twice in a batch, or
    again before all of its class were there. Set `epoch`: the batches depend on (seed, epoch) alone."""

    def __init__(self, digits: Digits, batch_size: int, seed: int) -> None:
        self.members = [members.numpy() for members in digits.members]
        self.classes_per_batch = min(len(self.members), max(2, batch_size // FEWEST_IMAGES_OF_A_CLASS))
        self.images_per_class = max(2, batch_size // self.classes_per_batch)
        self.length = max(1, len(digits) // (self.classes_per_batch * self.images_per_class))
        self.seed, self.epoch = seed, 0

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Tensor]:
        random = np.random.default_rng((self.seed, self.epoch))
        queues = [random.permutation(members) for members in self.members]
        for _ in range(self.length):
            batch = []
            for label in random.choice(len(queues), self.classes_per_batch, replace=False):
                count = min(self.images_per_class, len(self.members[label]))
                if len(queues[label]) < count:
                    # The rest of the old round goes first, and comes last in the new one.
                    rest, fresh = queues[label], random.permutation(self.members[label])
                    seen = np.isin(fresh, rest)
                    queues[label] = np.concatenate([rest, fresh[~seen], fresh[seen]])
                batch.append(queues[label][:count])
                queues[label] = queues[label][count:]
            yield torch.from_numpy(np.concatenate(batch))
