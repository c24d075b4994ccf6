"""Symbols for each batch, a few copies of each: what it takes to compare what was never seen.

Characters of real scripts, symbols of invented ones, and digits in twos, so that new shapes vary as digits do.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese_mnist.data import Digits
from siamese_mnist.pen import AXIS, BOX, MIDDLE, draw_fitted, spline_weight
from siamese_mnist.strangers import turn

COPIES = 4  # Of each symbol in a batch.
CHARACTERS, INVENTED, COMPOSED = 0.36, 0.14, 0.5  # Their shares.
UPRIGHT = 0.5  # The share of the composed symbols whose digits are not turned.
LEAST, OVERLAP = 8, 1  # In pixels: a part of a composed symbol is so long or longer, and laps over the other.

SCRIPTS, STOCK = 3, 8  # Invented for a batch; each one's symbols are made of so many strokes, so that many share some.
STROKES = (0.25, 0.4, 0.25, 0.1)  # The odds that a symbol has one, two, three, four.
POINTS, SEGMENTS = 6, 10  # The most points that guide a stroke, two being the least, and the lines it is drawn with.
GRID, STEP, TURNING = (0.75, 1.0), 0.4, 0.6  # Between the points of a grid, and of a walk, which turns by radians.
ON_GRID, SMOOTH, MOVED = 0.4, 0.65, 0.5  # Shares of the strokes.
PLACE = 0.35  # How far strokes are moved.
JITTER = 0.035  # How far a copy's points and strokes are, as a share of the symbol's size.
WIDTHS, UNEVEN = (1.2, 3.8), 0.5  # Of the pen in pixels, and how far copies differ.
THINNEST, THICKEST = 1.1, 4.2
AWAY = ((POINTS - 1) * torch.linspace(0, 1, SEGMENTS + 1)[:, None] - torch.arange(POINTS)).abs()
POLYLINE = (1 - AWAY).clamp(min=0)  # (SEGMENTS + 1, POINTS): the weight of each guide in each point of a sharp stroke,
SPLINE = F.normalize(spline_weight(AWAY), p=1, dim=1)  # and of a smooth one.


class Symbols:
    """Draws symbols for batches of digits: real characters, invented ones, and pairs of the digits as one."""

    def __init__(self, characters: Digits, digits: Digits) -> None:
        self.characters, self.digits = characters, digits

    def draw(self, symbols: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Returns images (B, 1, 28, 28) in [0, 1] and labels (B,) of about so many symbols."""
        kinds = (
            (CHARACTERS, lambda count: self._characters(count, generator)),
            (INVENTED, lambda count: invent(count, COPIES, generator)),
            (COMPOSED, lambda count: compose(self.digits, count, generator)),
        )
        images = [draw(count) for share, draw in kinds if (count := round(share * symbols))]
        return torch.cat(images), torch.arange(sum(map(len, images))) // COPIES

    def _characters(self, count: int, generator: torch.Generator) -> Tensor:
        chosen = torch.randperm(len(self.characters.members), generator=generator)[:count]
        return _copies(self.characters, chosen, torch.randint(8, (len(chosen),), generator=generator), generator)


def _copies(digits: Digits, classes: Tensor, positions: Tensor, generator: torch.Generator) -> Tensor:
    """COPIES random images of each class (C,), none twice if there are so many, in a position (C,) of a square each."""
    chosen = []
    for label in classes.tolist():
        order = torch.randperm(len(digits.members[label]), generator=generator)
        chosen.append(digits.members[label][order.repeat(-(-COPIES // len(order)))[:COPIES]])
    return turn(digits.images[torch.cat(chosen)] / 255, positions.repeat_interleave(COPIES))


def compose(digits: Digits, count: int, generator: torch.Generator) -> Tensor:
    """Symbols (count · COPIES, 1, 28, 28) of two digits each, squeezed above each other or side by side; some turned.

    Each copy is of other images of the two classes, so that it varies as people's digits do."""
    turned = _uniform(generator, count) >= UPRIGHT
    length = torch.randint(LEAST, BOX - LEAST + 1, (count, 1, 1), generator=generator)  # Of the upper part.
    start, parts = MIDDLE + 0.5 - BOX / 2, []
    for top, rows in ((start, length), (start + length - OVERLAP, BOX - length + OVERLAP)):
        classes = torch.randint(len(digits.members), (count,), generator=generator)
        images = _copies(digits, classes, turned * torch.randint(8, (count,), generator=generator), generator)
        ratio = BOX / rows
        source = start - 0.5 + (AXIS[:, None] + 0.5 - top) * ratio  # (count, 28, 1): the row of a digit for each row.
        squeeze = F.normalize((1 - (source - AXIS).abs() / ratio).clamp(min=0), p=1, dim=2)  # (count, 28, 28)
        parts.append(squeeze.repeat_interleave(COPIES, 0)[:, None] @ images)
    aside = (_uniform(generator, count, 1, 1, 1) < 0.5).repeat_interleave(COPIES, 0)
    images = torch.maximum(*parts).clamp(max=1)
    return torch.where(aside, images.mT, images)


def invent(count: int, copies: int, generator: torch.Generator) -> Tensor:
    """Symbols (count · copies, 1, 28, 28) in [0, 1] of scripts that share strokes; the copies of one follow each other.

    A stroke is a line, a polyline or a curve, between points of a grid or on a curling walk; copies differ a little."""
    most, guides, last, smooth = len(STROKES), *_stock(generator)
    script = torch.randint(SCRIPTS, (count, 1), generator=generator)
    chosen = _uniform(generator, count, STOCK).argsort(1)[:, :most]
    guides, last, smooth = (each[script, chosen] for each in (guides, last, smooth))  # (count, most, …)
    moved = _uniform(generator, count, most, 1, 1) < MOVED
    guides = guides + moved * PLACE * torch.randn((count, most, 1, 2), generator=generator)
    drawn = 1 + torch.multinomial(torch.tensor(STROKES), count, replacement=True, generator=generator)
    size = (guides.amax((1, 2)) - guides.amin((1, 2))).amax(1).view(-1, 1, 1, 1)
    drawn, size, guides, last, smooth = (
        each.repeat_interleave(copies, 0) for each in (drawn, size, guides, last, smooth)
    )
    for shape in ((POINTS, 2), (1, 2)):
        guides = guides + JITTER * size * torch.randn((len(guides), most, *shape), generator=generator)
    guides = guides.gather(2, torch.minimum(torch.arange(POINTS), last)[..., None].expand_as(guides))
    curves = torch.where(smooth, SPLINE @ guides, POLYLINE @ guides)  # (count · copies, most, SEGMENTS + 1, 2)
    missing = (torch.arange(most) >= drawn[:, None])[:, :, None, None]
    curves = torch.where(missing, curves[:, :1, :1], curves)
    low, high = WIDTHS
    width = (low + (high - low) * _uniform(generator, count, 1)).repeat_interleave(copies, 0)
    width = (width + UNEVEN * torch.randn(width.shape, generator=generator)).clamp(THINNEST, THICKEST)
    return draw_fitted(curves[:, :, :-1].flatten(1, 2), curves[:, :, 1:].flatten(1, 2), width)


def _stock(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Each script's strokes: guides (SCRIPTS, STOCK, POINTS, 2), the last of them (…, 1), is it smooth (…, 1, 1)."""
    shape = SCRIPTS, STOCK, POINTS, 2
    on_grid = torch.randint(3, shape, generator=generator) * torch.tensor(GRID)
    start, bend = 2 * torch.pi * _uniform(generator, *shape[:2], 1), torch.randn((*shape[:2], 1), generator=generator)
    heading = start + (bend + TURNING * torch.randn(shape[:3], generator=generator)).cumsum(2)
    steps = STEP * (1 + _uniform(generator, *shape[:2], 1, 1)) * torch.stack([heading.cos(), heading.sin()], -1)
    walk = on_grid[:, :, :1] + steps.cumsum(2)
    gridded, smooth = (_uniform(generator, *shape[:2], 1, 1) < share for share in (ON_GRID, SMOOTH))
    return torch.where(gridded, on_grid, walk), torch.randint(1, POINTS, (*shape[:2], 1), generator=generator), smooth


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator)
