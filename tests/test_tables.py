"""CSV files: their layouts, their splits, and what cannot be used."""

import gzip

import numpy as np
import pytest
import torch

from siamese_mnist import InputError, load_digits, tables
from siamese_mnist.registry import SPLITS

HEADER = ",".join(["label", *(f"pixel{i}" for i in range(784))])


def keys(digits):
    return {image.numpy().tobytes() for image in digits.images}


def lines_of(labels, pixels):
    return [",".join(map(str, (label, *row))) for label, row in zip(labels.tolist(), pixels.tolist())]


@pytest.fixture
def csv_rows(test_digits):
    order = torch.randperm(len(test_digits), generator=torch.Generator().manual_seed(0))
    return test_digits.labels[order].numpy(), test_digits.images[order].flatten(1).numpy()


def write_kaggle(path, labels, pixels, header=True):
    names = ",".join(["label", *(f"pixel{i}" for i in range(784))])
    table = np.concatenate([labels[:, None], pixels], 1)
    np.savetxt(path, table, "%d", ",", header=names if header else "", comments="")


def labels_last(lines):
    return [",".join(line.split(",")[1:] + line.split(",")[:1]) for line in lines]


LAYOUTS = {
    "header": lambda lines: [HEADER, *lines],
    "byte order mark": lambda lines: ["\ufeff" + lines[0], *lines[1:]],
    "mark and header": lambda lines: ["\ufeff" + HEADER, *lines],
    "semicolons": lambda lines: [line.replace(",", ";") for line in [HEADER, *lines]],
    "tabs": lambda lines: [line.replace(",", "\t") for line in lines],
    "blanks": lambda lines: [line.replace(",", " ") for line in lines],
    "quotes": lambda lines: ['"' + line.replace(",", '","') + '"' for line in [HEADER, *lines]],
    "floats": lambda lines: [line.replace(",", ".0,") for line in lines],
    "numbered columns": lambda lines: [",".join(map(str, range(785))), *lines],
    "numbered pixels": lambda lines: [",".join(["label", *map(str, range(784))]), *lines],
    "labels last": lambda lines: labels_last([HEADER, *lines]),
    "bars": lambda lines: [line.replace(",", "|") for line in lines],
    "numbers, then the label": lambda lines: labels_last([",".join(["label", *map(str, range(784))]), *lines]),
    "a name for the label": lambda lines: labels_last([HEADER.replace("label", "what"), *lines]),
    "labels last, no header": lambda lines: labels_last(lines),
    "blank lines": lambda lines: ["", HEADER, "", *lines, ""],
    "line ends of DOS": lambda lines: [line + "\r" for line in lines],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_give_the_same_images_in_the_same_splits(tmp_path, csv_rows, layout):
    for name, lines in (("plain", lines_of(*csv_rows)), ("other", LAYOUTS[layout](lines_of(*csv_rows)))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.csv").write_text("\n".join(lines), encoding="utf-8")
    for split in SPLITS:
        plain, other = (load_digits("csv", split=split, root=tmp_path / name) for name in ("plain", "other"))
        assert torch.equal(plain.images, other.images)
        assert torch.equal(plain.labels, other.labels)


def test_splits_hold_every_row_once_with_its_label(tmp_path, csv_rows):
    labels, pixels = csv_rows
    (tmp_path / "train.csv").write_text("\n".join(lines_of(labels, pixels)))
    splits = [load_digits("csv", split=split, root=tmp_path) for split in SPLITS]
    truth = {row.tobytes(): label for row, label in zip(pixels, labels, strict=True)}
    for digits in splits:
        for image, label in digits:
            assert truth.pop(image.numpy().tobytes()) == label
    assert not truth
    assert splits[1].labels.bincount().tolist() == [5] * 10
    assert splits[2].labels.bincount().min() >= 2
    assert 30 < len(splits[2]) < 80


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (("mnist_train.csv", "mnist_test.csv"), ""),
        (("train.csv", "test.csv"), ""),
        (("train.csv.gz", "test.csv.gz"), ""),
        (("Train.csv", "Test.csv"), ""),
        (("mnist_train.csv", "mnist_test.csv"), "mnist_train.csv"),
        (("emnist-digits-train.csv", "emnist-digits-test.csv"), "emnist-digits-train.csv"),
    ],
)
def test_the_test_file_is_used_where_it_is(tmp_path, csv_rows, names, named):
    labels, pixels = csv_rows
    for name, part in zip(names, (slice(400), slice(400, None)), strict=True):
        content = "\n".join(lines_of(labels[part], pixels[part])).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert keys(load_digits("csv", split="test", root=tmp_path / named)) == {row.tobytes() for row in pixels[400:]}
    learned = [load_digits("csv", split=split, root=tmp_path / named) for split in ("train", "val")]
    (tmp_path / names[1]).unlink()
    for split, before in zip(("train", "val"), learned, strict=True):
        assert torch.equal(load_digits("csv", split=split, root=tmp_path / named).images, before.images)


def test_a_test_file_without_labels_is_told(tmp_path, csv_rows):
    labels, pixels = csv_rows
    write_kaggle(tmp_path / "train.csv", labels[:400], pixels[:400])
    np.savetxt(tmp_path / "test.csv", pixels[400:], "%d", ",")
    with pytest.warns(UserWarning, match="no labels"):
        assert keys(load_digits("csv", split="test", root=tmp_path)) < {row.tobytes() for row in pixels[:400]}


def test_rows_in_another_range_or_on_another_ground_are_told(tmp_path, csv_rows):
    labels, pixels = csv_rows
    odd = np.where(np.arange(500)[:, None] % 50 == 0, 255 - pixels, pixels)
    odd = np.where(np.arange(500)[:, None] % 3 == 1, odd // 8, odd)
    write_kaggle(tmp_path / "train.csv", labels, odd)
    with pytest.warns(UserWarning) as told:  # noqa: PT030
        load_digits("csv", root=tmp_path)
    text = " ".join(str(each.message) for each in told)
    assert "7 of 500 images are on another ground" in text
    assert "fainter" in text


def test_pixels_in_0_to_1_are_told_and_put_right(tmp_path, csv_rows):
    labels, pixels = csv_rows
    np.savetxt(tmp_path / "digits.csv", np.concatenate([labels[:, None], pixels / 255], 1), "%.6f", ",")
    with pytest.warns(UserWarning, match="0 to 1"):
        assert keys(load_digits("csv", root=tmp_path / "digits.csv")) < {row.tobytes() for row in pixels}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("letter", "line 7, column 3"),
        ("too bright", "line 7, column 3"),
        ("fraction", "line 7, column 3"),
        ("missing cells", "line 7"),
        ("row numbers", "786 columns"),
        ("long line", "line 7"),
        ("typing error in the first row", "line 1"),
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
    elif damage in ("row numbers", "long line", "typing error in the first row"):
        lines = lines_of(labels, pixels)
        if damage == "row numbers":
            lines = [f"{number},{line}" for number, line in enumerate(lines)]
        elif damage == "long line":
            lines[6] = "0," * 5_000_000
        else:
            lines[0] = lines[0].replace(",0,", ",O,", 1)
        path.write_text("\n".join(lines))
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


@pytest.mark.parametrize("header", [[], ["", HEADER]])
@pytest.mark.parametrize("wrong", ["O", "256", "0.5", "-1", "1e3", "label 10"])
def test_blank_lines_are_counted_where_a_line_is_named(tmp_path, csv_rows, header, wrong):
    lines = [*header, "", *lines_of(*csv_rows)]
    place = len(header) + 4
    first, rest = lines[place].split(",", 1)
    lines[place] = f"10,{rest}" if wrong == "label 10" else f"{first},{wrong},{rest.split(',', 1)[1]}"
    lines.insert(place, " ")
    (tmp_path / "train.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match=rf"in line {place + 2}\b"):
        load_digits("csv", root=tmp_path)


def test_a_row_too_wide_is_refused_by_its_line_before_its_cells_are_read(tmp_path, csv_rows):
    lines = ["", HEADER, "", *lines_of(*csv_rows)]
    for wide in (lines[5] + ",0", lines[5] + ",0" * 15_000):
        (tmp_path / "train.csv").write_text("\n".join([*lines[:5], wide, *lines[6:]]))
        with pytest.raises(InputError, match=rf"train\.csv: {wide.count(',') + 1} columns in line 6"):
            load_digits("csv", root=tmp_path)
    (tmp_path / "train.csv").write_text("\n".join([*lines[:5], ",".join("0" * 50_001), *lines[6:]]))
    with pytest.raises(InputError, match="line 6 has 50,000 characters or more"):
        load_digits("csv", root=tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_more_rows_than_memory_is_meant_for_are_refused(tmp_path, csv_rows, monkeypatch, suffix):
    content = "\n".join([HEADER, *lines_of(*csv_rows)]).encode()
    (tmp_path / f"train.csv{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    monkeypatch.setattr(tables, "MOST_IMAGES", len(csv_rows[0]))
    load_digits("csv", root=tmp_path)
    for blank, most in ((b"", len(csv_rows[0]) - 1), (b"\n" * 1000, len(csv_rows[0]))):
        (tmp_path / f"train.csv{suffix}").write_bytes((gzip.compress if suffix else bytes)(content + blank + b"\n1"))
        monkeypatch.setattr(tables, "MOST_IMAGES", most)
        with pytest.raises(InputError, match=f"more than {most}"):
            load_digits("csv", root=tmp_path)
