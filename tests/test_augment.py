import pytest
import torch

from siamese_mnist.augment import FLAGS, _flag, augment


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_every_image_is_changed_otherwise_and_stays_an_image(train_digits):
    images = train_digits.images[:1].expand(64, -1, -1, -1) / 255
    changed = augment(images, generator(0))
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    distances = torch.cdist(changed.flatten(1), changed.flatten(1)) + torch.eye(64) * 99
    assert distances.min() > 0.5


def test_the_generator_alone_decides(train_digits):
    images = train_digits.images[::400] / 255
    torch.manual_seed(1)
    first = augment(images, generator(3))
    torch.manual_seed(2)
    assert torch.equal(first, augment(images, generator(3)))
    assert not torch.equal(first, augment(images, generator(4)))


def test_images_are_turned_but_never_flipped(train_digits):
    """Over many draws, a 2 stays nearer to its mean upright picture than to the mirrored one."""
    image = train_digits.images[train_digits.labels == 2][:1] / 255
    mean = augment(image.expand(500, -1, -1, -1), generator(0)).mean(0)
    upright = torch.nn.functional.cosine_similarity(mean.flatten(), image.flatten(), dim=0)
    for axes in ([-1], [-2]):
        mirrored = torch.nn.functional.cosine_similarity(mean.flatten(), image[0].flip(axes).flatten(), dim=0)
        assert upright > mirrored + 0.1


def test_stroke_width_and_position_vary(train_digits):
    image = train_digits.images[train_digits.labels == 0][:1] / 255
    changed = augment(image.expand(300, -1, -1, -1), generator(0))[:, 0]
    ink = changed.sum((1, 2))
    assert ink.max() > 1.3 * ink.min()
    columns = (changed.sum(1) * torch.arange(28)).sum(1) / ink
    assert columns.max() - columns.min() > 3


def test_a_flag_goes_down_to_the_left_from_the_top(train_digits, monkeypatch):
    monkeypatch.setattr("siamese_mnist.augment.FLAGS", 1.0)
    ones = train_digits.images[train_digits.labels == 1] / 255
    added = (_flag(ones, generator(0)) - ones)[:, 0]
    assert added.min() >= 0
    ink, axis, weight = (ones[:, 0] > 0.5).float(), torch.arange(28.0), added.sum((1, 2))
    assert (weight > 1).float().mean() > 0.95
    top = ink.amax(2).argmax(1)
    begin = ink[torch.arange(len(ink)), top]
    assert ((added.sum(2) @ axis) / weight > top).float().mean() > 0.95
    assert ((added.sum(1) @ axis) / weight < begin @ axis / begin.sum(1)).float().mean() > 0.95


def test_only_some_images_get_a_flag(train_digits):
    images = train_digits.images / 255
    untouched = (_flag(images, generator(0)) == images).flatten(1).all(1).float().mean()
    assert untouched == pytest.approx(1 - FLAGS, abs=0.05)
