"""What lies round or behind a drawing is no ink of it; and what is no single digit is not called one."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from strokes import DIGITS, draw, place

from benchmarks import paper
from siamese_mnist import InputError, prepare_drawing
from siamese_mnist.drawing import prepare_parts

QUERIES = 30


@pytest.fixture(scope="module")
def queries(test_digits, references):
    """Digits (28, 28) that are no references, with their names."""
    others = np.setdiff1d(np.arange(len(test_digits)), references.flatten().numpy())
    chosen = np.random.default_rng(0).permutation(others)[:QUERIES]
    return [(test_digits.images[i, 0].numpy(), test_digits.names[test_digits.labels[i]]) for i in chosen]


def cut_out(image):
    rows, columns = np.nonzero(np.asarray(image) < 128)
    return image.crop((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))


@pytest.mark.parametrize("kind", paper.KINDS)
def test_paper_frames_and_boxes_are_no_ink(kind, matcher, references, queries):
    random = np.random.default_rng(1)
    results = [
        paper.judge(matcher, references, paper.KINDS[kind](paper.scatter(digit, random), random), name)
        for digit, name in queries
    ]
    assert results.count("right") >= 0.9 * QUERIES
    assert results.count("wrong") <= 0.03 * QUERIES


def test_two_digits_are_refused_by_their_parts(matcher, references, queries):
    random = np.random.default_rng(1)
    results = []
    for (left, _), (right, _) in pairwise(queries):
        images = prepare_parts(paper.pair(np.stack([left, right]), random))
        assert len(images) >= 3
        try:
            matcher.refuse_several(images[1:], references)
        except InputError as error:
            results.append("more than one" in str(error))
    assert sum(results) >= 0.9 * (QUERIES - 1)


@pytest.mark.parametrize("digit", [2, 3, 4, 5, 6, 7, 8, 9])
def test_a_digit_in_a_ring_is_no_zero_but_one_with_a_slash_is(digit, matcher, references):
    ring = [(140 + 120 * np.cos(angle), 140 + 120 * np.sin(angle)) for angle in np.linspace(0, 2 * np.pi, 60)]
    assert len(prepare_parts(draw([ring, [(120, 200), (160, 80)]], 12))) == 1
    images = prepare_parts(draw([ring, *place(digit, 120, 100, 80)], 12))
    with pytest.raises(InputError, match="more than one"):
        matcher.refuse_several(images[1:], references)


@pytest.mark.parametrize("brush", [6, 16, 30])
@pytest.mark.parametrize("digit", DIGITS)
def test_one_digit_of_several_strokes_is_one(digit, brush):
    assert len(prepare_parts(draw(place(digit, 180, 60, 40), brush))) == 1


def test_a_five_with_its_bar_apart_and_symbols_of_several_parts_are_one_drawing(matcher, references):
    bar, body = [(150, 40), (220, 40)], [(x, y + 30) for x, y in place(5, 180, 60, 40)[0][2:]]
    colon, equals = ([[(140, y), (141, y)] for y in (90, 190)], [[(80, y), (200, y)] for y in (110, 170)])
    for strokes in ([bar, body], colon, equals):
        matcher.refuse_several(prepare_parts(draw(strokes, 16))[1:], references)
    quotes = draw([[(110, 60), (110, 140)], [(170, 60), (170, 140)]], 16)
    assert torch.equal(prepare_drawing(quotes), prepare_parts(quotes)[:1])  # to be taught, it is prepared as a whole


@pytest.mark.parametrize("brush", [3, 8, 16])
def test_a_box_drawn_by_hand_stays(brush):
    """As a zero, and with a bar as an eight: a frame is what something else is drawn in."""
    box = [(70, 30), (200, 36), (206, 240), (66, 236), (70, 30)]
    zero, eight = (prepare_drawing(draw([box, *bars], brush))[0, 0] for bars in ([], [[(70, 135), (203, 138)]]))
    assert zero[8:20, 13:15].max() < 0.1
    assert eight[8:20, 13:15].max() > 0.5
    for image in (zero, eight):
        assert min(image[:7].max(), image[21:].max(), image[:, :10].max(), image[:, 18:].max()) > 0.5


@pytest.mark.parametrize("brush", [3, 5, 16, 40])
@pytest.mark.parametrize("digit", DIGITS)
def test_a_digit_cut_out_to_its_ink_keeps_all_of_it(digit, brush):
    """Its straight strokes reach from edge to edge, as rules and frames do."""
    drawing = draw(place(digit, 200, 60, 40), brush)
    for image in (cut_out(drawing), Image.fromarray(255 - np.asarray(cut_out(drawing)))):
        assert prepare_drawing(image).sum() == pytest.approx(prepare_drawing(drawing).sum().item(), rel=0.05)


def test_a_thick_one_cut_out_to_its_ink_is_a_one(matcher, references):
    for brush in (20, 40, 80):
        image = cut_out(draw([[(140, 70), (140, 210)]], brush))
        assert matcher.match(matcher.model.encode_all(prepare_drawing(image)), references, {}).winner == "1"


def test_a_drawing_too_small_for_the_brush_is_not_told(matcher, references):
    for height in (5, 10, 16, 26):
        with pytest.raises(InputError, match="larger"):
            prepare_drawing(draw(place(3, height, 100, 100), 16))
    for height, brush in ((36, 16), (60, 16), (200, 68)):
        images = prepare_drawing(draw(place(3, height, 30, 30), brush))
        assert matcher.match(matcher.model.encode_all(images), references, {}).winner == "3"
