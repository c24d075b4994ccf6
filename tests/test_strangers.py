"""Strangers: what the network learns to find like nothing but itself."""

import pytest
import torch

from siamese_mnist.pen import BOX, MIDDLE, draw_fitted, draw_segments
from siamese_mnist.strangers import COLLAGES, SCRIBBLES, add_strangers, collages, scribbles


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_a_segment_is_as_wide_and_as_long_as_asked():
    start, end = torch.tensor([[[5.0, 14.0]]]), torch.tensor([[[22.0, 14.0]]])
    ink = draw_segments(start, end, torch.tensor([[3.0]]))[0, 0]
    assert ink[14].sum() == pytest.approx(17 + 3 + 1 - 1, abs=0.6)  # with round caps
    assert ink[:, 14].sum() == pytest.approx(3, abs=0.01)
    dot = draw_segments(start, start, torch.tensor([[3.0]]))[0, 0]
    assert dot.sum() == pytest.approx(torch.pi * 1.5**2, rel=0.1)


@pytest.mark.parametrize("width", [1.1, 2.3, 16.0])
def test_fitting_what_fits_loses_nothing(width):
    points = torch.rand((50, 8, 2), generator=generator(0)) - 0.5
    points[:, 0], points[:, 1] = -0.5, 0.5
    points = MIDDLE + (BOX - width) * points
    segments = points[:, :-1], points[:, 1:], torch.full((50, 1), width)
    assert torch.allclose(draw_fitted(*segments), draw_segments(*segments), atol=1e-4)
    assert (draw_segments(*segments).amax((1, 2, 3)) == 1).all()


def test_scribbles_are_of_the_size_and_ink_of_digits_and_all_different(train_digits):
    images = scribbles(200, generator(0))
    assert images.shape == (200, 1, 28, 28)
    assert images.min() >= 0
    assert images.max() <= 1
    ink = images.mean((1, 2, 3))
    digits = train_digits.images.float().mean((1, 2, 3)) / 255
    assert digits.quantile(0.05) < ink.median() < digits.quantile(0.95)
    for image in images[:, 0]:
        height, width = (at.max() - at.min() + 1 for at in torch.where(image > 0.5))
        assert 19 <= max(height, width) <= 21
    assert (torch.cdist(images.flatten(1), images.flatten(1)) + 99 * torch.eye(200)).min() > 1
    assert torch.equal(images, scribbles(200, generator(0)))


def test_collages_are_made_of_the_batch_and_are_none_of_it(train_digits):
    images = train_digits.images[::100] / 255
    made = collages(images, 100, generator(0))
    assert torch.isin(made, images).all()
    turned = torch.cat([torch.rot90(kind, turns, (2, 3)) for kind in (images, images.flip(3)) for turns in range(4)])
    assert torch.cdist(made.flatten(1), turned.flatten(1)).min() > 1


def test_each_stranger_of_a_batch_is_there_twice_and_a_class_of_its_own(train_digits):
    images, labels = train_digits.images[::16] / 255, train_digits.labels[::16]
    more, theirs = add_strangers(images, labels, generator(0))
    assert torch.equal(more[: len(images)], images)
    assert torch.equal(theirs[: len(labels)], labels)
    own, counts = theirs[len(labels) :].unique(return_counts=True)
    assert len(own) == round(SCRIBBLES * len(images)) + round(COLLAGES * len(images))
    assert own.max() < 0
    assert (counts == 2).all()
    for label in own:
        one, other = more[theirs == label]
        assert torch.equal(one, other)
