"""Images that are no digit: what is trained as like nothing else, and what the rejection threshold is fitted on."""

import torch
from torch import Tensor

from siamese_mnist.strokes import PIXELS, draw_segments

SCRIBBLES, COLLAGES = 1 / 16, 1 / 32  # of a batch are added, twice
FEWEST, MOST = 6, 10  # corners of a scribble; with fewer it would often be a digit
STEPS = 32  # segments of a scribble
BOX, MIDDLE = 20, 13.5  # pixels: a scribble's longer side, as MNIST's digits, and its place
LIKE_LETTERS, WANDERING, SMOOTH, INTERRUPTED, THICK = 0.5, 0.35, 0.5, 0.6, 0.1  # of the scribbles
GRID, WOBBLE = (0.75, 1.0), 0.1  # between the points of letters, and off them
LIFTED = 0.25  # of the ways between corners of an interrupted one
THIN_WIDTHS, THICK_WIDTHS = (1.5, 3.7), (3.0, 9.0)  # pixels
QUARTERED = 0.6  # of the collages; the others are two images laid over each other


def add_strangers(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch (B, 1, 28, 28), (B,) and strangers made for it, each twice, of a class of its own, which is negative.

    Like nothing else, yet like itself: alone, it would be placed where nothing is like itself.
    """
    drawn, cut = (max(1, round(share * len(images))) for share in (SCRIBBLES, COLLAGES))
    strangers = torch.cat([scribbles(drawn, generator).to(images), collages(images, cut, generator)])
    own = -1 - torch.arange(len(strangers), device=labels.device)
    return torch.cat([images, strangers, strangers]), torch.cat([labels, own, own])


def scribbles(count: int, generator: torch.Generator) -> Tensor:
    """Random strokes (count, 1, 28, 28) in [0, 1], straight or curved, of MNIST's size and often of its width.

    Half go between points of a 3 × 3 grid, as those of letters do; the others between any points.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand((count, *shape), generator=generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn((count, *shape), generator=generator)

    like_letters = uniform(1) < LIKE_LETTERS
    on_grid = (3 * uniform(MOST, 2)).floor() * torch.tensor(GRID) + WOBBLE * normal(MOST, 2)
    anywhere = torch.where(uniform(1, 1) < WANDERING, normal(MOST, 2).cumsum(1), 4 * uniform(MOST, 2))
    corners = torch.where(like_letters[:, :, None], on_grid, anywhere)
    last = torch.randint(FEWEST - 1, MOST, (count, 1), generator=generator)
    at = torch.linspace(0, 1, STEPS + 1) * last  # (count, STEPS + 1): where between which corners
    away = (at[:, :, None] - torch.arange(MOST)).abs()
    straight = (1 - away).clamp(min=0)
    spline = torch.where(away < 1, 2 / 3 - away**2 + away**3 / 2, (2 - away).clamp(min=0) ** 3 / 6)
    weights = torch.where(uniform(1, 1) < SMOOTH, spline, straight) * (torch.arange(MOST) <= last[:, :, None])
    curve = weights @ corners / weights.sum(2, keepdim=True)  # (count, STEPS + 1, 2)
    low, high = curve.amin(1, keepdim=True), curve.amax(1, keepdim=True)
    curve = (curve - (low + high) / 2) * (BOX / (high - low).amax(2, keepdim=True)) + MIDDLE
    lifted = (uniform(MOST) < LIFTED) & (like_letters | (uniform(1) < INTERRUPTED))
    lifted[:, 0] = False
    lifted = lifted.gather(1, at[:, :-1].long())[:, :, None]
    starts, ends = (torch.where(lifted, curve[:, :1], points) for points in (curve[:, :-1], curve[:, 1:]))
    thin, thick = (least + (most - least) * uniform(1) for least, most in (THIN_WIDTHS, THICK_WIDTHS))
    width = torch.where(uniform(1) < THICK, thick, thin)
    return draw_segments(starts, ends, width)


def collages(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Images (count, 1, 28, 28) of parts of random others: four quarters, or two laid over each other; parts turned."""
    a, b, c, d = (_turn_some(_pick(images, count, generator), generator) for _ in range(4))
    x, y = (PIXELS.to(images) - MIDDLE).T
    angle = _uniform(count, generator).to(images)[:, 0] * 2 * torch.pi
    right, below = (x * angle.cos() + y * angle.sin() > 0), (y * angle.cos() - x * angle.sin() > 0)
    right, below = (side.view(-1, 1, 28, 28) for side in (right, below))
    quarters = torch.where(right, torch.where(below, a, b), torch.where(below, c, d))
    overlay = torch.maximum(a, torch.roll(b, (3, -2), (2, 3)))
    return torch.where(_uniform(count, generator).to(images) < QUARTERED, quarters, overlay)


def _pick(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    return images[torch.randint(len(images), (count,), generator=generator).to(images.device)]


def _turn_some(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each in one of the eight positions of a square."""
    for turned in (lambda image: image.flip(2), lambda image: image.flip(3), lambda image: image.mT):
        coin = _uniform(len(images), generator).to(images) < 0.5
        images = torch.where(coin, turned(images), images)
    return images


def _uniform(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand((count, 1, 1, 1), generator=generator)
