"""Writing that leaves either the old thing or the new one, never half of either; reading that names what is damaged."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from siamese_mnist.errors import InputError

PART, LOCK = ".part", ".lock"


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """Keeps a folder, which is made, from others who do the same in it. InputError if one of them has it.

    The lock is the system's: it ends with the process, however that ends. Folders made for nothing go again."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path := folder / f".{what}{LOCK}")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        way_out = "wait for its end, or name another folder"
        raise InputError(f"{folder}: another {what} is writing there; {way_out}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        lock.release()
        with suppress(OSError):  # It is not empty, or was moved.
            for each in made:
                each.rmdir()


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
    """Whether this is what a kill leaves of a file that `write_whole` had begun, or a lock."""
    return path.name.startswith(".") and path.suffix in (PART, LOCK)


def write_folder(path: Path, fill: Callable[[Path], object]) -> None:
    """Replaces the folder at `path` by one that `fill` has written; `mend_folder` ends what a kill interrupts."""
    mend_folder(path)
    new, old = _beside(path)
    try:
        fill(new)
        if path.exists():
            os.replace(path, old)
        os.replace(new, path)
    finally:
        mend_folder(path)


def _beside(path: Path) -> tuple[Path, Path]:
    """The folder that is to take the place of another, and where that one is kept meanwhile."""
    return path.parent / f".{path.name}.new", path.parent / f".{path.name}.old"


def folder_state(path: Path) -> list[int]:
    """Other numbers once `write_folder` has replaced the folder."""
    numbers = []
    for place in (*_beside(path), path):
        with suppress(FileNotFoundError, NotADirectoryError):
            numbers += [(found := place.stat()).st_ino, found.st_ctime_ns]
    return numbers


def settled(path: Path) -> Path:
    """The folder at `path`, or the new one that is to take its place, if a kill came when the old one had just gone."""
    new, old = _beside(path)
    return new if new.is_dir() and old.is_dir() and not path.exists() else path


def mend_folder(path: Path) -> None:
    """Puts the new folder in its place if a kill came when the old one had just gone, and removes leftovers of both."""
    new, old = _beside(path)
    if settled(path) == new:  # The old one goes only once the new one is whole.
        os.replace(new, path)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
