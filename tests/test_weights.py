"""The released weights: whole, small, as their card says, and good."""

import json

import numpy as np
import torch
from conftest import REPOSITORY
from PIL import Image, ImageDraw

from siamese_mnist import metrics, prepare_drawing
from siamese_mnist.augment import augment
from siamese_mnist.matching import Matcher
from siamese_mnist.strangers import scribbles

FOLDER = REPOSITORY / "weights"


def test_the_folder_is_whole_and_small():
    assert {path.name for path in FOLDER.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    assert (FOLDER / "model.safetensors").stat().st_size < 4e6
    assert "weights_crc32" in json.loads((FOLDER / "config.json").read_text())  # With it, damage is refused.


def test_the_card_states_the_command_of_the_training(released):
    facts = json.loads((FOLDER / "config.json").read_text())["training"]
    assert facts["command"] in (FOLDER / "README.md").read_text()
    assert (facts["dataset"], facts["images"], facts["data_root"]) == ("mnist", 54_000, "data")
    assert released.classes == tuple("0123456789")


def test_they_tell_bundled_digits_apart(released, test_digits):
    embeddings = released.encode_all(test_digits.images)
    with torch.no_grad():
        log_odds = released.logits(embeddings, embeddings)
    same, once = test_digits.labels[:, None] == test_digits.labels, torch.ones_like(log_odds).triu(1).bool()
    positives, negatives = (np.sort(log_odds[mask & once].numpy()) for mask in (same, ~same))
    assert metrics.equal_error(positives, negatives)[0] < 0.01
    assert metrics.log_loss(positives, negatives) < 0.05


def test_they_refuse_most_scribbles_and_hardly_any_digit(released, test_digits):
    """One digit in a hundred of those of validation may be refused; these are others, a little less like the rest."""
    matcher, generator = Matcher(released, test_digits), torch.Generator().manual_seed(0)
    strangers, passed = released.encode_all(scribbles(2000, torch.Generator().manual_seed(7))), []
    for _ in range(10):
        references = matcher.sample(generator)
        queries = torch.ones(500, dtype=torch.bool).index_fill(0, references.flatten(), False)
        scores = [matcher.scores(each, references).amax(1) for each in (matcher.embeddings[queries], strangers)]
        passed.append(torch.stack([(each >= released.rejection_threshold).float().mean() for each in scores]))
    digits, others = torch.stack(passed).mean(0)
    assert digits > 0.985
    assert others < 0.1


def test_a_disc_and_what_is_drawn_so_densely_that_it_becomes_one_are_like_no_digit(released, test_digits):
    matcher = Matcher(released, test_digits)
    references = matcher.sample(torch.Generator().manual_seed(0))
    t = np.linspace(0, 1, 300)
    for turns in (4, 5, 6):
        spiral = 140 + 110 * t[:, None] * np.stack([np.cos(2 * np.pi * turns * t), np.sin(2 * np.pi * turns * t)], 1)
        for width in (8, 16, 24):
            image = Image.new("L", (280, 280), 255)
            ImageDraw.Draw(image).line([tuple(point) for point in spiral], fill=0, width=width)
            assert matcher.match(matcher.model.encode_all(prepare_drawing(image)), references, {}).winner is None
    for radius in (20, 60, 120):
        image = Image.new("L", (280, 280), 255)
        ImageDraw.Draw(image).ellipse([140 - radius, 140 - radius, 140 + radius, 140 + radius], fill=0)
        assert matcher.match(matcher.model.encode_all(prepare_drawing(image)), references, {}).winner is None


def test_what_is_no_digit_is_the_same_as_itself_drawn_anew_and_as_little_else(released):
    images = scribbles(200, torch.Generator().manual_seed(7))
    again = augment(images, torch.Generator().manual_seed(1))
    with torch.no_grad():
        similarity = released.similarity(*(released.encode_all(each) for each in (images, again)))
    same = (similarity >= released.threshold).float()
    assert same.diagonal().mean() > 0.8
    assert same[~torch.eye(200, dtype=torch.bool)].mean() < 0.15
