"""The handwriting that comes with the package: what its files hold, who is in which split, how strokes are drawn."""

import io
import tomllib
import zipfile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import REPOSITORY, as_png
from PIL import Image, ImageDraw
from scipy import ndimage

from benchmarks import drawings, pack
from siamese_mnist import InputError, handwriting, load_digits, prepare_drawing
from siamese_mnist.drawing import TYPICAL, fit_image, stroke_width
from siamese_mnist.registry import SPLITS

SCRIPTS = {
    "train": {"Early_Aramaic": 22, "Greek": 24, "Japanese_(katakana)": 47, "Korean": 40, "Latin": 26},
    "val": {"Balinese": 24},
    "test": {"Sanskrit": 42, "Tagalog": 17},
}
UNIPEN = """.COMMENT a seven of two strokes, y growing upwards
.SEGMENT DIGIT 0 ? "7"
.COMMENT 7 12 224
.PEN_DOWN
100 300
200 300
150 -9000
.PEN_UP
.DT 100
.PEN_DOWN
 120 200
 180 9200
.PEN_UP
.SEGMENT DIGIT 1 ? "1"
.COMMENT 1 3 0
.PEN_DOWN
50 300
50 100
.PEN_UP
.PEN_DOWN
50 100
.PEN_UP
"""


@pytest.fixture(scope="module")
def pens():
    return load_digits("pens", split="val")


@pytest.mark.parametrize("split", SPLITS)
def test_symbols_are_split_by_script_with_twenty_images_a_character(split):
    symbols = load_digits("symbols", split=split)
    scripts = SCRIPTS[split]
    expected = [f"{script}/character{i:02}" for script in scripts for i in range(1, scripts[script] + 1)]
    assert symbols.names == expected
    assert [len(members) for members in symbols.members] == [20] * len(expected)


def test_no_image_is_in_two_splits_and_classes_differ():
    splits = {split: load_digits("symbols", split=split) for split in SPLITS}
    keys = [{image.numpy().tobytes() for image in splits[split].images} for split in SPLITS]
    assert len(set.union(*keys)) == sum(map(len, keys))
    assert sum(map(len, keys)) > 4800


@pytest.mark.parametrize("split", SPLITS)
def test_the_images_of_a_script_s_classes_are_in_the_order_of_the_same_people(split):
    """Each has a weight and proportions of one's own, so that the means by person vary more than in any other order."""
    symbols, random = load_digits("symbols", split=split), np.random.default_rng(0)
    images = symbols.images[:, 0].numpy() / 255
    high, wide = ((images.max(axis) > 0.2).sum(1) for axis in (2, 1))
    for script in SCRIPTS[split]:
        of_script = np.array([symbols.class_names[label].startswith(f"{script}/") for label in symbols.labels])
        more = []
        for habit in (images.mean((1, 2)), np.log(high / wide)):
            by_class = habit[of_script].reshape(-1, 20)
            by_class = by_class - by_class.mean(1, keepdims=True)
            shuffled = [random.permuted(by_class, axis=1).mean(0).var() for _ in range(100)]
            more.append(by_class.mean(0).var() / np.mean(shuffled))
        assert np.mean(more) > 2, script


def test_digits_of_the_pen_are_split_by_writer():
    digits = handwriting.unpack_strokes(handwriting.PENDIGITS)
    assert len(digits) == len(handwriting.pen_strokes(None)) == 7494
    writers = {
        split: {digit.writer for digit in digits if digit.writer in handwriting.WRITERS[split]} for split in SPLITS
    }
    assert writers == {"train": set(range(1, 23)), "val": {23, 24}, "test": set(range(25, 31))}
    assert [len(handwriting.pen_strokes(split)) for split in SPLITS] == [5496, 500, 1498]
    for split in SPLITS:
        of_split = [digit for digit in digits if digit.writer in writers[split]]
        drawn = handwriting.pen_strokes(split)
        assert [label for label, _ in drawn] == [digit.label for digit in of_split]
        assert all(strokes is digit.strokes for (_, strokes), digit in zip(drawn, of_split, strict=True))


def test_images_of_the_pen_have_the_labels_of_their_strokes(pens):
    assert pens.names == list("0123456789")
    assert pens.labels.tolist() == [label for label, _ in handwriting.pen_strokes("val")]
    assert pens.images.shape == (500, 1, 28, 28)


def test_digits_of_the_pen_are_upright_for_a_network_that_knows_mnist(pens, matcher, references):
    with torch.no_grad():
        scores = matcher.scores(matcher.model.encode_all(pens.images), references)
    assert (scores.argmax(1) == pens.labels).float().mean() > 0.95


def test_images_have_mnist_s_size_place_and_stroke_width(pens):
    """MNIST's centre of mass is the corner between the four pixels in the middle, 14, of which rounding takes half."""
    widths = []
    for image in pens.images[:, 0].numpy():
        rows, columns = ndimage.find_objects((image > 0).astype(int))[0]
        assert max(rows.stop - rows.start, columns.stop - columns.start) == 20
        assert np.abs(np.array(ndimage.center_of_mass(image)) - 14).max() < 0.52
        widths.append(stroke_width(image[rows, columns] / 255))
    assert np.median(widths) == pytest.approx(TYPICAL, abs=0.1)
    assert np.quantile(widths, 0.01) > 2
    assert np.quantile(widths, 0.99) < 2.7
    mnist = load_digits("bundled").images
    assert pens.images.float().mean() == pytest.approx(float(mnist.float().mean()), rel=0.1)


def test_strokes_become_what_their_drawing_would():
    """`drawings.draw` with a brush that gives the typical width on its canvas of 280 pixels."""

    class Middle:
        def uniform(self, low=0, high=1, size=None):
            return 200 if size is None else np.full(size, 0.5)

    chosen = [strokes for _, strokes in handwriting.pen_strokes("val")[::10]]
    prepared = torch.cat([prepare_drawing(drawings.draw(strokes, 26, Middle())) for strokes in chosen])
    alike = F.cosine_similarity(handwriting.draw_strokes(chosen).flatten(1), prepared.flatten(1))
    assert alike.mean() > 0.9
    assert alike.min() > 0.7


def test_strokes_are_drawn_whatever_their_size_and_nothing_between_them():
    strokes = [np.array([[0.0, 0], [0, 40]]), np.array([[30.0, 0], [30, 2], [30, 25]]), np.array([[15.0, 20]])]
    image = handwriting.draw_strokes([strokes, [7 * stroke - 300 for stroke in strokes]])
    assert torch.allclose(image[0], image[1], atol=1e-3)
    parts, count = ndimage.label(image[0, 0] > 0.2)
    assert count == 3
    dot, short, long = sorted(np.bincount(parts.ravel())[1:])
    assert dot < 13 < 25 < short < 0.75 * long


def test_no_ink_leaves_the_image_where_its_mass_is_at_one_end():
    foot = np.array([[x, y] for y in range(86, 101, 2) for x in (-48, 48)], float)
    image = handwriting.draw_strokes([[np.array([[0.0, 0], [0, 100]]), foot]])[0, 0]
    assert torch.where((image > 0.01).any(1))[0].tolist() == list(range(20))


@pytest.mark.parametrize("points", [[[5.0, 5]], [[5.0, 5], [5, 5]]])
def test_a_dot_is_drawn(points):
    image = handwriting.draw_strokes([[np.array(points)]])
    assert image.isfinite().all()
    assert 2 < image.sum() < 12


def test_pen_strokes_are_read_packed_and_unpacked_without_loss(tmp_path):
    (tmp_path / "digits").write_text(UNIPEN)
    read = pack.read_unipen(str(tmp_path / "digits"))
    (tmp_path / "packed.npz").write_bytes(pack.compress(handwriting.pack_strokes(read)))
    expected = [
        (7, 12, [[[100, -300], [200, -300], [150, 9000]], [[120, -200], [180, -9200]]]),
        (1, 3, [[[50, -300], [50, -100]], [[50, -100]]]),
    ]
    for digits in (read, handwriting.unpack_strokes(tmp_path / "packed.npz")):
        found = [(digit.label, digit.writer, [stroke.tolist() for stroke in digit.strokes]) for digit in digits]
        assert found == expected
        assert {stroke.dtype for digit in digits for stroke in digit.strokes} == {np.dtype(float)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no strokes",
        UNIPEN.replace("120 200", "120 x"),
        UNIPEN.replace("120 200", "120"),
        UNIPEN.replace("120 200", "120 20000"),
        UNIPEN.replace('"7"', '"12"'),
        UNIPEN.replace(".COMMENT 1 3 0\n", ""),
        UNIPEN.split("50 300")[0],
    ],
)
def test_a_file_without_pen_strokes_is_named(tmp_path, text):
    (tmp_path / "digits").write_text(text)
    with pytest.raises(InputError, match="digits"):
        pack.read_unipen(str(tmp_path / "digits"))


def test_packing_again_makes_the_same_bytes_whatever_the_day(monkeypatch):
    arrays = {"some": np.arange(9), "others": np.arange(4)}
    packed = pack.compress(arrays)
    monkeypatch.setattr("time.time", lambda: 0)
    monkeypatch.setattr("time.localtime", lambda *_: (2001, 2, 3, 4, 5, 6))
    assert pack.compress(arrays) == packed
    for file in (handwriting.OMNIGLOT, handwriting.PENDIGITS):
        with np.load(file) as held:
            assert pack.compress(dict(held)) == file.read_bytes() or zipped_otherwise(file)


def zipped_otherwise(file):
    """Another version of zlib packs otherwise; the dates are what it cannot change."""
    with zipfile.ZipFile(file) as held:
        return {each.date_time for each in held.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def character(number, drawer):
    """105 × 105, black on white: an arrow whose proportions tell the character and the drawer."""
    image = Image.new("L", (105, 105), 255)
    tip = (20 + 3 * drawer, 20)
    ImageDraw.Draw(image).line([(20, 90), tip, (20 + 12 * number, 90)], fill=0, width=3)
    return image.convert("1")


def archive(path, folder, characters, without=()):
    """Images as Omniglot's archives hold them, in an order that tells nothing."""
    numbers = [(name, number, drawer) for name, number in characters.items() for drawer in range(1, 21)]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{folder}/", b"")
        for i in np.random.default_rng(0).permutation(len(numbers)):
            name, number, drawer = numbers[i]
            if (name, drawer) not in without:
                file.writestr(f"{folder}/{name}/0{number:03}_{drawer:02}.png", as_png(character(number, drawer)))
    return str(path)


def test_omniglot_is_packed_by_character_and_drawer(tmp_path):
    first = archive(tmp_path / "1.zip", "small1", {"Latin/character02": 2, "Greek/character01": 3})
    second = archive(tmp_path / "2.zip", "small2", {"Korean/character01": 1, "Latin/character02": 2})
    arrays = pack.pack_omniglot([first, second])
    assert arrays["names"].tolist() == ["Greek/character01", "Korean/character01", "Latin/character02"]
    expected = [fit_image(character(number, drawer))[0] for number in (3, 1, 2) for drawer in range(1, 21)]
    assert arrays["images"].dtype == np.uint8
    assert np.array_equal(arrays["images"], expected)
    assert np.array_equal(np.load(io.BytesIO(pack.compress(arrays)))["images"], expected)


def test_archives_that_are_not_whole_are_named(tmp_path):
    whole = archive(tmp_path / "whole.zip", "small1", {"Latin/character01": 1})
    other = archive(tmp_path / "other.zip", "small2", {"Latin/character01": 2})
    short = archive(tmp_path / "short.zip", "small1", {"Latin/character01": 1}, without=[("Latin/character01", 7)])
    (tmp_path / "torn.zip").write_bytes((tmp_path / "whole.zip").read_bytes()[:5000])
    for archives, word in (([whole, other], "other"), ([short], "7"), ([str(tmp_path / "torn.zip")], "torn")):
        with pytest.raises(InputError, match=word) as caught:
            pack.pack_omniglot(archives)
        assert "\n" not in str(caught.value)


def test_the_files_are_small_have_their_licences_named_and_go_into_a_wheel():
    folder = handwriting.OMNIGLOT.parent
    files = [path for path in folder.iterdir() if path.suffix == ".npz"]
    assert {*files} == {handwriting.OMNIGLOT, handwriting.PENDIGITS}
    assert 500_000 < sum(path.stat().st_size for path in files) <= 3_000_000
    licences = (folder / "LICENSES.md").read_text()
    omniglot, pens = licences.split("## `pendigits.npz`")
    assert "## `omniglot.npz`: MIT" in omniglot
    assert "Copyright (c) 2015 Brenden Lake" in omniglot
    assert "The above copyright notice and this permission notice shall be included" in omniglot
    assert "creativecommons.org/licenses/by/4.0" in pens
    assert "Alpaydin" in pens
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["siamese_mnist.handwriting"]
    assert {path for pattern in patterns for path in folder.glob(pattern)} == {*files, folder / "LICENSES.md"}
