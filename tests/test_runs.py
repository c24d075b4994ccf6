"""The folder of a run, what a kill may leave in it, and which weights are meant."""

import itertools
import json
import os
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import REPOSITORY

import evaluate
from siamese_mnist import InputError, runs
from siamese_mnist.files import mend_folder, write_folder
from siamese_mnist.listing import Listing
from siamese_mnist.options import TrainingOptions
from siamese_mnist.runs import (
    Run,
    best_epoch,
    choose_folder,
    describe_changes,
    evaluation_folder,
    find_weights,
    images_fingerprint,
    trained_images,
)


def fill_with(text):
    def fill(folder):
        folder.mkdir()
        for name in ("a", "b"):
            (folder / name).write_text(text)

    return fill


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_folder_is_replaced_whole(tmp_path):
    for text in ("old", "new"):
        write_folder(tmp_path / "best", fill_with(text))
        assert content(tmp_path / "best") == {"a": text, "b": text}
        assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_folder_that_cannot_be_filled_leaves_the_old_one(tmp_path):
    def fail(folder):
        fill_with("half")(folder)
        raise OSError(28, "no space left")

    write_folder(tmp_path / "best", fill_with("old"))
    with pytest.raises(OSError, match="no space"):
        write_folder(tmp_path / "best", fail)
    assert content(tmp_path / "best") == {"a": "old", "b": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("there", [False, True])
def test_a_kill_at_any_moment_leaves_the_old_folder_or_the_new_one(tmp_path, monkeypatch, there):
    """Every call that changes the disk is the last one once; what comes after it never happens."""
    calls = [(os, "replace"), (shutil, "rmtree")]
    for last in itertools.count():
        folder = tmp_path / str(last) / "best"
        folder.parent.mkdir()
        if there:
            write_folder(folder, fill_with("old"))
        done = 0
        with monkeypatch.context() as patch:
            for module, name in calls:
                real = getattr(module, name)

                def dying(*arguments, real=real, allowed=last, **options):
                    nonlocal done
                    done += 1
                    if done > allowed:
                        raise Killed
                    return real(*arguments, **options)

                patch.setattr(module, name, dying)
            try:
                write_folder(folder, fill_with("new"))
                return
            except Killed:
                pass
        mend_folder(folder)
        found = content(folder) if folder.exists() else {}
        assert found in ({}, {"a": "old", "b": "old"}, {"a": "new", "b": "new"}), last
        assert found or not there
        assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]


def test_the_best_epoch_is_the_new_one_or_the_old_best():
    numbers = random.Random(0)
    for _ in range(2000):
        history = []
        for _ in range(12):
            old = best_epoch(history) if history else 1
            history.append({"val_eer": numbers.choice((0, numbers.random())), "val_eer_error": 0.2 * numbers.random()})
            assert best_epoch(history) in (old, len(history))


def test_the_best_epoch_is_the_last_within_one_standard_error_of_the_least():
    history = [{"val_eer": eer, "val_eer_error": 0.1} for eer in (0.5, 0.25, 0.35, 0.36)]
    assert best_epoch(history) == 3
    assert best_epoch(history[:2]) == 2


def test_the_newest_run_is_the_default(trained_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_weights(None) == str(REPOSITORY / "weights")
    monkeypatch.setattr(runs, "SCRIPTS", tmp_path)
    with pytest.raises(InputError, match=r"train\.py"):
        find_weights(None)
    Path("weights").mkdir()
    assert find_weights(None) == "weights"
    shutil.copytree(trained_run, "runs/older")
    time.sleep(0.02)
    shutil.copytree(trained_run / "best", "runs/newer/best")
    Path("runs/newer/best/config.json").touch()
    assert find_weights(None) == "runs/newer/best"


def test_a_folder_of_runs_is_no_run(trained_run):
    with pytest.raises(InputError, match=trained_run.name):
        find_weights(str(trained_run.parent))
    assert find_weights(str(trained_run)) == str(trained_run / "best")


def test_a_run_killed_between_two_folders_says_how_it_is_mended(tmp_path):
    (tmp_path / "run" / "last").mkdir(parents=True)
    with pytest.raises(InputError, match=rf"--resume {tmp_path}/run"):
        find_weights(str(tmp_path / "run"))


def test_a_run_stopped_before_its_first_epoch_says_how_it_goes_on(tmp_path, test_digits):
    Run.new(str(tmp_path / "run"), TrainingOptions()).begin(test_digits)
    with pytest.raises(InputError, match=rf"--resume {tmp_path}/run"):
        find_weights(str(tmp_path / "run"))


def test_images_are_known_again_by_their_content(test_digits):
    some = test_digits.at_most(5)
    assert images_fingerprint(some) == images_fingerprint(test_digits.at_most(5))
    others = [test_digits.at_most(6), some.select(torch.arange(50).flip(0))]
    others.append(replace(some, labels=some.labels.flip(0)))
    assert len({images_fingerprint(some), images_fingerprint(some, some), *map(images_fingerprint, others)}) == 5


def test_it_is_said_which_images_of_the_training_are_missing_relabelled_or_measured(tmp_path, test_digits):
    digests = np.arange(500)
    splits = np.where(digests % 10 == 0, "test", "train")
    listing = Listing(tmp_path, digests, test_digits.labels.numpy(), tuple("0123456789"), splits, lambda index: index)
    learned = np.flatnonzero(splits == "train")
    trained = replace(test_digits.select(learned), digests=torch.from_numpy(digests[learned]))
    Run.new(str(tmp_path / "run"), TrainingOptions()).begin(trained)
    assert trained_images(str(tmp_path / "others" / "best")) == set()
    (tmp_path / "images.csv").touch()
    with pytest.raises(InputError, match=r"images\.csv"):
        trained_images(str(tmp_path / "best"))
    learned_from = trained_images(str(tmp_path / "run" / "best"))
    assert describe_changes(learned_from, listing, "test") == ""
    moved = np.where(np.isin(digests, learned[:3]), "test", splits)
    assert "450 images of the training: 3 in the test split" in describe_changes(
        learned_from, listing._replace(splits=moved), "test"
    )
    kept = digests != learned[5]
    fewer = Listing(tmp_path, digests[kept], listing.labels[kept], listing.names, splits[kept], listing.load)
    assert "1 missing" in describe_changes(learned_from, fewer, "test")
    relabelled = np.where(np.isin(digests, learned[:7]), 9, listing.labels)
    assert "7 of another class" in describe_changes(learned_from, listing._replace(labels=relabelled), "test")


def test_options_come_back_from_the_command_that_they_tell():
    options = TrainingOptions(encoder="conv2", lr=0.5, augment=False, images_per_class=30, seed=3)
    assert (
        options.as_command() == "python train.py --images-per-class 30 --encoder conv2 --lr 0.5 --no-augment --seed 3"
    )
    assert (
        TrainingOptions().as_command() == TrainingOptions(lr=0.004, optimizer="muon").as_command() == "python train.py"
    )


def test_an_evaluation_lies_beside_its_weights_and_hides_none_on_the_hub(trained_run, tmp_path, monkeypatch):
    assert evaluation_folder(str(trained_run / "best")) == trained_run
    (tmp_path / "weights").mkdir()
    assert evaluation_folder(str(tmp_path / "weights")) == tmp_path / "weights-evaluation"
    assert evaluation_folder("owner/name") == Path("name-evaluation")
    assert evaluation_folder(str(trained_run / "last")) == trained_run / "last-evaluation"
    monkeypatch.chdir(tmp_path / "weights")
    assert evaluation_folder(".") == tmp_path / "weights-evaluation"


def test_each_evaluation_has_its_folder(tmp_path):
    """Ten of one network, none of which may lie where another does; each lies where it did when it is done again."""
    facts = {"weights": "w", "weights_crc32": 1, "images_crc32": 2, "dataset": "mnist", "classes": ["0", "a b"]}
    evaluations = [facts] + [{**facts, name: "other"} for name in ("images_crc32", "dataset", "classes")]
    evaluations += [{**facts, "weights": "v", "weights_crc32": 5}]
    weights = str(tmp_path / "weights")
    Path(weights).mkdir()
    found = {}
    for unusual in ([], ["mnist", "test", "a b/c"]):
        for evaluation in evaluations:
            folder = choose_folder(None, weights, evaluation, unusual)
            assert folder not in found
            assert folder.parent in (tmp_path, tmp_path / "weights-evaluation")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "metrics.json").write_text(json.dumps({**evaluation, "eer": 0.5}))
            found[folder] = evaluation
            assert choose_folder(None, weights, evaluation, unusual) == folder
    assert len(found) == 2 * len(evaluations)


def test_a_named_folder_with_another_evaluation_is_refused(tmp_path):
    facts = {"weights": "w", "weights_crc32": 1, "seed": 0}
    assert choose_folder(str(tmp_path), "w", facts, []) == tmp_path
    (tmp_path / "metrics.json").write_text(json.dumps(facts))
    for same in ({}, {"weights": "moved"}, {"weights_crc32": 9}):  # 9: trained further
        assert choose_folder(str(tmp_path), "w", facts | same, []) == tmp_path
    for other in ({"seed": 1}, {"weights": "v", "weights_crc32": 9}):
        with pytest.raises(InputError, match="--out"):
            choose_folder(str(tmp_path), "w", facts | other, [])
    (tmp_path / "metrics.json").write_text("[1")
    with pytest.raises(InputError, match=r"metrics\.json"):
        choose_folder(str(tmp_path), "w", facts, [])


@pytest.mark.parametrize(
    ("trained", "measured", "split", "seen"),
    [
        ("bundled", "bundled", "val", False),
        ("bundled", "mnist", "test", False),
        ("mnist", "bundled", "test", False),
        ("bundled", "mnist", "val", True),
        ("csv", "bundled", "test", True),
        ("csv", "mnist", "test", False),
        ("mnist", "csv", "test", True),
        ("folder", "mnist", "val", False),
    ],
)
def test_it_is_said_where_images_may_be_those_of_the_training(trained, measured, split, seen):
    assert evaluate.seen_in_training(trained, measured, split) == seen
