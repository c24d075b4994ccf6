"""How a script ends: an error that a user can mend in one line and exit status 2, Ctrl-C in one line and 130."""

import errno
import io
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

SCRIPTS = Path(__file__).resolve().parents[1]

WAYS_OUT = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space there, or name another folder")
WAYS_OUT |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make it accessible, or name another folder")


class InputError(ValueError):
    """A file, option or folder that cannot be used. The message is one line: what, where and the way out."""


class InputNote(UserWarning):
    """What is odd about files or images that can be used, and what was made of it."""


def note(message: str) -> None:
    """Warns of something odd in the input, once; the scripts show it as one line."""
    warnings.warn(message, InputNote, stacklevel=2)


def command(script: str, *words: object) -> str:
    """A command to paste: the script's path as it is found from here, and each word quoted where it must be."""
    path = SCRIPTS / script
    if not path.is_file():
        path = Path(script)
    elif path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    return shlex.join(["python", *map(str, (path, *words))])


def program() -> str:
    """The name of what runs: a script's, or a package's that python -m runs."""
    path = Path(sys.argv[0])
    return path.parent.name if path.name == "__main__.py" else path.name


def end_quietly_while_loading(parse: Callable[[], object]) -> None:
    """To be called before torch is imported, which takes seconds: --help, and what is no command line, end at once;
    until `run_script`, Ctrl-C ends in one line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # A job in the background ignores it.
        signal.signal(signal.SIGINT, _stop)
    parse()


def _stop(*_: Any) -> NoReturn:
    os.write(2, b"\nStopped.\n")
    os._exit(130)  # An exception could end up in any of the modules that are half imported.


def run_script(main: Callable[[], None]) -> None:
    """Calls a script's `main`. An InputError or OSError ends it with one line and exit status 2, Ctrl-C with 130.

    A character that the encoding of the output lacks is replaced.
    """
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    usual, told = warnings.showwarning, set()

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if category is not InputNote:
            usual(message, category, *rest)
        elif str(message) not in told:  # Python's own memory of what it has shown does not last.
            told.add(str(message))
            print(f"{program()}: note: {' '.join(str(message).split())}", file=sys.stderr)

    warnings.showwarning = show
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return main()
    except InputError as error:
        message = str(error)
    except BrokenPipeError:  # Nobody reads on, as behind `| head`: what the shell says of SIGPIPE.
        os._exit(141)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}; {WAYS_OUT.get(error.errno or 0, 'name another one')}"
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        sys.exit(130)
    print(f"{program()}: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
