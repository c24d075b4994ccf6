"""Damaged files of every kind: each is read, or refused in one line; nothing else is raised, and nothing written."""

import gzip
import itertools
import json
import os
import random
import shutil
import warnings
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
import torch
from conftest import write_idx
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import demo
from benchmarks.pack import read_unipen
from siamese_mnist import InputError, SiameseNetwork, load_digits
from siamese_mnist.errors import InputNote
from siamese_mnist.images import open_image
from siamese_mnist.options import TrainingOptions
from siamese_mnist.page.pictures import data_url, ink_url, read_drawing, read_example
from siamese_mnist.runs import Run, trained_images

MANY = int(os.environ.get("SIAMESE_MNIST_MUTANTS", "0"))  # As tests/stress/damage.py says.
RULES = {"deadline": timedelta(seconds=5) if MANY else None, "database": None, "derandomize": True}
MUTANTS = settings(max_examples=MANY or 150, **RULES)
OF_PICTURES = settings(max_examples=MANY or 50, **RULES)
OF_WEIGHTS = settings(max_examples=MANY * 6 // 10 or 100, **RULES)
PIECES = (b"", b"\0", b"\xff", b"\n", b",", b"-1", b"1e999", b"NaN", b'"', b"{}", b"[", b"null", b"9" * 400, b"\0" * 64)
REST = 40  # An edit of this length takes all that follows.
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, REST), st.sampled_from(PIECES) | st.binary(max_size=8)),
    min_size=1,
    max_size=4,
)


def mutate(content, edits):
    for where, length, piece in edits:
        at = int(where * len(content))
        content = content[:at] + piece + (content[at + length :] if length < REST else b"")
    return content


def try_mutants(folders, original, name, call, count=MUTANTS):
    """Puts mutants of a file into copies of the folder that it lies in, and calls `call` with the folder."""
    content, refused = (original / name).read_bytes(), []

    @count
    @given(EDITS)
    def check(edits):
        folder = next(folders)
        shutil.copytree(original, folder)
        (folder / name).write_bytes(mutate(content, edits))
        before = sorted(folder.rglob("*"))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", InputNote)
            try:
                call(folder)
            except InputError as refusal:
                refused.append(str(refusal))
        assert sorted(folder.rglob("*")) == before
        shutil.rmtree(folder)

    check()
    assert refused
    assert not [line for line in refused if "\n" in line]


@pytest.fixture(scope="module")
def few_digits(train_digits):
    return train_digits.at_most(8)


@pytest.fixture
def folders(tmp_path):
    return (tmp_path / f"mutant {number}" for number in itertools.count())


@pytest.mark.parametrize("name", ["train.csv", "train.csv.gz"])
def test_csv(few_digits, folders, tmp_path, name):
    rows = few_digits.images.flatten(1).tolist()
    lines = ["label," + ",".join(f"pixel{i}" for i in range(784))]
    lines += [",".join(map(str, [label, *row])) for label, row in zip(few_digits.labels.tolist(), rows, strict=True)]
    content = "\n".join(lines).encode()
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    try_mutants(folders, tmp_path / "csv", name, lambda folder: load_digits("csv", root=folder))


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "train-images-idx3-ubyte.gz"])
def test_idx(few_digits, folders, tmp_path, name, no_network):
    (tmp_path / "idx").mkdir()
    write_idx(tmp_path / "idx" / "train-images-idx3-ubyte", few_digits.images[:, 0].numpy(), 0x803)
    write_idx(tmp_path / "idx" / "train-labels-idx1-ubyte", few_digits.labels.numpy(), 0x801)
    if name.endswith(".gz"):
        path = tmp_path / "idx" / name.removesuffix(".gz")
        path.with_name(name).write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    try_mutants(folders, tmp_path / "idx", name, lambda folder: load_digits("mnist", root=folder))


@pytest.mark.parametrize("format", ["png", "jpg", "gif", "bmp", "tiff", "webp", "ppm"])
def test_images_in_folders(few_digits, folders, tmp_path, format):
    for index, (image, label) in enumerate(few_digits.select(few_digits.labels < 2)):
        (tmp_path / "classes" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(tmp_path / "classes" / str(label) / f"{index}.png")
    drawing = Image.fromarray(255 - few_digits.images[30, 0].numpy()).resize((56, 56))
    drawing.save(tmp_path / "classes" / "1" / f"drawing.{format}")
    name = f"1/drawing.{format}"
    try_mutants(folders, tmp_path / "classes", name, lambda folder: load_digits("folder", root=folder), OF_PICTURES)


@pytest.mark.parametrize("format", ["png", "jpeg", "gif"])
def test_uploads(few_digits, folders, tmp_path, format):
    (tmp_path / "upload").mkdir()
    Image.fromarray(few_digits.images[30, 0].numpy()).save(tmp_path / "upload" / "image", format)
    try_mutants(folders, tmp_path / "upload", "image", lambda folder: open_image(folder / "image"), OF_PICTURES)


@pytest.mark.parametrize(("write", "read"), [(data_url, read_drawing), (ink_url, read_example)])
def test_pictures_of_the_page(few_digits, folders, tmp_path, write, read):
    (tmp_path / "picture").mkdir()
    (tmp_path / "picture" / "url").write_text(write(few_digits.images[30]))
    try_mutants(folders, tmp_path / "picture", "url", lambda folder: read((folder / "url").read_text("latin-1")))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_weights(folders, tmp_path, name):
    SiameseNetwork("conv2", "distance").save_pretrained(tmp_path / "weights")
    config = json.loads((tmp_path / "weights" / "config.json").read_text())
    del config["weights_crc32"]  # As from before there was one; else nothing damaged would be read any further.
    (tmp_path / "weights" / "config.json").write_text(json.dumps(config))

    def load(folder):
        model = SiameseNetwork.from_pretrained(folder)
        assert all(parameter.isfinite().all() for parameter in model.parameters())
        assert np.isfinite([model.threshold, model.rejection_threshold, *model.calibration]).all()

    try_mutants(folders, tmp_path / "weights", name, load, OF_WEIGHTS)


@pytest.fixture
def short_run(tmp_path, few_digits):
    """A run of one epoch, as it lies on the disk."""
    run = Run.new(str(tmp_path / "run"), TrainingOptions(encoder="conv2", head="distance", epochs=1))
    run.begin(replace(few_digits, digests=torch.arange(len(few_digits))))
    model = SiameseNetwork("conv2", "distance", training={"dataset": "bundled", "images": 80})
    row = {"epoch": 1, "loss": 0.5, "val_eer": 0.25, "val_eer_error": 0.05, "seconds": 1.5}
    run.save_epoch(model, [row], {"model": model.state_dict(), "images": 7})
    metrics = {"classes": list(model.classes), "weights_crc32": model.fingerprint, "eer": 0.25}
    metrics |= {"dataset": "bundled", "split": "test"}
    (tmp_path / "run" / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path / "run"


def resume(folder):
    run = Run.resume(str(folder), {})
    model = SiameseNetwork("conv2", "distance")
    history, _ = run.load_state({"model": model}, torch.device("cpu"))
    assert [row["epoch"] for row in history] in ([], [1])


def describe(folder):
    demo.describe(str(folder / "best"), SiameseNetwork.from_pretrained(folder / "best"))


READERS_OF_A_RUN = {
    "config.json": resume,
    "state.pt": resume,
    "metrics.json": describe,
    "images.csv": lambda folder: trained_images(str(folder / "best")),
}


@pytest.mark.parametrize("name", READERS_OF_A_RUN)
def test_runs(folders, short_run, name):
    try_mutants(folders, short_run, name, READERS_OF_A_RUN[name], OF_WEIGHTS)


def test_a_flipped_bit_changes_nothing_of_a_state_that_is_loaded(short_run):
    """Some bits, as of the times in an archive, mean nothing."""
    path, numbers, refused = short_run / "state.pt", random.Random(0), 0
    content, models = path.read_bytes(), [SiameseNetwork("conv2", "distance") for _ in range(2)]
    history = Run.resume(str(short_run), {}).load_state({"model": models[0]}, torch.device("cpu"))
    for _ in range(200):
        damaged = bytearray(content)
        damaged[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)
        path.write_bytes(damaged)
        try:
            assert Run.resume(str(short_run), {}).load_state({"model": models[1]}, torch.device("cpu")) == history
        except InputError:
            refused += 1
            continue
        assert models[0].fingerprint == models[1].fingerprint
    assert refused > 100


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("name", ["best/config.json", "config.json", "metrics.json"])
def test_json_of_other_values(folders, short_run, name):
    """Whole JSON, in which one value is another, or which is no object at all."""
    original, refused = json.loads((short_run / name).read_text()), []

    @OF_WEIGHTS
    @given(st.sampled_from([None, *original]), VALUES)
    def check(key, value):
        (short_run / name).write_text(json.dumps(value if key is None else original | {key: value}))
        try:
            (resume if name == "config.json" else describe)(short_run)
        except InputError as refusal:
            refused.append(str(refusal))

    check()
    assert not [line for line in refused if "\n" in line]


def test_pen_strokes(folders, tmp_path):
    (tmp_path / "pens").mkdir()
    strokes = "".join(f".PEN_DOWN\n {x} 300\n 200 {x}\n.PEN_UP\n" for x in (100, 200))
    text = "".join(f'.SEGMENT DIGIT 0 ? "{digit}"\n.COMMENT {digit} 1 0\n{strokes}' for digit in range(10))
    (tmp_path / "pens" / "digits").write_text(text)
    try_mutants(folders, tmp_path / "pens", "digits", lambda folder: read_unipen(str(folder / "digits")))
