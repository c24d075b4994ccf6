"""Digits and where they come from: four sources, one shape, splits fixed once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from siamese_mnist.errors import InputError
from siamese_mnist.sources import list_folder, read_bundled, read_csv, read_images, read_mnist

DATASETS = ("bundled", "mnist", "csv", "folder")
SPLITS = ("train", "val", "test")
DIGIT_NAMES = tuple("0123456789")
MNIST_VALIDATION_IMAGES = 6000
SMALLEST_PART = 2  # one pair of the same class needs two images


@dataclass(frozen=True)
class Digits:
    """uint8 images (N, 1, 28, 28), white ink on black; int64 labels (N,), each an index into `class_names`."""

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...] = DIGIT_NAMES

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> list[int]:
        """The labels that occur, in order."""
        return self.labels.unique().tolist()

    def __getitem__(self, index: Tensor) -> "Digits":
        """The chosen images, by an index or boolean tensor."""
        return replace(self, images=self.images[index], labels=self.labels[index])

    def at_most(self, images_per_class: int) -> "Digits":
        """The first `images_per_class` of each class, or all of a class that has fewer."""
        return self[_first_of_each_class(self.labels, images_per_class)]


def load_digits(
    dataset: str = "bundled",
    *,
    split: str = "train",
    root: str | Path = "data",
    images_per_class: int | None = None,
    fraction: float | None = None,
    classes: str | Sequence[str | int] | None = None,
) -> Digits:
    """One split of "bundled", "mnist", "csv" or "folder" digits (see README), or a class-balanced subset of it.

    `fraction` is in (0, 1]; `classes` is "0-7", "8,9", or a list of class names. InputError says what cannot be read.
    """
    if dataset not in DATASETS:
        raise InputError(f"dataset {dataset!r} is none of {', '.join(DATASETS)}")
    if split not in SPLITS:
        raise InputError(f"split {split!r} is none of {', '.join(SPLITS)}")
    root = Path(root).expanduser()
    digits = {"bundled": _bundled, "mnist": _mnist, "csv": _csv, "folder": _folder}[dataset](root, split)
    if classes is not None:
        chosen = torch.tensor(_parse_classes(classes, digits))
        digits = digits[torch.isin(digits.labels, chosen)]
    if len(digits.classes) < 2:
        raise InputError(f"the {split} split holds {len(digits.classes)} class; pairs of different classes need two")
    digits = _subset(digits, images_per_class, fraction)
    for label in digits.classes:
        if (digits.labels == label).sum() < SMALLEST_PART:
            name = digits.class_names[label]
            raise InputError(f"class {name!r} has a single image in the {split} split; a pair needs two")
    return digits


def _bundled(root: Path, split: str) -> Digits:
    images, labels = read_bundled()
    start, stop = {"train": (0, 400), "val": (400, 450), "test": (450, 500)}[split]
    index = torch.cat([torch.where(labels == label)[0][start:stop] for label in range(10)])
    return Digits(images[index], labels[index])


def _mnist(root: Path, split: str) -> Digits:
    images, labels = read_mnist(root, train=split != "test")
    first, last = {"train": (MNIST_VALIDATION_IMAGES, None), "val": (0, MNIST_VALIDATION_IMAGES), "test": (0, None)}[
        split
    ]
    return Digits(images[first:last].clone(), labels[first:last])


def _csv(root: Path, split: str) -> Digits:
    if split == "test" and (test := read_csv(root, train=False)):
        return Digits(*test)
    images, labels = read_csv(root, train=True)
    index = _stratified(labels, DIGIT_NAMES, ("val", "test"))[split]
    return Digits(images[index], labels[index])


def _folder(root: Path, split: str) -> Digits:
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name the folder of class sub-folders with --data-root")
    parts = [name for name in SPLITS if (root / name).is_dir()]
    if split in parts and split != "train":
        paths, labels, names = list_folder(root / split)
        return Digits(read_images(paths), labels, names)
    paths, labels, names = list_folder(root / "train" if "train" in parts else root)
    held_out = [name for name in ("val", "test") if name not in parts]
    index = _stratified(labels, names, held_out)[split]
    return Digits(read_images([paths[i] for i in index.tolist()]), labels[index], names)


def _stratified(labels: Tensor, names: tuple[str, ...], held_out: Sequence[str]) -> dict[str, Tensor]:
    """Indices of each split: a tenth of every class for each held-out split, the rest for training, always the same."""
    generator = torch.Generator().manual_seed(0)
    parts: dict[str, list[Tensor]] = {name: [] for name in ("train", *held_out)}
    for label in labels.unique().tolist():
        index = torch.where(labels == label)[0]
        index = index[torch.randperm(len(index), generator=generator)]
        size = max(SMALLEST_PART, round(len(index) / 10))
        if len(index) < SMALLEST_PART + size * len(held_out):
            least = SMALLEST_PART * (1 + len(held_out))
            raise InputError(
                f"class {names[label]!r} has {len(index)} images; {least} are the least, two for each of "
                f"{', '.join(parts)}"
            )
        for name in held_out:
            parts[name].append(index[:size])
            index = index[size:]
        parts["train"].append(index)
    return {name: torch.cat(indices).sort().values for name, indices in parts.items()}


def _parse_classes(classes: str | Sequence[str | int], digits: Digits) -> list[int]:
    """Labels for "0-7", "8,9" or a sequence of class names."""
    names = digits.class_names
    order = sorted(names, key=int) if all(name.isdecimal() for name in names) else names  # folders sort 10 before 2
    chosen: list[int] = []
    for item in classes.split(",") if isinstance(classes, str) else classes:
        first, dash, last = str(item).strip().partition("-")
        if str(item).strip() in names:
            chosen.append(names.index(str(item).strip()))
        elif dash and first in names and last in names and order.index(first) <= order.index(last):
            chosen.extend(map(names.index, order[order.index(first) : order.index(last) + 1]))
        else:
            raise InputError(f"class {str(item)!r} is none of {', '.join(names[:20])}")
    return chosen


def _subset(digits: Digits, images_per_class: int | None, fraction: float | None) -> Digits:
    if images_per_class is not None and fraction is not None:
        raise InputError("images per class and fraction exclude each other; give one of them")
    if fraction is not None:
        if not 0 < fraction <= 1:
            raise InputError(f"fraction {fraction:g} is not above 0 and at most 1")
        if fraction == 1:
            return digits
        return digits.at_most(max(SMALLEST_PART, round(fraction * len(digits) / len(digits.classes))))
    if images_per_class is None:
        return digits
    if images_per_class < SMALLEST_PART:
        raise InputError(f"{images_per_class} images per class are too few; a pair of the same class needs two")
    smallest = int(digits.labels.bincount()[digits.classes].min())
    if images_per_class > smallest:
        raise InputError(f"{images_per_class} images per class were asked for, and the smallest class has {smallest}")
    return digits.at_most(images_per_class)


def _first_of_each_class(labels: Tensor, count: int) -> Tensor:
    return torch.cat([torch.where(labels == label)[0][:count] for label in labels.unique()]).sort().values
