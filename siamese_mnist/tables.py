"""CSV files of digits: which of them are meant, and their rows as images."""

import gzip
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple, TextIO

import numpy as np
from tqdm import tqdm

from siamese_mnist.errors import InputError, note
from siamese_mnist.listing import MOST_IMAGES, Listing, list_arrays

TRAINING = ("mnist_train.csv", "train.csv")
LABEL_NAMES = ("label", "labels", "class", "target", "digit", "y")
LONGEST_LINE = 50_000  # Characters; 785 cells of the longest floats need 20,000.
PIXELS = 784


class Table(NamedTuple):
    """The cells of a CSV file, uint8 or float32 (rows, columns), the line of each row, and where the labels are."""

    cells: np.ndarray
    lines: list[int]
    labels_last: bool


def list_csv(root: Path) -> Listing:
    """Rows of a label and 784 pixels in `root`, a file or the folder of mnist_train.csv or train.csv, packed or not.

    The test split is that of mnist_test.csv or test.csv beside it. Labels may be in trainMNISTlabels.csv and
    testMNISTlabels.csv."""
    path, test_path = _find(root)
    images, labels = _read(path, path.with_name("trainMNISTlabels.csv"))
    if labels is None:
        raise InputError(f"{path}: has no label column, and trainMNISTlabels.csv is not beside it")
    test_images, test_labels = _read(test_path, path.with_name("testMNISTlabels.csv")) if test_path else (None, None)
    if test_path and test_labels is None:
        note(f"{test_path}: has no labels; a tenth of {path} is the test split")
    test = None if test_labels is None else (test_images, test_labels)
    return list_arrays(path, (images, labels), test, ("test", "val"))


def _find(root: Path) -> tuple[Path, Path | None]:
    """The file of the training images, and that of the test images, if it is there."""
    folder = root if root.is_dir() else root.parent
    there = {path.name.casefold(): path for path in folder.iterdir()} if folder.is_dir() else {}
    unpacked = {name.removesuffix(".gz"): path for name, path in there.items()} | there
    train = root if root.is_file() else next((unpacked[name] for name in TRAINING if name in unpacked), None)
    if train is None:
        held = ", ".join(path.name for name, path in sorted(unpacked.items()) if name.endswith(".csv"))
        held = f" (only {held})" if held and root.is_dir() else ""
        raise InputError(f"{root}: holds neither {' nor '.join(TRAINING)}{held}; name the file with --data-root")
    before, training, after = train.name.casefold().removesuffix(".gz").rpartition("train")
    return train, unpacked.get(f"{before}test{after}") if training else None


def _read(path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Images uint8 (N, 784) and labels int64 (N,) of one file, or of two where the first has no labels."""
    table = _read_table(path, _version(path), (PIXELS, PIXELS + 1))
    if table.cells.shape[1] == PIXELS:
        images = _as_bytes(path, table, slice(None))
        if not labels_path.is_file():
            return images, None
        path, table = labels_path, _read_table(labels_path, _version(labels_path), (1,))
    else:
        images = _as_bytes(path, table, slice(-1) if table.labels_last else slice(1, None))
    labels = table.cells[:, -table.labels_last]
    if len(labels) != len(images):
        raise InputError(f"{path}: {len(labels)} labels; a column of {len(images)} rows is needed")
    if (wrong := np.flatnonzero(~np.isin(labels, range(10)))).size:
        raise InputError(f"{path}: label {labels[wrong[0]]:g} in line {table.lines[wrong[0]]} is not 0 to 9")
    return images, labels.astype(np.int64)


def _version(path: Path) -> tuple[int, int]:
    return path.stat().st_mtime_ns, path.stat().st_size


@lru_cache(maxsize=4)
def _read_table(path: Path, version: tuple[int, int], widths: tuple[int, ...]) -> Table:
    """Reads a version of a file once. InputError names the line and the column."""
    for dtype in (np.uint8, np.float32):  # Whole numbers are read twice as fast, and nearly all files have them.
        try:
            with _open(path) as file, warnings.catch_warnings():
                warnings.simplefilter("error")  # NumPy only warns of fractions, and of a file without rows.
                lines = _lines(path, file, MOST_IMAGES // np.dtype(dtype).itemsize)
                number, first = next(lines, (1, ""))
                separator = max(",;|\t", key=first.count)
                separator = separator if separator in first else None  # Blanks, or a single column.
                names = [name.strip(" \"'\r\n").casefold() for name in first.split(separator)]
                if first and len(names) not in widths:
                    hint = "; is there a column of row numbers, or a separator at the end?"
                    hint = hint if len(names) == widths[-1] + 1 else ""
                    raise InputError(f"{path}: {len(names)} columns where {widths[-1]} are needed{hint}")
                header = _is_header(names)
                numbers: list[int] = []
                rows = _rows(path, lines if header else chain([(number, first)], lines), separator, len(names), numbers)
                rows = tqdm(rows, desc=path.name, unit=" rows", disable=None)
                cells = np.loadtxt(rows, dtype, delimiter=separator, ndmin=2, quotechar='"', comments=None)
                return Table(cells, numbers, _are_named_last(names) if header else _must_be_last(cells))
        except InputError:
            raise
        except UserWarning:
            raise InputError(f"{path}: the file is empty, or holds no rows below its header") from None
        except (ValueError, EOFError, OSError, zlib.error, Warning) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            reason = str(error).split(";")[0].rstrip(".")  # NumPy's own advice is for programmers.
    # NumPy counts rows from 0 where it names a column, else from 1.
    reason = re.sub(r"at row (\d+)", lambda at: f"in line {numbers[int(at[1]) - ('column ' not in reason)]}", reason)
    raise InputError(f"{path}: {shorten(reason, 120)}; rows of numbers, in UTF-8, are needed")


def _open(path: Path) -> TextIO:
    return (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig")


def _lines(path: Path, file: TextIO, most: int) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, and their numbers; as many, and each as long, as those of images can be."""
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), 1):
        if len(line) == LONGEST_LINE:
            raise InputError(f"{path}: line {number} has {LONGEST_LINE:,} characters or more; no row of a digit has")
        if number > most + 1:
            raise InputError(f"{path}: more than {most:,} lines of such numbers; keep fewer images")
        if line.strip():
            yield number, line


def _rows(
    path: Path, lines: Iterable[tuple[int, str]], separator: str | None, width: int, numbers: list[int]
) -> Iterator[str]:
    """The lines, each of as many cells as the first one has; `numbers` takes theirs."""
    for number, line in lines:
        if separator and (cells := line.count(separator) + 1) != width:
            raise InputError(f"{path}: {cells} columns in line {number}, where the first has {width}")
        numbers.append(number)
        yield line


def _is_header(cells: list[str]) -> bool:
    """Whether no cell could be a pixel row's: none is a number, or the columns are numbered beyond 255."""

    def is_number(cell: str) -> bool:
        try:
            return float(cell) is not None
        except ValueError:
            return False

    names = [cell for cell in cells if cell not in LABEL_NAMES]
    numbers = [[str(first + number) for number in range(len(names))] for first in (0, 1)]
    numbered = len(names) > 256 and names[1:] in (numbers[0][1:], numbers[1][1:])  # Above row numbers, one is blank.
    return numbered or not any(map(is_number, cells))


def _are_named_last(names: list[str]) -> bool:
    """Whether a header gives the labels the last column: by name, or as the first two are alike but for a number."""
    first, second, *_, last = (re.sub(r"\d+", "", name) for name in (names[0], names[1 % len(names)], names[-1]))
    return len(names) > PIXELS and names[0] not in LABEL_NAMES and (names[-1] in LABEL_NAMES or first == second != last)


def _must_be_last(cells: np.ndarray) -> bool:
    """Whether only the last column can hold the labels, as the first one is the same in all rows."""
    first, last = cells[:, 0], cells[:, -1]
    return bool(cells.shape[1] > PIXELS and np.ptp(first) == 0 < np.ptp(last) and np.isin(last, range(10)).all())


def _as_bytes(path: Path, table: Table, columns: slice) -> np.ndarray:
    """Pixels in 0 to 255, whole, or in 0 to 1, as uint8."""
    pixels = table.cells[:, columns]
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.min() >= 0 and pixels.max() <= 1:
        note(f"{path}: pixels in 0 to 1 were made 0 to 255")
        return np.rint(pixels * 255).astype(np.uint8)
    wrong = np.argwhere(~((pixels >= 0) & (pixels <= 255) & (pixels == np.floor(pixels))))
    if len(wrong):
        (row, column), needed = wrong[0], "whole numbers from 0 to 255, or all of them in 0 to 1, are needed"
        where = f"line {table.lines[row]}, column {column + 1 + (columns.start or 0)}"
        raise InputError(f"{path}: {pixels[row, column]:g} in {where}; {needed}")
    return pixels.astype(np.uint8)
