"""The scripts as a user calls them."""

import csv
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import safetensors.torch
import torch
from conftest import REPOSITORY, assert_one_line_error, heed_interrupts
from PIL import Image

from siamese_mnist import InputError, SiameseNetwork, load_digits
from siamese_mnist.figures import FIGURES

QUICK = ("--images-per-class", 12, "--epochs", 3, "--batch-size", 60, "--encoder", "conv2", "--also", "symbols")


def weights(folder):
    return safetensors.torch.load_file(folder / "model.safetensors")


def same_weights(a, b):
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def quick_run(run_script, tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick") / "run"
    done = run_script("train.py", *QUICK, "--out", folder)
    assert done.returncode == 0, done.stderr
    assert "evaluate.py" in done.stdout
    assert "demo.py" in done.stdout
    return folder


def test_a_run_holds_what_it_promises(trained_run):
    names = {path.name for path in trained_run.iterdir()}
    assert names == {"last", "best", "config.json", "curves.png", "history.csv", "state.pt"}
    assert not any(path.is_symlink() for path in trained_run.rglob("*"))
    assert sum(path.stat().st_size for path in trained_run.rglob("*")) < 20e6
    rows = list(csv.DictReader((trained_run / "history.csv").open()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    least = min(rows, key=lambda row: float(row["val_eer"]))
    best = [row for row in rows if float(row["val_eer"]) <= float(least["val_eer"]) + float(least["val_eer_error"])][-1]
    assert same_weights(trained_run / "best", trained_run / "last") == (best is rows[-1])
    Image.open(trained_run / "curves.png").verify()
    model = SiameseNetwork.from_pretrained(trained_run / "best")
    assert model.training_facts["images_per_class"] == 50
    assert "--images-per-class 50" in model.training_facts["command"]
    assert model.training_facts["validation_eer"] == pytest.approx(float(best["val_eer"]))


def test_training_learns(trained_run):
    rows = list(csv.DictReader((trained_run / "history.csv").open()))
    assert float(rows[-1]["loss"]) < 0.6 * float(rows[0]["loss"])
    assert float(rows[-1]["val_auc"]) > 0.9


def test_the_trained_network_tells_sevens_from_twos(trained_run, test_digits):
    model = SiameseNetwork.from_pretrained(trained_run / "best")
    embeddings = model.encode(test_digits.images).detach()
    similarity = model.similarity(embeddings, embeddings)
    seven, two = test_digits.labels == 7, test_digits.labels == 2
    assert similarity[seven][:, seven].mean() > 0.7 > 0.3 > similarity[seven][:, two].mean()
    assert (similarity - similarity.T).abs().max() <= 1e-6


def test_the_same_seed_gives_the_same_weights_wherever_it_runs(run_process, run_script, quick_run, tmp_path):
    elsewhere = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Kolkata"}
    options = {"cwd": tmp_path, "env": os.environ | elsewhere | {"PYTHONHASHSEED": "7"}, "umask": 0o77}
    done = run_process("train.py", *QUICK, "--out", tmp_path / "again", **options)
    assert done.returncode == 0, done.stderr
    assert same_weights(quick_run / "last", tmp_path / "again" / "last")
    assert run_script("train.py", *QUICK, "--seed", 1, "--out", tmp_path / "other").returncode == 0
    assert not same_weights(quick_run / "last", tmp_path / "other" / "last")


def test_an_interrupted_run_goes_on_bit_for_bit(run_script, quick_run, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "train.py", *map(str, QUICK), "--out", str(folder)]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    )
    deadline = time.monotonic() + 120
    while not (folder / "state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"--resume {folder}" in output
    assert "Traceback" not in errors
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    resumed = run_script("train.py", "--resume", folder)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert torch.get_num_threads() == threads  # As many as the run began with, which decide about the last bits.
    assert same_weights(quick_run / "last", folder / "last")
    assert (quick_run / "history.csv").read_text().count("\n") == (folder / "history.csv").read_text().count("\n")
    before = (folder / "state.pt").read_bytes()
    finished = run_script("train.py", "--resume", folder)
    assert finished.returncode == 0
    assert "3 of 3" in finished.stdout
    assert (folder / "state.pt").read_bytes() == before


def test_a_run_stopped_before_its_first_epoch_ended_goes_on(run_script, quick_run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(quick_run / "config.json", folder)
    (folder / ".best.new").mkdir()
    assert run_script("train.py", "--resume", folder).returncode == 0
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert same_weights(quick_run / "last", folder / "last")


def test_resuming_with_other_settings_or_nothing_is_refused(run_script, quick_run, tmp_path):
    assert_one_line_error(run_script("train.py", "--resume", quick_run, "--lr", 0.1), "--lr", "0.02")
    assert_one_line_error(run_script("train.py", "--resume", tmp_path), "no run", "--out")
    assert_one_line_error(run_script("train.py", "--resume", quick_run / "best"), "no options of a run")
    assert_one_line_error(run_script("train.py", *QUICK, "--out", quick_run), "--resume")
    damaged = tmp_path / "damaged"
    shutil.copytree(quick_run, damaged)
    (damaged / "state.pt").write_bytes((damaged / "state.pt").read_bytes()[:5000])
    assert_one_line_error(run_script("train.py", "--resume", damaged), "state.pt")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--images-per-class", 0), "0 images"),
        (("--fraction", 2), "fraction"),
        (("--fraction", "0.1", "--images-per-class", 5), "exclude"),
        (("--margin", -1), "--margin"),
        (("--match-weight", -1), "--match-weight"),
        (("--match-weight", 0, "--also", "pens"), "--match-weight"),
        (("--lr", "nan"), "--lr"),
        (("--epochs", 0), "--epochs"),
        (("--batch-size", 1), "--batch-size"),
        (("--seed", -1), "--seed"),
        (("--classes", 3), "class"),
        (("--classes", "a"), "class"),
        (("--head", "mlp", "--loss", "contrastive"), "--head"),
        (("--encoder", "conv9"), "--encoder"),
        (("--epochs", "many"), "--epochs"),
        (("--epoch", 3), "--epoch"),
        (("--nonsense",), "--nonsense"),
        (("--dataset", "csv", "--data-root", "/nowhere"), "/nowhere"),
        (("--dataset", "folder", "--data-root", "/nowhere"), "/nowhere"),
        (("--out", "/proc/run"), "/proc/run"),
        (("--device", "mps"), "mps"),
        (("--data-root", "symbols"), "--dataset"),
    ],
)
def test_impossible_options_are_one_line(run_script, tmp_path, options, word):
    where = () if "--out" in options else ("--out", tmp_path / "run")
    assert_one_line_error(run_script("train.py", *options, *where), word)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(run_process, run_script, tmp_path):
    """A limit on the size of a file fails the way a full disk does: in the middle of writing."""
    folder = tmp_path / "run"
    limit = (30_000, 30_000)
    done = run_process(
        "train.py", *QUICK, "--out", folder, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )
    assert_one_line_error(done, str(folder), "space")
    assert {path.name for path in folder.iterdir()} == {"config.json"}
    assert run_script("train.py", "--resume", folder).returncode == 0


def test_contrastive_recipe_of_the_second_seed_trains(run_script, tmp_path):
    recipe = ("--encoder", "conv2", "--head", "distance", "--loss", "contrastive", "--images-per-class", 40)
    done = run_script("train.py", *recipe, "--epochs", 8, "--batch-size", 33, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").open()))
    assert float(rows[-1]["val_auc"]) > 0.8


@pytest.mark.filterwarnings("default::siamese_mnist.errors.InputNote")
def test_symbols_of_one_s_own_train_and_are_measured(run_script, tmp_path, train_digits, undrawn):
    for label, name in enumerate(("anchor", "boat", "crab")):
        (tmp_path / "symbols" / name).mkdir(parents=True)
        for number, image in enumerate(train_digits.images[train_digits.labels == label][:30, 0]):
            Image.fromarray(255 - image.numpy()).save(tmp_path / "symbols" / name / f"{number}.png")
    where = ("--dataset", "folder", "--data-root", tmp_path / "symbols")
    done = run_script("train.py", *where, "--epochs", 3, "--batch-size", 30, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert SiameseNetwork.from_pretrained(tmp_path / "run" / "best").classes == ("anchor", "boat", "crab")
    done = run_script("evaluate.py", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    measured = load_digits("folder", split="test", root=tmp_path / "symbols")
    assert metrics["images"] == len(measured)
    assert metrics["positives"] == sum(math.comb(len(members), 2) for members in measured.members)
    assert metrics["match_accuracy_20"] is None
    assert metrics["match_accuracy_1"] is not None

    for folder in list((tmp_path / "symbols").iterdir()):  # All of it becomes the test split, what was trained on, too.
        shutil.copytree(folder, tmp_path / "symbols" / "test" / folder.name)
    learned = len((tmp_path / "run" / "images.csv").read_text().splitlines())
    done = run_script("evaluate.py", tmp_path / "run", "--out", tmp_path / "all")
    assert done.stderr.count("both the train and the test") == 1
    assert f"{learned} in the test split, which are left out" in done.stdout
    metrics = json.loads((tmp_path / "all" / "metrics.json").read_text())
    assert metrics["images"] == 90 - learned


def test_evaluation_writes_figures_and_metrics(run_script, trained_run, tmp_path):
    done = run_script("evaluate.py", trained_run, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"Siamese_test", "match", "roc", "reliability", "digit_pairs", "embedding_map"} <= FIGURES.keys()
    drawn = FIGURES.keys() - {"one_shot"}  # The digits measured are those it learned.
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", *(f"{name}.png" for name in drawn)}
    for name in drawn:
        assert min(Image.open(tmp_path / f"{name}.png").size) > 400
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["images"], metrics["pairs"], metrics["positives"]) == (500, 124_750, 12_250)
    assert (metrics["dataset"], metrics["split"], metrics["seed"], metrics["world_size"]) == ("bundled", "test", 0, 1)
    assert set(metrics["baselines"]) == {"always_different", "pixel_cosine", "untrained"}
    assert metrics["eer"] < metrics["baselines"]["pixel_cosine"]["eer"]
    assert metrics["balanced_accuracy"] > 0.85
    for name in ("auc", "eer", "balanced_accuracy", "match_accuracy_1", "log_loss", "log_loss_recalibrated"):
        low, high = metrics[f"{name}_ci95"]
        assert low <= metrics[name] <= high
    assert metrics["log_loss"] >= metrics["log_loss_recalibrated"]


def test_unseen_classes_are_measured(run_script, tmp_path):
    assert run_script("train.py", *QUICK, "--classes", "0-7", "--out", tmp_path / "run").returncode == 0
    assert SiameseNetwork.from_pretrained(tmp_path / "run" / "best").classes == tuple("01234567")
    done = run_script("evaluate.py", tmp_path / "run", "--classes", "8,9")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "run" / "bundled-test-8,9" / "metrics.json").read_text())
    assert (metrics["images"], metrics["positives"], metrics["one_shot_ways"]) == (100, 2450, 2)
    assert (tmp_path / "run" / "bundled-test-8,9" / "one_shot.png").is_file()


def test_full_mnist_is_measured_pair_by_pair(run_script, trained_run, mnist_root, tmp_path, undrawn):
    source = ("--dataset", "mnist", "--data-root", mnist_root, "--fraction", 0.1)
    done = run_script("evaluate.py", trained_run, *source, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["images"], metrics["pairs"]) == (1000, 499_500)
    assert metrics["positives"] == 10 * 100 * 99 // 2
    assert metrics["eer"] < 0.15


def test_weights_trained_on_mnist_are_measured_on_bundled_where_there_is_no_mnist(
    run_script, trained_run, tmp_path, no_network, undrawn
):
    folder = tmp_path / "weights"
    model = SiameseNetwork.from_pretrained(trained_run / "best")
    model.training_facts |= {"dataset": "mnist", "data_root": str(tmp_path / "none")}
    model.save_pretrained(folder)
    done = run_script("evaluate.py", folder, "--classes", "0,1")
    assert done.returncode == 0, done.stderr
    assert "bundled images instead" in done.stdout
    metrics = json.loads((tmp_path / "weights-evaluation" / "bundled-test-0,1" / "metrics.json").read_text())
    assert metrics["dataset"] == "bundled"
    assert_one_line_error(run_script("evaluate.py", folder, "--dataset", "mnist"), "bundled")


def test_half_of_mnist_is_no_mnist(run_script, trained_run, tmp_path, mnist_root, no_network, undrawn):
    """Where the test images are there, and those of validation can be neither found nor downloaded."""
    raw = tmp_path / "half" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (mnist_root / "MNIST" / "raw").glob("t10k-*-ubyte"):
        shutil.copy(path, raw)
    model = SiameseNetwork.from_pretrained(trained_run / "best")
    model.training_facts |= {"dataset": "mnist", "data_root": str(tmp_path / "half")}
    model.save_pretrained(tmp_path / "weights")
    done = run_script("evaluate.py", tmp_path / "weights", "--classes", "0,1")
    assert done.returncode == 0, done.stderr
    metrics = json.loads((tmp_path / "weights-evaluation" / "bundled-test-0,1" / "metrics.json").read_text())
    assert metrics["dataset"] == "bundled"


def test_no_weights_and_wrong_weights_are_one_line(run_script, tmp_path, monkeypatch):
    monkeypatch.setattr("siamese_mnist.runs.SCRIPTS", tmp_path)
    assert_one_line_error(run_script("evaluate.py", cwd=tmp_path), "train.py")
    assert_one_line_error(run_script("evaluate.py", tmp_path / "none"), "none")
    assert_one_line_error(run_script("evaluate.py", tmp_path), "config.json")
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "config.json").touch()
    with pytest.raises(InputError, match="best"):
        SiameseNetwork.from_pretrained(tmp_path)
