"""Images that are no digit: like nothing but themselves in training, and what the rejection threshold must refuse."""

import torch
from torch import Tensor

from siamese_mnist.pen import MIDDLE, PIXELS, draw_fitted, spline_weight

SCRIBBLES, COLLAGES = 1 / 16, 1 / 32  # Shares of a batch; each is added twice.
FEWEST, MOST, SEGMENTS = 6, 10, 32  # A scribble's corners (with fewer it would often be a digit) and segments.
LIKE_LETTERS, WANDERING, SMOOTH, INTERRUPTED, THICK = 0.5, 0.35, 0.5, 0.6, 0.15  # Shares of the scribbles.
GRID, WOBBLE = (0.75, 1.0), 0.1  # The points of letters: their distances, and how far strokes miss them.
STRAIGHT, LIFTED = 0.5, 0.25  # Shares of the ways between corners.
THIN_WIDTHS, THICK_WIDTHS = (1.5, 3.7), (3.0, 16.0)  # In pixels.
QUARTERED = 0.6  # Other collages are two images laid over each other.
UNTURNED = torch.arange(784).view(28, 28)
FLIPPED = UNTURNED, UNTURNED.flip(0), UNTURNED.flip(1), UNTURNED.flip(0, 1)
POSITIONS = torch.stack([*FLIPPED, *(pixels.mT for pixels in FLIPPED)]).flatten(1)  # (8, 784): where pixels come from.


def add_strangers(images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch (B, 1, 28, 28), (B,) and strangers, of classes of their own below 0; twice, else none is like itself."""
    drawn, cut = (max(1, round(share * len(images))) for share in (SCRIBBLES, COLLAGES))
    strangers = torch.cat([scribbles(drawn, generator).to(images), collages(images, cut, generator)])
    own = -1 - torch.arange(len(strangers), device=labels.device)
    return torch.cat([images, strangers, strangers]), torch.cat([labels, own, own])


def scribbles(count: int, generator: torch.Generator) -> Tensor:
    """Random strokes (count, 1, 28, 28) in [0, 1] of MNIST's size: half are like letters, some fill."""
    last = torch.randint(FEWEST - 1, MOST, (count, 1), generator=generator)
    at = torch.linspace(0, 1, SEGMENTS + 1) * last  # (count, SEGMENTS + 1): where between which corners
    like_letters = _uniform(generator, count, 1) < LIKE_LETTERS
    curve = torch.where(like_letters[:, :, None], _letters(at, generator), _wanderings(at, last, generator))
    interrupted = like_letters | (_uniform(generator, count, 1) < INTERRUPTED)
    lifted = (_uniform(generator, count, MOST) < LIFTED) & interrupted
    lifted[:, 0] = False
    lifted = lifted.gather(1, at[:, :-1].long())[:, :, None]
    ink = torch.stack([torch.where(lifted, curve[:, :1], points) for points in (curve[:, :-1], curve[:, 1:])])
    thin, thick = (low + (high - low) * _uniform(generator, count, 1) for low, high in (THIN_WIDTHS, THICK_WIDTHS))
    width = torch.where(_uniform(generator, count, 1) < THICK, thick, thin)
    return draw_fitted(*ink, width)


def _letters(at: Tensor, generator: torch.Generator) -> Tensor:
    """Curves (B, S, 2) through points of a grid, straight or bulging between two; `at` (B, S) counts the points."""
    count = len(at)
    corners = (3 * _uniform(generator, count, MOST, 2)).floor() * torch.tensor(GRID)
    corners = corners + WOBBLE * torch.randn((count, MOST, 2), generator=generator)
    ways = corners.diff(dim=1)
    straight = _uniform(generator, count, MOST - 1, 1) < STRAIGHT
    bulges = torch.where(straight, 0, 2 * _uniform(generator, count, MOST - 1, 1) - 1)
    sideways = bulges * ways.flip(2) * torch.tensor([1.0, -1.0])
    way = at.long().clamp(max=MOST - 2)[:, :, None]
    done = at[:, :, None] - way
    start, along, aside = (points.gather(1, way.expand(-1, -1, 2)) for points in (corners, ways, sideways))
    return start + done * along + (torch.pi * done).sin() * aside


def _wanderings(at: Tensor, last: Tensor, generator: torch.Generator) -> Tensor:
    """Curves (B, S, 2) past random points, sharp or smooth at all of them; `at` (B, S) counts the points to `last`."""
    count = len(at)
    walk = torch.randn((count, MOST, 2), generator=generator).cumsum(1)
    corners = torch.where(_uniform(generator, count, 1, 1) < WANDERING, walk, 4 * _uniform(generator, count, MOST, 2))
    away = (at[:, :, None] - torch.arange(MOST)).abs()
    sharp = (1 - away).clamp(min=0)
    weights = torch.where(_uniform(generator, count, 1, 1) < SMOOTH, spline_weight(away), sharp)
    weights = weights * (torch.arange(MOST) <= last[:, :, None])
    return weights @ corners / weights.sum(2, keepdim=True)


def collages(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Images (count, 1, 28, 28) of parts of random others: four quarters, or two laid over each other; parts turned."""
    a, b, c, d = (_turn_some(images, count, generator) for _ in range(4))
    x, y = (PIXELS.to(images) - MIDDLE).T
    angle = _uniform(generator, count, 1, 1).to(images) * 2 * torch.pi
    right, below = (x * angle.cos() + y * angle.sin() > 0), (y * angle.cos() - x * angle.sin() > 0)
    right, below = (side.view(-1, 1, 28, 28) for side in (right, below))
    quarters = torch.where(right, torch.where(below, a, b), torch.where(below, c, d))
    overlay = torch.maximum(a, torch.roll(b, (3, -2), (2, 3)))
    return torch.where(_uniform(generator, count, 1, 1, 1).to(images) < QUARTERED, quarters, overlay)


def _turn_some(images: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Random ones of the images, each in one of the eight positions of a square."""
    images = images[torch.randint(len(images), (count,), generator=generator).to(images.device)]
    return turn(images, torch.randint(8, (count,), generator=generator))


def turn(images: Tensor, position: Tensor) -> Tensor:
    """Images (B, 1, 28, 28), each in a position (B,), 0 to 7, of the square; 0 leaves it, 3 is half a turn."""
    return images.flatten(1).gather(1, POSITIONS[position].to(images.device)).view_as(images)


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator)
