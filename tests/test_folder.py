"""Folders of one's own images: their splits, their preparation, and what cannot be used."""

import numpy as np
import pytest
from PIL import Image

from siamese_mnist import InputError, load_digits
from siamese_mnist.drawing import fit_image, prepare_drawing
from siamese_mnist.listing import SPLITS


@pytest.fixture
def symbols(tmp_path, test_digits):
    """A folder of two classes, twelve images each: digits as dark ink on white paper, twice their size."""
    for name, label in (("circle", 0), ("line", 1)):
        (tmp_path / name).mkdir()
        for number, image in enumerate(test_digits.images[test_digits.labels == label][:12, 0]):
            Image.fromarray(255 - image.numpy()).resize((56, 56)).save(tmp_path / name / f"{number}.png")
    return tmp_path


def test_folder_images_become_white_on_black_with_their_class_names(symbols):
    digits = {split: load_digits("folder", split=split, root=symbols) for split in SPLITS}
    assert [digits[split].labels.bincount().tolist() for split in SPLITS] == [[8, 8], [2, 2], [2, 2]]
    assert digits["train"].class_names == ("circle", "line")
    assert digits["train"].images[:, :, 0].float().mean() < 5
    assert digits["train"].images.amax() > 200
    assert load_digits("folder", root=symbols, classes="line,circle").classes == [0, 1]


def test_folder_with_its_own_splits_uses_them(symbols, tmp_path_factory):
    root = tmp_path_factory.mktemp("split")
    for split in SPLITS:
        for name in ("circle", "line"):
            (root / split / name).mkdir(parents=True)
    for number, path in enumerate(sorted(symbols.rglob("*.png"))):
        path.rename(root / SPLITS[number % 3] / path.parent.name / path.name)
    for split in SPLITS:
        assert load_digits("folder", split=split, root=root).labels.bincount().tolist() == [4, 4]


def test_a_range_of_numbers_goes_by_their_values_though_folders_are_sorted_as_text(tmp_path, test_digits):
    for number in range(1, 13):
        (tmp_path / str(number)).mkdir()
        for index in range(6):
            Image.fromarray(test_digits.images[index, 0].numpy()).save(tmp_path / str(number) / f"{index}.png")
    digits = load_digits("folder", root=tmp_path, classes="2-11")
    assert {digits.class_names[label] for label in digits.classes} == {str(number) for number in range(2, 12)}


def test_an_mnist_image_saved_as_a_picture_comes_back_unchanged(test_digits):
    for image in test_digits.images[::50, 0].numpy():
        assert (fit_image(Image.fromarray(image)) == image).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16", "F", "CMYK"])
def test_images_of_every_mode_are_read(mode, test_digits):
    ink = Image.fromarray(255 - test_digits.images[0, 0].numpy())
    sixteen_bits = Image.fromarray(np.asarray(ink).astype(np.uint16) * 257)
    fitted = fit_image(sixteen_bits if mode == "I;16" else ink.convert(mode))
    assert fitted.shape == (28, 28)
    assert np.corrcoef(fitted.ravel(), test_digits.images[0].numpy().ravel())[0, 1] > 0.9


def test_images_of_other_sizes_are_prepared_as_drawings_are(test_digits):
    large = Image.new("L", (300, 200), 255)
    large.paste(Image.fromarray(255 - test_digits.images[0, 0].numpy()).resize((84, 84)), (10, 90))
    fitted = fit_image(large)
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
