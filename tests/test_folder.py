"""Folders of one's own images: their splits, their preparation, and what cannot be used."""

import shutil
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from siamese_mnist import InputError, load_digits
from siamese_mnist.drawing import fit_image, prepare_drawing
from siamese_mnist.registry import SPLITS


def write_class(folder, digits, label):
    """Twelve images of a digit as dark ink on white paper, twice their size."""
    folder.mkdir(parents=True)
    for number, image in enumerate(digits.images[digits.labels == label][:12, 0]):
        Image.fromarray(255 - image.numpy()).resize((56, 56)).save(folder / f"{number}.png")


@pytest.fixture
def symbols(tmp_path, test_digits):
    """A folder of two classes."""
    write_class(tmp_path / "circle", test_digits, 0)
    write_class(tmp_path / "line", test_digits, 1)
    return tmp_path


def test_folder_images_become_white_on_black_with_their_class_names(symbols):
    digits = {split: load_digits("folder", split=split, root=symbols) for split in SPLITS}
    assert sum(digits[split].labels.bincount() for split in SPLITS).tolist() == [12, 12]
    assert min(digits[split].labels.bincount().min() for split in SPLITS) >= 2
    assert digits["train"].class_names == ("circle", "line")
    assert digits["train"].images[:, :, 0].float().mean() < 5
    assert digits["train"].images.amax() > 200
    assert load_digits("folder", root=symbols, classes="line,circle").classes == [0, 1]


@pytest.mark.parametrize(
    "splits",
    [
        ("train", "val", "test"),
        ("Train", "Val", "Test"),
        ("training", "validation", "testing"),
        ("TRAIN", "valid", "test"),
    ],
)
def test_folder_with_its_own_splits_uses_them(symbols, tmp_path_factory, splits):
    root = tmp_path_factory.mktemp("split")
    for number, path in enumerate(sorted(symbols.rglob("*.png"))):
        (root / splits[number % 3] / path.parent.name).mkdir(parents=True, exist_ok=True)
        path.rename(root / splits[number % 3] / path.parent.name / path.name)
    for split in SPLITS:
        digits = load_digits("folder", split=split, root=root)
        assert digits.labels.bincount().tolist() == [4, 4]
        assert digits.class_names == ("circle", "line")


def test_a_test_folder_beside_the_classes_is_the_test_split(symbols):
    for name in ("circle", "line"):
        (symbols / "test" / name).mkdir(parents=True)
        for path in sorted((symbols / name).iterdir())[:4]:
            path.rename(symbols / "test" / name / path.name)
    sizes = [load_digits("folder", split=split, root=symbols).labels.bincount().tolist() for split in SPLITS]
    assert sizes == [[6, 6], [2, 2], [4, 4]]


def test_each_folder_that_holds_images_is_a_class_named_by_its_path(symbols, test_digits):
    for label, alphabet in ((2, "Balinese"), (3, "Latin")):
        write_class(symbols / alphabet / "character01", test_digits, label)
    digits = load_digits("folder", root=symbols)
    assert digits.class_names == ("Balinese/character01", "Latin/character01", "circle", "line")


def test_what_systems_and_editors_leave_behind_is_no_image_and_no_class(symbols):
    before = load_digits("folder", root=symbols)
    shutil.copytree(symbols / "circle", symbols / "circle" / ".ipynb_checkpoints")
    shutil.copytree(symbols / "line", symbols / "__MACOSX" / "line")
    for name in ("._3.png", ".DS_Store", "Thumbs.db"):
        (symbols / "line" / name).write_text("no image")
    after = load_digits("folder", root=symbols)
    assert after.class_names == before.class_names
    assert torch.equal(after.images, before.images)


def test_links_odd_files_and_empty_folders_are_told(symbols):
    before = load_digits("folder", root=symbols)
    (symbols / "circle" / "up").symlink_to(symbols)
    (symbols / "line" / "notes.txt").write_text("mine")
    (symbols / "star").mkdir()
    with pytest.warns(UserWarning, match="left out") as told:
        after = load_digits("folder", root=symbols)
    assert torch.equal(after.images, before.images)
    text = " ".join(str(each.message) for each in told)
    assert all(name in text for name in ("circle/up", "line/notes.txt", "star"))


@pytest.mark.parametrize("boxed", [("circle",), ("circle", "line")])
def test_boxes_belong_to_their_symbols_unless_nearly_all_have_one(symbols, boxed):
    for name in boxed:
        for path in (symbols / name).iterdir():
            page = Image.new("L", (200, 200), 255)
            page.paste(Image.open(path).resize((112, 112)), (44, 44))
            ImageDraw.Draw(page).rectangle((20, 20, 180, 180), outline=0, width=8)
            page.save(path)
    all_have = len(boxed) == 2
    with pytest.warns(UserWarning, match="boxes") if all_have else nullcontext():
        digits = load_digits("folder", root=symbols)
    last = digits.labels == digits.class_names.index(boxed[-1])
    left_sides = digits.images[last][:, 0, 8:20, 4:6].float().mean((1, 2))
    assert (left_sides < 60).all() if all_have else (left_sides > 90).all()


def test_an_image_in_two_classes_or_splits_is_told(symbols):
    shutil.copy(symbols / "circle" / "3.png", symbols / "line" / "copy.png")
    with pytest.warns(UserWarning, match="1 image in more than one class"):
        load_digits("folder", root=symbols)
    (symbols / "line" / "copy.png").unlink()
    for split in ("train", "test"):
        shutil.copytree(symbols / "line", symbols / split / "line")
        shutil.copytree(symbols / "circle", symbols / split / "circle")
    for name in ("line", "circle"):
        shutil.rmtree(symbols / name)
    with pytest.warns(UserWarning, match="both the train and the test"):
        load_digits("folder", root=symbols)


def test_images_of_several_formats_are_read(symbols):
    for format in ("gif", "bmp", "jpg", "webp", "tiff"):
        for path in sorted((symbols / "line").glob("*.png"))[:2]:
            Image.open(path).save(path.with_suffix(f".{format.upper()}"))
    assert sum(len(load_digits("folder", split=split, root=symbols)) for split in SPLITS) == 34


@pytest.mark.parametrize("copied", ["circle/more", "archive/train/circle", "test", "dev/dev", "train/circle"])
def test_folders_whose_meaning_is_not_clear_are_refused(symbols, copied):
    shutil.copytree(symbols / "circle", symbols / copied)
    with pytest.raises(InputError, match=copied.split("/")[0]) as caught:
        load_digits("folder", root=symbols)
    assert "\n" not in str(caught.value)


def test_a_folder_that_grows_moves_no_image_into_its_test_split(symbols, test_digits):
    def digests(split):
        return set(load_digits("folder", split=split, root=symbols).digests.tolist())

    trained = digests("train")
    write_class(symbols / "square", test_digits, 2)
    Image.open(symbols / "line" / "3.png").rotate(5, fillcolor=255).save(symbols / "line" / "0000.png")
    assert not trained & digests("test")
    assert trained < digests("train") | digests("val")


def test_a_range_of_numbers_goes_by_their_values_though_folders_are_sorted_as_text(tmp_path, test_digits):
    for number in range(1, 13):
        (tmp_path / str(number)).mkdir()
        for index in range(6):
            Image.fromarray(test_digits.images[6 * number + index, 0].numpy()).save(
                tmp_path / str(number) / f"{index}.png"
            )
    digits = load_digits("folder", root=tmp_path, classes="2-11")
    assert {digits.class_names[label] for label in digits.classes} == {str(number) for number in range(2, 12)}


def test_an_mnist_image_saved_as_a_picture_comes_back_unchanged(test_digits):
    for image in test_digits.images[::50, 0].numpy():
        assert (fit_image(Image.fromarray(image))[-1] == image).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16", "F", "CMYK"])
def test_images_of_every_mode_are_read(mode, test_digits):
    ink = Image.fromarray(255 - test_digits.images[0, 0].numpy())
    sixteen_bits = Image.fromarray(np.asarray(ink).astype(np.uint16) * 257)
    fitted = fit_image(sixteen_bits if mode == "I;16" else ink.convert(mode))[-1]
    assert fitted.shape == (28, 28)
    assert np.corrcoef(fitted.ravel(), test_digits.images[0].numpy().ravel())[0, 1] > 0.9


def test_a_small_digit_of_28_pixels_is_centred_and_enlarged(test_digits, released):
    own, moved = [], []
    for image in test_digits.images[::25, 0].numpy():
        small = np.zeros((28, 28), np.uint8)
        small[:14, :14] = np.asarray(Image.fromarray(image).resize((14, 14), Image.Resampling.BOX))
        own.append(fit_image(Image.fromarray(small).resize((112, 112)))[-1])
        moved.append(fit_image(Image.fromarray(small))[-1])
    a, b = (released.encode_all(torch.from_numpy(np.stack(each))[:, None]) for each in (own, moved))
    assert released.similarity(a, b).diagonal().median() > 0.9


def test_images_of_other_sizes_are_prepared_as_drawings_are(test_digits):
    large = Image.new("L", (300, 200), 255)
    large.paste(Image.fromarray(255 - test_digits.images[0, 0].numpy()).resize((84, 84)), (10, 90))
    fitted = fit_image(large)[-1]
    assert (fitted == np.rint(prepare_drawing(large)[0, 0].numpy() * 255)).all()
    rows, columns = np.nonzero(fitted > 60)
    assert max(np.ptp(rows), np.ptp(columns)) in (18, 19, 20)


@pytest.mark.parametrize(
    "damage",
    ["text as png", "truncated", "blank", "blank digit", "one class", "empty class", "few images", "missing"],
)
def test_unusable_folders_are_named(symbols, damage):
    victim = symbols / "circle" / "3.png"
    root = symbols
    if damage == "text as png":
        victim.write_text("I am no picture")
    elif damage == "blank":
        Image.new("L", (50, 50), 255).save(victim)
    elif damage == "blank digit":
        Image.new("L", (28, 28), 255).save(victim)
    elif damage == "truncated":
        victim.write_bytes(victim.read_bytes()[:60])
    elif damage == "missing":
        root = symbols / "none"
    else:
        kept = {"one class": None, "empty class": 0, "few images": 5}[damage]
        for path in sorted((symbols / "circle").iterdir())[kept or 0 :]:
            path.unlink()
        if kept is None:
            (symbols / "circle").rmdir()
    with pytest.raises(InputError) as caught:
        [load_digits("folder", split=split, root=root) for split in SPLITS]
    assert str(root) in str(caught.value) or "circle" in str(caught.value)
    assert "\n" not in str(caught.value)
