"""Downloads that leave all of what was asked for, or nothing."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from textwrap import shorten

from siamese_mnist.errors import WAYS_OUT, InputError


@contextmanager
def downloaded(root: Path, name: str, fetch: Callable[[Path], object], way_out: str) -> Iterator[Path]:
    """A folder that `fetch` has filled, to move files from into `root`; it is on the same disk, and goes at the end.

    InputError with the way out if it could not be filled; OSError names what cannot be written."""
    there = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
    with tempfile.TemporaryDirectory(prefix=".download-", dir=there) as part:
        try:
            fetch(Path(part))
        except (RuntimeError, OSError, EOFError, HTTPException) as error:
            if getattr(error, "errno", None) in WAYS_OUT:
                raise
            reason = shorten(str(error), 300, placeholder=" …")
            raise InputError(f"{name} is not in {root} and could not be downloaded ({reason}); {way_out}") from error
        yield Path(part)
