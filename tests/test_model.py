import itertools
import json
import pickle

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from siamese_mnist import InputError, SiameseNetwork
from siamese_mnist.encoders import WholeMapConvolution
from siamese_mnist.heads import pairwise_distance
from siamese_mnist.registry import ENCODERS, HEADS

BOTH = list(itertools.product(ENCODERS, HEADS))


@pytest.mark.parametrize(("encoder", "head"), BOTH)
def test_similarity_does_not_depend_on_the_order(encoder, head, test_digits):
    torch.manual_seed(0)
    network = SiameseNetwork(encoder, head, calibration=(7.0, -2.0)).eval()
    embeddings = network.encode(test_digits.images[:70])
    a, b = embeddings[:33], embeddings[33:]
    assert (network.similarity(a, b) - network.similarity(b, a).T).abs().max() <= 1e-6


@pytest.mark.parametrize(("encoder", "head"), BOTH)
def test_forward_gives_the_logits_of_each_pair(encoder, head, test_digits):
    torch.manual_seed(0)
    network = SiameseNetwork(encoder, head, calibration=(3.0, 0.5)).eval()
    a, b = test_digits.images[:40], test_digits.images[200:240]
    expected = network.logits(network.encode(a), network.encode(b)).diagonal()
    assert network(a, b).shape == (40,)
    assert torch.allclose(network(a, b), expected, atol=1e-5)


def test_mlp_head_is_the_mlp_that_it_claims_to_be(network):
    """Enumerated pair by pair from the cosine and [(a-b)²; a⊙b], with weights that the matrix product implies."""
    torch.manual_seed(2)
    a, b, head = torch.randn(5, 128), torch.randn(4, 128), network.head
    whole = head(a, b)
    assert torch.allclose(head(3 * a, 0.2 * b), whole, atol=1e-4)  # lengths do not count
    a, b = (each * (128**0.5 / each.norm(dim=1, keepdim=True)) for each in (a, b))
    on_product = head.product.weight + 2 * head.square.weight  # (a-b)² holds -2ab
    for i, j in itertools.product(range(5), range(4)):
        hidden = head.square.weight @ (a[i] - b[j]) ** 2 + on_product @ (a[i] * b[j]) + head.square.bias
        cosine = torch.cosine_similarity(a[i], b[j], dim=0)
        expected = head.output(hidden.relu()) + 128 * head.log_scale.exp() * cosine
        assert torch.allclose(whole[i, j], expected, atol=1e-4)


def test_distances_are_euclidean():
    a, b = torch.randn(6, 10), torch.randn(3, 10)
    for i, j in itertools.product(range(6), range(3)):
        assert pairwise_distance(a, b)[i, j].item() == pytest.approx(
            (a[i] - b[j]).square().sum().sqrt().item(), rel=1e-5
        )


def test_distances_without_a_gradient_are_the_same():
    a, b = torch.randn(6, 10), torch.randn(3, 10)
    assert torch.allclose(pairwise_distance(a, a), pairwise_distance(a, a).T, atol=0)
    assert torch.allclose(pairwise_distance(a, b), pairwise_distance(a.requires_grad_(), b), rtol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_s_embeddings_are_as_long_as_its_row_says(name, test_digits):
    assert SiameseNetwork(name).eval().encode(test_digits.images[:3]).shape == (3, ENCODERS[name].dimensions)


def test_many_embeddings_are_scored_in_parts(network, test_digits, monkeypatch):
    embeddings = network.encode_all(test_digits.images[::5])
    whole = network.raw_scores(embeddings, embeddings)
    monkeypatch.setattr("siamese_mnist.model.PAIR_NUMBERS_AT_ONCE", 7000)
    assert torch.allclose(network.raw_scores(embeddings, embeddings), whole, atol=1e-6)


def test_many_pairs_of_images_are_scored_pair_by_pair(network, test_digits):
    a, b = test_digits.images[:250], test_digits.images[250:]
    expected = network.logits(network.encode_all(a), network.encode_all(b)).diagonal()
    with torch.no_grad():
        assert torch.allclose(network(a, b), expected, atol=0.05)


def test_encoding_all_leaves_the_mode_alone_and_nothing_behind(network, test_digits):
    network.train()
    before = network.encoder[2].running_mean.clone()
    embeddings = network.encode_all(test_digits.images[:250])
    assert network.training
    assert not embeddings.requires_grad
    assert torch.equal(network.encoder[2].running_mean, before)
    monitor = network.eval().encode(test_digits.images[200:250])
    assert torch.allclose(embeddings[200:], monitor, atol=0.05 * monitor.abs().max().item())


def test_bytes_and_fractions_are_the_same_image(network, test_digits):
    images = test_digits.images[:8]
    assert torch.allclose(network.encode(images), network.encode(images / 255), atol=1e-6)


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (2, 3, 28, 28), (2, 1, 32, 32)])
def test_images_of_another_shape_are_refused(network, shape):
    with pytest.raises(InputError, match="28"):
        network.encode(torch.zeros(shape))


def test_encoders_have_the_published_layers():
    first, second = [(1, 32), (32, 64)], [(64, 128), (128, 512)]
    convolutions = {"conv5": [*first, (64, 64), *second], "conv4": first + second, "conv2": [(1, 8), (8, 16)]}
    convolutions["conv4s"] = [(1, 24), (24, 48), (48, 96), (96, 512)]
    linears = {
        "conv4s": [(512, 128)],
        "conv5": [(512, 128)],
        "conv4": [(512, 128)],
        "conv2": [(144, 64), (64, 32), (32, 10)],
    }
    for name in ENCODERS:
        layers = list(ENCODERS[name].build())
        found = [layer for layer in layers if isinstance(layer, torch.nn.Conv2d)]
        assert [(layer.in_channels, layer.out_channels) for layer in found] == convolutions[name]
        assert {layer.kernel_size for layer in found} == {(3, 3)}
        found = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
        assert [(layer.in_features, layer.out_features) for layer in found] == linears[name]
        assert ENCODERS[name].dimensions == linears[name][-1][1]


def test_the_small_encoder_looks_at_the_middle_of_an_image(test_digits):
    model = SiameseNetwork("conv4s").eval()
    images = test_digits.images[:4].clone()
    seen = model.encode_all(images)
    images[:, :, [0, 1, -2, -1]] = images[:, :, :, [0, 1, -2, -1]] = 200
    assert torch.equal(model.encode_all(images), seen)
    images[:, :, 2, 2] = 200
    assert not torch.equal(model.encode_all(images), seen)


def test_saved_weights_come_back_with_what_was_set_after_construction(network, test_digits, tmp_path):
    network.threshold, network.rejection_threshold, network.calibration = 0.37, 0.21, (2.5, -1.5)
    network.classes, network.training_facts = ("a", "b"), {"dataset": "folder"}
    network.save_pretrained(tmp_path / "weights")
    loaded = SiameseNetwork.from_pretrained(tmp_path / "weights")
    assert loaded.config == network.config
    assert not loaded.training
    a, b = test_digits.images[:20], test_digits.images[20:40]
    assert torch.equal(loaded(a, b), network(a, b))
    config = json.loads((tmp_path / "weights" / "config.json").read_text())
    assert config["threshold"] == 0.37


def test_weights_with_wrong_keys_are_refused(network, tmp_path):
    SiameseNetwork("conv4", "distance").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "head": "mlp"}))
    with pytest.raises(InputError, match=str(tmp_path)):
        SiameseNetwork.from_pretrained(tmp_path)


def test_a_missing_folder_is_no_request_to_the_hub(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("asked the Hub")

    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", refuse)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    for name in ("weights", "runs/none", "./owner/name", str(tmp_path / "none"), "runs/a/best"):
        with pytest.raises(InputError, match="no such folder"):
            SiameseNetwork.from_pretrained(name)


def test_as_many_images_are_needed_on_both_sides_of_pairs(network, test_digits):
    with pytest.raises(InputError, match="3 and 1 images"):
        network(test_digits.images[:3], test_digits.images[:1])


def test_a_pickle_is_never_loaded(network, tmp_path):
    network.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"never": "read"}))
    with pytest.raises(InputError, match="safetensors"):
        SiameseNetwork.from_pretrained(tmp_path)


def test_a_pickle_on_the_hub_is_refused(network, tmp_path, monkeypatch):
    """Where the Hub has no safetensors, the mixin falls back to a pickle."""
    network.save_pretrained(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"never": "read"}))

    def download(repo_id, filename, **_):
        if filename == "model.safetensors":
            raise LocalEntryNotFoundError("not there")
        return str(tmp_path / filename)

    monkeypatch.setattr("huggingface_hub.hub_mixin.hf_hub_download", download)
    with pytest.raises(InputError, match="a pickle, which is never loaded"):
        SiameseNetwork.from_pretrained("owner/name")


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "config", "unknown encoder"])
def test_damaged_weights_are_refused_in_one_line(network, tmp_path, damage):
    network.save_pretrained(tmp_path)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "empty":
        weights.write_bytes(b"")
    elif damage == "text":
        weights.write_text("no weights")
    elif damage == "config":
        config.write_text('{"encoder": ')
    else:
        config.write_text('{"encoder": "conv9"}')
    with pytest.raises(InputError) as caught:
        SiameseNetwork.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_bfloat16_where_the_hardware_has_it_gives_nearly_the_same_float32(network, test_digits, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    exact = network.encode_all(test_digits.images[:100])
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    rounded = network.encode_all(test_digits.images[:100])
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    assert (exact - rounded).abs().max() < 0.05 * exact.abs().max()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False}, raising=False)
    assert torch.equal(exact, network.encode_all(test_digits.images[:100]))


def test_the_matrix_product_is_the_convolution():
    torch.manual_seed(0)
    layer, maps = WholeMapConvolution(6, 5), torch.randn(4, 6, 3, 3)
    assert torch.allclose(layer(maps), torch.nn.functional.conv2d(maps, layer.weight), atol=1e-5)
