"""Trainings by two ranks on one machine: the gradients of one step, the run's folder, a rank that is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import ranks
import torch
from conftest import REPOSITORY, assert_one_line_error

from siamese_mnist import distributed

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
SETTING = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}


@pytest.mark.slow
def test_a_step_of_two_ranks_has_the_gradients_of_a_single_process(tmp_path):
    subprocess.run([*TORCHRUN, ranks.__file__, tmp_path / "two.pt"], env=SETTING, check=True, timeout=300)
    two, one = torch.load(tmp_path / "two.pt", weights_only=True), ranks.step()
    assert two.keys() == one.keys()
    for name, expected in one.items():
        torch.testing.assert_close(two[name], expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()), msg=name)


def test_ranks_normalise_maps_in_bfloat16_as_one_process_does(monkeypatch, test_digits):
    """As if a second rank held the same images."""
    maps = test_digits.images[:50].bfloat16() / 255
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "_Sum", SimpleNamespace(apply=lambda sums: 2 * sums))
    own, expected = distributed.BatchNorm2d(1), torch.nn.BatchNorm2d(1)
    torch.testing.assert_close(own(maps), expected(maps))
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(own, name), getattr(expected, name), rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_a_killed_rank_ends_the_others_and_one_process_goes_on(tmp_path, run_script):
    folder = tmp_path / "run"
    words = (
        "--images-per-class",
        20,
        "--batch-size",
        50,
        "--epochs",
        3,
        "--encoder",
        "conv2",
        "--also",
        "symbols",
        "--out",
        folder,
    )
    training = [*TORCHRUN, str(REPOSITORY / "train.py"), *map(str, words)]
    with subprocess.Popen(training, env=SETTING, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 200
        while not (folder / "state.pt").exists() and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(second_rank(process.pid), signal.SIGKILL)
        output, errors = process.communicate(timeout=100)
    assert process.returncode != 0
    assert "2 ranks" in output
    assert "train.py" not in "".join(line for line in errors.splitlines() if line.startswith(("Traceback", "[rank")))
    own = [line for line in errors.splitlines() if line.startswith("train.py: error")]
    assert len(own) <= 1
    assert all("another rank ended" in line for line in own)
    assert json.loads((folder / "last" / "config.json").read_text())["training"]["world_size"] == 2
    done = run_script("train.py", "--resume", folder)
    assert done.returncode == 0, done.stderr
    assert [line.split(",")[0] for line in (folder / "history.csv").read_text().splitlines()] == [
        "epoch",
        "1",
        "2",
        "3",
    ]
    assert json.loads((folder / "last" / "config.json").read_text())["training"]["world_size"] == 1


def second_rank(launcher: int) -> int:
    """The process that torchrun has started as rank 1."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == launcher and b"\0RANK=1\0" in b"\0" + (path / "environ").read_bytes():
                return int(path.name)
        except OSError:  # It has just ended.
            continue
    raise AssertionError("no rank 1")


def test_more_ranks_than_a_batch_can_feed_are_refused(run_script, monkeypatch, tmp_path):
    monkeypatch.setattr("siamese_mnist.distributed.world_size", lambda: 4)
    monkeypatch.setattr("siamese_mnist.distributed.rank", lambda: 0)
    monkeypatch.setattr("siamese_mnist.distributed.by_first", lambda call, *args: call(*args))
    assert_one_line_error(
        run_script("train.py", "--batch-size", 7, "--out", tmp_path / "run"), "--batch-size 7", "4 ranks"
    )
    assert not (tmp_path / "run").exists()
