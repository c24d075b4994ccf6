"""How a run begins and goes on: elsewhere, after a kill, and never with damaged options or another history."""

import json
import os
import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from siamese_mnist import InputError
from siamese_mnist.options import TrainingOptions, as_typed, training_parser
from siamese_mnist.runs import Run


class Killed(BaseException):
    pass


def test_a_run_goes_on_with_its_own_options_alone(tmp_path, test_digits):
    options = TrainingOptions(encoder="conv2", head="distance", loss="contrastive", classes="0-7", augment=False)
    Run.new(str(tmp_path / "run"), options).begin(test_digits)
    assert Run.resume(str(tmp_path / "run"), {"encoder": "conv2"}).options == options
    with pytest.raises(InputError, match=r"--lr 0\.5: the run began with 0\.02"):
        Run.resume(str(tmp_path / "run"), {"lr": 0.5})


def test_a_run_goes_on_on_another_device_and_with_its_images_at_another_place(tmp_path, test_digits):
    options = TrainingOptions("csv", str(tmp_path / "old"), device="cuda")
    Run.new(str(tmp_path / "run"), options).begin(test_digits)
    moved = Run.resume(str(tmp_path / "run"), {"device": "cpu", "data_root": str(tmp_path / "new")}).options
    assert (moved.device, moved.data_root, moved.epochs) == ("cpu", str(tmp_path / "new"), options.epochs)
    assert Run.resume(str(tmp_path / "run"), {}).options == options


def test_a_run_from_before_anything_joined_goes_on_without(tmp_path, test_digits):
    Run.new(str(tmp_path / "run"), TrainingOptions()).begin(test_digits)
    path = tmp_path / "run" / "config.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in kept.items() if name not in ("also", "init")}))
    assert Run.resume(str(tmp_path / "run"), {}).options.joined == ()


def test_a_longer_training_is_a_new_run_by_a_command_to_paste(tmp_path, test_digits):
    folder = tmp_path / "my run"
    Run.new(str(folder), TrainingOptions(seed=3, classes="0, 7")).begin(test_digits)
    with pytest.raises(InputError, match="the learning rate") as caught:
        Run.resume(str(folder), {"epochs": 90})
    words = shlex.split(str(caught.value).split("a new run: ")[1])
    assert words[words.index("--classes") + 1] == "0, 7"
    given = vars(training_parser("").parse_args(words[2:]))
    options = TrainingOptions(**{name: value for name, value in given.items() if name not in ("out", "resume")})
    assert options == TrainingOptions(seed=3, classes="0, 7", epochs=90)
    with pytest.raises(InputError, match=r"--resume '.*/my run'"):
        Run.new(str(folder), TrainingOptions())


def test_a_run_killed_before_it_had_begun_begins(tmp_path, monkeypatch, test_digits):
    def kill(*_, **__):
        raise Killed

    for name, dying in (("empty", None), ("half", "fsync"), ("whole", "replace")):
        folder = tmp_path / name
        folder.mkdir()
        if dying:
            with monkeypatch.context() as patch:
                patch.setattr(os, dying, kill)
                patch.setattr(Path, "unlink", kill)  # A killed process tidies nothing.
                with pytest.raises(Killed):
                    Run.new(str(folder), TrainingOptions()).begin(test_digits)
            assert list(folder.iterdir())
        with pytest.raises(InputError, match=f"--out {folder}"):
            Run.resume(str(folder), {})
        Run.new(str(folder), TrainingOptions()).begin(test_digits)
        assert [path.name for path in folder.iterdir()] == ["config.json"]
        assert Run.resume(str(folder), {}).options == TrainingOptions()


WRONG = {
    "epochs": ['"3"', "3.5", "null", "true", "[3]", "1" + "0" * 400],
    "seed": ["-1", str(2**63), "0.5"],
    "lr": ['"fast"', "NaN", "Infinity", "false", "1" + "0" * 400],
    "augment": ["1", '"yes"', "null"],
    "fraction": ['"half"', "[0.5]"],
    "classes": ["[0, 1]", "7"],
    "data_root": ["null", "3"],
    "encoder": ["[]", "{}", "null"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_damaged_option_of_a_run_is_refused_by_file_and_name(tmp_path, name, value, test_digits):
    Run.new(str(tmp_path), TrainingOptions()).begin(test_digits)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {name: "HERE"}).replace('"HERE"', value))
    with pytest.raises(InputError, match=as_typed(name)) as caught:
        Run.resume(str(tmp_path), {})
    assert str(caught.value).startswith(f"{tmp_path / 'config.json'}: ")
    assert len(str(caught.value)) < 300


def row(epoch, **changes):
    return {"epoch": epoch, "loss": 0.5, "val_eer": 0.1, "val_eer_error": 0.01, "seconds": 1.0, **changes}


HISTORIES = {
    "begins late": [row(2)],
    "an epoch twice": [row(1), row(1)],
    "more epochs than the run": [row(1), row(2), row(3)],
    "NaN": [row(1, loss=float("nan"))],
    "text": [row(1, loss="low")],
    "a column less": [row(1), {"epoch": 2}],
    "no rows": ["row"],
    "no list": 7,
}


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_a_history_that_is_not_that_of_the_run_is_refused(tmp_path, history, test_digits):
    run = Run.new(str(tmp_path / "run"), TrainingOptions(epochs=2))
    run.begin(test_digits)
    torch.save({"history": [row(1), row(2)], "images": 1}, run.path / "state.pt")
    assert run.load_state({}, torch.device("cpu")) == ([row(1), row(2)], 1)
    torch.save({"history": history, "images": 1}, run.path / "state.pt")
    with pytest.raises(InputError, match=r"state\.pt"):
        run.load_state({}, torch.device("cpu"))


def test_weights_in_the_state_that_are_no_numbers_are_refused(tmp_path, test_digits):
    run, layer = Run.new(str(tmp_path / "run"), TrainingOptions(epochs=2)), torch.nn.Linear(2, 1)
    run.begin(test_digits)
    for wrong in (False, True):
        state = layer.state_dict() | ({"bias": torch.tensor([torch.inf])} if wrong else {})
        torch.save({"model": state, "history": [row(1)], "images": 1}, run.path / "state.pt")
        with pytest.raises(InputError, match=r"state\.pt") if wrong else nullcontext():
            run.load_state({"model": torch.nn.Linear(2, 1)}, torch.device("cpu"))
