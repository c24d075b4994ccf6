"""What the benchmarks' results rest on: that a step changes what it says, and that no image is compared with itself."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks import ablation, drawings, robustness, speed, strangers
from siamese_mnist import InputError, SiameseNetwork, handwriting, losses, symbols
from siamese_mnist.matching import Matcher
from siamese_mnist.options import TrainingOptions


@pytest.fixture
def some(test_digits):
    return test_digits.at_most(8)


@pytest.mark.parametrize("name", robustness.CHANGES)
def test_of_the_steps_of_a_change_one_changes_nothing_and_the_others_do(name, some):
    change, steps = robustness.CHANGES[name]
    images = some.images / 255
    neutral = 1 if "factor" in name else 0
    assert neutral in steps
    for step in steps:
        changed = change(images, step, torch.Generator().manual_seed(0))
        assert changed.shape == images.shape
        difference = (changed - images).abs().mean()
        assert difference < 0.015 if step == neutral else difference > 0.02, (step, difference)


def test_shifts_go_in_all_directions_by_whole_pixels(some):
    images = some.images / 255
    shifted = robustness.shift(images, 3, torch.Generator())
    for first, way in enumerate(((0, 3), (0, -3), (3, 0), (-3, 0))):
        moved = F.pad(images[first::4], (3, 3, 3, 3)).roll(way, (2, 3))[:, :, 3:-3, 3:-3]
        assert torch.allclose(shifted[first::4], moved, atol=1e-5), way


def test_robustness_compares_no_image_with_itself(some):
    """Embeddings know each image again but nothing of classes: only who lets it find itself is better than chance."""
    embeddings = torch.randn((len(some), 8), generator=torch.Generator().manual_seed(0))
    nearness = SimpleNamespace(logits=lambda a, b: -torch.cdist(a, b))
    eer, match = robustness.measure(nearness, embeddings + 0.01, embeddings, some)
    assert eer > 0.47
    assert match < 0.15


def test_pen_strokes_are_drawn_upright():
    seven = [np.array([[100, 0], [200, 0], [150, 200]]), np.array([[120, 100], [180, 100]])]
    for brush in (6, 30):
        image = drawings.draw(seven, brush, np.random.default_rng(brush))
        ink = np.asarray(image) < 128
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        assert rows[-1] - rows[0] >= drawings.SHORTEST
        assert 0 < rows[0] < rows[-1] < drawings.CANVAS - 1
        assert 0 < columns[0] < columns[-1] < drawings.CANVAS - 1
        assert ink[rows[0] + brush // 2].sum() > 2 * ink[rows[-1] - brush // 2].sum()  # the bar is above


def test_drawings_are_of_the_writers_asked_for(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        "sys.argv", ["drawings", "weights", "--writers", "val", "--digits", "20", "--out", str(tmp_path)]
    )
    asked = []
    monkeypatch.setattr(drawings, "pen_strokes", lambda split: asked.append(split) or handwriting.pen_strokes(split))
    drawings.main()
    assert asked == ["val"]
    rows = [line for line in capsys.readouterr().out.splitlines() if "px" in line]
    assert len(rows) == len(drawings.BRUSHES)
    assert all(float(line.split("%")[0].split()[-1]) > 80 for line in rows)
    assert (tmp_path / "drawings.png").stat().st_size > 10_000


def test_a_folder_of_strangers_is_its_images_on_which_something_is_drawn(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    Image.new("L", (60, 60), 255).save(tmp_path / "blank.png")
    cross = Image.new("L", (60, 60), 255)
    cross.paste(0, (10, 27, 50, 33))
    cross.paste(0, (27, 10, 33, 50))
    cross.save(tmp_path / "more" / "cross.png")
    found = strangers.open_folder(tmp_path)
    assert len(found) == 2
    assert strangers.prepare(found, "crosses").shape == (1, 1, 28, 28)
    with pytest.raises(InputError, match="crosses"):
        strangers.prepare(found[:1], "crosses")
    with pytest.raises(InputError, match="none"):
        strangers.open_folder(tmp_path / "none")
    (tmp_path / "torn.png").write_bytes((tmp_path / "blank.png").read_bytes()[:50])
    with pytest.raises(InputError, match="torn"):
        strangers.open_folder(tmp_path)


@pytest.mark.parametrize("kind", strangers.KINDS)
def test_strangers_of_a_kind_differ_and_are_the_same_each_time(kind):
    draw = strangers.KINDS[kind]
    first, second, again = (np.asarray(draw(np.random.default_rng(seed))) for seed in (0, 1, 0))
    assert (first < 128).any()
    assert not np.array_equal(first, second)
    assert np.array_equal(first, again)


def test_digits_are_not_scored_against_themselves(network, test_digits):
    matcher, generator = Matcher(network, test_digits), torch.Generator().manual_seed(0)
    sets = [matcher.sample(generator) for _ in range(3)]
    assert strangers.digit_scores(matcher, matcher.digits.images, sets, own=True).shape == (3 * (500 - 200),)
    assert strangers.digit_scores(matcher, matcher.digits.images, sets, own=False).shape == (3 * 500,)


@pytest.mark.slow
def test_a_row_of_the_ablation_is_trained_once_without_its_part(monkeypatch, tmp_path):
    drawn, draw = [], symbols.Symbols.draw
    monkeypatch.setattr(symbols.Symbols, "draw", lambda *args: drawn.append(draw(*args)) or drawn[-1])
    short = ["--images-per-class", "10", "--epochs", "1"]  # One batch of 80.
    monkeypatch.setitem(ablation.ROWS, "short", (short, {"symbols.COMPOSED": 0.0}))
    weights = ablation.train_without("short", tmp_path)
    assert (weights / "model.safetensors").is_file()
    drawn_for_80 = 0.8 * TrainingOptions().symbols
    left = round(drawn_for_80 * symbols.CHARACTERS) + round(drawn_for_80 * symbols.INVENTED)
    assert [len(images) for images, _ in drawn] == [symbols.COPIES * left]
    assert ablation.train_without("short", tmp_path) == weights
    assert len(drawn) == 1


def test_the_ablation_changes_constants_that_are_there():
    modules = {"symbols": symbols, "losses": losses}
    for _, constants in ablation.ROWS.values():
        for path, value in constants.items():
            module, name = path.split(".")
            assert type(getattr(modules[module], name)) is type(value)
            assert getattr(modules[module], name) > value == 0


def test_the_time_to_a_rate_is_that_of_the_first_weights_that_have_it(monkeypatch, tmp_path):
    errors = [0.5, 0.3, 0.05, 0.04, 0.021, 0.019, 0.015, 0.012]
    model = SiameseNetwork().state_dict()
    torch.save(
        [(10.0 * place, model | {"head.log_scale": torch.tensor(float(place))}) for place in range(8)],
        tmp_path / "kept.pt",
    )
    asked = []
    monkeypatch.setattr(
        speed, "equal_error", lambda model, _: asked.append(int(model.head.log_scale)) or errors[asked[-1]]
    )
    assert speed.times_to(tmp_path, None) == {"0.05": 20.0, "0.02": 50.0, "0.01": float("inf"), "eer": 0.012}
    assert len(asked) == len(set(asked)) < 8


def test_a_watch_leaves_out_its_own_time_and_keeps_weights_further_and_further_apart(monkeypatch, network):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("benchmarks.speed.time.time", lambda: clock.now)
    clone = torch.Tensor.clone

    def slow_clone(tensor):
        clock.now += 0.1
        return clone(tensor)

    monkeypatch.setattr(torch.Tensor, "clone", slow_clone)
    watch = speed.Watch(started=100.0)
    for _ in range(200):
        clock.now += 0.5
        watch.count(3, 2)
        watch.keep(network)
    assert watch.seconds == pytest.approx(100)
    assert (watch.pairs, watch.images, watch.begun) == (600, 400, 0.5)
    times = [at for at, _ in watch.kept]
    assert times[:3] == pytest.approx([0.5, 1, 1.5])
    assert all(later - earlier >= max(0.2, 0.05 * earlier) - 1e-6 for earlier, later in pairwise(times))
    assert len(times) < 80
