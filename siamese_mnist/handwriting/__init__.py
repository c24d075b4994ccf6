"""Handwriting that comes with the package: characters of Omniglot, and digits as the strokes of a pen.

LICENSES.md names the sources and their licences; benchmarks/pack.py makes the files from the published archives.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from siamese_mnist.drawing import BOX, FRAME, TYPICAL
from siamese_mnist.listing import DIGIT_NAMES, Arrays
from siamese_mnist.pen import draw_fitted

OMNIGLOT, PENDIGITS = (Path(__file__).with_name(name) for name in ("omniglot.npz", "pendigits.npz"))
DRAWERS = 20  # Each of them drew every character of a script.
HELD_OUT_SCRIPTS = {"val": ("Balinese",), "test": ("Sanskrit", "Tagalog")}
WRITERS = {"train": range(1, 23), "val": range(23, 25), "test": range(25, 31)}
SEGMENTS = 32  # A digit's strokes are drawn with so many; more are not to be told from these.
Strokes = list[np.ndarray]  # (points, 2) of x and y, y growing downwards


class PenDigit(NamedTuple):
    """A digit as it was drawn, with the number of who drew it."""

    label: int
    writer: int
    strokes: Strokes


@cache
def _characters() -> tuple[Tensor, tuple[str, ...]]:
    with np.load(OMNIGLOT) as file:
        return torch.from_numpy(file["images"])[:, None], tuple(file["names"].tolist())


def read_symbols(root: Path, split: str) -> Arrays:
    """The characters of a split's scripts, 20 images each; their names are "Latin/character01" and the like.

    The k-th image of each class is by its script's k-th drawer, which comparisons of one image a class rely on.
    Omniglot (Lake, Salakhutdinov and Tenenbaum 2015), its two small background sets."""
    images, names = _characters()
    split_of = {script: held_out for held_out, scripts in HELD_OUT_SCRIPTS.items() for script in scripts}
    chosen = [label for label, name in enumerate(names) if split_of.get(name.split("/")[0], "train") == split]
    index = (torch.tensor(chosen)[:, None] * DRAWERS + torch.arange(DRAWERS)).flatten()
    return Arrays(images[index], index // DRAWERS, names)


@cache  # Drawing them takes a second.
def read_pens(root: Path, split: str) -> Arrays:
    """The digits of a split's writers, drawn as wide, as large and at the place that MNIST's are."""
    drawn = pen_strokes(split)
    images = draw_strokes([strokes for _, strokes in drawn])
    return Arrays((images * 255).round().byte(), torch.tensor([label for label, _ in drawn]), DIGIT_NAMES)


def pen_strokes(split: str | None) -> list[tuple[int, Strokes]]:
    """The label and strokes of each digit by a split's writers, 1-22, 23-24 or 25-30; None: by all of them.

    UCI's "Pen-Based Recognition of Handwritten Digits" (Alpaydin and Alimoglu 1998)."""
    writers = range(1, 31) if split is None else WRITERS[split]
    return [(digit.label, digit.strokes) for digit in unpack_strokes(PENDIGITS) if digit.writer in writers]


def pack_strokes(digits: list[PenDigit]) -> dict[str, np.ndarray]:
    """What `unpack_strokes` reads, small where points are near the one before; coordinates are whole, up to 16,383."""
    strokes = [stroke for digit in digits for stroke in digit.strokes]
    return {
        "labels": np.array([digit.label for digit in digits], np.uint8),
        "writers": np.array([digit.writer for digit in digits], np.uint8),
        "strokes": np.array([len(digit.strokes) for digit in digits], np.uint8),
        "points": np.array([len(stroke) for stroke in strokes], np.uint16),
        "steps": np.diff(np.concatenate(strokes), axis=0, prepend=0).T.astype(np.int16),
    }


@cache
def unpack_strokes(path: Path) -> list[PenDigit]:
    """The digits of a file that holds what `pack_strokes` returned."""
    with np.load(path) as file:
        labels, writers, strokes, points, steps = (
            file[name] for name in ("labels", "writers", "strokes", "points", "steps")
        )
    paths = np.split(steps.T.cumsum(0, dtype=float), points.cumsum(dtype=int)[:-1])
    ends = strokes.cumsum(dtype=int)
    return [
        PenDigit(int(label), int(writer), paths[end - count : end])
        for label, writer, end, count in zip(labels, writers, ends, strokes.astype(int))
    ]


def draw_strokes(drawn: list[Strokes]) -> Tensor:
    """Ink (N, 1, 28, 28) in [0, 1] of digits of any size: TYPICAL wide, 20 pixels long, centred by mass as MNIST's.

    As in `prepare_drawing`, whole pixels move it, so that its edges stay sharp."""
    starts, ends = torch.tensor(_resample(drawn), dtype=torch.float32).unbind(2)
    extent = torch.maximum(starts, ends).amax(1) - torch.minimum(starts, ends).amin(1)  # (N, 2)
    size = extent * (BOX - TYPICAL) / extent.amax(1, keepdim=True).clamp(min=1e-6) + TYPICAL
    return _centre(draw_fitted(starts, ends, torch.full((len(drawn), 1), TYPICAL)), size)


def _resample(drawn: list[Strokes]) -> np.ndarray:
    """Starts and ends (N, SEGMENTS, 2, 2) of segments along the strokes, of like length, at least one a stroke."""
    strokes = [stroke for strokes in drawn for stroke in strokes]
    points, last = np.concatenate(strokes), np.cumsum([len(stroke) for stroke in strokes]) - 1
    first = np.append(0, last[:-1] + 1)
    steps = np.append(0, np.hypot(*np.diff(points, axis=0).T))
    steps[first] = 1  # From one stroke to the next, so that all lie apart on one line.
    along = steps.cumsum()
    lengths = along[last] - along[first]
    # Between the strokes' ends, as shares of the whole, lie the segments' ends; each stroke keeps one.
    number = np.array([len(strokes) for strokes in drawn])
    starts = number.cumsum() - number  # Each digit's first stroke.
    ended, total = lengths.cumsum(), np.add.reduceat(lengths, starts)
    share = (ended - (total.cumsum() - total).repeat(number)) / total.clip(1e-6).repeat(number)
    spare = SEGMENTS - number
    ends = np.rint(spare.repeat(number) * share).astype(int)
    ends[number.cumsum() - 1] = spare  # Dots alone have no length.
    begins = np.append(0, ends[:-1])
    begins[starts] = 0
    count = 1 + ends - begins
    place = np.arange(count.sum()) - (count.cumsum() - count).repeat(count)
    wanted = [along[first].repeat(count) + (place + end) * (lengths / count).repeat(count) for end in (0, 1)]
    segments = [np.stack([np.interp(each, along, axis) for axis in points.T], 1) for each in wanted]
    return np.stack(segments, 1).reshape(len(drawn), SEGMENTS, 2, 2)


def _centre(ink: Tensor, size: Tensor) -> Tensor:
    """Moves ink (B, 1, 28, 28) of size (B, 2), width and height, by whole pixels, its mass to where MNIST's is."""
    places = torch.arange(FRAME)
    mass = torch.stack([ink.sum((1, 2)), ink.sum((1, 3))], 1)  # (B, 2, 28): of columns, of rows
    room = ((FRAME - size) / 2 + 0.01).floor()  # The longest are 20, or, rounded, a little more.
    shift = (FRAME / 2 - (mass * places).sum(2) / mass.sum(2)).round().clamp(-room, room).long()
    columns, rows = ((places - shift[:, axis, None]) % FRAME for axis in (0, 1))  # (B, 28): what comes from where
    return ink[torch.arange(len(ink))[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]
