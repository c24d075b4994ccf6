"""Saved weights: the ways to name them, and that a damaged value in them is refused with the file's name."""

import json
import random
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch

from siamese_mnist import InputError, SiameseNetwork
from siamese_mnist.runs import find_weights


@pytest.fixture
def saved(network, tmp_path):
    network.save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_the_file_stands_for_its_folder(network, saved, file):
    assert SiameseNetwork.from_pretrained(saved / file).fingerprint == network.fingerprint
    assert find_weights(str(saved / file)) == str(saved)


@pytest.mark.parametrize("where", ["cpu", torch.device("cpu"), None])
def test_map_location_is_where_they_are_loaded(network, saved, where):
    assert SiameseNetwork.from_pretrained(saved, map_location=where).fingerprint == network.fingerprint


@pytest.mark.parametrize("where", ["cuda:99", 99, "nowhere", 1.5])
def test_a_device_that_is_not_there_is_one_line(saved, where):
    with pytest.raises(InputError, match="map_location") as caught:
        SiameseNetwork.from_pretrained(saved, map_location=where)
    assert "\n" not in str(caught.value)


def test_a_fingerprint_is_of_what_decides_about_a_pair(network, saved):
    loaded, before = SiameseNetwork.from_pretrained(saved), network.fingerprint
    assert loaded.fingerprint == before
    loaded.threshold = 0.25
    assert loaded.fingerprint != before
    with torch.no_grad():
        network.head.output.bias += 1e-3
    assert network.fingerprint != before


NOT_FINITE = ["NaN", "Infinity", "1" + "0" * 400, '"0.5"', "null", "true", "[0.5]", "{}"]
WRONG = {
    "threshold": [*NOT_FINITE, "1.5", "-0.1"],
    "rejection_threshold": [*NOT_FINITE, "2"],
    "calibration": [
        "[NaN, 0]",
        "[1, Infinity]",
        "[1]",
        "[1, 2, 3]",
        '["1", 2]',
        "5",
        "null",
        '"12"',
        f"[1{'0' * 400}, 0]",
    ],
    "classes": ['"0-7"', "[0, 1]", "null", "7", "{}"],
    "training": ["[]", '"mnist"', '{"dataset": ["mnist"]}', '{"data_root": 5}', '{"images": "many"}', '{"classes": 7}'],
    "validation_eer": ['{"validation_eer": NaN}', '{"validation_eer": "low"}', '{"validation_eer": 2}'],
    "encoder": ["[]", "{}", "4", "null", '"conv9"'],
    "head": ["[1]", "null"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_damaged_value_is_refused_by_file_and_name_and_by_the_constructor(saved, name, value):
    key = "training" if name == "validation_eer" else name
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(config | {key: "HERE"}).replace('"HERE"', value))
    with pytest.raises(InputError) as caught:
        SiameseNetwork.from_pretrained(saved)
    message = str(caught.value)
    assert message.startswith(f"{saved / 'config.json'}: ")
    assert name in message.removeprefix(str(saved))
    assert len(message.removeprefix(str(saved))) < 200
    assert "\n" not in message
    with pytest.raises(InputError, match=name):
        SiameseNetwork(**{key: json.loads(value)})


@pytest.mark.parametrize("text", ["[]", "7", "null", '"config"', "", "{", "[" * 100_000, "\xff", "1" * 5000])
def test_a_config_that_is_no_object_is_refused_by_name(saved, text):
    (saved / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError) as caught:
        SiameseNetwork.from_pretrained(saved)
    assert str(caught.value).startswith(f"{saved / 'config.json'}: ")


def test_a_config_that_lacks_something_is_refused_by_what_it_lacks(saved):
    config = json.loads((saved / "config.json").read_text())
    for name in ("encoder", "head", "threshold", "rejection_threshold", "calibration", "classes"):
        (saved / "config.json").write_text(json.dumps({key: value for key, value in config.items() if key != name}))
        with pytest.raises(InputError, match=rf"config\.json: lacks {name}"):
            SiameseNetwork.from_pretrained(saved)


def forget_checksum(folder):
    """As of weights from before there was one."""
    config = json.loads((folder / "config.json").read_text())
    del config["weights_crc32"]
    (folder / "config.json").write_text(json.dumps(config))


def test_a_flipped_bit_is_refused_wherever_it_is(saved):
    path, numbers = saved / "model.safetensors", random.Random(0)
    content = path.read_bytes()
    for _ in range(20):
        damaged = bytearray(content)
        damaged[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"model\.safetensors: damaged"):
            SiameseNetwork.from_pretrained(saved)
    path.write_bytes(content)
    SiameseNetwork.from_pretrained(saved)


def test_the_weights_of_another_network_are_no_match_for_a_config(saved, tmp_path):
    torch.manual_seed(1)
    SiameseNetwork().save_pretrained(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "model.safetensors", saved)
    with pytest.raises(InputError, match=r"config\.json beside it"):
        SiameseNetwork.from_pretrained(saved)
    forget_checksum(saved)
    SiameseNetwork.from_pretrained(saved)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["encoder.1.weight", "encoder.2.running_var", "head.output.bias"])
def test_weights_that_are_no_numbers_are_refused_by_file_and_name(saved, name, wrong):
    state = safetensors.torch.load_file(saved / "model.safetensors")
    state[name].flatten()[-1] = wrong
    safetensors.torch.save_file(state, saved / "model.safetensors")
    forget_checksum(saved)
    with pytest.raises(InputError, match=rf"model\.safetensors: .*{name}"):
        SiameseNetwork.from_pretrained(saved)


def test_numbers_of_numpy_and_torch_are_numbers():
    network = SiameseNetwork(threshold=np.float32(0.25), calibration=(torch.tensor(2.0), np.int64(1)))
    assert (network.threshold, network.calibration) == (0.25, (2.0, 1.0))
    json.dumps(network.config)
    with pytest.raises(InputError, match="threshold"):
        SiameseNetwork(threshold=torch.tensor([0.25, 0.5]))
