"""What `encode` takes for an image, and what it refuses: nothing that is no image gets an embedding."""

from copy import deepcopy

import pytest
import torch

from siamese_mnist import InputError, SiameseNetwork
from siamese_mnist.augment import augment


def embed(network, images):
    with torch.no_grad():
        return network.encode(images)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_a_float_of_any_size_is_the_same_image(network, test_digits, kind):
    images = test_digits.images[::50]
    expected = embed(network, images)
    assert torch.allclose(embed(network, (images / 255).to(kind)), expected, atol=0.02 * expected.abs().max().item())


def test_bool_is_black_and_white(network, test_digits):
    ink = test_digits.images[::50] > 127
    assert torch.equal(embed(network, ink), embed(network, ink.float()))
    assert torch.allclose(embed(network, ink), embed(network, ink.byte() * 255), atol=1e-5)


IMPOSSIBLE = {
    "int64": lambda images: images.long(),
    "int32": lambda images: images.int(),
    "float from 0 to 255": lambda images: images.float(),
    "float16 from 0 to 255": lambda images: images.half(),
    "normalised": lambda images: (images / 255 - 0.1307) / 0.3081,
    "-1 to 1": lambda images: images / 127.5 - 1,
    "uint8 of 0 and 1": lambda images: (images > 127).byte(),
    "NaN": lambda images: torch.where(images > 127, torch.nan, images / 255),
    "infinite": lambda images: torch.where(images > 127, torch.inf, images / 255),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_an_image_is_refused_with_its_type_and_range(network, test_digits, name):
    images = IMPOSSIBLE[name](test_digits.images[::50])
    for encode in (network.encode, network.encode_all):
        with pytest.raises(InputError, match=r"0 \(black\) to 1") as caught:
            encode(images)
        assert str(images.dtype).removeprefix("torch.") in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        network(images, images)


def test_dark_ink_on_white_is_told(network, test_digits):
    for images in (255 - test_digits.images[::50], 1 - test_digits.images[::50] / 255):
        with pytest.warns(UserWarning, match="white"):
            embed(network, images)


def test_what_is_no_tensor_is_refused(network, test_digits):
    for images in (test_digits.images.numpy(), test_digits.images.tolist(), None):
        with pytest.raises(InputError, match="tensor"):
            network.encode(images)


def test_blank_images_no_images_and_those_of_the_training_are_taken(network, train_digits):
    for kind in (torch.uint8, torch.float32, torch.bool):
        assert embed(network, torch.zeros(2, 1, 28, 28, dtype=kind)).shape == (2, 128)
        assert embed(network, torch.zeros(0, 1, 28, 28, dtype=kind)).shape == (0, 128)
    changed = augment(train_digits.images[::4] / 255, torch.Generator().manual_seed(0))
    assert embed(network, changed).shape == (1000, 128)
    assert embed(network, changed * 1.0005).shape == (1000, 128)  # interpolation may leave the range by as much


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_a_network_in_another_precision_says_the_same_in_no_order(released, test_digits, tmp_path, kind):
    images, network = test_digits.images[::10], deepcopy(released).to(kind)
    a, b = embed(network, images[:25]), network.encode_all(images[25:])
    assert a.dtype == b.dtype == torch.float32
    with torch.no_grad():
        similarity = network.similarity(a, b)
        expected = released.similarity(released.encode(images[:25]), released.encode(images[25:]))
        assert (similarity - expected).abs().max() < 0.05
        assert (similarity - network.similarity(b, a).T).abs().max() <= 1e-6
        assert torch.equal(
            network.similarity(a.half(), b.half()), network.similarity(a.half().float(), b.half().float())
        )
    network.save_pretrained(tmp_path)
    assert torch.equal(
        SiameseNetwork.from_pretrained(tmp_path).head.output.weight, released.head.output.weight.to(kind).float()
    )
