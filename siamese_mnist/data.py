"""Digits of any source in one shape, chosen by split, by class and by number."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from siamese_mnist.errors import InputError
from siamese_mnist.listing import DIGIT_NAMES, SMALLEST_PART, put_right
from siamese_mnist.registry import SOURCES, SPLITS


@dataclass(frozen=True)
class Digits(Dataset):
    """uint8 images (N, 1, 28, 28), white ink on black; int64 labels (N,), each an index into `class_names`.

    `digests` (N,) identify images by their content, where people may add some and remove some. InputError if these are
    others."""

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...] = DIGIT_NAMES
    digests: Tensor | None = None

    def __post_init__(self) -> None:
        kinds = [(tensor.dtype, tuple(tensor.shape)) for tensor in (self.images, self.labels)]
        if kinds != [(torch.uint8, (len(self.labels), 1, 28, 28)), (torch.int64, (len(self.labels),))]:
            raise InputError(f"images and labels are {kinds}; uint8 (N, 1, 28, 28) and int64 (N,) are needed")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise InputError(
                f"labels are {self.labels.min()} to {self.labels.max()}; {len(self.class_names)} have names"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> Any:
        """One image (1, 28, 28) and its label; of a slice, a list of them. `select` makes a subset."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.images[index], int(self.labels[index])

    def select(self, index: Tensor | np.ndarray | Sequence[int] | slice) -> "Digits":
        """The images of some indices, of a boolean mask or of a slice."""
        index = index if isinstance(index, slice) else torch.as_tensor(index)
        digests = None if self.digests is None else self.digests[index]
        return replace(self, images=self.images[index], labels=self.labels[index], digests=digests)

    def at_most(self, images_per_class: int) -> "Digits":
        """The first `images_per_class` of each class, or all of a class that has fewer."""
        return self.select(torch.cat([members[:images_per_class] for members in self.members]).sort().values)

    @cached_property
    def classes(self) -> list[int]:
        """The labels that occur, ascending."""
        return self.labels.unique().tolist()

    @property
    def names(self) -> list[str]:
        """The names of these classes."""
        return [self.class_names[label] for label in self.classes]

    @cached_property
    def members(self) -> list[Tensor]:
        """The indices of the images of each of these classes."""
        return [torch.where(self.labels == label)[0] for label in self.classes]


def load_digits(
    dataset: str = "bundled",
    *,
    split: str = "train",
    root: str | Path = "data",
    images_per_class: int | None = None,
    fraction: float | None = None,
    classes: str | Sequence[str | int] | None = None,
    transposed: bool = False,
) -> Digits:
    """One split of a row of SOURCES, such as "bundled" (see docs/data.md), or a class-balanced subset of it.

    `fraction` is in (0, 1]; `classes` is "0-7", "8,9", or a list of class names; `transposed` images, as EMNIST's, are
    turned. Other greys than white on black are put right, with a warning. InputError says what cannot be read."""
    for kind, value, known in (("dataset", dataset, SOURCES), ("split", split, SPLITS)):
        if value not in known:
            raise InputError(f"{kind} {value!r} is none of {', '.join(known)}")
    where = str(root) if SOURCES[dataset].needs_root else dataset
    images, *rest = SOURCES[dataset].read(Path(root).expanduser(), split)
    digits = Digits(images.transpose(2, 3).contiguous() if transposed else images, *rest)
    if digits.digests is None:  # A Listing does it for all splits together.
        digits = replace(digits, images=torch.from_numpy(put_right(digits.images.numpy(), where))[:, None])
    if classes is not None:
        digits = digits.select(torch.isin(digits.labels, torch.tensor(_parse_classes(classes, digits.class_names))))
    if len(digits.classes) < 2:
        raise InputError(f"{where}: the {split} split holds one class; pairs of different classes need two")
    digits = _subset(digits, images_per_class, fraction)
    if single := [name for name, members in zip(digits.names, digits.members) if len(members) < SMALLEST_PART]:
        raise InputError(f"{where}: class {single[0]!r} has a single image in the {split} split; a pair needs two")
    return digits


def _parse_classes(classes: str | Sequence[str | int], names: tuple[str, ...]) -> list[int]:
    """Labels of "0-7", "8,9" or a sequence of class names."""
    order = sorted(names, key=int) if all(name.isdecimal() for name in names) else names  # folders sort 10 before 2
    chosen: list[str] = []
    for item in map(str.strip, classes.split(",") if isinstance(classes, str) else map(str, classes)):
        first, last = (item, item) if item in names else item.split("-") if item.count("-") == 1 else ("", "")
        if not {first, last} <= set(names) or order.index(first) > order.index(last):
            raise InputError(f"class {item!r} is none of {', '.join(names[:20])}")
        chosen += order[order.index(first) : order.index(last) + 1]
    return [names.index(name) for name in chosen]


def _subset(digits: Digits, images_per_class: int | None, fraction: float | None) -> Digits:
    if images_per_class is not None and fraction is not None:
        raise InputError("images per class and fraction exclude each other; give one of them")
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise InputError(f"fraction {fraction:g} is not above 0 and at most 1")
        count = max(SMALLEST_PART, round(fraction * len(digits) / len(digits.classes)))
        return digits if fraction == 1 else digits.at_most(count)
    if images_per_class is None:
        return digits
    smallest = min(map(len, digits.members))
    if not SMALLEST_PART <= images_per_class <= smallest:
        raise InputError(
            f"{images_per_class} images per class: choose {SMALLEST_PART} to {smallest}, the smallest class"
        )
    return digits.at_most(images_per_class)
