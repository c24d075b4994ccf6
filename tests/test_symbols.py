"""Symbols, and what else joins a batch of digits."""

import pytest
import torch

from siamese_mnist import load_digits, symbols
from siamese_mnist.company import PENS, Company
from siamese_mnist.pen import BOX
from siamese_mnist.strangers import turn
from siamese_mnist.symbols import CHARACTERS, COPIES, LEAST, Symbols, compose, invent


def generator(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def characters():
    return load_digits("symbols")


def test_copies_of_an_invented_symbol_are_nearer_to_each_other_than_to_other_symbols():
    images = invent(60, 3, generator(0))
    assert images.shape == (180, 1, 28, 28)
    assert 0 <= images.min() <= images.max() <= 1
    assert torch.equal(images, invent(60, 3, generator(0)))
    for image in images[:, 0]:
        height, width = (at.max() - at.min() + 1 for at in torch.where(image > 0.5))
        assert 18 <= max(height, width) <= 21
    distances = torch.cdist(images.flatten(1), images.flatten(1)).fill_diagonal_(torch.inf)
    nearest, own = distances.argmin(1) // 3, torch.arange(180) // 3
    assert (nearest == own).float().mean() > 0.6  # of 59 others, a guess is right in 1 %
    assert (distances.diagonal(1)[::3] > 1e-3).all()  # and none is drawn twice alike


def test_the_eight_positions_are_those_of_a_square():
    image = torch.rand(1, 1, 28, 28)
    turned = torch.cat([turn(image, torch.tensor([position])) for position in range(8)])
    expected = torch.cat([torch.rot90(kind, turns, (2, 3)) for kind in (image, image.flip(3)) for turns in range(4)])
    assert {tuple(each.flatten().tolist()) for each in turned} == {tuple(each.flatten().tolist()) for each in expected}
    assert torch.equal(turned[0], image[0])
    assert torch.equal(turned[3], torch.rot90(image, 2, (2, 3))[0])


def test_a_composed_symbol_is_two_digits_whose_classes_its_copies_share(train_digits):
    images = compose(train_digits, 60, generator(0))
    assert images.shape == (60 * COPIES, 1, 28, 28)
    assert 0 <= images.min() <= images.max() <= 1
    assert torch.equal(images, compose(train_digits, 60, generator(0)))
    distances = torch.cdist(images.flatten(1), images.flatten(1)).fill_diagonal_(torch.inf)
    labels = torch.arange(len(images)) // COPIES
    assert (labels[distances.argmin(1)] == labels).float().mean() > 0.1  # of 59 others, a guess is right in 1 %
    assert (distances[labels[:, None] == labels] > 1e-3).all()
    # Where a class has one image only, all that is left to tell copies apart is gone.
    firsts = torch.tensor([members[0] for members in train_digits.members])
    same = compose(train_digits.select(firsts), 60, generator(0)).reshape(60, COPIES, -1)
    assert torch.equal(same, same[:, :1].expand_as(same))


def test_a_composed_symbol_has_half_the_ink_of_its_digits(train_digits):
    some = train_digits.select(train_digits.members[8][:1])
    ink = compose(some, 60, generator(0)).sum((1, 2, 3))
    assert ((ink / (some.images / 255).sum() - 1).abs() < 0.1).all()  # two times a half


@pytest.mark.parametrize("upright", [0, 1])
def test_composed_symbols_are_of_turned_digits_but_for_a_share(train_digits, upright, monkeypatch):
    monkeypatch.setattr(symbols, "UPRIGHT", upright)
    seven = train_digits.select(train_digits.members[7][:1])
    images = torch.cat([compose(seven, 100, generator(0)), compose(seven, 100, generator(1))])[::COPIES]
    kinds = len(images.flatten(1).unique(dim=0))
    lengths = BOX - 2 * LEAST + 1
    assert kinds == 2 * lengths if upright else kinds > 20 * lengths  # aside or not; 64 pairs of positions beside


def test_symbols_are_copies_of_one_class_in_one_position(characters, train_digits):
    images, labels = Symbols(characters, train_digits).draw(72, generator(1))
    assert torch.equal(labels, torch.arange(len(images)) // COPIES)
    sources = torch.cat([characters.images, train_digits.images])[:, 0].flatten(1)
    classes = torch.cat([characters.labels, train_digits.labels + 1000])
    for label in range(round(CHARACTERS * 72)):  # which come first
        copies = images[labels == label]
        places = [
            torch.cdist(sources.float(), turn(copies, torch.full((COPIES,), at)).flatten(1) * 255) for at in range(8)
        ]
        found = [each.min(0) for each in places]
        exact = [place.values.max() < 1e-2 and classes[place.indices].unique().numel() == 1 for place in found]
        assert any(exact), label


def test_a_batch_is_joined_by_digits_of_its_classes_and_by_symbols_apart(train_digits):
    some = train_digits.select(train_digits.labels < 8)
    images, labels = some.images[:80] / 255, some.labels[:80]
    joined, theirs, known = Company(some, ("pens", "symbols"), strangers=True, symbols=72).join(
        images, labels, generator(0)
    )
    assert torch.equal(joined[:80], images)
    assert torch.equal(theirs[:80], labels)
    assert theirs[80 : 80 + round(PENS * 80)].max() < 8  # no 8 and no 9 where those are not trained on
    assert known < len(joined) == len(theirs)
    assert (theirs[known:].bincount() == COPIES).all()
    assert Company(some, (), strangers=False, symbols=72).join(images, labels, generator(0))[2] == 80


def test_digits_by_pen_are_labelled_as_in_the_training(train_digits):
    digits = train_digits.select(torch.isin(train_digits.labels, torch.tensor([1, 3, 7])))
    order = torch.tensor([0, 1, 0, 2, 0, 0, 0, 0])
    relabelled = type(digits)(digits.images, order[digits.labels], ("9", "1", "3"))  # sevens are called 9
    pens = Company(relabelled, ("pens",), strangers=False, symbols=72).pens
    assert {pens.class_names[label] for label in pens.labels.tolist()} == {"9", "1", "3"}
    expected = load_digits("pens", classes=["1", "3", "9"])
    assert len(pens) == len(expected)
    assert [pens.class_names[label] for label in pens.labels[:50]] == [
        expected.class_names[label] for label in expected.labels[:50]
    ]
    letters = type(digits)(digits.images, order[digits.labels], ("a", "b", "c"))
    assert Company(letters, ("pens",), strangers=False, symbols=72).pens is None
