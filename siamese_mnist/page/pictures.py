"""Pictures on their way to the page and back, as data URLs."""

import base64
import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from siamese_mnist.drawing import FRAME, prepare_parts
from siamese_mnist.errors import InputError
from siamese_mnist.images import open_image

PREFIX = "data:image/png;base64,"
LONGEST_URL = 2_000_000  # In characters.
LARGEST_DRAWING = 1200  # Pixels a side; the page makes none larger than 560.


def data_url(image: Tensor) -> str:
    """An image (…, 28, 28), uint8 or float in [0, 1], as a greyscale PNG: white ink on black."""
    return _url(Image.fromarray(_bytes(image.squeeze())))


def ink_url(image: Tensor) -> str:
    """An image (…, 28, 28) as a PNG of black ink on a transparent ground."""
    return _url(_ink(_bytes(image.squeeze())))


def sheet_url(images: Tensor) -> str:
    """Images (classes, N, 1, 28, 28), a line for each class, as one PNG of black ink on a transparent ground."""
    return _url(_ink(_bytes(images.squeeze(2).permute(0, 2, 1, 3).flatten(2).flatten(0, 1))))


def read_drawing(value: Any) -> Tensor:
    """A drawing's data URL as `prepare_parts` makes it. InputError if it is none."""
    return prepare_parts(_open(value))


def read_example(value: Any) -> Tensor:
    """What `ink_url` wrote, as a float image (1, 1, 28, 28) in [0, 1]. InputError if it is something else."""
    image = _open(value)
    if image.size != (FRAME, FRAME) or image.mode not in ("LA", "RGBA"):
        raise InputError(f"an example is {FRAME} × {FRAME} pixels of ink on a transparent ground")
    return torch.from_numpy(np.asarray(image.getchannel("A"), np.float32) / 255)[None, None]


def _open(value: Any) -> Image.Image:
    if not isinstance(value, str) or not value.startswith(PREFIX) or len(value) > LONGEST_URL:
        raise InputError(f"a drawing is a PNG data URL of at most {LONGEST_URL:,} characters")
    try:
        content = base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise InputError(f"the drawing is not in base 64 ({error})") from error
    return open_image(io.BytesIO(content), LARGEST_DRAWING)


def _bytes(image: Tensor) -> np.ndarray:
    pixels = image.cpu().numpy()
    return pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)


def _ink(pixels: np.ndarray) -> Image.Image:
    return Image.merge("LA", (Image.new("L", pixels.shape[::-1]), Image.fromarray(pixels)))


def _url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return PREFIX + base64.b64encode(buffer.getvalue()).decode()
