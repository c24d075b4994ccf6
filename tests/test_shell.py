"""What the shell does to the scripts: another folder, ~, another encoding, Ctrl-C, output in a file."""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from conftest import REPOSITORY, as_png, assert_one_line_error, heed_interrupts
from PIL import Image, ImageOps
from strokes import draw, place

from siamese_mnist.errors import command
from siamese_mnist.options import FOLDER

QUICK = ("--images-per-class", 8, "--epochs", 2, "--batch-size", 40, "--encoder", "conv2", "--also", "none")
MATCH = ("siamese_mnist/__main__.py", "match", REPOSITORY / "weights")


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my drawings")
    for digit in (2, 7):
        (folder / f"{digit}.png").write_bytes(as_png(draw(place(digit, 150, 90, 50), 14)))
    (folder / "narrow 7.png").write_bytes(as_png(draw(place(7, 120, 60, 90), 16)))
    (folder / "text.png").write_text("no image")
    return folder


def test_from_another_folder_the_home_and_the_way_on_are_found(run_process, tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = run_process("train.py", *QUICK, "--out=~/my run", cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "%|" not in done.stderr  # a bar
    assert len(re.findall("^epoch", done.stdout, re.MULTILINE)) == 2
    assert not (tmp_path / "~").exists()
    words = shlex.split(done.stdout.splitlines()[-2])
    assert words == ["python", str(REPOSITORY / "evaluate.py"), str(tmp_path / "my run")]


def test_a_command_is_found_and_quoted_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    assert command("train.py", "--resume", "runs/a b") == "python train.py --resume 'runs/a b'"
    monkeypatch.chdir(REPOSITORY.parent)
    assert shlex.split(command("train.py"))[1] == f"{REPOSITORY.name}/train.py"
    monkeypatch.chdir(tmp_path)
    assert shlex.split(command("train.py", "it's")) == ["python", str(REPOSITORY / "train.py"), "it's"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FOLDER["type"]("~/x") == str(tmp_path / "x")
    assert FOLDER["type"]("owner/name") == "owner/name"
    with pytest.raises(argparse.ArgumentTypeError):
        FOLDER["type"]("")


def test_the_table_comes_whatever_the_output_can_encode(run_process, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    some = ("--dataset", "bundled", "--classes", "3,5", "--fraction", "0.06", "--out", tmp_path)
    done = run_process("evaluate.py", REPOSITORY / "weights", *some, env=environment, encoding="ascii")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^log loss +\d", done.stdout, re.MULTILINE)
    assert "6 images" in done.stdout
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    for name in ("eer", "accuracy", "balanced_accuracy", "match_accuracy_1", "auc"):
        low, high = metrics[f"{name}_ci95"]
        assert high - low > 0.1, name  # Six images say no more, though none went wrong.


@pytest.mark.slow
def test_who_reads_no_further_does_not_end_the_training(tmp_path):
    command = [sys.executable, "train.py", *map(str, QUICK), "--out", str(tmp_path / "run")]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert "80 bundled images" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert (tmp_path / "run" / "curves.png").exists()


@pytest.mark.parametrize(
    ("full", "status", "told"), [("stdout", 2, "standard output: No space"), ("stderr", 0, "kept")]
)
def test_output_on_a_full_disk_ends_in_one_line_and_errors_there_end_nothing(full, status, told):
    code = "import sys; from siamese_mnist.errors import *; end_quietly_while_loading(int);"
    code += "run_script(lambda: print('lost', file=sys.stderr, flush=True) or print('kept', flush=True))"
    with open("/dev/full", "w") as disk:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, full: disk}
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, text=True, check=False, **streams)
    assert done.returncode == status
    lines = f"{done.stdout or ''}{done.stderr or ''}".splitlines()
    assert told in lines[-1]
    assert len(lines) == 1 + (full == "stdout")


@pytest.mark.slow
@pytest.mark.parametrize("script", ["train.py", "evaluate.py", "demo.py", "-m siamese_mnist match weights 7.png"])
def test_ctrl_c_while_torch_is_loaded_ends_in_one_line(tmp_path, script):
    """The interrupt comes when the first of torch's modules is imported."""
    (tmp_path / "torch.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n")
    command = [sys.executable, *script.split()]
    options = {"cwd": REPOSITORY, "env": {**os.environ, "PYTHONPATH": str(tmp_path)}, "preexec_fn": heed_interrupts}
    done = subprocess.run(command, capture_output=True, text=True, timeout=25, check=False, **options)
    assert (done.returncode, done.stderr.strip(), done.stdout) == (130, "Stopped.", "")


def test_two_images_are_the_same_or_different_without_a_page(run_script, drawings):
    for other, word in (("narrow 7", "same"), ("2", "different")):
        done = run_script(*MATCH, drawings / "7.png", drawings / f"{other}.png")
        assert done.returncode == 0, done.stderr
        similarity, threshold, distance = map(float, re.findall(r"\d+\.\d+", done.stdout))
        assert done.stdout.startswith(word)
        assert (similarity >= threshold) == (word == "same")
        assert distance > 0


def test_one_image_is_matched_as_the_page_s_api_does(run_script, drawings, released, test_digits, page_app):
    done = run_script(*MATCH, drawings / "7.png")
    assert done.returncode == 0, done.stderr
    verdict, scores = done.stdout.strip().split(", similarity to ")
    expected = page_app.match_file(str(drawings / "7.png"))
    assert expected["winner"] == "7"
    assert verdict == f"7: threshold {released.rejection_threshold:.4f}"
    assert [score.split() for score in scores.split(", ")] == [[n, f"{s:.4f}"] for n, s in expected["scores"].items()]


def test_what_cannot_be_matched_is_one_line(run_script, drawings, tmp_path):
    assert_one_line_error(run_script(*MATCH, drawings / "none.png"), "none.png")
    assert_one_line_error(run_script(*MATCH, drawings / "text.png"), "text.png")
    assert_one_line_error(run_script(*MATCH, *[drawings / "7.png"] * 3), "3 images")
    assert_one_line_error(run_script(*MATCH), "file")
    assert_one_line_error(run_script(MATCH[0]), "required")
    assert_one_line_error(run_script(*MATCH[:2], tmp_path / "none", drawings / "7.png"), "none", "weights")


@pytest.mark.slow
def test_matching_without_a_page_loads_neither_page_nor_plots(drawings):
    code = f"import runpy, sys; sys.argv[1:] = ['match', 'weights', {str(drawings / '7.png')!r}];"
    code += "runpy.run_module('siamese_mnist', run_name='__main__'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert not {"gradio", "matplotlib", "sklearn", "pandas"} & set(done.stdout.split())


def test_a_run_s_images_may_move_but_not_change(run_script, tmp_path, train_digits):
    for label, name in enumerate(("anchor", "boat")):
        (tmp_path / "old" / name).mkdir(parents=True)
        for number, image in enumerate(train_digits.images[train_digits.labels == label][:8, 0]):
            Image.fromarray(image.numpy()).save(tmp_path / "old" / name / f"{number}.png")
    where = ("--dataset", "folder", "--data-root", tmp_path / "old", "--batch-size", 4, "--epochs", 1)
    assert run_script("train.py", *where, "--out", tmp_path / "run").returncode == 0
    shutil.move(tmp_path / "old", tmp_path / "new")
    resume = ("train.py", "--resume", tmp_path / "run")
    assert_one_line_error(run_script(*resume), "old", "--data-root")
    assert run_script(*resume, "--data-root", tmp_path / "new").returncode == 0
    for path in (tmp_path / "new" / "boat").iterdir():
        ImageOps.mirror(Image.open(path)).save(path)
    assert_one_line_error(run_script(*resume, "--data-root", tmp_path / "new"), "new", "other images")
