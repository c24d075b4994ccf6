"""MNIST's IDX files: wherever they lie, packed or not, whole or damaged."""

import gzip
import hashlib

import numpy as np
import pytest
import torch
from conftest import serve, write_idx

from siamese_mnist import InputError, load_digits
from siamese_mnist.listing import MOST_IMAGES
from siamese_mnist.registry import SPLITS


@pytest.fixture
def small_mnist(tmp_path, train_digits, test_digits):
    """MNIST's layout with 500 + 500 real digits."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix, digits in (("train", train_digits.at_most(50)), ("t10k", test_digits)):
        write_idx(raw / f"{prefix}-images-idx3-ubyte", digits.images[:, 0].numpy(), 0x803)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", digits.labels.numpy(), 0x801)
    return tmp_path


def test_idx_files_come_back_as_written(small_mnist, test_digits):
    digits = load_digits("mnist", split="test", root=small_mnist)
    assert torch.equal(digits.images, test_digits.images)
    assert torch.equal(digits.labels, test_digits.labels)


@pytest.mark.parametrize(
    "damage", ["truncated", "magic number", "empty", "text", "long", "labels 10", "few labels", "32 pixels"]
)
def test_damaged_idx_files_are_named(small_mnist, damage):
    raw = small_mnist / "MNIST" / "raw"
    images, labels = raw / "t10k-images-idx3-ubyte", raw / "t10k-labels-idx1-ubyte"
    content = {
        "truncated": lambda: images.write_bytes(images.read_bytes()[:-1]),
        "magic number": lambda: labels.write_bytes(labels.read_bytes()[:4]),
        "empty": lambda: images.write_bytes(b""),
        "text": lambda: images.write_text("<html>not found</html>"),
        "long": lambda: images.write_bytes(images.read_bytes() + b"0"),
        "labels 10": lambda: write_idx(labels, np.full(500, 10), 0x801),
        "few labels": lambda: write_idx(labels, np.arange(499) % 10, 0x801),
        "32 pixels": lambda: write_idx(images, np.zeros((500, 32, 32)), 0x803),
    }
    content[damage]()
    with pytest.raises(InputError, match=r"t10k-(images|labels)") as caught:
        load_digits("mnist", split="test", root=small_mnist)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("works", [True, False])
def test_download_is_whole_or_nothing(small_mnist, tmp_path_factory, monkeypatch, works):
    """torchvision's own download, from a server on loopback instead of its mirrors."""
    from torchvision.datasets import MNIST

    served, root = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("data")
    resources = []
    for path in sorted((small_mnist / "MNIST" / "raw").iterdir()):
        packed = gzip.compress(path.read_bytes())
        if works or "labels" not in path.name:
            (served / f"{path.name}.gz").write_bytes(packed)
        resources.append((f"{path.name}.gz", hashlib.md5(packed).hexdigest()))

    with serve(served) as address:
        monkeypatch.setattr(MNIST, "mirrors", [address])
        monkeypatch.setattr(MNIST, "resources", resources)
        if works:
            assert len(load_digits("mnist", split="test", root=root)) == 500
            assert len(list((root / "MNIST" / "raw").iterdir())) == 4
        else:
            with pytest.raises(InputError, match="bundled"):
                load_digits("mnist", split="test", root=root)
            assert not [path for path in root.rglob("*") if path.is_file() or path.name.startswith(".")]


LAYOUTS = {
    "flat": ("", "{}-{}-idx{}-ubyte", ""),
    "packed": ("", "{}-{}-idx{}-ubyte.gz", ""),
    "with dots": ("", "{}-{}.idx{}-ubyte", ""),
    "the folder MNIST": ("MNIST/raw", "{}-{}-idx{}-ubyte", "MNIST"),
    "the folder raw": ("MNIST/raw", "{}-{}-idx{}-ubyte.gz", "MNIST/raw"),
    "a file": ("", "{}-{}-idx{}-ubyte", "t10k-labels-idx1-ubyte"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_are_used_where_they_lie(small_mnist, tmp_path_factory, test_digits, no_network, layout):
    folder, name, named = LAYOUTS[layout]
    root = tmp_path_factory.mktemp("root")
    (root / folder).mkdir(parents=True, exist_ok=True)
    for path in (small_mnist / "MNIST" / "raw").iterdir():
        prefix, kind, n, _ = path.name.split("-")
        content, new = path.read_bytes(), root / folder / name.format(prefix, kind, n.removeprefix("idx"))
        new.write_bytes(gzip.compress(content) if new.suffix == ".gz" else content)
    assert torch.equal(load_digits("mnist", split="test", root=root / named).images, test_digits.images)


def test_files_of_one_s_own_are_neither_replaced_nor_mixed_with_mnist_s(small_mnist, no_network, monkeypatch):
    raw = small_mnist / "MNIST" / "raw"
    for path in raw.glob("t10k-*"):
        path.unlink()
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    monkeypatch.setattr("siamese_mnist.idx._download", lambda root: pytest.fail("asked for a download"))
    assert len(load_digits("mnist", root=small_mnist)) == 450
    with pytest.raises(InputError, match="t10k-images-idx3-ubyte, t10k-labels"):
        load_digits("mnist", split="test", root=small_mnist)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before


def test_a_test_image_that_is_trained_on_is_told(small_mnist, test_digits):
    raw = small_mnist / "MNIST" / "raw"
    write_idx(raw / "train-images-idx3-ubyte", test_digits.images[:, 0].numpy(), 0x803)
    write_idx(raw / "train-labels-idx1-ubyte", test_digits.labels.numpy(), 0x801)
    with pytest.warns(UserWarning, match="both the train and the test"):
        load_digits("mnist", split="test", root=small_mnist)


def test_a_missing_file_is_named_and_a_wrong_folder_left_as_it_was(small_mnist, tmp_path_factory, no_network):
    raw, wrong = small_mnist / "MNIST" / "raw", tmp_path_factory.mktemp("wrong")
    (raw / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte"):
        load_digits("mnist", split="test", root=raw)
    for root in (wrong, wrong / "none" / "deeper"):
        with pytest.raises(InputError, match=r"t10k.*bundled"):
            load_digits("mnist", split="test", root=root)
    assert not list(wrong.iterdir())


@pytest.mark.parametrize("order", ["as it is", "by label"])
def test_a_set_of_one_s_own_has_all_classes_in_each_split(small_mnist, train_digits, order):
    digits = train_digits.at_most(100)
    digits = digits.select(digits.labels.argsort(stable=True)) if order == "by label" else digits
    raw = small_mnist / "MNIST" / "raw"
    write_idx(raw / "train-images-idx3-ubyte", digits.images[:, 0].numpy(), 0x803)
    write_idx(raw / "train-labels-idx1-ubyte", digits.labels.numpy(), 0x801)
    train, val, test = (load_digits("mnist", split=split, root=small_mnist) for split in SPLITS)
    assert [part.labels.bincount().tolist() for part in (train, val, test)] == [[90] * 10, [10] * 10, [50] * 10]
    assert torch.equal(torch.cat([train.images, val.images]).sum(0), digits.images.sum(0))


@pytest.mark.parametrize(
    "change", [lambda images: 255 - images, lambda images: (images > 127) * 1, lambda images: 200 - images * 0.6]
)
def test_images_in_other_greys_are_put_right_and_it_is_said(small_mnist, test_digits, change):
    images = test_digits.images[:, 0].numpy()
    write_idx(small_mnist / "MNIST" / "raw" / "t10k-images-idx3-ubyte", change(images), 0x803)
    with pytest.warns(UserWarning, match="white on black"):
        digits = load_digits("mnist", split="test", root=small_mnist)
    assert digits.images.min() == 0
    assert digits.images.max() == 255
    assert np.corrcoef(digits.images.flatten(), test_digits.images.flatten())[0, 1] > 0.95


def test_images_of_both_polarities_are_told(small_mnist, test_digits):
    images = test_digits.images[:, 0].numpy().copy()
    images[::5] = 255 - images[::5]
    write_idx(small_mnist / "MNIST" / "raw" / "t10k-images-idx3-ubyte", images, 0x803)
    with pytest.warns(UserWarning, match="ground"):
        load_digits("mnist", split="test", root=small_mnist)


def test_transposed_images_are_turned(small_mnist, test_digits):
    images = test_digits.images[:, 0].numpy().transpose(0, 2, 1)
    write_idx(small_mnist / "MNIST" / "raw" / "t10k-images-idx3-ubyte", images, 0x803)
    digits = load_digits("mnist", split="test", root=small_mnist, transposed=True)
    assert torch.equal(digits.images, test_digits.images)


def test_more_images_than_memory_is_meant_for_are_refused_whatever_follows(small_mnist):
    path = small_mnist / "MNIST" / "raw" / "train-images-idx3-ubyte"
    with open(path, "r+b") as file:
        file.seek(4)
        file.write((MOST_IMAGES + 1).to_bytes(4, "big"))
    with pytest.raises(InputError, match=f"images-idx3-ubyte: {MOST_IMAGES + 1:,} items"):
        load_digits("mnist", root=small_mnist)
