"""Any drawing or photo of one symbol becomes a 28 × 28 image, made the way MNIST was made."""

import math
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image, ImageOps
from scipy import ndimage
from torch import Tensor

from siamese_mnist.errors import InputError
from siamese_mnist.images import LARGEST, open_image
from siamese_mnist.paper import erase_rules, find_page, trim_frame

SMALLEST = 8  # Pixels a side.
WORKING = 560  # Larger images are first reduced to this size, which also averages the noise of a photo.
BOX, FRAME = 20, 28  # The longer side of MNIST's digits, and the side of its images.
FINE = 5  # Stroke widths are measured and changed on this many points a pixel.
INVISIBLE, FAINTEST = 0.002, 0.08  # The least contrast with the background of a pixel, and of all ink.
ALIKE = 0.2  # How far the colours of a background may lie apart.
STRONG, WEAK = 0.5, 0.2  # Shares of the ink's contrast that a stroke reaches, and at which it ends.
SPECK, LEAST = 0.03, 0.02  # Smaller shares of the largest part, or of the image's side, are no ink.
NARROWEST, TYPICAL, WIDEST = 1.1, 2.3, 4.3  # Percentiles 1, 50 and 99 of MNIST's stroke widths, in its pixels.
THICK, DISC = 9, 17.5  # Most digits of wider strokes cannot be recognised; what is wider still is a figure, a disc.
TALL, OVERLAP = 0.5, 0.3  # Shares: of the height, of parts side by side; of the narrower's width, of parts of one.
INNER, SLASH = 0.3, 0.06  # Of what is in a ring, the least height, to the ring's; the variance across a zero's slash.
BRIGHT = 128  # The least maximum of MNIST's images, and more.
PASSES = 3  # So often a photo's background is fitted, each time to what the last fit hardly missed.
FRAMES = 3  # At most so many round each other are taken off.
REDRAWN = TYPICAL  # The width that narrower and wider strokes are brought to.


def prepare_drawing(image: Image.Image | ArrayLike | str | Path) -> Tensor:
    """A drawing of either polarity, 8 to 4,096 pixels a side, as (1, 1, 28, 28) in [0, 1], white ink on black.

    A PIL image of any mode, a file's path, or an array (H, W) or (H, W, channels). InputError says that nothing is
    drawn, or what else is wrong. Made as by LeCun et al. 1998, III.A, with MNIST's stroke width."""
    return prepare_parts(image)[:1]


def prepare_parts(image: Image.Image | ArrayLike | str | Path) -> Tensor:
    """The drawing as `prepare_drawing` makes it, then, if tall parts stand side by side or in a ring, each by itself.

    (1, 1, 28, 28), or (1 + parts, 1, 28, 28)."""
    ink = _crop(_find_inks(_pixels(image))[-1])
    width = stroke_width(ink)
    if THICK < width < DISC:
        raise InputError("the strokes are too thick to tell what is drawn: draw it larger, or with a thinner pen")
    labels, _ = ndimage.label(ink > WEAK, np.ones((3, 3)))
    groups = _side_by_side(labels) or _ringed(labels)
    parts = [_crop(np.where(np.isin(labels, list(group)), ink, 0)) for group in groups]
    return torch.from_numpy(np.stack([_fit(ink, width), *(_fit(part, stroke_width(part)) for part in parts)]))[:, None]


def _side_by_side(labels: np.ndarray) -> list[set[int]]:
    """The numbers in labels (H, W) of each tall part, if there are several; what overlaps in columns is one part."""
    boxes = {number: box for number, box in enumerate(ndimage.find_objects(labels), 1)}
    groups: list[tuple[int, int, set[int]]] = []
    for number, (_, columns) in sorted(boxes.items(), key=lambda item: item[1][1].start):
        left, right, members = columns.start, columns.stop, {number}
        while groups and groups[-1][1] - left > OVERLAP * min(right - left, groups[-1][1] - groups[-1][0]):
            start, stop, others = groups.pop()
            left, right, members = start, max(stop, right), members | others
        groups.append((left, right, members))
    tall = []
    for *_, members in groups:
        rows = [boxes[number][0] for number in members]
        if max(at.stop for at in rows) - min(at.start for at in rows) >= TALL * len(labels):
            tall.append(members)
    return tall if len(tall) > 1 else []


def _ringed(labels: np.ndarray) -> list[set[int]]:
    """The numbers in labels (H, W) of a ring, and of a tall part inside it that is no slash, if there are such."""
    heights = [rows.stop - rows.start for rows, _ in ndimage.find_objects(labels)]
    tall = [number for number, height in enumerate(heights, 1) if height >= INNER * len(labels)]
    if len(tall) == 2:
        outer, inner = sorted(tall, key=lambda number: heights[number - 1], reverse=True)
        across, along = np.linalg.eigvalsh(np.cov(np.nonzero(labels == inner)))
        if across > SLASH * along and ndimage.binary_fill_holes(labels == outer)[labels == inner].all():
            return [{outer}, {inner}]
    return []


def fit_image(image: Image.Image) -> list[np.ndarray]:
    """Returns any PIL image as uint8 (28, 28): as it is where it is made like MNIST's, else prepared.

    As it may be one of any symbols, its strokes may be of any width, and a box round it may belong to it: then without
    that, too, and so on."""
    if image.size == (FRAME, FRAME) and image.mode == "L" and "transparency" not in image.info:
        pixels = np.asarray(image)
        if pixels.max() >= BRIGHT and _is_fitted(pixels):
            return [pixels]
    inks = map(_crop, _find_inks(_pixels(image)))
    return [np.rint(_fit(ink, stroke_width(ink)) * 255).astype(np.uint8) for ink in inks]


def _is_fitted(pixels: np.ndarray) -> bool:
    """Whether (28, 28), white on black, has the size and the place of MNIST's digits, as all of these have."""
    centre = np.array(ndimage.center_of_mass(pixels))
    return BOX - 1 <= max(_crop(pixels).shape) <= BOX and bool(np.abs(centre - (FRAME - 1) / 2).max() <= 1)


def _fit(ink: np.ndarray, width: float) -> np.ndarray:
    """Cropped ink (h, w), whose stroke width is `width` MNIST pixels, as float32 (28, 28)."""
    if not NARROWEST <= width <= WIDEST:
        ink = _crop(_redraw(ink, width))
    return _centre_by_mass(_resize(ink, BOX))


def stroke_width(ink: np.ndarray) -> float:
    """The typical stroke width of cropped ink (h, w) in [0, 1], in pixels of the MNIST image it would become."""
    inside = ndimage.distance_transform_edt(np.pad(_resize(ink, BOX * FINE), 1) > 0.5)
    ridge = (inside > 0) & (inside == _dilate(inside))
    # The distance in the middle is half of an even width, and half a point more than half of an odd one.
    return (2 * np.median(inside[ridge]) - 0.5) / FINE if ridge.any() else 0.0


def _redraw(ink: np.ndarray, width: float) -> np.ndarray:
    """Cropped ink (h, w), whose stroke width is `width` MNIST pixels, drawn anew, REDRAWN wide unless that tears it."""
    # The middle of the strokes is (BOX - width) long, and is to be (BOX - REDRAWN).
    target = REDRAWN * (BOX - width) / (BOX - REDRAWN)
    grow = (target - width) / 2 * FINE
    solid = np.pad(_resize(ink, BOX * FINE), 2 + max(0, round(grow))) > 0.5
    inside, outside = ndimage.distance_transform_edt(solid), ndimage.distance_transform_edt(~solid)
    if grow < 0:  # An 8 whose loops are full of ink is wider than its strokes: thinned so far, it would fall apart.
        parts, depths = _count_parts(solid), range(1, 2 + int(FINE * NARROWEST / 2 - grow))
        torn = next((depth for depth in depths if _count_parts(inside > depth) != parts), math.inf)
        grow = max(grow, -torn / 2)
    return np.clip(np.where(solid, inside - 0.5, 0.5 - outside) + grow + 0.5, 0, 1)


def _pixels(image: Image.Image | ArrayLike | str | Path) -> np.ndarray:
    """float32 (4, H, W), premultiplied RGBA in [0, 1], at most WORKING pixels a side."""
    if isinstance(image, str | Path):
        try:
            return _pixels(open_image(image))
        except InputError as error:
            raise InputError(f"{image}: {error}") from error
    if not isinstance(image, Image.Image):
        image = Image.fromarray(to_bytes(image))
    if min(image.size) < SMALLEST or max(image.size) > LARGEST:
        width, height = image.size
        raise InputError(f"the image is {width} × {height} pixels; {SMALLEST} to {LARGEST:,} a side can be used")
    try:
        with warnings.catch_warnings(action="ignore"):  # Of damaged metadata.
            image.load()
            image = ImageOps.exif_transpose(image)
        if image.mode[0] in "IF" or (image.mode in ("L", "RGB") and np.max(image.getextrema()) <= 1):
            image = Image.fromarray(to_bytes(np.asarray(image)))
        if image.mode in ("L", "RGB"):  # What hides nothing is made smaller before it takes four bytes a pixel.
            image.thumbnail((WORKING, WORKING), Image.Resampling.BOX, reducing_gap=None)
        image = image.convert("RGBA").convert("RGBa")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"the image cannot be read ({error})") from error
    image.thumbnail((WORKING, WORKING), Image.Resampling.BOX, reducing_gap=None)
    return np.stack([np.asarray(plane, np.float32) for plane in image.split()]) / 255


def to_bytes(values: ArrayLike) -> np.ndarray:
    """uint8 (H, W) or (H, W, channels) of numbers in 0 to 1, 16, 255, 4,095 or 65,535. InputError if in none."""
    try:
        array = np.asarray(values)
        array = array if array.dtype == np.uint8 else array.astype(np.float32)
    except (TypeError, ValueError, RuntimeError) as error:  # Of a tensor with gradients, too.
        raise InputError(f"the drawing is no array of numbers ({error})") from error
    while array.ndim > 2 and 1 in (len(array), array.shape[-1]):  # a batch of one, a single channel
        array = array[0] if len(array) == 1 else array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] > 4) or not array.size:
        raise InputError(f"an array of shape {array.shape}; (H, W) or (H, W, 1 to 4) is needed")
    if array.dtype == np.uint8 and array.max() > 1:
        return array
    top = next((top for top in (1, 16, 255, 4095, 65535) if array.max() <= top), None)
    if top is None or array.min() < 0:  # a NaN is at most nothing
        raise InputError("the drawing has values that are not in 0 to 1, 0 to 255 or 0 to 65,535")
    return np.rint(array * (255 / top)).astype(np.uint8)


def _find_inks(pixels: np.ndarray, frames: int = FRAMES) -> list[np.ndarray]:
    """Ink (H, W) in [0, 1] of pixels (C, H, W): what differs from the border, without specks and noise.

    If it is a frame round something else, or a sheet on another ground, then the ink in that, too, and so on."""
    pixels = trim_frame(pixels)
    background = _background(pixels)
    contrast = (np.abs(pixels - background) / np.maximum(background, 1 - background)).max(axis=0)
    nothing, side = InputError("nothing is drawn"), max(contrast.shape)
    if contrast.max() < FAINTEST:
        raise nothing
    contrast = erase_rules(contrast, _level(contrast))
    level = _level(contrast)
    if level < FAINTEST:
        raise nothing
    parts, _ = ndimage.label(contrast > WEAK * level, np.ones((3, 3)))
    area = np.bincount(parts.ravel())
    kept = np.zeros(len(area), bool)
    kept[parts[contrast > STRONG * level]] = True
    kept &= area >= SPECK * area[kept].max()
    mask = kept[parts]
    if max(_crop(mask).shape) < LEAST * side:
        raise nothing
    ink = contrast * _dilate(mask)  # with the faint rim of the strokes
    inks = [np.clip(ink / np.quantile(ink[mask], 0.9), 0, 1)]
    page = find_page(mask) if frames else None
    if page is not None:
        with suppress(InputError):  # The rectangle itself is what is drawn.
            inks += _find_inks(_cut(pixels, page), frames - 1)
    return inks


def _level(contrast: np.ndarray) -> float:
    """The contrast of the ink: a mean that weak noise and few specks hardly move."""
    cubes = contrast * contrast * contrast
    return float((cubes * contrast).sum() / max(cubes.sum(), 1e-12))


def _cut(pixels: np.ndarray, page: np.ndarray) -> np.ndarray:
    """Pixels (C, h, w) of the page (H, W), what is beyond it painted over."""
    at = ndimage.find_objects(page.view(np.uint8))[0]
    paper = np.median(pixels[:, page], axis=1)
    return np.where(page[at], pixels[:, *at], paper[:, None, None])


def _background(pixels: np.ndarray) -> np.ndarray:
    """What lies behind the ink, (C, 1, 1) or (C, H, W): the border's colour, or in a shaded photo its plane."""
    colours = _border(pixels)
    middle = np.median(colours, axis=1, keepdims=True)
    corners = pixels[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    corner = np.median(corners, axis=1, keepdims=True)
    if np.abs(corners - corner).max() < ALIKE < np.abs(corner - middle).max():
        return corner[:, :, None]  # a thick stroke that is cut out is most of the border, and leaves the corners
    off = np.abs(colours - middle).max(axis=0)
    if np.median(off) < INVISIBLE:
        return middle[:, :, None]
    y, x = np.indices(pixels.shape[1:], np.float32)
    planes = np.stack([np.ones_like(x), x, y])
    depths = [depth * min(x.shape) // 40 for depth in range(PASSES)]  # a rule may lie along an edge
    colours, border = (np.concatenate([_border(each, depth) for depth in depths], axis=1) for each in (pixels, planes))
    off = np.abs(colours - middle).max(axis=0)
    for _ in range(PASSES):  # ink and rules may cross the border
        usual = off <= 3 * np.median(off)
        weights, *_ = np.linalg.lstsq(border[:, usual].T, colours[:, usual].T, rcond=None)
        off = np.abs(colours - weights.T @ border).max(axis=0)
    return np.clip(np.tensordot(weights.T, planes, 1), 0, 1)


def _border(planes: np.ndarray, depth: int = 0) -> np.ndarray:
    """The pixels (C, N) of planes (C, H, W) that are so far from the nearest edge."""
    inner = planes[:, depth : planes.shape[1] - depth, depth : planes.shape[2] - depth]
    return np.concatenate([inner[:, 0], inner[:, -1], inner[:, :, 0], inner[:, :, -1]], axis=1)


def _crop(ink: np.ndarray) -> np.ndarray:
    return ink[ndimage.find_objects((ink > 0).view(np.uint8))[0]]


def _count_parts(mask: np.ndarray) -> int:
    return ndimage.label(mask, np.ones((3, 3)))[1]


def _dilate(values: np.ndarray) -> np.ndarray:
    return ndimage.maximum_filter(values, 3, mode="constant")


def _resize(ink: np.ndarray, side: int) -> np.ndarray:
    """Scales the longer side to `side`, with antialiasing, and keeps the aspect."""
    scale = side / max(ink.shape)
    height, width = (max(1, round(length * scale)) for length in ink.shape)
    filter = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return np.clip(np.asarray(Image.fromarray(ink.astype(np.float32)).resize((width, height), filter)), 0, 1)


def _centre_by_mass(small: np.ndarray) -> np.ndarray:
    """float32 (28, 28) with the centre of mass of small (h, w) in the middle, as near as whole pixels allow."""
    frame = np.zeros((FRAME, FRAME), np.float32)
    middle = ndimage.center_of_mass(small)
    top, left = (min(max(round(FRAME / 2 - at), 0), FRAME - size) for at, size in zip(middle, small.shape))
    frame[top : top + small.shape[0], left : left + small.shape[1]] = small
    return frame
