"""What the scripts share: one-line errors with exit status 2, and which weights are meant."""

import argparse
import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from siamese_mnist.errors import InputError

RUNS = Path("runs")
RELEASED = Path("weights")
WAYS_OUT = {
    errno.ENOSPC: "free some space there, or name another folder with --out",
    errno.EDQUOT: "free some space there, or name another folder with --out",
    errno.EFBIG: "allow larger files there, or name another folder with --out",
    errno.EACCES: "make it accessible, or name another folder",
    errno.EPERM: "make it accessible, or name another folder",
    errno.EROFS: "name another folder with --out",
    errno.ENOENT: "name another one",
    errno.ENOTDIR: "name a folder",
}


def run(main: Callable[[], None]) -> None:
    """Calls a script's `main`; what a user can mend becomes one line on standard error and exit status 2."""
    try:
        main()
    except InputError as error:
        fail(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}; {WAYS_OUT.get(error.errno or 0, 'try another folder')}")
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(130)


def fail(message: str) -> None:
    """Ends the program with one line and exit status 2."""
    print(f"{Path(sys.argv[0]).name}: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def parser(description: str) -> argparse.ArgumentParser:
    """An argument parser whose complaints are one line, too."""

    class OneLineParser(argparse.ArgumentParser):
        def error(self, message: str) -> None:
            fail(f"{message}; --help lists the options")

    return OneLineParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )


def add_weights(arguments: argparse.ArgumentParser) -> None:
    """The argument that `find_weights` takes."""
    meant = "a run, a folder of weights, or owner/name on the Hub (default: the newest run)"
    arguments.add_argument("weights", nargs="?", metavar="WEIGHTS", help=meant)


def find_weights(named: str | None) -> str:
    """The named folder or Hub name; else the best of the newest run under runs/, else weights/."""
    if named is not None:
        best = Path(named) / "best"
        if run := next(Path(named).glob("*/best/config.json"), None):
            raise InputError(f"{named}: holds runs; name one of them, such as {run.parent.parent}")
        return str(best) if best.is_dir() else named
    newest = max(RUNS.glob("*/best/config.json"), key=lambda path: path.stat().st_mtime, default=None)
    if newest is not None:
        return str(newest.parent)
    if RELEASED.is_dir():
        return str(RELEASED)
    raise InputError("no weights: there is no run under runs/ and no weights/ folder; run python train.py first")


def find_data(named: str | None, dataset: str, facts: dict[str, Any]) -> str:
    """The named folder of a dataset; else that of the training, `facts`, if it was on the same one; else data."""
    if named is not None and dataset == "bundled":
        raise InputError(f"--data-root {named}: the bundled images need none; say --dataset, too")
    return named or (facts.get("data_root", "data") if facts.get("dataset") == dataset else "data")


def evaluation_folder(weights: str) -> Path:
    """Where the evaluation of weights is written: the run's folder, for weights of a run; else one beside them."""
    folder = Path(weights)
    if (folder.parent / "history.csv").is_file():
        return folder.parent
    if not folder.is_dir():  # a name on the Hub, which a folder of that name would hide
        return Path(f"{folder.name}-evaluation")
    return folder.with_name(f"{folder.resolve().name}-evaluation")
