"""How a script ends: an error that a user can mend in one line and exit status 2, a signal in one line and 128 more."""

import errno
import io
import os
import shlex
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

SCRIPTS = Path(__file__).resolve().parents[1]

WAYS_OUT = dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space there, or name another folder")
WAYS_OUT |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make it accessible, or name another folder")
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
USUAL = (signal.default_int_handler, signal.SIG_DFL)  # What else is there, such as nohup's, was meant.


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


class Stopped(KeyboardInterrupt):
    """A signal that ends the script: Ctrl-C, or what is sent when a terminal or a system closes."""

    def __init__(self, signum: int) -> None:
        super().__init__()
        self.status = 128 + signum


class _Output(io.FileIO):
    """A terminal, a pipe or a file. If nobody reads on, as behind `| head -1`, that ends what is read, not the work;
    nor does an error or a bar that cannot be told, as on a full disk."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EIO) and self.fileno() != 2:
                error.filename = "standard output"
                raise
            return memoryview(data).nbytes


def end_quietly_while_loading(parse: Callable[[], object]) -> None:
    """To be called before torch is imported, which takes seconds: --help, and what is no command line, end at once;
    until `run_script`, a signal ends in one line. Characters that the output's encoding lacks are replaced."""
    _handle_signals(_stop_at_once)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        file = getattr(stream, "buffer", None)
        if isinstance(getattr(file, "raw", file), io.FileIO):
            stream.flush()
            output = _Output(stream.fileno(), "w", closefd=False)
            buffer = output if isinstance(file, io.FileIO) else io.BufferedWriter(output)  # As PYTHONUNBUFFERED says.
            how = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
            setattr(sys, name, io.TextIOWrapper(buffer, stream.encoding, "replace", **how))
    parse()


def _handle_signals(handler: Callable[..., Any] | signal.Handlers) -> None:
    for signum in SIGNALS:
        if signal.getsignal(signum) in (*USUAL, _stop_at_once, _raise):
            signal.signal(signum, handler)


def _stop_at_once(signum: int, _: Any) -> NoReturn:
    with suppress(OSError):
        os.write(2, b"\nStopped.\n")
    os._exit(128 + signum)  # An exception could end up in any of the modules that are half imported.


def _raise(signum: int, _: Any) -> NoReturn:
    raise Stopped(signum)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Holds a signal that would end the script back until the block has ended."""
    held: list[int] = []
    own = [signum for signum in SIGNALS if signal.getsignal(signum) is _raise]
    for signum in own:
        signal.signal(signum, lambda signum, _: held.append(signum))
    try:
        yield
    finally:
        for signum in own:
            signal.signal(signum, _raise)
        if held:
            raise Stopped(held[0])


def run_script(main: Callable[[], None]) -> None:
    """Calls a script's `main`. An InputError or OSError ends it with one line and exit status 2, a signal with 128 more
    than its number."""
    _handle_signals(_raise)
    usual, told = warnings.showwarning, set()

    def show(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if category is not InputNote:
            usual(message, category, *rest)
        elif str(message) not in told:  # Python's own memory of what it has shown does not last.
            told.add(str(message))
            print(f"{program()}: note: {' '.join(str(message).split())}", file=sys.stderr)

    warnings.showwarning = show
    try:
        try:
            return main()
        finally:
            _handle_signals(signal.SIG_DFL)  # What is left to do needs no word, and no traceback.
    except InputError as error:
        message = str(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}; {WAYS_OUT.get(error.errno or 0, 'name another one')}"
    except KeyboardInterrupt as stop:
        print("\nStopped.", file=sys.stderr)
        sys.exit(getattr(stop, "status", 130))
    print(f"{program()}: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
