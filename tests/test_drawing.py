import io
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from strokes import DIGITS, draw, place

from siamese_mnist import InputError, prepare_drawing
from siamese_mnist.drawing import NARROWEST, TYPICAL, WIDEST, fit_image, stroke_width
from siamese_mnist.handwriting import pen_strokes


def difference(image, other):
    return (prepare_drawing(image) - other).abs().mean().item()


def five(brush=16, **kwargs):
    return draw(place(5, 180, 60, 40), brush, **kwargs)


FIVE = prepare_drawing(five())
ON_BLACK = Image.fromarray(255 - np.asarray(five()))


def with_transparency(ink):
    image = Image.new("RGBA", (280, 280), (*ink, 0))
    image.putalpha(ON_BLACK)
    return image


SAME = {
    "white on black": ON_BLACK,
    "RGB": five().convert("RGB"),
    "red on yellow": draw(place(5, 180, 60, 40), 16, mode="RGB", ink="#c00000", paper="#fff080"),
    "light on dark blue": draw(place(5, 180, 60, 40), 16, mode="RGB", ink="#c8c8a0", paper="#102040"),
    "palette": five().convert("P"),
    "one bit": five().convert("1"),
    "CMYK": five().convert("RGB").convert("CMYK"),
    "grey with alpha": five().convert("LA"),
    "black on nothing": with_transparency((0, 0, 0)),
    "white on nothing": with_transparency((255, 255, 255)),
    "16 bits": Image.fromarray(np.asarray(five()).astype(np.uint16) * 257),
    "32 bits": Image.fromarray(np.asarray(five()).astype(np.int32)),
    "floats": Image.fromarray(np.asarray(five()).astype(np.float32)),
    "array": np.asarray(five()),
    "boolean array": np.asarray(five()) > 127,
    "array of 0 and 1": (np.asarray(five()) > 127).astype(np.uint8),
    "image of 0 and 1": Image.fromarray((np.asarray(five()) > 127).astype(np.uint8)),
    "float array": np.asarray(five()) / 255,
    "12-bit array": np.asarray(five()).astype(np.uint16) * 16,
    "colour array": np.asarray(five().convert("RGB")),
    "array with one channel": np.asarray(five())[:, :, None],
    "tensor (1, 1, H, W)": torch.from_numpy(np.array(ON_BLACK))[None, None] / 255,
    "faint": Image.fromarray((255 - (255 - np.asarray(five())) * 0.2).astype(np.uint8)),
    "enlarged": five().resize((4096, 4096), Image.Resampling.BICUBIC),
    "reduced": five().resize((70, 70), Image.Resampling.BOX),
}


@pytest.mark.parametrize("name", SAME)
def test_every_mode_and_polarity_gives_the_same(name):
    prepared = prepare_drawing(SAME[name])
    assert prepared.shape == (1, 1, 28, 28)
    assert prepared.dtype == torch.float32
    assert prepared.min() == 0
    assert prepared.max() <= 1
    assert (prepared - FIVE).abs().mean() < (0.04 if name == "reduced" else 0.02)  # of ink 0.1 on average


def test_mnist_digits_come_back_nearly_unchanged(test_digits):
    changes = torch.tensor([difference(image[0].numpy(), image / 255) for image in test_digits.images])
    assert changes.median() < 0.002
    assert changes.quantile(0.9) < 0.003
    assert (changes > 0.02).float().mean() < 0.05  # those of extreme width, and those with a speck


@pytest.mark.parametrize("digit", DIGITS)
def test_size_and_place_do_not_matter(digit):
    middle = prepare_drawing(draw(place(digit, 180, 70, 50), 18))
    for height, left, top in ((90, 10, 10), (90, 200, 180), (240, 60, 20)):
        assert difference(draw(place(digit, height, left, top), height / 10), middle) < 0.045  # a pixel to the side


@pytest.mark.parametrize("digit", [1, 2, 3, 5, 7])
def test_a_thin_pen_and_a_thick_marker_give_the_same_digit(digit):
    drawings = [draw(place(digit, 200, 40, 40), brush) for brush in (3, 68)]
    thin, thick = map(prepare_drawing, drawings)
    naive = [np.asarray(drawing.resize((28, 28), Image.Resampling.BOX)) / 255 for drawing in drawings]
    assert (thin - thick).abs().mean() < 0.35 * np.abs(naive[0] - naive[1]).mean()
    assert 0.7 < thin.sum() / thick.sum() < 1.4


@pytest.mark.parametrize("brush", [1, 2, 4, 8, 16, 32, 48, 64])
def test_every_brush_gives_a_stroke_as_wide_as_mnist(brush):
    image = prepare_drawing(draw(place(2, 200, 70, 40), brush))[0, 0].numpy()
    assert NARROWEST - 0.2 <= stroke_width(image[image.any(1)][:, image.any(0)]) <= WIDEST + 0.2


def test_width_is_measured_in_mnist_pixels_and_its_range_is_that_of_mnist(train_digits):
    strokes = [[(40, 20), (40, 260)]]
    for brush in (10, 20, 40):
        ink = np.asarray(draw(strokes, brush))[20 - brush // 2 : 260 + brush // 2, 40 - brush // 2 : 40 + brush // 2]
        assert stroke_width(1 - ink / 255) == pytest.approx(20 * brush / (240 + brush), abs=0.21)
    images = train_digits.images[::2, 0].numpy() / 255
    widths = np.array([stroke_width(image[image.any(1)][:, image.any(0)]) for image in images])
    assert np.median(widths) == pytest.approx(TYPICAL, abs=0.21)
    assert (widths < NARROWEST).mean() < 0.025
    assert (widths < NARROWEST + 0.3).mean() > 0.005
    assert 0.002 < (widths > WIDEST).mean() < 0.025


def test_a_prepared_digit_is_made_like_mnist():
    for digit in DIGITS:
        image = prepare_drawing(draw(place(digit, 150, 20, 90), 14))[0, 0]
        rows, columns = image.any(1).nonzero(), image.any(0).nonzero()
        assert max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1 == 20
        at = torch.arange(28.0) + 0.5
        assert (image.sum(1) @ at / image.sum()).item() == pytest.approx(14, abs=1.01)
        assert (image.sum(0) @ at / image.sum()).item() == pytest.approx(14, abs=1.01)


def test_specks_noise_and_jpeg_are_not_ink():
    random = np.random.default_rng(0)
    pixels = np.asarray(five()).astype(float)
    specks = pixels.copy()
    for x, y in random.integers(3, 277, (60, 2)):
        specks[y : y + 2, x : x + 2] = 0
    photo = Image.fromarray((60 + 0.6 * pixels + random.normal(0, 8, pixels.shape)).clip(0, 255).astype(np.uint8))
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=40)
    shade = np.linspace(0.55, 1, 280)[:, None] * np.linspace(0.8, 1, 280)
    shaded = (shade * (60 + 0.6 * pixels) + random.normal(0, 3, pixels.shape)).clip(0, 255).astype(np.uint8)
    noisy = {"specks": specks.astype(np.uint8), "JPEG of a photo": Image.open(file), "shaded photo": shaded}
    for name, image in noisy.items():
        assert difference(image, FIVE) < 0.03, name


def test_ink_may_cross_the_border():
    strokes = [[(0, 60), (200, 60)], [(200, 60), (110, 280)]]
    inside = [[(x / 2 + 60, y / 2 + 60) for x, y in stroke] for stroke in strokes]
    assert difference(draw(strokes, 20), prepare_drawing(draw(inside, 10))) < 0.05


def test_a_photo_on_its_side_is_turned_up():
    file, tags = io.BytesIO(), Image.Exif()
    tags[0x0112] = 6  # orientation: to be turned by 90 degrees clockwise
    five().rotate(90).save(file, "PNG", exif=tags)
    assert difference(Image.open(file), FIVE) < 0.02


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (28, 28), (4096, 8), (640, 480)])
def test_any_size_works(size):
    image = Image.fromarray(255 - np.asarray(five())).crop((40, 20, 220, 240)).resize(size, Image.Resampling.BOX)
    assert prepare_drawing(image).max() > 0.5


BLANK = {
    "white": Image.new("L", (280, 280), 255),
    "all ink": Image.new("L", (280, 280), 0),
    "transparent": Image.new("RGBA", (280, 280), (0, 0, 0, 0)),
    "noise": np.random.default_rng(0).normal(200, 3, (280, 280)).clip(0, 255).astype(np.uint8),
    "one speck": np.pad(np.full((2, 2), 255, np.uint8), 200),
    "zeros": np.zeros((28, 28)),
}


@pytest.mark.parametrize("name", BLANK)
def test_a_blank_canvas_is_refused(name):
    with pytest.raises(ValueError, match="nothing is drawn"):
        prepare_drawing(BLANK[name])


HOSTILE = {
    "not a number": np.full((28, 28), np.nan),
    "infinite": np.full((28, 28), np.inf),
    "negative": np.full((28, 28), -1.0),
    "one pixel": Image.new("L", (1, 1)),
    "too small": Image.new("L", (7, 300)),
    "too large": Image.new("1", (4097, 20)),
    "text": "drawing.png",
    "nothing": None,
    "list of text": [["a", "b"]],
    "ragged": [[1, 2], [3]],
    "empty": np.zeros((0, 28)),
    "five channels": np.zeros((28, 28, 5), np.uint8),
    "a batch": np.zeros((2, 1, 28, 28), np.uint8),
    "complex": np.zeros((28, 28), complex),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_what_is_no_image_is_refused_in_one_line(name):
    with pytest.raises(InputError) as caught:
        prepare_drawing(HOSTILE[name])
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused():
    file = io.BytesIO()
    five().save(file, "PNG")
    with pytest.raises(InputError, match="cannot be read"):
        prepare_drawing(Image.open(io.BytesIO(file.getvalue()[:-400])))


def test_a_path_is_opened_and_one_that_cannot_be_is_named(tmp_path):
    five().save(tmp_path / "five.png")
    for path in (tmp_path / "five.png", str(tmp_path / "five.png")):
        assert torch.equal(prepare_drawing(path), FIVE)
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "five.png").read_bytes()[:400])
    for name in ("none.png", "text.png", "cut.png"):
        with pytest.raises(InputError, match=name) as caught:
            prepare_drawing(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("paper", "ink"), [(0, 40), (0, 100), (60, 255), (128, 0), (200, 90), (255, 215)])
def test_a_small_image_on_any_paper_is_read_as_mnist_s_own_and_as_one_twice_as_large(paper, ink, test_digits, released):
    chosen = test_digits.images[::25]
    images = [Image.fromarray(np.uint8(np.rint(paper + (ink - paper) / 255 * digit[0].numpy()))) for digit in chosen]
    twice = [image.resize((56, 56), Image.Resampling.BICUBIC) for image in images]
    own, *others = (
        released.encode_all(torch.from_numpy(np.stack([fit_image(each)[-1] for each in some]))[:, None])
        for some in ([Image.fromarray(digit[0].numpy()) for digit in chosen], images, twice)
    )
    for other in others:
        assert released.similarity(own, other).diagonal().quantile(0.1) > 0.9


def test_dark_ink_on_a_transparent_ground_is_ink(test_digits):
    digit, file = test_digits.images[0, 0].numpy(), io.BytesIO()
    Image.fromarray((digit // 8).astype(np.uint8)).save(file, "PNG", transparency=0)
    assert np.corrcoef(fit_image(Image.open(file))[-1].ravel(), digit.ravel())[0, 1] > 0.8


def test_a_thick_pen_whose_loops_are_full_of_ink_leaves_the_digit_whole():
    eights = [np.concatenate(strokes) for label, strokes in pen_strokes("train") if label == 8 and len(strokes) == 1]
    whole = 0
    for points in eights[:200]:
        points = 80 * (points - points.min(0)) / np.ptp(points, axis=0).max() + 60
        with suppress(InputError):  # Too thick to tell.
            prepared = prepare_drawing(draw([[(x, y) for x, y in points]], 26))[0, 0].numpy()
            assert ndimage.label(prepared > 0.3, np.ones((3, 3)))[1] == 1
            whole += 1
    assert whole > 150
