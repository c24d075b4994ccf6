"""What is particular to train.py: the schedule, the average of the weights, the fingerprint of the images, the help."""

import dataclasses

import pytest
import torch
from conftest import REPOSITORY, assert_one_line_error
from PIL import Image, ImageOps
from torch.optim.swa_utils import AveragedModel

import train
from siamese_mnist import SiameseNetwork
from siamese_mnist.options import TrainingOptions, as_typed
from siamese_mnist.registry import ENCODERS, LOSSES


def test_the_learning_rate_rises_and_falls_in_half_cosines():
    assert train.one_cycle(0) == pytest.approx(0.04)
    assert train.one_cycle(0.15) == pytest.approx(0.52)
    assert train.one_cycle(0.3) == pytest.approx(1)
    assert train.one_cycle(0.65) == pytest.approx(0.5)
    assert train.one_cycle(1) == pytest.approx(0)
    rates = [train.one_cycle(step / 100) for step in range(101)]
    assert rates == [*sorted(rates[:31]), *sorted(rates[31:], reverse=True)]


def test_the_average_forgets_the_first_half_of_the_steps():
    """Each step counts (k + 1) / 2 times as much as one before it, so that the last half weighs three quarters."""
    model = torch.nn.Linear(1, 1, bias=False)
    average = AveragedModel(model, avg_fn=train.move_average, use_buffers=True)
    for step in range(1, 401):
        with torch.no_grad():
            model.weight.fill_(float(step > 200))
        average.update_parameters(model)
    assert average.module.weight.item() == pytest.approx(0.75, abs=0.01)


def test_the_average_has_the_network_s_counters_and_running_means():
    torch.manual_seed(0)
    model = SiameseNetwork()
    average = AveragedModel(model, avg_fn=train.move_average, use_buffers=True)
    for _ in range(3):
        model.train().encode(torch.rand(4, 1, 28, 28))
        average.update_parameters(model)
    norm, own = average.module.encoder[2], model.encoder[2]
    assert norm.num_batches_tracked == own.num_batches_tracked == 3
    assert not torch.equal(norm.running_mean, own.running_mean)
    assert (norm.running_mean - own.running_mean).abs().max() < own.running_mean.abs().max()


def test_a_run_does_not_go_on_with_other_images(run_script, tmp_path, train_digits):
    for label, name in enumerate(("anchor", "boat")):
        (tmp_path / "symbols" / name).mkdir(parents=True)
        for number, image in enumerate(train_digits.images[train_digits.labels == label][:6, 0]):
            Image.fromarray(image.numpy()).save(tmp_path / "symbols" / name / f"{number}.png")
    where = ("--dataset", "folder", "--data-root", tmp_path / "symbols", "--batch-size", 4)
    assert run_script("train.py", *where, "--epochs", 1, "--out", tmp_path / "run").returncode == 0
    assert run_script("train.py", "--resume", tmp_path / "run").returncode == 0
    for path in (tmp_path / "symbols" / "boat").iterdir():
        ImageOps.mirror(Image.open(path)).save(path)
    assert_one_line_error(run_script("train.py", "--resume", tmp_path / "run"), "symbols", "other images")


def test_a_state_of_another_version_is_one_line(run_script, tmp_path):
    quick = ("--images-per-class", 4, "--epochs", 1, "--batch-size", 20)
    assert run_script("train.py", *quick, "--out", tmp_path / "run").returncode == 0
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    torch.save({name: part for name, part in state.items() if name != "schedule"}, tmp_path / "run" / "state.pt")
    assert_one_line_error(run_script("train.py", "--resume", tmp_path / "run"), "state.pt", "another version")


def test_a_training_starts_from_weights(run_script, tmp_path, released, train_digits):
    """With no learning rate to speak of, what comes out is what went in."""
    options = ("--images-per-class", 4, "--batch-size", 20, "--epochs", 1, "--lr", 1e-9, "--also", "none")
    done = run_script("train.py", *options, "--init", REPOSITORY / "weights", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    trained = SiameseNetwork.from_pretrained(tmp_path / "run" / "last")
    for (name, before), after in zip(released.named_parameters(), trained.parameters()):
        assert torch.allclose(before, after, atol=1e-5), name
    other = ("--encoder", "conv2", "--init", REPOSITORY / "weights", "--out", tmp_path / "other")
    assert_one_line_error(run_script("train.py", *options, *other), "--init", f"{released.encoder_name} and mlp")
    assert not (tmp_path / "other").exists()


def test_what_joins_the_images_is_known_and_of_use(run_script, tmp_path):
    assert_one_line_error(run_script("train.py", "--also", "pens,stars"), "--also", "pens,symbols")
    contrastive = ("--head", "distance", "--loss", "contrastive")
    assert_one_line_error(run_script("train.py", *contrastive, "--also", "symbols"), "--also", "contrastive")
    assert TrainingOptions(head="distance", loss="contrastive").joined == ()
    assert TrainingOptions().joined == ("pens", "symbols")
    assert "--also" not in TrainingOptions().as_command()
    assert "--also none" in TrainingOptions(also="none").as_command()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_every_encoder(run_script, tmp_path, loss):
    for encoder in ENCODERS:
        options = ("--images-per-class", 8, "--batch-size", 40, "--epochs", 1, "--head", "distance", "--loss", loss)
        done = run_script("train.py", *options, "--encoder", encoder, "--out", tmp_path / encoder)
        assert done.returncode == 0, done.stderr
        facts = SiameseNetwork.from_pretrained(tmp_path / encoder / "best").training_facts
        assert (facts["loss"], facts["encoder"], facts["head"]) == (loss, encoder, "distance")


def test_help_shows_every_option_with_its_default(run_script):
    done = run_script("train.py", "--help")
    assert done.returncode == 0
    text = " ".join(done.stdout[done.stdout.index("\noptions:") :].split())
    for option in dataclasses.fields(TrainingOptions):
        told = text[text.index(f" {as_typed(option.name)}") :]
        default = "0.004 with muon" if option.name == "lr" else option.default
        assert default in (None, True, False) or f"(default: {default}" in told[: told.index(")") + 1]
    assert " --out " in text
    assert " --resume " in text
