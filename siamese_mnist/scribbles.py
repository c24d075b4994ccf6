"""Images that are no digit, on which the rejection threshold is fitted."""

import torch
from torch import Tensor

from siamese_mnist.strokes import draw_segments

FEWEST, MOST = 6, 10  # corners of a scribble; with fewer it would often be a digit
STEPS = 32  # segments of a scribble
BOX, MIDDLE = 20, 13.5  # pixels: a scribble's longer side, as MNIST's digits, and its place
WANDERING, SMOOTH, INTERRUPTED, THICK = 0.35, 0.5, 0.6, 0.2  # of the scribbles
LIFTED = 0.2  # of the ways between corners of an interrupted one
THIN_WIDTHS, THICK_WIDTHS = (1.5, 3.7), (3.0, 9.0)  # pixels


def scribbles(count: int, generator: torch.Generator) -> Tensor:
    """Random strokes (count, 1, 28, 28) in [0, 1], straight or curved, of MNIST's size and often of its width."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand((count, *shape), generator=generator)

    wandering = torch.randn((count, MOST, 2), generator=generator).cumsum(1)
    corners = torch.where(uniform(1, 1) < WANDERING, wandering, 4 * uniform(MOST, 2))
    last = torch.randint(FEWEST - 1, MOST, (count, 1), generator=generator)
    at = torch.linspace(0, 1, STEPS + 1) * last  # (count, STEPS + 1): where between which corners
    away = (at[:, :, None] - torch.arange(MOST)).abs()
    straight = (1 - away).clamp(min=0)
    spline = torch.where(away < 1, 2 / 3 - away**2 + away**3 / 2, (2 - away).clamp(min=0) ** 3 / 6)
    weights = torch.where(uniform(1, 1) < SMOOTH, spline, straight) * (torch.arange(MOST) <= last[:, :, None])
    curve = weights @ corners / weights.sum(2, keepdim=True)  # (count, STEPS + 1, 2)
    low, high = curve.amin(1, keepdim=True), curve.amax(1, keepdim=True)
    curve = (curve - (low + high) / 2) * (BOX / (high - low).amax(2, keepdim=True)) + MIDDLE
    lifted = (uniform(MOST) < LIFTED) & (uniform(1) < INTERRUPTED)
    starts, ends = curve[:, :-1], curve[:, 1:]
    ends = torch.where(lifted.gather(1, at[:, :-1].long())[:, :, None], starts, ends)
    thin, thick = (least + (most - least) * uniform(1) for least, most in (THIN_WIDTHS, THICK_WIDTHS))
    width = torch.where(uniform(1) < THICK, thick, thin)
    return draw_segments(starts, ends, width)
