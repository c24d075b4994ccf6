"""Writing that leaves either the old thing or the new one, never half of either; reading that names what is damaged."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from siamese_mnist.errors import InputError

PART = ".part"


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds. InputError if it holds anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON ({error}); restore or remove it") from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: holds {found!r:.40}, not a JSON object; restore or remove it")
    return found


def write_whole(path: Path, content: bytes | str) -> None:
    """Replaces the file at `path` in one step. OSError names the file that could not be written."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}{PART}")
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether this is what a kill leaves of a file that `write_whole` had begun."""
    return path.name.startswith(".") and path.suffix == PART


def write_folder(path: Path, fill: Callable[[Path], object]) -> None:
    """Replaces the folder at `path` by one that `fill` has written; `mend_folder` ends what a kill interrupts."""
    mend_folder(path)
    new, old = (path.with_name(f".{path.name}.{age}") for age in ("new", "old"))
    try:
        fill(new)
        if path.exists():
            os.replace(path, old)
        os.replace(new, path)
    finally:
        mend_folder(path)


def mend_folder(path: Path) -> None:
    """Puts the new folder in its place if a kill came when the old one had just gone, and removes leftovers of both."""
    new, old = (path.with_name(f".{path.name}.{age}") for age in ("new", "old"))
    if new.exists() and old.exists() and not path.exists():  # The old one goes only once the new one is whole.
        os.replace(new, path)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
