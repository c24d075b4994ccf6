"""Strokes of a round pen on images of 28 × 28, many images at once."""

import torch
import torch.nn.functional as F
from torch import Tensor

SEGMENTS_AT_ONCE = 640  # That many stay near the cache.
SIDE = 28
AXIS = torch.arange(float(SIDE))
PIXELS = torch.cartesian_prod(AXIS, AXIS).flip(1)  # (784, 2): x, y
BOX, MIDDLE = 20, 13.5  # The longer side and the place in pixels that MNIST's digits have.


def spline_weight(away: Tensor) -> Tensor:
    """The weight in a point of a cubic B-spline of a guide that is so far away: 0 or more, 1 between two guides."""
    return torch.where(away < 1, 2 / 3 - away**2 + away**3 / 2, (2 - away).clamp(min=0) ** 3 / 6)


def draw_fitted(starts: Tensor, ends: Tensor, width: Tensor) -> Tensor:
    """Ink (B, 1, 28, 28) in [0, 1] of segments (B, S, 2) in any units, brought to MNIST's size and middle, as wide."""
    low, high = torch.minimum(starts, ends).amin(1, True), torch.maximum(starts, ends).amax(1, True)  # (B, 1, 2)
    scale = (BOX - width)[:, :, None] / (high - low).amax(2, keepdim=True).clamp(min=1e-6)
    starts, ends = ((points - (low + high) / 2) * scale + MIDDLE for points in (starts, ends))
    return draw_segments(starts, ends, width, margin=(SIDE - BOX) // 2)


def draw_segments(starts: Tensor, ends: Tensor, width: Tensor, margin: int = 0) -> Tensor:
    """Ink (B, 1, 28, 28) in [0, 1] of segments from (B, S, 2) to (B, S, 2), x and y in pixels, (B, 1) pixels wide.

    Pixels less than `margin` from an edge are left empty."""
    inner, side = slice(margin, SIDE - margin), SIDE - 2 * margin
    pixels = PIXELS.view(SIDE, SIDE, 2)[inner, inner].flatten(0, 1)
    pixels = F.pad(pixels, (0, 1), value=1.0).T.to(starts)  # (3, P): x, y, 1
    at_once = max(1, SEGMENTS_AT_ONCE // starts.shape[1])
    parts = zip(*(tensor.split(at_once) for tensor in (starts, ends, width)))
    ink = torch.cat([_draw(*part, pixels) for part in parts])
    return F.pad(ink.view(-1, 1, side, side), (margin,) * 4)


def _draw(starts: Tensor, ends: Tensor, width: Tensor, pixels: Tensor) -> Tensor:
    along, middle = ends - starts, (starts + ends) / 2
    length = along.square().sum(-1, keepdim=True).sqrt()  # (B, S, 1)
    along = torch.where(length > 0, along / length, along.new_tensor([1.0, 0.0]))  # That of a dot is any direction.
    across = torch.stack([-along[..., 1], along[..., 0]], -1)
    # (B, S, P) each: how far a pixel is from the line of a segment, and along that line from its ends.
    aside, beyond = (torch.cat([axis, -(axis * middle).sum(-1, keepdim=True)], -1) @ pixels for axis in (across, along))
    beyond = beyond.abs_().sub_(length / 2).clamp_(min=0)
    distance = beyond.square_().addcmul_(aside, aside).amin(1).sqrt()
    return ((width + 1) / 2 - distance).clamp(0, 1)
