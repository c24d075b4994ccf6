"""Which weights are meant, where their evaluation lies, and what its images may have been used for."""

import shutil
import time
from pathlib import Path

import pytest

import evaluate
from siamese_mnist import InputError
from siamese_mnist.cli import evaluation_folder, find_weights


def test_the_newest_run_is_the_default(trained_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_run, "runs/older", symlinks=True)
    time.sleep(0.02)
    shutil.copytree(trained_run / "best", "runs/newer/best")
    Path("runs/newer/best/config.json").touch()
    assert find_weights(None) == "runs/newer/best"


def test_a_folder_of_runs_is_no_run(trained_run):
    with pytest.raises(InputError, match=trained_run.name):
        find_weights(str(trained_run.parent))
    assert find_weights(str(trained_run)) == str(trained_run / "best")


def test_an_evaluation_lies_beside_its_weights_and_hides_none_on_the_hub(trained_run, tmp_path):
    assert evaluation_folder(str(trained_run / "best")) == trained_run
    (tmp_path / "weights").mkdir()
    assert evaluation_folder(str(tmp_path / "weights")) == tmp_path / "weights-evaluation"
    assert evaluation_folder("owner/name") == Path("name-evaluation")


@pytest.mark.parametrize(
    ("trained", "measured", "split", "seen"),
    [
        ("bundled", "bundled", "val", False),
        ("bundled", "mnist", "test", False),
        ("mnist", "bundled", "test", False),
        ("bundled", "mnist", "val", True),
        ("csv", "bundled", "test", True),
        ("folder", "mnist", "val", False),
    ],
)
def test_it_is_said_where_images_may_be_those_of_the_training(trained, measured, split, seen):
    assert evaluate.seen_in_training(trained, measured, split) == seen
