"""Errors that a user can mend: one exception, shown as one line with exit status 2."""

import errno
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAYS_OUT = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space there, or name another folder")
WAYS_OUT |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make it accessible, or name another folder")


class InputError(ValueError):
    """A file, option or folder that cannot be used. The message is one line: what, where and the way out."""


class InputNote(UserWarning):
    """What is odd about files or images that can be used, and what was made of it."""


def note(message: str) -> None:
    """Warns of something odd in the input, once; the scripts show it as one line."""
    warnings.warn(message, InputNote, stacklevel=2)


def run_script(main: Callable[[], None]) -> None:
    """Calls a script's `main`. An InputError or OSError ends it with one line and exit status 2, Ctrl-C with 130."""
    script, usual = Path(sys.argv[0]).name, warnings.formatwarning

    def in_one_line(message: Warning | str, category: type[Warning], *rest: Any) -> str:
        told = f"{script}: note: {' '.join(str(message).split())}\n"
        return told if category is InputNote else usual(message, category, *rest)

    warnings.formatwarning = in_one_line
    try:
        return main()
    except InputError as error:
        message = str(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}; {WAYS_OUT.get(error.errno or 0, 'name another one')}"
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(130)
    print(f"{script}: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
