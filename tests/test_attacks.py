"""The attacks of tests/stress in small numbers, and what they rest on: locks, and a server that shows what it takes."""

import signal
import subprocess
import sys

import pytest
from conftest import REPOSITORY, assert_one_line_error

from siamese_mnist import losses
from tests.stress import page
from tests.stress.visitors import served

pytestmark = pytest.mark.slow
HOLD = "import sys, pathlib, siamese_mnist.files as f\nwith f.held(pathlib.Path(sys.argv[1]), sys.argv[2]):\n"
HOLD += "    print('held', flush=True)\n    input()\n"
SHORT = ("--images-per-class", 8, "--epochs", 1, "--batch-size", 40, "--encoder", "conv2", "--also", "none")


def attack(name, *words):
    command = [sys.executable, "-m", f"tests.stress.{name}", *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_training_killed_stopped_or_without_space_goes_on_as_if_nothing_had_been():
    assert attack("kills", "--share", "0.02").count("nothing lost") == 7


@pytest.mark.parametrize(("what", "script"), [("training", "train.py"), ("evaluation", "evaluate.py")])
def test_the_second_in_a_folder_says_so_and_stops_until_the_first_is_killed(tmp_path, run_script, what, script):
    folder = tmp_path / "folder"
    words = (*SHORT, "--out", folder) if what == "training" else (REPOSITORY / "weights", "--out", folder)
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": REPOSITORY}
    with subprocess.Popen([sys.executable, "-c", HOLD, folder, what], **options) as first:
        assert first.stdout.readline() == "held\n"
        assert_one_line_error(run_script(script, *words), str(folder), f"another {what}")
        first.send_signal(signal.SIGKILL)
    if what == "training":
        assert run_script(script, *words).returncode == 0
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_folder_that_was_moved_away_is_not_begun_anew(tmp_path, run_script, monkeypatch):
    from siamese_mnist.runs import Run

    real = Run.begin
    folder = tmp_path / "run"
    monkeypatch.setattr(Run, "begin", lambda run, digits: (real(run, digits), folder.rename(tmp_path / "moved")))
    assert_one_line_error(run_script("train.py", *SHORT, "--out", folder), str(folder), "moved")
    assert not folder.exists()
    monkeypatch.setattr(Run, "begin", real)
    assert run_script("train.py", "--resume", tmp_path / "moved").returncode == 0


def test_a_training_that_diverges_leaves_nothing(tmp_path, run_script, monkeypatch):
    monkeypatch.setattr(losses, "bce", lambda model, embeddings, *_: embeddings.sum() * float("inf"))
    assert_one_line_error(run_script("train.py", *SHORT, "--out", tmp_path / "run"), "--lr", "epoch 1")
    assert not (tmp_path / "run").exists()


INTS = ("x", "", "-1", "1e99", "nan", "0.5", "9" * 20, "9" * 5000)
FLOATS = ("x", "", "-1", "nan", "inf", "1e99", "-inf")
PATHS = ("", "~nobody_x", "/dev/null/x", "x" * 300)
ABSURD = {
    "train.py": {
        **dict.fromkeys(("--epochs", "--batch-size", "--symbols", "--images-per-class"), (*INTS, "0")),
        **dict.fromkeys(("--lr", "--margin", "--match-weight"), FLOATS),
        **dict.fromkeys(("--dataset", "--encoder", "--head", "--loss", "--optimizer", "--device"), ("x", "")),
        **dict.fromkeys(("--out", "--resume", "--init"), PATHS),
        "--seed": INTS,
        "--fraction": (*FLOATS, "0", "2"),
        "--classes": ("", "x", "0-", "9-0", "0", ",", "0-99999999999"),
        "--also": ("", "x", "pens,x"),
        "--dataset folder --data-root": PATHS,
        "--dataset csv --data-root": PATHS,
        "--batch-size 4000 --symbols": ("4000",),
    },
    "evaluate.py WEIGHTS": {
        "--pairs": (*INTS, "0", "601"),
        "--seed": INTS,
        "--fraction": (*FLOATS, "0", "2"),
        "--classes": ("x", "0-", "9-0", "0", ","),
        "--dataset": ("x", ""),
        "--split": ("x", ""),
        "--out": PATHS,
        "--dataset folder --data-root": PATHS,
    },
    "evaluate.py": {"": ("/dev/null/x", "x" * 300, "no/such", "~nobody_x")},
    "demo.py WEIGHTS": {"--port": (*INTS, "0", "65536"), "--host": ("x" * 300, "256.1.1.1", "a b")},
    "demo.py": {"": ("/dev/null/x", "x" * 300, "no/such", "~nobody_x")},
}


@pytest.mark.parametrize(("command", "option"), [(command, option) for command in ABSURD for option in ABSURD[command]])
def test_an_absurd_value_is_one_line_and_leaves_nothing(run_script, tmp_path, command, option):
    script, *weights = command.replace("WEIGHTS", str(REPOSITORY / "weights")).split()
    for value in ABSURD[command][option]:
        assert_one_line_error(run_script(script, *weights, *option.split(), value, cwd=tmp_path))
        assert not [*tmp_path.iterdir()], value


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with served(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.mark.parametrize(("name", "count"), [("images", 100), ("strangers", 5), ("addresses", 50), ("crowd", 2)])
def test_the_page_withstands(server, name, count):
    getattr(page, name)(server, count)


def test_the_greedy_leave_nothing_behind(server):
    found = page.greedy(server, 6)
    assert found["peak MB"] < page.MOST_MEMORY
    before, after = found["descriptors"]
    assert after <= before + 3
    assert "Traceback" not in server.complaints
