"""What else may happen to runs: full disks, two at once, other surroundings. It says how often nothing was lost.

python -m tests.stress.runs             every call of an evaluation; 50 pairs; 10 surroundings
"""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import evaluate
import train
from siamese_mnist.files import is_leftover
from tests.stress.kills import REPOSITORY, SHORT, content, forked, warm_up
from tests.stress.visitors import Visitor, as_bytes, served
from tests.strokes import draw, place

PYTHON = [sys.executable, "-B"]


def full_disk(folder: Path, every: int) -> int:
    """No space, or no writing, at each `every`-th call of an evaluation, whose forerunner's files must stay whole."""
    out, weights = folder / "evaluation", str(REPOSITORY / "weights")
    words = (weights, "--dataset", "bundled", "--fraction", "0.06", "--out", str(out))
    whole = forked(evaluate.main, out, *words)
    assert whole.status == 0, whole
    names, points = content(out).keys(), range(1, 1 + int(whole.output.split()[-2]), every)
    for at in tqdm(points, desc="no space: evaluation"):
        ended = forked(evaluate.main, out, *words, at=at, error=(errno.ENOSPC, errno.EROFS)[at % 2])
        assert ended.status in (0, 2), ended
        assert "Traceback" not in ended.errors, ended
        assert ended.status == 0 or str(out) in ended.errors, ended
        for left in filter(is_leftover, out.iterdir()):  # Where the call that failed was the one that removes it.
            left.unlink()
        assert content(out).keys() == names
        assert all(len(file) > 100 for file in content(out).values())
    return len(points)


def tmpfs(folder: Path) -> int:
    """Real disks of 1 to 9 MB, which only root can make; 0 if this is not root."""
    tried, disk = 0, folder / "disk"
    disk.mkdir()
    for megabytes in range(1, 10, 2):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", disk], check=False).returncode:
            return tried
        try:
            ended = start("train.py", *SHORT, "--out", disk / "run")
            assert ended.returncode in (0, 2), ended
            assert "Traceback" not in ended.stderr, ended
            assert ended.returncode == 0 or "No space left" in ended.stderr, ended
            tried += 1
        finally:
            subprocess.run(["umount", disk], check=True)
    return tried + full_uploads(disk)


def full_uploads(disk: Path) -> int:
    """Uploads larger than the disk are refused in one line, leave nothing, and the next call is answered."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], check=True)
    try:
        with served(disk) as server:
            visitor = Visitor(server.url)
            large = Image.fromarray(np.random.default_rng(0).integers(0, 255, (1500, 1500), np.uint8))
            for _ in range(3):
                assert "No space left" in visitor.match(as_bytes(large))
                assert visitor.match(as_bytes(draw(place(7, 180, 80, 50), 14)))["winner"] == "7"
            assert not server.complaints
    finally:
        subprocess.run(["umount", disk], check=True)
    return 1


def at_once(folder: Path, count: int) -> int:
    """Two trainings into a new folder, two that resume a run, two evaluations: one does it, one says why not."""
    warm_up()
    for number in tqdm(range(count), desc="two at once"):
        run, kind = folder / f"two {number}", number % 3
        main, words = train.main, (*SHORT, "--out", str(run))
        if kind:
            assert forked(main, run, *words).status == 0
        if kind == 1:
            (run / "state.pt").unlink()
            words = ("--resume", str(run))
        if kind == 2:
            main, words = evaluate.main, (str(run), "--fraction", "0.06", "--out", str(run / "evaluation"))
        with ThreadPoolExecutor(2) as pool:
            ended = [each.result() for each in [pool.submit(forked, main, folder / name, *words) for name in "ab"]]
        assert {each.status for each in ended} <= {0, 2}, ended
        assert [each for each in ended if each.status == 0], ended
        refused = [each.errors.strip() for each in ended if each.status == 2]
        assert all(str(run) in errors and len(errors.splitlines()) == 1 for errors in refused), ended
        assert len((run / "history.csv").read_text().splitlines()) == 3
        shutil.rmtree(run)
    return count


def surroundings(folder: Path, count: int) -> int:
    """The same training with another locale, time zone, umask, folder and hash seed: the same weights, bit for bit."""
    expected, numbers = None, random.Random(0)
    for number in tqdm(range(count), desc="surroundings"):
        place = folder / f"naïve folder {number}"
        place.mkdir()
        changed = {"LC_ALL": numbers.choice(("C", "POSIX", "C.UTF-8", "de_DE.ISO-8859-1")), "PYTHONUTF8": "0"}
        changed |= {"TZ": numbers.choice(("UTC", "Asia/Kolkata", "EST5EDT")), "PYTHONHASHSEED": str(number)}
        changed |= {"PYTHONCOERCECLOCALE": "0"}
        there = {"cwd": place, "umask": numbers.choice((0o22, 0o77, 0)), "env": os.environ | changed}
        ended = start("train.py", *SHORT, "--out", "run", **there)
        assert ended.returncode == 0, ended
        assert start("evaluate.py", "run", "--fraction", "0.06", "--out", "out", **there).returncode == 0
        metrics = [
            line for line in (place / "out" / "metrics.json").read_text().splitlines() if '"seconds"' not in line
        ]
        found = content(place / "run" / "last"), metrics
        expected = expected or found
        assert found == expected, number
        shutil.rmtree(place)
    return count


def begin(script: str, *words: object, **options: object) -> subprocess.Popen:
    """A script in a process of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    return subprocess.Popen([*PYTHON, REPOSITORY / script, *map(str, words)], **pipes, **options)


def start(script: str, *words: object, **options: object) -> subprocess.CompletedProcess:
    """The same, until it ends."""
    process = begin(script, *words, **options)
    output, errors = process.communicate()
    return subprocess.CompletedProcess(words, process.returncode, output, errors)


def main() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as made:
        attacks = ((full_disk, 1), (tmpfs, None), (surroundings, 10), (at_once, 50))
        for attack, count in attacks:
            (folder := Path(made, attack.__name__)).mkdir()
            print(attack.__name__, attack(folder, *[count] * (count is not None)), "times, nothing lost", flush=True)


if __name__ == "__main__":
    main()
