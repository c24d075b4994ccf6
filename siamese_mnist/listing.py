"""Images that people add to and take from: what identifies each, and the split that follows from it alone."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from siamese_mnist.errors import InputError, note

DIGIT_NAMES = tuple("0123456789")
Images = tuple[np.ndarray, np.ndarray]  # uint8 (N, 784) or (N, 28, 28), and labels (N,).
HELD_OUT = 0.1  # The share of a class that goes to each held-out split.
FAINT = 128  # Digits that are nowhere brighter are in another range than 0 to 255.
MOST_IMAGES = 300_000  # In a file, 240 MB: EMNIST's digits have 240,000; an archive may unpack to any size.
SMALLEST_PART = 2  # A pair of the same class needs two images.


class Arrays(NamedTuple):
    """What a reader returns: images uint8 (N, 1, 28, 28), labels int64 (N,), the names of the classes, and digests."""

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]
    digests: Tensor | None = None  # int64 (N,), where the source has a Listing.


class Listing(NamedTuple):
    """All N images of a source, in every split, before any of them is loaded."""

    root: Path
    digests: np.ndarray  # int64 (N,)
    labels: np.ndarray  # int64 (N,)
    names: tuple[str, ...]
    splits: np.ndarray  # str (N,)
    load: Callable[[np.ndarray], np.ndarray]  # uint8 (n, 28, 28) of indices (n,)

    def read(self, split: str) -> Arrays:
        """Loads the images of one split. Warns of images that stand in two classes, or in both train and test."""
        in_two = len(set(zip(self.digests.tolist(), self.labels.tolist()))) - len(np.unique(self.digests))
        in_both = len(np.intersect1d(*(self.digests[self.splits == part] for part in ("train", "test"))))
        for number, where in ((in_two, "more than one class"), (in_both, "both the train and the test split")):
            if number:
                note(f"{self.root}: {number} image{'s' * (number > 1)} in {where}")
        index = np.flatnonzero(self.splits == split)
        labels, digests = (torch.from_numpy(values[index]) for values in (self.labels, self.digests))
        return Arrays(torch.from_numpy(self.load(index))[:, None], labels, self.names, digests)


def list_arrays(root: Path, train: Images, test: Images | None, held_out: Sequence[str]) -> Listing:
    """Lists images of digits, of which some may be given as the test split, and some are `held_out` of the others.

    Those held out for a test split that is given are in none: so none moves if that comes or goes."""
    images, labels = train
    digests = np.array([digest(image) for image in images])
    splits, images = split_by_content(root, digests, labels, DIGIT_NAMES, held_out), put_right(images, str(root))
    if test is not None:
        splits = np.concatenate([np.where(splits == "test", "none", splits), np.full(len(test[1]), "test")])
        digests = np.concatenate([digests, [digest(image) for image in test[0]]])
        images = np.concatenate([images, put_right(test[0], f"{root}, test split")])
        labels = np.concatenate([labels, test[1]])
    return Listing(root, digests, labels.astype(np.int64), DIGIT_NAMES, splits, lambda index: images[index])


def put_right(images: np.ndarray, where: str) -> np.ndarray:
    """uint8 images (N, 28, 28) as white ink on black, in 0 to 255, if most are in another range or polarity.

    Says what it does, and how many are unlike most. InputError if there is nothing on them."""
    images = images.reshape(-1, 28, 28)
    borders = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    brightest, top = images.max((1, 2)), int(images.max())
    if top == 0:
        raise InputError(f"{where}: all pixels are 0; there is nothing on the images")
    full, levels = 255 if top >= FAINT else top, np.arange(256.0)
    light, ground = np.median(borders, axis=1) > full / 2, int(np.median(borders))
    dark_ink = light.mean() > 0.5
    if dark_ink:
        levels, ground, top = full - levels, full - ground, full - int(images.min())
    for odd, what in ((light != dark_ink, "on another ground"), (brightest < full / 2, "far fainter")):
        if odd.any():
            note(f"{where}: {odd.sum():,} of {len(images):,} images are {what} than the rest; make them alike")
    if full < 255 or dark_ink or ground:
        note(f"{where}: {'dark' if dark_ink else 'light'} ink in 0 to {full} was made white on black, in 0 to 255")
        levels = ((levels - ground).clip(0) * 255 / max(top - ground, 1)).clip(0, 255)
        return levels.round().astype(np.uint8)[images]
    return images


def digest(content: bytes | memoryview) -> int:
    """What identifies an image: 64 bits of its content's BLAKE2, as an int64."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big", signed=True)


def split_by_content(
    root: Path, digests: np.ndarray, labels: np.ndarray, names: Sequence[str], held_out: Sequence[str]
) -> np.ndarray:
    """The split (N,) of each image: a tenth of each class for each held-out one, at least two, the rest "train".

    "test" holds what its digest puts there, about a tenth, where the others keep two: so added images move no other one
    into it, but from a class that had hardly more than six. InputError names a class that is too small."""
    splits, least = np.full(len(labels), "train", "U5"), SMALLEST_PART * (len(held_out) + 1)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        distinct, ranks = np.unique(digests[members], return_inverse=True)
        if len(distinct) < least:
            needed = f"it needs at least {least}, two a split: add some"
            raise InputError(f"{root}: class {names[label]!r} has {len(distinct)} different images; {needed}")
        start, most = 0, len(distinct) - least + SMALLEST_PART  # The other splits need theirs.
        for split in held_out:
            below = np.searchsorted(distinct, round(-(2**63) + HELD_OUT * 2**64))
            size = int(below) if split == "test" else round(HELD_OUT * len(distinct))
            end = start + min(max(SMALLEST_PART, size), most - start)
            splits[members[(ranks >= start) & (ranks < end)]] = split
            start, most = end, most + SMALLEST_PART
    return splits
