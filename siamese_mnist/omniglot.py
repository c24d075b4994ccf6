"""The whole of Omniglot (Lake, Salakhutdinov and Tenenbaum 2015): 1,623 characters by 20 people, to be downloaded."""

import os
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from siamese_mnist.download import downloaded
from siamese_mnist.errors import InputError
from siamese_mnist.folders import read_image
from siamese_mnist.handwriting import DRAWERS, HELD_OUT_SCRIPTS
from siamese_mnist.listing import Arrays

FOLDER = "omniglot-py"  # torchvision's
BACKGROUND, EVALUATION = "images_background", "images_evaluation"
VALIDATION = sum(HELD_OUT_SCRIPTS.values(), ())  # Thus what trains on "omniglot" sees none of these in "symbols".


def read_omniglot(root: Path, split: str) -> Arrays:
    """The characters of a split, 20 images each, the k-th by the alphabet's k-th drawer; named "Latin/character01".

    "test" is the evaluation set; "val" the background set's Balinese, Sanskrit and Tagalog; "train" its others. Each is
    looked for in `root`/omniglot-py and `root`, and downloaded into the former. InputError names what is damaged."""
    part = EVALUATION if split == "test" else BACKGROUND
    folder = next((each / part for each in (root / FOLDER, root) if (each / part).is_dir()), None)
    if folder is None:
        _download(root, part)
        folder = root / FOLDER / part
    replace = f"replace it, or delete {folder} to download it again"
    characters = sorted(path for path in folder.glob("*/*") if path.is_dir())
    if split != "test":
        characters = [path for path in characters if (path.parent.name in VALIDATION) == (split == "val")]
    if not characters:
        raise InputError(f"{folder}: holds no characters for the {split} split; {replace}")
    paths = [path for character in characters for path in _by_drawer(character, replace)]
    images = [read_image(path)[0] for path in tqdm(paths, desc=f"Omniglot, {split}", unit="image", disable=None)]
    labels = torch.arange(len(characters)).repeat_interleave(DRAWERS)
    names = tuple("/".join(path.parts[-2:]) for path in characters)
    return Arrays(torch.from_numpy(np.stack(images))[:, None], labels, names)


def _by_drawer(character: Path, replace: str) -> list[Path]:
    """The images of a character, whose names end in the number of the drawer, by that number."""
    found = {path.stem[-2:]: path for path in character.glob("*_[0-9][0-9].png")}
    wanted = [f"{drawer:02}" for drawer in range(1, DRAWERS + 1)]
    if sorted(found) != wanted:
        raise InputError(f"{character}: holds {len(found)} images by different people, not {DRAWERS}; {replace}")
    return [found[drawer] for drawer in wanted]


def _download(root: Path, part: str) -> None:
    """Puts a set's archive and images into `root`/omniglot-py, all of it or nothing."""
    from torchvision.datasets import Omniglot  # The import takes seconds.

    way_out = f"put {part} there, connect to the internet, or use --dataset symbols"
    background = part == BACKGROUND
    with downloaded(root, "Omniglot", lambda at: Omniglot(at, background=background, download=True), way_out) as at:
        (root / FOLDER).mkdir(parents=True, exist_ok=True)
        for name in (f"{part}.zip", part):  # The folder last, as it tells that all is there.
            os.replace(at / FOLDER / name, root / FOLDER / name)
