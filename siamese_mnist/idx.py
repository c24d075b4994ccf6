"""MNIST's IDX files: where they lie, what they hold, and their download."""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from siamese_mnist.download import downloaded
from siamese_mnist.errors import InputError
from siamese_mnist.listing import MOST_IMAGES

LAYOUTS = (Path("MNIST", "raw"), Path("raw"), Path())  # torchvision's, as seen from above it and in it; flat.


def read_idx(root: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images (N, 28, 28) and labels (N,) of `prefix`-images… and `prefix`-labels…, "train" or "t10k".

    They are looked for in `root`, packed or not, and downloaded into `root`/MNIST/raw if no such file lies there."""
    if root.is_file():
        root = root.parent
    found = _find(root, prefix)
    if found is None:
        _download(root)
        found = _find(root, prefix)
    assert found is not None
    images, labels = _read(found[0], (28, 28)), _read(found[1], ())
    if len(images) != len(labels) or labels.max(initial=0) > 9:
        raise InputError(f"{found[1]}: no label from 0 to 9 for each of {len(images)} images; replace both files")
    return images, labels


def _find(root: Path, prefix: str) -> list[Path] | None:
    """The files of images and of labels. InputError names one that is missing where others lie; None: none lies."""
    for folder in (root / layout for layout in LAYOUTS):
        kinds = [
            [f"{part}-{kind}{mark}idx{n}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
            for part in (prefix, "t10k" if prefix == "train" else "train")
            for kind, n in (("images", 3), ("labels", 1))
        ]
        there = [next((folder / name for name in names if (folder / name).is_file()), None) for names in kinds]
        own = [path for path in there[:2] if path is not None]
        if len(own) == 2:
            return own
        if any(there):  # A download could replace files of one's own, or mix them with MNIST's.
            missing = ", ".join(names[0] for names, path in zip(kinds[:2], there) if path is None)
            raise InputError(f"{folder}: {missing} (or .gz) is missing; put it there, or move the others away")
    return None


def _read(path: Path, item: tuple[int, ...]) -> np.ndarray:
    """uint8 (N, *item): bytes 0, 0, 8 (for uint8), the number of dimensions, then big-endian sizes."""
    start = 4 * (2 + len(item))
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            magic, *sizes = np.frombuffer(file.read(start), ">i4").tolist()
            if magic == 0x801 + len(item) and sizes[1:] == [*item] and min(sizes, default=0) > 0:
                if sizes[0] > MOST_IMAGES:
                    raise InputError(f"{path}: {sizes[0]:,} items; at most {MOST_IMAGES:,} can be read")
                content = bytearray(file.read(math.prod(sizes) + 1))
                return np.frombuffer(content, np.uint8).reshape(sizes)
    except InputError:
        raise
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error):
        pass
    shape = " × ".join(["N", *map(str, item)])
    raise InputError(f"{path}: not a whole IDX file of {shape} bytes; replace it, or delete it to download MNIST again")


def _download(root: Path) -> None:
    """Puts the four files into `root`/MNIST/raw, all of them or none."""
    from torchvision.datasets import MNIST  # The import takes seconds.

    raw = root / LAYOUTS[0]
    names = "train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of t10k, or their .gz"
    way_out = f"put {names} there, connect to the internet, or use --dataset bundled"
    with downloaded(root, "MNIST", lambda part: MNIST(part, download=True), way_out) as part:
        raw.mkdir(parents=True, exist_ok=True)
        for path in Path(part, *LAYOUTS[0].parts).glob("*-ubyte"):
            os.replace(path, raw / path.name)
