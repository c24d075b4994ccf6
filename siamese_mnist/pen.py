"""Strokes of a round pen on images of 28 × 28, many images at once."""

import torch
from torch import Tensor

DRAWN_AT_ONCE = 16  # That many images stay near the cache: ten times as fast as hundreds.
AXIS = torch.arange(28.0)
PIXELS = torch.cartesian_prod(AXIS, AXIS).flip(1)  # (784, 2): x, y
BOX, MIDDLE = 20, 13.5  # The longer side and the place in pixels that MNIST's digits have.


def spline_weight(away: Tensor) -> Tensor:
    """The weight in a point of a cubic B-spline of a guide that is so far away: 0 or more, 1 between two guides."""
    return torch.where(away < 1, 2 / 3 - away**2 + away**3 / 2, (2 - away).clamp(min=0) ** 3 / 6)


def draw_fitted(starts: Tensor, ends: Tensor, width: Tensor) -> Tensor:
    """Ink (B, 1, 28, 28) in [0, 1] of segments (B, S, 2) in any units, brought to MNIST's size and middle, as wide."""
    low, high = torch.minimum(starts, ends).amin(1, True), torch.maximum(starts, ends).amax(1, True)  # (B, 1, 2)
    scale = (BOX - width)[:, :, None] / (high - low).amax(2, keepdim=True).clamp(min=1e-6)
    return draw_segments(*((points - (low + high) / 2) * scale + MIDDLE for points in (starts, ends)), width)


def draw_segments(starts: Tensor, ends: Tensor, width: Tensor) -> Tensor:
    """Ink (B, 1, 28, 28) in [0, 1] of segments from (B, S, 2) to (B, S, 2), x and y in pixels, (B, 1) pixels wide."""
    parts = zip(*(tensor.split(DRAWN_AT_ONCE) for tensor in (starts, ends, width)))
    return torch.cat([_draw(*part) for part in parts])


def _draw(starts: Tensor, ends: Tensor, width: Tensor) -> Tensor:
    pixels, along = PIXELS.to(starts), ends - starts
    # (B, S, 784) each: the share of the segment at which it is nearest to a pixel, then their squared distance.
    progress = (along @ pixels.T).sub_((along * starts).sum(-1, keepdim=True))
    squared_length = along.square().sum(-1, keepdim=True)
    nearest = (progress / squared_length.clamp(min=1e-6)).clamp_(0, 1)
    to_start = (pixels.square().sum(1) - 2 * starts @ pixels.T).add_(starts.square().sum(-1, keepdim=True))
    saved = progress.mul_(2).sub_(nearest * squared_length).mul_(nearest)
    distance = to_start.sub_(saved).amin(1).clamp(min=0).sqrt()
    return ((width + 1) / 2 - distance).clamp(0, 1).view(-1, 1, 28, 28)
