"""Kills trainings at their file-system calls, in the middle of their writes, by signals at any moment; fills the disk;
and resumes them.

python -m tests.stress.kills            every point of two epochs by two recipes, 100 more signals: an hour
python -m tests.stress.kills --share 0.02
"""

import argparse
import builtins
import errno
import functools
import io
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

import siamese_mnist.figures  # noqa: F401  (for all forks)
import train
from siamese_mnist import SiameseNetwork, company, load_digits
from siamese_mnist.errors import SIGNALS, run_script
from siamese_mnist.runs import Run

CALLS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree")
SHORT = ("--images-per-class", "8", "--epochs", "2", "--batch-size", "40", "--device", "cpu")
RECIPES = {"default": SHORT, "released": (*SHORT, "--encoder", "conv5", "--symbols", "72")}
LEAST = (*SHORT, "--encoder", "conv2", "--also", "none")
REPOSITORY = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a training ended: its exit status, -9 if it was killed, and what it printed."""

    status: int
    output: str
    errors: str

    @property
    def begun_after(self) -> int:
        """How many epochs it found done."""
        return int(re.findall(r": (\d+) of \d+ epochs", self.output)[0])

    @property
    def stopped_after(self) -> int | None:
        """How many epochs were done as it was stopped, if it says so."""
        told = re.findall(r"Stopped after (\d+)", self.output)
        return int(told[0]) if told else None


class Watch:
    """Counts the file-system calls in a folder, and the middles of its writes; at one of them it sends a signal, or
    fails with an error's number."""

    def __init__(self, folder: Path, at: int, signum: int, error: int) -> None:
        self.folder, self.at, self.signum, self.error, self.seen = str(folder), at, signum, error, 0
        sys.addaudithook(lambda event, arguments: self.step(arguments[0]) if event in CALLS else None)
        builtins.open = functools.partial(self.open, builtins.open)

    def step(self, path: Any) -> None:
        if str(path).startswith(self.folder):
            self.seen += 1
            if self.seen == self.at and self.error:
                raise OSError(self.error, os.strerror(self.error), str(path))
            if self.seen == self.at:
                os.kill(os.getpid(), self.signum)

    def open(self, real: Any, path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if mode != "wb" or not str(path).startswith(self.folder):
            return real(path, mode, *rest, **options)
        watch = self

        class Halves(io.BufferedWriter):
            def write(self, content: bytes) -> int:
                half = len(content) // 2
                super().write(content[:half])
                self.flush()
                watch.step(path)
                return half + super().write(content[half:])

        return Halves(io.FileIO(path, "w"))


def forked(main: Callable[[], None], folder: Path, *words: str, at: int = 0, signum: int = 0, error: int = 0) -> Ended:
    """Runs a script's `main` in a forked child; at its `at`-th call in the folder comes a signal, or an error."""
    logs = [folder.with_name(f"{folder.name}.{stream}") for stream in ("output", "errors")]
    if child := os.fork():
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return Ended(status, *(log.read_text() for log in logs))
    status = 1
    try:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        with open(logs[0], "w", buffering=1) as output, open(logs[1], "w", buffering=1) as errors:
            sys.argv, watch = ["script.py", *words], Watch(folder, at, signum, error)
            with redirect_stdout(output), redirect_stderr(errors):
                try:
                    run_script(main)
                    print(watch.seen, "calls")
                    status = 0
                except SystemExit as end:
                    status = int(end.code or 0)
    finally:
        os._exit(status)


def warm_up(words: tuple[str, ...]) -> None:
    """What takes seconds is done once, and found done by all forked processes."""
    torch.set_num_threads(1)  # A fork has no other threads.
    train.load_digits = company.load_digits = functools.lru_cache(load_digits)
    train.VALIDATION_IMAGES_PER_CLASS = 20
    for split in ("train", "val"):
        train.load_digits("bundled", split=split, root="data", transposed=False, classes=None)
    if "none" not in words:
        train.load_digits("pens")
        train.load_digits("symbols")
        train.load_digits("symbols", split="val")


def training(folder: Path, *words: str, **happens: int) -> Ended:
    """Runs train.py so."""
    return forked(train.main, folder, *words, **happens)


class Recipe:
    """A short training, undisturbed: how many calls it makes, and the weights that it has after each epoch."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        warm_up(words)
        self.words, self.folder = words, folder
        save = Run.save_epoch

        def save_and_copy(run: Run, model: Any, history: list, state: dict) -> None:
            save(run, model, history, state)
            shutil.copytree(run.path / "last", folder / f"epoch {len(history)}")

        Run.save_epoch = save_and_copy
        try:
            ended = training(folder / "whole", "--out", str(folder / "whole"), *self.words)
        finally:
            Run.save_epoch = save
        assert ended.status == 0, ended
        self.last, self.best = (content(folder / "whole" / name) for name in ("last", "best"))
        epochs = [SiameseNetwork.from_pretrained(folder / f"epoch {epoch}") for epoch in (1, 2)]
        self.known = [None, *(epoch.fingerprint for epoch in epochs)]
        again = training(folder / "again", "--out", str(folder / "again"), *self.words)
        self.calls = int(re.findall(r"(\d+) calls", again.output)[-1])

    def attack(self, at: int, signum: int = 0, error: int = 0) -> None:
        """Sends the signal at a call, or lets it fail; looks at what is left, resumes, looks again."""
        run = self.folder / f"attack {signum} {error} {at}"
        ended = training(run, "--out", str(run), *self.words, at=at, signum=signum, error=error)
        done = self.look(run)
        if error and ended.status:
            lines = [line for line in ended.errors.splitlines() if line.strip()]
            assert ended.status == 2, ended
            assert len(lines) == 1, ended
            assert str(run) in lines[0], ended
        elif signum == signal.SIGKILL:
            assert ended.status == -9, ended
        elif ended.status:  # One that comes during the last words may be too late.
            assert ended.status == 128 + signum, ended
            assert "Traceback" not in ended.errors, ended
        begun = (run / "config.json").exists()
        words = ("--resume", str(run)) if begun else ("--out", str(run), *self.words)
        resumed = training(run, *words)
        assert resumed.status == 0, resumed
        assert ended.stopped_after in (None, done), (ended, done)
        assert resumed.begun_after == done, (resumed, done)
        assert content(run / "last") == self.last
        assert content(run / "best") == self.best
        epochs = [line.split(",")[0] for line in (run / "history.csv").read_text().splitlines()]
        assert epochs == ["epoch", "1", "2"], epochs
        left = [path.name for path in run.iterdir() if path.name.startswith(".")]
        assert not left, left
        shutil.rmtree(run)

    def look(self, run: Path) -> int:
        """How many epochs count; `last` and `best` must be whole, old or new."""
        for name in ("last", "best"):
            there = any((run / each).exists() for each in (name, f".{name}.old"))
            found = SiameseNetwork.from_pretrained(run / name) if there else None
            assert (found and found.fingerprint) in self.known, (run, name)
        state = run / "state.pt"
        return len(torch.load(state, weights_only=True)["history"]) if state.exists() else 0


def content(folder: Path) -> dict[str, bytes]:
    """What its files hold."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def interrupt(run: Path, words: tuple[str, ...], seconds: float, signum: int) -> None:
    """Sends a signal to train.py so many seconds after its start, and resumes it."""
    with start("--out", str(run), *words) as process:
        time.sleep(seconds)
        process.send_signal(signum)
        ended = Ended(0, *process.communicate(timeout=60))._replace(status=process.returncode)
    assert ended.status in (0, 128 + signum, -signum), ended
    lines = [line for line in ended.errors.replace("\r", "\n").splitlines() if line.strip() and "batch/s" not in line]
    assert lines in ([], ["Stopped."]), ended
    if (run / "config.json").exists():
        with start("--resume", str(run)) as process:
            resumed = Ended(0, *process.communicate(timeout=60))
        assert process.returncode == 0, resumed
        assert ended.stopped_after in (None, resumed.begun_after), (ended, resumed)
        shutil.rmtree(run)
    assert not run.exists(), [*run.iterdir()]


def start(*words: str) -> subprocess.Popen:
    """A process of train.py, which heeds Ctrl-C, whatever has started this one."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    options["env"] = {**os.environ, "OMP_NUM_THREADS": "1"}
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen([sys.executable, str(REPOSITORY / "train.py"), *words], preexec_fn=heed, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of all that is tried; below a tenth, by the least")
    share = parser.parse_args().share
    recipes = RECIPES if share >= 0.1 else {"least": LEAST}
    with tempfile.TemporaryDirectory() as made:
        for name, words in recipes.items():
            (folder := Path(made, name)).mkdir()
            recipe = Recipe(folder, words)
            points = range(1, recipe.calls + 1, round(1 / share))
            kinds = [{"signum": signal.SIGKILL}, *({"signum": signum} for signum in SIGNALS)]
            kinds += [{"error": errno.ENOSPC}, {"error": errno.EROFS}]
            for number, kind in enumerate(kinds):
                # At each point it is killed, one of the signals comes, and one of the errors.
                step = 1 if number == 0 else 2 if "error" in kind else 3
                chosen = points[number % step :: step]
                for at in tqdm(chosen, desc=f"{name} recipe, {kind}"):
                    recipe.attack(at, **kind)
                print(f"{name} recipe, {kind}: at {len(chosen)} of {recipe.calls} points, nothing lost", flush=True)
        count = round(100 * share) if share >= 0.1 else 1
        for number in tqdm(range(count), desc="signals at any moment"):
            seconds = 0.3 + 9 * random.Random(number).random()
            interrupt(Path(made, "run"), next(iter(recipes.values())), seconds, SIGNALS[number % len(SIGNALS)])
        print(f"signals at any moment: {count}, nothing lost")


if __name__ == "__main__":
    main()
