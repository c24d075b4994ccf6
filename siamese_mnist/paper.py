"""What is round or behind a drawing and is no ink of it: frames, boxes, pages, rules of ruled and squared paper."""

from functools import reduce
from typing import NamedTuple

import numpy as np
from scipy import ndimage

SMALLEST = 40  # Pixels a side; smaller images show no paper.
UNIFORM, FRAME_WIDTH = 0.05, 0.1  # How far the colours of a frame at the edge lie apart; its width, to the side.
ALONG, ANOTHER = 0.9, 0.6  # Shares of a row that are of a frame's colour, and that are not, as it is a frame no more.
COARSE = 96  # Pages are looked for on at most so many points a side.
UPRIGHT, SHARP, BARE = 0.8, 0.9, 0.9  # A page fills its bounding box; its corners span it; no ink is along its sides.
LEAST_PAGE, HOLLOW = (0.1, 0.25), 0.5  # Shares: of the image's sides, of a framed page's; of the page, bare of ink.
LEAST_SHEET, SOLID = 0.4, 0.7  # The same of a sheet on another ground.
LEAST_INK = 0.25  # The height of what is drawn in a frame, to the frame's.
OPEN, RIM, JUTTING = 0.1, 0.25, 4  # Of a frame: share missing; width, to the page's; points by which its sides differ.
SLOPES = np.linspace(-0.05, 0.05, 21)  # Of rules: 3 degrees either way.
FAINT, THICKEST = 0.1, 1 / 50  # A rule's least contrast, to the ink's, and its most thickness, to the image's side.
SPANNING, VISIBLE = 0.6, 0.8  # The least share of its way across that a rule covers, and of a whole one's in sight.
SEVERAL, FAINTER = 3, 0.5  # So many parallel rules are paper; fewer must be half as thick as most ink, or so faint.


def trim_frame(pixels: np.ndarray) -> np.ndarray:
    """Pixels (C, H, W) without lines of one colour along the very edges, if these would pass for the background."""
    sideways = pixels.swapaxes(1, 2)
    turned = [pixels, pixels[:, ::-1], sideways, sideways[:, ::-1]]
    widths = [_edge_width(each) for each in turned]
    background = np.median(np.concatenate([each[:, 0] for each in turned], axis=1), axis=1)
    lined = [each[:, 0] for each, width in zip(turned, widths) if width]
    if len(lined) < 2 or np.abs(np.median(np.concatenate(lined, axis=1), axis=1) - background).max() > UNIFORM:
        return pixels
    top, bottom, left, right = widths
    return pixels[:, top : pixels.shape[1] - bottom, left : pixels.shape[2] - right]


def _edge_width(pixels: np.ndarray) -> int:
    """How many rows at the top of pixels (C, H, W) are a line of one colour; 0 if they are none."""
    colour = np.median(pixels[:, 0], axis=1)[:, None, None]

    def others(start: int, stop: int) -> np.ndarray:
        return (np.abs(pixels[:, start:stop] - colour).max(axis=0) > UNIFORM).mean(axis=1)

    if others(0, 1)[0] > 1 - ALONG:
        return 0
    near = others(0, int(FRAME_WIDTH * pixels.shape[1]) + 1) > ANOTHER
    width = int(near.argmax())
    if not near.any() or not (others(width, 3 * width + 3) > ANOTHER).all():
        return 0
    return width + 1  # with the row in which it ends


def find_page(mask: np.ndarray) -> np.ndarray | None:
    """Where (H, W) the drawing is to be looked for again, if ink (H, W) frames a page, or is one on another ground."""
    if min(mask.shape) < SMALLEST:
        return None
    step = -(-max(mask.shape) // COARSE)
    holes, _ = ndimage.label(_shrink(~mask, step))
    sides = [np.unique(side) for side in (holes[0], holes[-1], holes[:, 0], holes[:, -1])]
    bounded = np.bincount(np.concatenate(sides), minlength=holes.max() + 1) <= 2  # a box may run off the image
    bounded[0] = False
    framed, sheet = bounded[holes], _largest(ndimage.label(_shrink(mask, step))[0])
    for region in (framed, sheet):
        page = _between(region) | _between(region.T).T
        if not _is_page(page, region):
            continue
        if _is_framed(mask, region, page, holes > 0, step) if region is framed else _is_sheet(page, region):
            return page.repeat(step, 0).repeat(step, 1)[: mask.shape[0], : mask.shape[1]]
    return None


def _largest(parts: np.ndarray) -> np.ndarray:
    """Where the largest of numbered parts (h, w) is."""
    area = np.bincount(parts.ravel())
    area[0] = 0
    return (parts == area.argmax()) & (parts > 0)


def _is_page(page: np.ndarray, region: np.ndarray) -> bool:
    """Whether it (h, w) is a large rectangle, hardly turned, with sharp corners, and is bare along its sides."""
    if not page.any() or region[page & ~ndimage.binary_erosion(page)].mean() < BARE:
        return False
    box = page[ndimage.find_objects(page.view(np.uint8))[0]]
    shares = sorted(length / whole for length, whole in zip(box.shape, page.shape))
    if shares[0] < LEAST_PAGE[0] or shares[1] < LEAST_PAGE[1] or box.mean() < UPRIGHT:
        return False
    y, x = np.nonzero(box)
    corners = [(x + y).argmin(), (x - y).argmax(), (x + y).argmax(), (x - y).argmin()]
    x, y = x[corners] + (0, 1, 1, 0), y[corners] + (0, 0, 1, 1)
    between = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
    return bool(between >= SHARP * page.sum())


def _is_sheet(page: np.ndarray, region: np.ndarray) -> bool:
    """Whether a page (h, w) is no thick stroke: most of the image both ways, no strip, and hardly any of it ink."""
    height, width = (np.ptp(at) + 1 for at in np.nonzero(page))
    largest = min(height / len(page), width / page.shape[1]) >= LEAST_SHEET
    return bool(largest and max(height, width) <= 2 * min(height, width) and region.sum() >= SOLID * page.sum())


def _is_framed(mask: np.ndarray, region: np.ndarray, page: np.ndarray, free: np.ndarray, step: int) -> bool:
    """Whether ink is drawn in the page, touching no side, and outside is only what lies closely round it."""
    rim = ndimage.binary_dilation(page) & ~page
    if region.sum() < HOLLOW * page.sum() or not rim.any() or free[rim].mean() > OPEN:
        return False
    whole = ndimage.find_objects(page.view(np.uint8))[0]
    inner, _ = ndimage.label(page & ~region, np.ones((3, 3)))
    largest = _largest(inner)
    if not largest.any():
        return False
    drawn, ink = (ndimage.find_objects(each.view(np.uint8))[0] for each in (largest, mask))
    if drawn[0].stop - drawn[0].start < LEAST_INK * (whole[0].stop - whole[0].start):
        return False
    widths = []
    side = max(at.stop - at.start for at in whole)
    for part, inside, all_ink, length in zip(drawn, whole, ink, page.shape):
        if part.start == inside.start or part.stop == inside.stop:
            return False
        if inside.start > 0:
            widths.append(inside.start - all_ink.start / step)
        if inside.stop < length:
            widths.append(all_ink.stop / step - inside.stop)
    return bool(widths) and max(widths) <= RIM * side and max(widths) - min(widths) <= JUTTING


def _between(region: np.ndarray) -> np.ndarray:
    """Where (H, W) the region lies on both sides in the same row, itself included."""
    return np.logical_or.accumulate(region, 1) & np.logical_or.accumulate(region[:, ::-1], 1)[:, ::-1]


def _shrink(mask: np.ndarray, step: int) -> np.ndarray:
    """Where all of step × step points are true."""
    height, width = (-(-side // step) * step for side in mask.shape)
    padded = np.pad(mask, ((0, height - mask.shape[0]), (0, width - mask.shape[1])), "edge")
    shifted = (padded[row::step, column::step] for row in range(step) for column in range(step))
    return reduce(np.logical_and, shifted)  # three times as fast as reshaping and all()


class Rules(NamedTuple):
    """Parallel rules across an image: where they lie (H, W), how many go all the way, how thick the thickest is."""

    where: np.ndarray
    count: int
    thickness: int


def erase_rules(contrast: np.ndarray, level: float) -> np.ndarray:
    """Contrast (H, W) without the rules of ruled or squared paper; strokes that cross them stay."""
    mask = contrast > FAINT * level
    across = _find_rules(mask)
    down = _find_rules((mask & ~across.where).T)  # Where two rules cross, either would be hidden by the other.
    where = across.where | down.where.T
    if not where.any():
        return contrast
    if max(across.count, down.count) < SEVERAL:
        ink, length = mask & ~where, 2 * max(across.thickness, down.thickness) + 1
        thick = _open(_open(ink, length).T, length)
        if thick.sum() <= FAINTER * ink.sum() and np.median(contrast[where & mask]) > FAINTER * level:
            return contrast
    return np.where(where, 0, contrast)


def _find_rules(mask: np.ndarray) -> Rules:
    """The thin straight lines from the left to the right of a mask (H, W)."""
    width = mask.shape[1]
    none, near, thickest = Rules(np.zeros_like(mask), 0, 0), max(1, width // 50), round(max(mask.shape) * THICKEST)
    if min(mask.shape) < SMALLEST or not (mask[:, :near].any() and mask[:, -near:].any()):
        return none
    thick = _open(mask, thickest + 1)
    thin = mask & ~thick
    if thin.sum() < SPANNING * width:
        return none
    rows = _level(thin)  # (H, W)
    there, hidden, seen = (np.zeros((rows.max() + 1, width), bool) for _ in range(3))
    columns = np.arange(width)[None]
    there[rows, columns], hidden[rows, columns], seen[rows, columns] = thin, thick, True
    near_by = ndimage.maximum_filter1d(there.view(np.uint8), 3, axis=0).view(bool) & seen  # not quite straight
    to_cover = (seen & ~(hidden & ~near_by)).sum(1)
    covered = (near_by.sum(1) >= SPANNING * to_cover) & (to_cover > 2 * near)
    ends = np.all([(near_by | hidden)[:, side].any(1) for side in (slice(near), slice(-near, None))], axis=0)
    numbered, _ = ndimage.label(covered)
    whole = np.unique(numbered[covered & ends & (seen.sum(1) >= VISIBLE * width)])
    if not len(whole):
        return none
    thickness = max(1, round(max(there[numbered == number].sum() / width for number in whole)))
    if thickness > thickest + 1:
        return none
    return Rules(covered[rows] & ~_open(mask, thickness + 3), len(whole), thickness)


def _level(thin: np.ndarray) -> np.ndarray:
    """The row of each point (H, W) if the image is turned so that the lines of thin (H, W) are as level as can be."""
    height, width = thin.shape
    y, x = np.nonzero(thin)
    drifts = np.rint(np.outer(SLOPES, np.arange(width) - width / 2)).astype(int)
    drift = max(drifts, key=lambda drift: (np.bincount(y - drift[x] + drifts.max()) ** 2).sum())
    return np.arange(height)[:, None] - drift + drifts.max()


def _open(mask: np.ndarray, length: int) -> np.ndarray:
    """Where a mask (H, W) has at least `length` points below each other."""
    small = ndimage.minimum_filter1d(mask.view(np.uint8), length, axis=0, mode="constant")
    # An even length has its centre off the middle; the other half is grown back.
    return ndimage.maximum_filter1d(small, length, axis=0, mode="constant", origin=-1 if length % 2 == 0 else 0) > 0
