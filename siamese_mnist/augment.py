"""Random changes of a whole batch of images at once. No flips: a flipped 2 is no 2."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese_mnist.pen import AXIS, MIDDLE, draw_segments

ROTATION, SCALE, SHEAR = math.radians(15), 0.15, 0.2
PIXEL = 1 / 14  # In the units of affine_grid half an image is 1.
SHIFT, BEND = 3 * PIXEL, 0.6 * PIXEL
THINNING, FLAGS = 0.5, 0.4  # Strokes lose half of what they may gain; 40 % of the images get a flag.
NOISY, NOISE = 0.3, 0.3  # The share of the images that get noise, and its largest standard deviation.
FLAG_ANGLE = 110.0, 145.0  # Degrees: 0 is to the right, 90 downwards.
FLAG_LENGTH, FLAG_WIDTH = (3.0, 12.0), (1.6, 3.2)  # In pixels.
ALONG = (AXIS - MIDDLE) * PIXEL
PLACES = torch.stack([ALONG.repeat(28), ALONG.repeat_interleave(28), torch.ones(784)])  # (3, 784): x, y, 1.
# (28, 4): the weight of each of 4 points in a row at each of 28 pixels.
CUBIC = F.interpolate(torch.eye(4)[None, :, :, None], size=(28, 1), mode="bicubic", align_corners=True)[0, :, :, 0].T


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turns, shears, scales, shifts, bends images (B, 1, 28, 28) in [0, 1], varies strokes; some get flags, noise."""
    images = _flag(images, generator)
    places = (_random_maps(len(images), generator).flatten(0, 1) @ PLACES).view(-1, 2, 28, 28)
    # Smooth displacements, after Simard, Steinkraus and Platt 2003: noise on 4 × 4 points, cubic between them.
    bends = torch.randn((len(images), 2, 4, 4), generator=generator) * BEND
    grid = (places + CUBIC @ bends @ CUBIC.T).permute(0, 2, 3, 1)
    images = F.grid_sample(images, grid.to(images), align_corners=False)
    return _add_noise(_vary_stroke(images, _signed((len(images), 1, 1, 1), generator).to(images)), generator)


def _flag(images: Tensor, generator: torch.Generator) -> Tensor:
    """Adds to some a stroke from the topmost ink down to the left, as many people, few of MNIST's, begin a 1."""
    chosen = torch.where(torch.rand(len(images), generator=generator) < FLAGS)[0].to(images.device)
    ink = (images[chosen, 0] > 0.5).float()  # (B, 28, 28)
    top = ink.amax(2).argmax(1)
    row = ink[torch.arange(len(top)), top]
    start = torch.stack([row @ AXIS.to(row) / row.sum(1).clamp(min=1), top.to(row)], -1)  # (B, 2)
    angle, length, width = (
        torch.empty(len(top), 1).uniform_(*interval, generator=generator).to(row)
        for interval in (FLAG_ANGLE, FLAG_LENGTH, FLAG_WIDTH)
    )
    end = start + length * torch.cat([angle.deg2rad().cos(), angle.deg2rad().sin()], 1)
    flags = draw_segments(start[:, None], end[:, None], width) * row.amax(1).view(-1, 1, 1, 1)
    return images.index_put((chosen,), torch.maximum(images[chosen], flags))


def _add_noise(images: Tensor, generator: torch.Generator) -> Tensor:
    """Adds normal noise to some, of up to the standard deviation NOISE."""
    chosen = torch.where(torch.rand(len(images), generator=generator) < NOISY)[0]
    deviation = NOISE * torch.rand((len(chosen), 1, 1, 1), generator=generator)
    noise = deviation * torch.randn((len(chosen), *images.shape[1:]), generator=generator)
    chosen = chosen.to(images.device)
    return images.index_put((chosen,), (images[chosen] + noise.to(images)).clamp(0, 1))


def _random_maps(count: int, generator: torch.Generator) -> Tensor:
    """Affine maps (B, 2, 3) from output to input coordinates: rotation after shear after scale, then shift."""
    angle = _signed((count,), generator) * ROTATION
    scale = 1 + _signed((count, 2), generator) * SCALE
    shear = _signed((count,), generator) * SHEAR
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin + shear * cos], -1), torch.stack([sin, cos + shear * sin], -1)], -2)
    shift = _signed((count, 2, 1), generator) * SHIFT
    return torch.cat([turn / scale[:, :, None], shift], -1)


def _vary_stroke(images: Tensor, amount: Tensor) -> Tensor:
    """Blends each image with its 3 × 3 dilation (amount 0 to 1) or, by less, with its erosion (0 to -1)."""
    thinner = amount < 0
    side = torch.where(thinner, -1.0, 1.0)  # The erosion is what is left of the dilated ground.
    return images + amount.abs() * torch.where(thinner, THINNING, 1.0) * (side * _dilate(side * images) - images)


def _dilate(images: Tensor) -> Tensor:
    """Returns the maximum of each 3 × 3 neighbourhood, many times faster on a CPU than max_pool2d."""
    padded = F.pad(images, (1, 1, 1, 1))
    rows = torch.maximum(torch.maximum(padded[..., :-2, :], padded[..., 1:-1, :]), padded[..., 2:, :])
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def _signed(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * 2 - 1
