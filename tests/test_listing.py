"""Splits that follow from the images' content alone."""

from pathlib import Path

import numpy as np
import pytest

from siamese_mnist import InputError
from siamese_mnist.listing import SMALLEST_PART, digest, split_by_content

HERE, NAMES = Path("here"), tuple("0123456789")


@pytest.fixture(scope="module")
def listed(train_digits):
    """Digests and labels of 2,000 real digits, of which the first 60 are six of each."""
    first = np.concatenate([members[:6] for members in train_digits.members])
    order = np.concatenate([first, np.setdiff1d(np.random.default_rng(0).permutation(4000)[:2000], first)])
    digests = np.array([digest(image.numpy()) for image in train_digits.images])
    return digests[order], train_digits.labels.numpy()[order]


@pytest.mark.parametrize("seed", range(5))
def test_added_images_move_none_that_was_trained_on_into_test(listed, seed):
    digests, labels = listed
    order = np.concatenate([np.arange(60), 60 + np.random.default_rng(seed).permutation(len(labels) - 60)])
    trained = np.zeros(len(labels), bool)
    for size in (60, 61, 62, 65, 70, 80, 100, 150, 250, 500, 1000, 1900):
        there = order[:size]
        splits = split_by_content(HERE, digests[there], labels[there], NAMES, ("test", "val"))
        assert not trained[there[splits == "test"]].any()
        trained[there[splits == "train"]] = True


def test_a_split_depends_neither_on_the_order_nor_on_other_classes(listed):
    digests, labels = listed
    splits = split_by_content(HERE, digests, labels, NAMES, ("test", "val"))
    order = np.random.default_rng(1).permutation(len(labels))
    assert (split_by_content(HERE, digests[order], labels[order], NAMES, ("test", "val")) == splits[order]).all()
    some = labels < 4
    assert (split_by_content(HERE, digests[some], labels[some], NAMES, ("test", "val")) == splits[some]).all()


@pytest.mark.parametrize("held_out", [("test", "val"), ("val",), ("test",), ()])
def test_each_class_has_about_a_tenth_in_each_held_out_split(listed, held_out):
    digests, labels = listed
    splits = split_by_content(HERE, digests, labels, NAMES, held_out)
    assert set(splits) == {"train", *held_out}
    for split in held_out:
        shares = np.bincount(labels[splits == split]) / np.bincount(labels)
        assert shares.min() > 0.04
        assert shares.max() < 0.18
        assert shares.mean() == pytest.approx(0.1, abs=0.02)


def test_copies_of_an_image_share_its_split(listed):
    digests, labels = (np.tile(values, 2) for values in listed)
    splits = split_by_content(HERE, digests, labels, NAMES, ("test", "val"))
    assert (splits[: len(splits) // 2] == splits[len(splits) // 2 :]).all()


def test_no_class_of_six_or_more_is_refused():
    for size in (6, 7, 8, 12):
        digests = np.random.default_rng(size).integers(-(2**63), 2**63, 1000 * size)
        labels = np.arange(len(digests)) // size
        splits = split_by_content(HERE, digests, labels, [""] * len(labels), ("test", "val"))
        for split in ("train", "val", "test"):
            assert np.bincount(labels[splits == split], minlength=1000).min() >= SMALLEST_PART


def test_small_classes_have_two_in_each_split_or_are_named(listed):
    digests, labels = (values[:60] for values in listed)
    splits = split_by_content(HERE, digests, labels, NAMES, ("test", "val"))
    for split in ("train", "val", "test"):
        assert (np.bincount(labels[splits == split]) >= SMALLEST_PART).all()
    with pytest.raises(InputError, match="'3' has 5 different images"):
        split_by_content(HERE, np.append(digests[:23], digests[22]), np.append(labels[:23], 3), NAMES, ("test", "val"))
