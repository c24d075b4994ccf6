"""What is round or behind a drawing and is no ink of it: frames, boxes, pages, rules of ruled and squared paper."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

UNIFORM, ALONG, FRAME_WIDTH = 0.05, 0.9, 0.1  # A line's deviation in colour; shares of an edge it follows, of a side.
ANOTHER = 0.6  # The share of another colour in a row that is no line any more.
COARSE = 96  # Pages are looked for on at most so many points a side.
UPRIGHT, SHARP = 0.8, 0.9  # Shares: of its bounding box that a page fills; of it, the area between its four corners.
BARE, HOLLOW, SOLID = 0.9, 0.5, 0.7  # The least shares that are bare of ink: of a page's sides, and of itself.
LEAST_PAGE, LEAST_SHEET = (0.1, 0.25), 0.4  # Shares of the image's sides that a page in a frame, or a sheet has.
LEAST_INK = 0.25  # The height of what is drawn in a frame, to the frame's.
OPEN, RIM, JUTTING = (
    0.1,
    0.25,
    4,
)  # Of a frame: the share that is missing; its width, to the page's; in points, its deviation.
SMALLEST = 40  # Pixels a side; smaller images show no paper.
SLOPES = np.linspace(-0.05, 0.05, 21)  # Of rules: 3 degrees either way.
FAINT = 0.1  # The least share of the ink's contrast that a rule has.
THICKEST = 1 / 50  # Of the image's side, a rule's thickness.
SPANNING, VISIBLE = 0.6, 0.8  # The least share of its way across that a rule covers, and of a whole one's in sight.
SEVERAL, FAINTER = 3, 0.5  # So many parallel rules are paper; fewer must be half as thick as most ink, or so faint.


def trim_frame(pixels: np.ndarray) -> np.ndarray:
    """Pixels (C, H, W) without lines of one colour along the very edges, if these would pass for the background."""
    turned = [pixels, pixels[:, ::-1], pixels.mT, pixels.mT[:, ::-1]]
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
    other = (np.abs(pixels[:, : pixels.shape[1] // 2 + 1] - colour).max(axis=0) > UNIFORM).mean(axis=1)
    width = int((other > ANOTHER).argmax())
    narrow = 0 < width <= FRAME_WIDTH * pixels.shape[1] and (other[width : 3 * width + 3] > ANOTHER).all()
    return width + 1 if narrow and other[0] <= 1 - ALONG else 0  # with the row in which it ends


def find_page(mask: np.ndarray) -> np.ndarray | None:
    """Where (H, W) the drawing is to be looked for again, if ink (H, W) frames a page, or is one on another ground."""
    if min(mask.shape) < SMALLEST:
        return None
    step = -(-max(mask.shape) // COARSE)
    holes, _ = ndimage.label(_shrink(~mask, step))
    sides = [np.unique(side) for side in (holes[0], holes[-1], holes[:, 0], holes[:, -1])]
    bounded = np.bincount(np.concatenate(sides), minlength=holes.max() + 1) <= 2  # a box may run off the image
    bounded[0] = False
    solid, _ = ndimage.label(_shrink(mask, step))
    for region, is_frame in ((bounded[holes], True), (_largest(solid), False)):
        page = _between(region) | _between(region.T).T
        if not _is_page(page, region):
            continue
        if _frames(mask, region, page, holes > 0, step) if is_frame else _is_sheet(page, region):
            return page.repeat(step, 0).repeat(step, 1)[: mask.shape[0], : mask.shape[1]]
    return None


def _largest(parts: np.ndarray) -> np.ndarray:
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


def _frames(mask: np.ndarray, region: np.ndarray, page: np.ndarray, free: np.ndarray, step: int) -> bool:
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
    return padded.reshape(height // step, step, width // step, step).all((1, 3))


class Rules(NamedTuple):
    """Parallel rules across an image: where they lie (H, W), how many go all the way, how thick the thickest is."""

    where: np.ndarray
    count: int
    thickness: int


def erase_rules(contrast: np.ndarray, level: float) -> np.ndarray:
    """Contrast (H, W) without the rules of ruled or squared paper; strokes that cross them stay."""
    mask = contrast > FAINT * level
    across = _find_rules(mask)
    rest = mask & ~across.where if across else mask
    down = _find_rules(rest.T)
    found = [rules for rules in (across, down) if rules]
    if not found:
        return contrast
    where = np.zeros_like(mask)
    if across:
        where |= across.where
    if down:
        where |= down.where.T
    if max(rules.count for rules in found) < SEVERAL:
        rest, length = mask & ~where, 2 * max(rules.thickness for rules in found) + 1
        thick = _open(_open(rest, length).T, length)
        if thick.sum() <= FAINTER * rest.sum() and np.median(contrast[where & mask]) > FAINTER * level:
            return contrast
    return np.where(where, 0, contrast)


def _find_rules(mask: np.ndarray) -> Rules | None:
    """Thin straight lines from the left to the right of a mask (H, W), as level as its most level ones."""
    height, width = mask.shape
    if min(mask.shape) < SMALLEST:
        return None
    near = max(1, width // 50)
    if not (mask[:, :near].any() and mask[:, -near:].any()):
        return None
    thick = _open(mask, max(2, round(max(mask.shape) * THICKEST)) + 1)
    thin = mask & ~thick
    y, x = np.nonzero(thin)
    if len(y) < SPANNING * width:
        return None
    drifts = np.rint(np.outer(SLOPES, np.arange(width) - width / 2)).astype(int)
    pad = drifts.max()
    drift = max(drifts, key=lambda drift: (np.bincount(y - drift[x] + pad) ** 2).sum())
    level = np.arange(height)[:, None] - drift + pad  # (H, W): the row of each point, were the rules level
    there, hidden, seen = (np.zeros((height + 2 * pad, width), bool) for _ in range(3))
    columns = np.arange(width)[None]
    there[level, columns], hidden[level, columns], seen[level, columns] = thin, thick, True
    thin_there = there
    there = ndimage.maximum_filter1d(there.view(np.uint8), 3, axis=0).view(bool)
    open_to_see = (seen & ~(hidden & ~there)).sum(1)
    covered = (there & seen).sum(1) >= SPANNING * np.maximum(open_to_see, 1)
    covered &= open_to_see > 0.05 * width
    rows, _ = ndimage.label(covered)
    ends = (there | hidden)[:, :near].any(1) & (there | hidden)[:, -near:].any(1)
    whole = np.unique(rows[covered & ends & (seen.sum(1) >= VISIBLE * width)])
    if not len(whole):
        return None
    thickness = round(max((thin_there & (rows == n)[:, None]).sum() / width for n in whole))
    if thickness > THICKEST * max(mask.shape) + 1:
        return None
    band = covered[level]
    return Rules(band & ~_open(mask, thickness + 3), len(whole), max(1, thickness))


def _open(mask: np.ndarray, length: int) -> np.ndarray:
    """Where a mask (H, W) has at least `length` points below each other."""
    small = ndimage.minimum_filter1d(mask.view(np.uint8), length, axis=0, mode="constant")
    # An even length has its centre off the middle; the other half is grown back.
    return ndimage.maximum_filter1d(small, length, axis=0, mode="constant", origin=-1 if length % 2 == 0 else 0) > 0
