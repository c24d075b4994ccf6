"""Scores against references and taught symbols, with the released weights."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from strokes import DIGITS, SYMBOLS, draw, place

from siamese_mnist import prepare_drawing
from siamese_mnist.matching import Symbol, compare


def test_the_score_is_the_similarity_at_the_mean_log_odds_of_the_references(matcher, references):
    image = prepare_drawing(draw(place(5, 180, 60, 40), 16))
    found = matcher.match(matcher.model.encode_all(image), references, {})
    for label, name in enumerate(matcher.names):
        assert (matcher.digits.labels[references[label]] == label).all()
        assert len(set(references[label].tolist())) == 20
        log_odds = [matcher.model(image, matcher.digits.images[i][None]).item() for i in references[label]]
        assert found.scores[name] == pytest.approx(1 / (1 + np.exp(-np.mean(log_odds))), abs=1e-4)
    assert found.winner == "5"


def test_an_odd_reference_does_not_hold_the_others_down(matcher, references):
    own, odd = matcher.digits.labels[:, None], references.clone()
    odd[:, 0] = references[:, 0].roll(5)  # a 2 among the sevens
    pure, held_down = (matcher.scores(matcher.embeddings, each).gather(1, own) for each in (references, odd))
    surest = pure > 0.9
    assert surest.sum() > 200
    assert (held_down <= pure)[surest].all()
    lost = (pure - held_down)[surest]
    assert lost.median() < 0.05 * pure[surest].median()  # the mean of the similarities would lose 1/20


def test_references_are_drawn(matcher, references):
    sets = [matcher.sample(torch.Generator().manual_seed(seed)) for seed in range(20)]
    assert all((matcher.digits.labels[references] == torch.arange(10)[:, None]).all() for references in sets)
    assert len(torch.stack(sets)[:, 7].unique()) == 50


def test_a_class_wins_from_the_rejection_threshold(matcher, references, monkeypatch):
    embedding = matcher.model.encode_all(prepare_drawing(draw(place(5, 180, 60, 40), 16)))
    score = matcher.match(embedding, references, {}).scores["5"]
    monkeypatch.setattr(matcher.model, "rejection_threshold", score - 1e-4)
    assert matcher.match(embedding, references, {}).winner == "5"
    monkeypatch.setattr(matcher.model, "rejection_threshold", score + 1e-4)
    assert matcher.match(embedding, references, {}).winner is None


def test_a_symbol_s_score_is_the_similarity_at_the_mean_log_odds_of_its_examples(matcher, references, monkeypatch):
    embedding = matcher.model.encode_all(prepare_drawing(draw(place(5, 180, 60, 40), 16)))
    alone = matcher.match(embedding, references, {})
    examples = matcher.embeddings[references[7, :3]]  # sevens
    taught = {
        "sevens": Symbol(torch.zeros(3, 1, 28, 28), examples),
        "itself": Symbol(torch.zeros(1, 1, 28, 28), embedding),
    }
    found = matcher.match(embedding, references, taught)
    assert {name: found.scores[name] for name in alone.scores} == alone.scores  # what is taught changes no class
    mean = matcher.model.logits(embedding, examples).mean().item()
    assert found.scores["sevens"] == pytest.approx(1 / (1 + np.exp(-mean)), abs=1e-5)
    assert found.winner == "itself"
    assert matcher.match(embedding, references, {"sevens": taught["sevens"]}).winner == "5"
    monkeypatch.setattr(matcher.model, "threshold", found.scores["itself"] + 1e-4)
    assert matcher.match(embedding, references, taught).winner is None


@pytest.mark.parametrize("name", SYMBOLS)
def test_one_example_tells_a_symbol_from_the_digits(matcher, references, name):
    def drawn(scale, left, top, brush):
        strokes = [[(left + scale * x, top + scale * y) for x, y in stroke] for stroke in SYMBOLS[name]]
        return prepare_drawing(draw(strokes, brush))

    example = drawn(2, 40, 40, 14)
    taught = {name: Symbol(example, matcher.model.encode_all(example))}

    def winner(image):
        return matcher.match(matcher.model.encode_all(image), references, taught).winner

    variants = [drawn(*each) for each in ((1.2, 20, 100, 12), (1.6, 90, 10, 16), (2.2, 30, 30, 10), (0.9, 150, 40, 9))]
    assert sum(winner(variant) == name for variant in variants) >= 3
    digits = [prepare_drawing(draw(place(digit, 180, 60, 40), 16)) for digit in DIGITS]
    assert sum(winner(image) == str(digit) for digit, image in zip(DIGITS, digits)) >= 9


def test_two_images_are_compared_as_the_network_compares_them(matcher, test_digits):
    a, b = test_digits.images[:1], test_digits.images[1:2]
    similarity, distance = compare(matcher.model, a, b)
    one, other = (matcher.model.encode_all(image) for image in (a, b))
    assert similarity == pytest.approx(matcher.model.similarity(one, other).item())
    assert distance == pytest.approx((one - other).square().sum().sqrt().item())


def modules_loaded_by(name):
    words = f"import sys, {name}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_page_s_script_loads_nothing_that_measures_or_plots():
    measuring = {f"siamese_mnist.{name}" for name in ("allpairs", "bootstrap", "calibration", "evaluation", "figures")}
    assert not (measuring | {"matplotlib", "sklearn"}) & modules_loaded_by("demo")


def test_matching_loads_nothing_that_measures_plots_or_serves():
    loaded = modules_loaded_by("siamese_mnist.matching")
    assert "siamese_mnist.matching" in loaded
    own = {name.split(".", 1)[1] for name in loaded if name.startswith("siamese_mnist.")}
    readers = {
        "download",
        "folders",
        "handwriting",
        "idx",
        "images",
        "listing",
        "omniglot",
        "paper",
        "sources",
        "tables",
    }
    known = {
        "data",
        "device",
        "distributed",
        "drawing",
        "encoders",
        "errors",
        "files",
        "heads",
        "matching",
        "model",
        "pairs",
        "pen",
        "registry",
    }
    assert own <= known | readers
    assert not {"matplotlib", "sklearn", "gradio", "pandas", "torchvision"} & loaded
