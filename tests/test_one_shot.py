"""One-shot tasks, and their accuracy against a plain loop."""

import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import REPOSITORY
from PIL import Image

from benchmarks.one_shot import measure, teach
from siamese_mnist import Digits, SiameseNetwork, galleries, one_shot
from siamese_mnist.evaluation import evaluate_network
from siamese_mnist.matching import Matcher

SIZES = {"Sanskrit/a": 4, "Sanskrit/b": 2, "Sanskrit/c": 3, "Tagalog/a": 4, "Tagalog/b": 4, "Lone/a": 4, "8": 3, "9": 2}


def symbols(sizes):
    """Blank images of classes of so many images each, in no order of classes."""
    labels = torch.tensor([label for rank in range(99) for label, size in enumerate(sizes.values()) if rank < size])
    return Digits(torch.zeros(len(labels), 1, 28, 28, dtype=torch.uint8), labels, tuple(sizes))


@pytest.fixture(scope="module")
def turned(test_digits):
    """Real digits, lying on their side, as two scripts of five classes."""
    names = tuple(f"{script}/{name}" for script in ("Left", "Right") for name in "abcde")
    return Digits(test_digits.images.rot90(1, (2, 3)), test_digits.labels, names).at_most(20)


def test_classes_of_one_script_are_a_group_and_a_lone_one_is_none():
    tasks = one_shot.draw_tasks(symbols(SIZES), 0)
    assert {group: own.queries.shape for group, own in tasks.items()} == {
        "Sanskrit": (100, 3),
        "Tagalog": (100, 2),
        "all": (100, 2),
    }


def test_a_task_has_two_different_images_of_every_class_the_same_class_at_the_same_place():
    digits = symbols(SIZES)
    for group, (candidates, queries) in one_shot.draw_tasks(digits, 0).items():
        assert torch.equal(digits.labels[candidates], digits.labels[queries])
        assert (candidates != queries).all()
        own = {label for label, name in enumerate(SIZES) if (name.rpartition("/")[0] or "all") == group}
        for classes in digits.labels[queries].tolist():
            assert len(classes) == len(own)
            assert {*classes} == own
        used = torch.cat([candidates, queries]).unique().tolist()
        assert used == [image for image, label in enumerate(digits.labels.tolist()) if label in own]


def test_of_classes_of_one_size_all_candidates_are_by_one_writer_and_all_queries_by_another():
    digits = symbols({f"Sanskrit/{number:02}": 20 for number in range(25)})
    writers = torch.arange(500) // 25
    candidates, queries = one_shot.draw_tasks(digits, 0)["Sanskrit"]
    assert queries.shape == (100, 20)
    assert all(len(classes.unique()) == 20 for classes in digits.labels[queries])
    by_candidate, by_query = (writers[images] for images in (candidates, queries))
    assert (by_candidate == by_candidate[:, :1]).all()
    assert (by_query == by_query[:, :1]).all()
    assert len(by_query[:, 0].unique()) > 15
    assert len(digits.labels[queries].unique()) == 25


def test_the_seed_decides_the_tasks():
    digits = symbols(SIZES)
    first, again, other = (one_shot.draw_tasks(digits, seed)["Sanskrit"] for seed in (0, 0, 1))
    assert torch.equal(first.queries, again.queries)
    assert torch.equal(first.candidates, again.candidates)
    assert not torch.equal(first.queries, other.queries)


def test_the_accuracy_is_that_of_a_plain_loop(turned):
    pixels, tasks = turned.images.flatten(1).double() / 255, one_shot.draw_tasks(turned, 0)

    def score(a, b):
        return a @ b.T - b.square().sum(1) / 2  # Which is not symmetric: the rows are the queries.

    measured = one_shot.measure(one_shot.answer(tasks, pixels, score))
    accuracies = []
    for group, own in tasks.items():
        right = []
        for candidates, queries in zip(own.candidates.tolist(), own.queries.tolist()):
            for place, query in enumerate(queries):
                scores = [score(pixels[[query]], pixels[[candidate]]).item() for candidate in candidates]
                right.append(max(scores) == scores[place] and scores.count(max(scores)) == 1)
        accuracies.append(np.mean(right))
        found = measured["one_shot"][group]
        assert found["ways"] == 5
        assert found["accuracy"] == pytest.approx(accuracies[-1], abs=1e-9)
        low, high = found["accuracy_ci95"]
        assert 0.005 < found["accuracy"] - low < 0.08
        assert 0.005 < high - found["accuracy"] < 0.08
    assert accuracies[0] != accuracies[1]
    assert measured["one_shot_accuracy"] == pytest.approx(np.mean(accuracies), abs=1e-9)
    low, high = measured["one_shot_accuracy_ci95"]
    assert low < measured["one_shot_accuracy"] < high
    assert (measured["one_shot_ways"], measured["one_shot_chance"]) == (5, 0.2)


def test_the_mean_of_groups_of_other_ways_counts_each_group_once():
    tasks = (
        one_shot.Tasks(*[torch.zeros(4, 2, dtype=torch.long)] * 2),
        one_shot.Tasks(*[torch.zeros(4, 5, dtype=torch.long)] * 2),
    )
    good, bad = torch.eye(2).expand(4, 2, 2), -torch.eye(5).expand(4, 5, 5)
    measured = one_shot.measure({"a": one_shot.Answers(tasks[0], good), "b": one_shot.Answers(tasks[1], bad)})
    assert measured["one_shot_accuracy"] == 0.5
    assert [own["accuracy"] for own in measured["one_shot"].values()] == [1, 0]
    assert (measured["one_shot_ways"], measured["one_shot_chance"]) == (3.5, pytest.approx(0.35))


def test_ties_are_wrong_and_nothing_that_went_wrong_is_no_certainty():
    tasks = one_shot.draw_tasks(symbols(SIZES), 0)
    knows = symbols(SIZES).labels.float()[:, None]
    all_alike = one_shot.measure(one_shot.answer(tasks, knows, lambda a, b: torch.ones(len(a), len(b))))
    perfect = one_shot.measure(one_shot.answer(tasks, knows, lambda a, b: -torch.cdist(a, b)))
    assert (all_alike["one_shot_accuracy"], perfect["one_shot_accuracy"]) == (0, 1)
    for group, own in perfect["one_shot"].items():
        low, high = own["accuracy_ci95"]
        assert high == 1
        assert low == pytest.approx(1 / (1 + 1.96**2 / len(tasks[group].queries.unique()))), group  # Wilson's, at 1


def test_the_interval_is_of_other_tasks():
    """Tasks that are all right or all wrong, as by an illegible writer: a query more in each makes it no narrower."""
    for ways in (2, 20):
        log_odds = torch.eye(ways).expand(100, ways, ways).clone()
        log_odds[:30] = 0
        none = one_shot.Tasks(*[torch.zeros(100, ways, dtype=torch.long)] * 2)
        own = one_shot.measure({"a": one_shot.Answers(none, log_odds)})["one_shot"]["a"]
        low, high = own["accuracy_ci95"]
        assert own["accuracy"] == pytest.approx(0.7)
        assert high - low == pytest.approx(2 * 1.96 * (0.7 * 0.3 / 100) ** 0.5, rel=0.15)


def test_only_classes_that_were_not_seen_are_asked_one_shot(released, turned, test_digits, monkeypatch):
    monkeypatch.setattr(one_shot, "TASKS", 20)
    seen = evaluate_network(released, test_digits.at_most(10), test_digits, 0)
    assert not [name for name in seen.metrics if "one_shot" in name]
    assert galleries.draw_one_shot(seen) is None
    unseen = evaluate_network(released, turned, turned, 0)
    assert seen.metrics.keys() < unseen.metrics.keys()
    baselines = {name: baseline.metrics for name, baseline in unseen.baselines.items()}
    for name, measured in baselines.items():
        assert measured.keys() == unseen.metrics.keys(), name
        assert {group: own["ways"] for group, own in measured["one_shot"].items()} == {"Left": 5, "Right": 5}
    assert baselines["always_different"]["one_shot_accuracy"] == 0
    assert unseen.metrics["one_shot_accuracy"] > baselines["untrained"]["one_shot_accuracy"] + 0.1
    assert unseen.metrics["one_shot_accuracy"] > 0.5


def test_the_figure_shows_wrong_answers_where_there_are_some(released, turned):
    figure = galleries.draw_one_shot(evaluate_network(released, turned, turned, 0))
    assert [axes.get_title(loc="left").split(":")[0] for axes in figure.axes] == ["Left", "Right"]
    for axes in figure.axes:
        marks = [text.get_text() for text in axes.texts]
        assert marks.count("✓") == 6
        assert marks.count("✗") == 3
        first = min(text.get_position()[0] for text in axes.texts)  # The most alike, which is chosen.
        assert all(text.get_position()[0] == first for text in axes.texts if text.get_text() == "✗")
        solid = [patch.get_linestyle() == "-" or patch.get_linestyle() == "solid" for patch in axes.patches]
        assert solid == [mark == "✓" for mark in marks]


@pytest.mark.filterwarnings("default::siamese_mnist.errors.InputNote")
def test_weights_of_some_digits_are_measured_on_whatever_classes_other_data_have(
    run_script, tmp_path, test_digits, request
):
    folder = tmp_path / "weights"
    model = SiameseNetwork.from_pretrained(REPOSITORY / "weights")
    model.classes, model.training_facts["classes"] = tuple("01234567"), "0-7"
    model.save_pretrained(folder)
    turned = test_digits.images.rot90(1, (2, 3))
    for label, script in enumerate(("Turned", "Turned", "Turned", "Other", "Other", "Other")):
        for number, image in enumerate(turned[test_digits.labels == label][:10, 0]):
            split = "test" if script == "Turned" else "val"
            for part in ("train", split):
                path = tmp_path / "symbols" / part / script / str(label) / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.numpy()).save(path)
    where = ("--dataset", "folder", "--data-root", tmp_path / "symbols")
    done = run_script("evaluate.py", folder, *where)
    assert done.returncode == 0, done.stderr
    assert "Turned, 3 ways" in done.stdout
    out = tmp_path / "weights-evaluation" / "folder-test"
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["classes"] == ["Turned/0", "Turned/1", "Turned/2"]
    assert {group: own["ways"] for group, own in metrics["one_shot"].items()} == {"Turned": 3}
    assert (out / "one_shot.png").is_file()
    request.getfixturevalue("undrawn")
    assert run_script("evaluate.py", folder, "--dataset", "bundled", "--out", tmp_path / "digits").returncode == 0
    metrics = json.loads((tmp_path / "digits" / "metrics.json").read_text())
    assert metrics["classes"] == [*"01234567"]  # other data, but digits: those that it learned
    assert "one_shot" not in metrics


def fake(encode_all, **thresholds):
    """A network whose log-odds are 10 at distance 0, and fall by 20 with every unit of distance."""
    return SimpleNamespace(
        encode_all=encode_all,
        logits=lambda a, b: 10 - 20 * torch.cdist(a, b),
        similarity=lambda a, b: (10 - 20 * torch.cdist(a, b)).sigmoid(),
        **thresholds,
    )


def test_who_knows_every_class_learns_every_symbol_and_is_refused_by_its_own_threshold(test_digits):
    """The first pixel tells the class."""
    six = symbols({f"Tagalog/{name}": 4 for name in "abcdef"})
    test_digits = Digits(test_digits.images.clone(), test_digits.labels)
    for digits, first in ((six, 100), (test_digits, 1)):
        digits.images[:, 0, 0, 0] = (digits.labels + first).to(torch.uint8)

    def encode(images):
        return torch.eye(256)[images[:, 0, 0, 0].long()]

    for rejection_threshold, threshold in ((0, 1), (1, 0)):
        model = fake(encode, rejection_threshold=rejection_threshold, threshold=threshold)
        rates = teach(Matcher(model, test_digits), six, six.members)
        for queries in ("symbols", "digits", "both"):
            assert rates[queries, False].shape == (100,)
            assert (rates[queries, False] == 1).all(), queries
        assert (rates["symbols", True] == rejection_threshold).all()
        assert (rates["digits", True] == threshold).all()
        assert (rates["both", True] == 0.5).all()


def test_no_query_is_an_example_or_a_reference(test_digits):
    """Embeddings that know each image again, but nothing of classes."""

    def encode(images):
        return torch.randn(len(images), 8, generator=torch.Generator().manual_seed(len(images)))

    pairs = symbols({f"Tagalog/{number}": 2 for number in range(12)})
    matcher = Matcher(fake(encode, rejection_threshold=0, threshold=0), test_digits.at_most(2))
    matcher.sample = partial(matcher.sample, at_most=1)
    rates = teach(matcher, pairs, pairs.members)
    assert rates["symbols", False].mean() < 0.35
    assert rates["digits", False].mean() < 0.35


def test_the_benchmark_has_the_figures_of_an_evaluation(released, turned):
    measured = measure(released, turned)
    evaluation = evaluate_network(released, turned, turned, 0)
    cosine = evaluation.baselines["pixel_cosine"].metrics["one_shot"]
    for group, own in evaluation.metrics["one_shot"].items():
        assert measured["similarity", group].mean().item() == pytest.approx(own["accuracy"])
        assert measured["pixel cosine", group].mean().item() == pytest.approx(cosine[group]["accuracy"], abs=0.002)
        assert measured["embedding distance", group].mean() > cosine[group]["accuracy"] - 0.1
