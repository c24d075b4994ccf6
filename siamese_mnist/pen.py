"""Strokes of a round pen on images of 28 × 28, many images at once."""

import torch
from torch import Tensor

AXIS = torch.arange(28.0)
PIXELS = torch.cartesian_prod(AXIS, AXIS).flip(1)  # (784, 2): x, y


def draw_segments(starts: Tensor, ends: Tensor, width: Tensor) -> Tensor:
    """Ink (B, 1, 28, 28) in [0, 1] of segments from (B, S, 2) to (B, S, 2), x and y in pixels, (B, 1) pixels wide."""
    pixels, along = PIXELS.to(starts), ends - starts
    # (B, S, 784) each: the share of the segment at which it is nearest to a pixel, then their squared distance.
    progress = along @ pixels.T - (along * starts).sum(-1, keepdim=True)
    squared_length = along.square().sum(-1, keepdim=True)
    nearest = (progress / squared_length.clamp(min=1e-6)).clamp(0, 1)
    to_start = pixels.square().sum(1) - 2 * starts @ pixels.T + starts.square().sum(-1, keepdim=True)
    distance = (to_start - nearest * (2 * progress - nearest * squared_length)).amin(1).clamp(min=0).sqrt()
    return ((width + 1) / 2 - distance).clamp(0, 1).view(-1, 1, 28, 28)
