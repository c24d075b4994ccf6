"""The whole of Omniglot, downloaded by torchvision from a server on loopback, or found where it lies."""

import hashlib
import zipfile
from functools import cache

import numpy as np
import pytest
from conftest import as_png, serve
from PIL import Image, ImageDraw

from siamese_mnist import InputError, load_digits, omniglot
from siamese_mnist.drawing import fit_image

SCRIPTS = {"images_background": ("Korean", "Greek", "Sanskrit", "Tagalog"), "images_evaluation": ("Oriya", "Keble")}
SPLITS = {"train": ("Greek", "Korean"), "val": ("Sanskrit", "Tagalog"), "test": ("Keble", "Oriya")}
CHARACTERS = ("character01", "character02")


def draw(name, drawer):
    """105 × 105, black on white: an arrow whose proportions tell the character and the drawer."""
    image = Image.new("L", (105, 105), 255)
    right = 30 + sum(name.encode()) % 50
    ImageDraw.Draw(image).line([(10, 90), (10 + 3 * drawer, 20), (right, 90)], fill=0, width=3)
    return image.convert("1")


@cache
def fitted(name, drawer):
    return fit_image(draw(name, drawer))[0]


@pytest.fixture
def published(tmp_path_factory, monkeypatch):
    """A folder with both archives, their images in an order that tells nothing; torchvision knows their checksums."""
    from torchvision.datasets import Omniglot

    folder, sums = tmp_path_factory.mktemp("published"), {}
    for part, scripts in SCRIPTS.items():
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as file:
            names = [f"{script}/{character}" for script in scripts for character in CHARACTERS]
            for number, name in enumerate(names):
                for drawer in (np.random.default_rng(number).permutation(20) + 1).tolist():
                    file.writestr(f"{part}/{name}/{900 - number:04}_{drawer:02}.png", as_png(draw(name, drawer)))
        sums[part] = hashlib.md5((folder / f"{part}.zip").read_bytes()).hexdigest()
    monkeypatch.setattr(Omniglot, "zips_md5", sums)
    return folder


@pytest.fixture
def download(published, monkeypatch):
    from torchvision.datasets import Omniglot

    with serve(published) as address:
        monkeypatch.setattr(Omniglot, "download_url_prefix", address.rstrip("/"))
        yield


def refuse_downloads(monkeypatch):
    monkeypatch.setattr(omniglot, "_download", lambda *_: pytest.fail("asked for a download"))


def assert_as_published(root):
    for split, scripts in SPLITS.items():
        digits = load_digits("omniglot", split=split, root=root)
        assert digits.names == [f"{script}/{character}" for script in scripts for character in CHARACTERS]
        expected = [fitted(name, drawer) for name in digits.names for drawer in range(1, 21)]
        assert np.array_equal(digits.images[:, 0], expected)
        assert digits.labels.tolist() == [label for label in range(4) for _ in range(20)]


def test_it_is_downloaded_once_into_torchvision_s_folder(download, tmp_path, monkeypatch):
    from torchvision.datasets import Omniglot

    assert_as_published(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["omniglot-py"]
    kept = {path.name for path in (tmp_path / "omniglot-py").iterdir()}
    assert kept == {*SCRIPTS, *(f"{part}.zip" for part in SCRIPTS)}
    refuse_downloads(monkeypatch)
    assert_as_published(tmp_path)
    assert len(Omniglot(tmp_path, background=True)) == 160


@pytest.mark.parametrize("damage", ["missing", "torn", "other", "no network"])
def test_a_download_that_fails_leaves_nothing(request, published, tmp_path, damage):
    archive = published / "images_background.zip"
    content = archive.read_bytes()
    archive.unlink()
    if damage in ("torn", "other"):
        archive.write_bytes(content[:-100] if damage == "torn" else content + b" ")
    request.getfixturevalue("no_network" if damage == "no network" else "download")
    for root in (tmp_path, tmp_path / "none" / "deeper"):
        with pytest.raises(InputError, match=r"images_background.*symbols") as caught:
            load_digits("omniglot", root=root)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("layout", ["", "omniglot-py"])
def test_images_are_used_where_they_lie(published, tmp_path, monkeypatch, layout):
    for part in SCRIPTS:
        with zipfile.ZipFile(published / f"{part}.zip") as file:
            file.extractall(tmp_path / layout)
    refuse_downloads(monkeypatch)
    assert_as_published(tmp_path)


DAMAGE = {
    "missing": (lambda image: image.unlink(), r"character02.*delete"),
    "torn": (lambda image: image.write_bytes(image.read_bytes()[:60]), r"0899_07.*repair"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_images_are_named_with_the_way_out(published, tmp_path, monkeypatch, damage):
    with zipfile.ZipFile(published / "images_background.zip") as file:
        file.extractall(tmp_path)
    refuse_downloads(monkeypatch)
    change, told = DAMAGE[damage]
    change(tmp_path / "images_background" / "Korean" / "character02" / "0899_07.png")
    with pytest.raises(InputError, match=told) as caught:
        load_digits("omniglot", root=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_alphabets_is_named(tmp_path, monkeypatch):
    (tmp_path / "images_evaluation").mkdir()
    refuse_downloads(monkeypatch)
    with pytest.raises(InputError, match=r"images_evaluation.*delete"):
        load_digits("omniglot", split="test", root=tmp_path)
