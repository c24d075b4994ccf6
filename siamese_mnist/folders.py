"""Folders of images, one sub-folder a class: which images are of which class and split."""

import os
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from siamese_mnist.drawing import fit_image
from siamese_mnist.errors import InputError, note
from siamese_mnist.images import FORMATS, open_image
from siamese_mnist.listing import Listing, digest, split_by_content

SPLIT_OF = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLIT_OF |= dict.fromkeys(("val", "valid", "validation", "dev"), "val")
SKIPPED = (".", "__MACOSX", "Thumbs.db", "desktop.ini")  # What systems and editors leave behind begins so.
HELD_OUT = ("test", "val")
MOSTLY = 0.8  # If so many images are in boxes, these are the paper's; else they belong to their symbols.
Parts = tuple[str, ...]  # The names of folders, from the root's sub-folder on.


def list_folder(root: Path) -> Listing:
    """Images whose folder, named by its path in `root`, is their class; in `root`/train, val and test, if there.

    A split that is not there is drawn from the training images by their content. Links to folders are not followed."""
    images, left_out = _find_images(root)
    splits = _find_splits(root, set(images))
    names_of = {folder: "/".join(folder[folder[0] in splits :]) for folder in images}
    names = tuple(sorted(set(names_of.values())))
    if len(names) < 2:
        reasons = "".join(f"; {told}" for told in left_out)
        raise InputError(f"{root}: holds one class, {names[0]!r}; a pair of different classes needs two{reasons}")
    paths = [path for folder in images for path in images[folder]]
    labels = np.array([names.index(names_of[folder]) for folder in images for _ in images[folder]])
    split = np.array([splits.get(folder[0], "train") for folder in images for _ in images[folder]], "U5")
    bar = tqdm(paths, desc="listing", unit="image", disable=None)
    digests, own = np.array([digest(path.read_bytes()) for path in bar]), split == "train"
    drawn = [name for name in HELD_OUT if name not in split]
    split[own] = split_by_content(root, digests[own], labels[own], names, drawn)
    if untrained := sorted(set(range(len(names))) - set(labels[own].tolist())):
        left_out.append(f"{len(untrained)} classes have no training images, such as {names[untrained[0]]}")
    for told in left_out:
        note(f"{root}: {told}")

    def load(index: np.ndarray) -> np.ndarray:
        fitted = [read_image(paths[i]) for i in tqdm(index, desc="images", unit="image", disable=None)]
        in_boxes = sum(len(each) > 1 for each in fitted) >= MOSTLY * len(fitted)
        if in_boxes:
            note(f"{root}: the boxes round nearly all images are left out")
        return np.stack([each[-1 if in_boxes else 0] for each in fitted])

    return Listing(root, digests, labels, names, split, load)


def _find_images(root: Path) -> tuple[dict[Parts, list[Path]], list[str]]:
    """The images of each folder that holds some, and what was left out. InputError if images lie beside folders."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; name the folder of class sub-folders with --data-root")
    readable = {end for end, name in Image.registered_extensions().items() if name in FORMATS}
    found: dict[Parts, list[Path]] = {}
    empty, links, others = [], [], []
    for here, inner, files in os.walk(root, onerror=_raise):
        folder = Path(here)
        links += [folder / name for name in inner if (folder / name).is_symlink()]
        inner[:] = sorted(name for name in inner if not name.startswith(SKIPPED) and folder / name not in links)
        paths = [folder / name for name in sorted(files) if not name.startswith(SKIPPED)]
        images = [path for path in paths if path.suffix.lower() in readable]
        others += [path for path in paths if path.suffix.lower() not in readable]
        if images:
            found[folder.relative_to(root).parts] = images
        elif not inner:
            empty.append(folder)
    told = {"folders without images": empty, "files that are no readable images": others, "links to folders": links}
    left_out = [f"{what} are left out: {_some(root, paths)}" for what, paths in told.items() if paths]
    folders = {folder[:depth] for folder in found for depth in range(len(folder))}  # All that hold others.
    if beside := sorted(folders & found.keys()):
        where = root.joinpath(*beside[0])
        raise InputError(f"{where}: holds images beside folders of images; put them into the folder of their class")
    if found.keys() <= {()}:
        reasons = "".join(f"; {reason}" for reason in left_out)
        raise InputError(f"{root}: no images in class sub-folders{reasons}; name their folder with --data-root")
    return found, left_out


def _find_splits(root: Path, folders: set[Parts]) -> dict[str, str]:
    """The split of each sub-folder of `root` that is one. InputError where that is not clear."""
    splits = {first: SPLIT_OF[first.casefold()] for first, *_ in folders if first.casefold() in SPLIT_OF}
    others = sorted({first for first, *_ in folders} - splits.keys())
    for first, split in sorted(splits.items()):
        if (first,) in folders:
            way_out = "put them into folders of their class, or rename it if it is a class"
            raise InputError(f"{root / first}: holds images of no class; {way_out}")
        if list(splits.values()).count(split) > 1:
            raise InputError(f"{root}: several folders are the {split} split, {', '.join(sorted(splits))}; keep one")
        if split == "train" and others:
            raise InputError(f"{root}: holds {first}/ and, beside it, {others[0]}/; move the one into the other")
    if splits and not others and "train" not in splits.values():
        raise InputError(f"{root}: holds no training images, only {', '.join(sorted(splits))}; add a folder train")
    for folder in sorted(folders):
        for depth, name in enumerate(folder[1:], 1):
            if name.casefold() in SPLIT_OF:
                where = root.joinpath(*folder[:depth])
                way_out = f"name {where} with --data-root, or rename {name}/ if it is a class"
                raise InputError(f"{where / name}: splits are looked for in the folder named alone; {way_out}")
    return splits


def _some(root: Path, paths: list[Path]) -> str:
    """How many, and the first three."""
    named = ", ".join(str(path.relative_to(root)) for path in sorted(paths)[:3])
    return f"{len(paths)} ({named}{', …' if len(paths) > 3 else ''})"


def _raise(error: OSError) -> None:
    raise error


def read_image(path: Path) -> list[np.ndarray]:
    """An image file as `fit_image` returns it. InputError names it if it cannot be read."""
    try:
        return fit_image(open_image(path))
    except InputError as error:
        raise InputError(f"{path}: {error}; repair or remove it") from error
