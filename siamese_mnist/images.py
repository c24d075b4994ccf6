"""Opening image files of any origin."""

import warnings
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from siamese_mnist.errors import InputError

LARGEST = 4096  # Pixels a side that an image may have.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


def open_image(file: str | Path | BinaryIO, largest: int = LARGEST) -> Image.Image:
    """The image of a path or open file, decoded only if no side is longer than `largest`. InputError if it is none."""
    try:
        # Damaged metadata does no harm to the pixels.
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
            if max(image.size) <= largest:
                image.load()
                return image
    except Exception as error:  # Pillow raises whatever its readers meet in a damaged file.
        reason = getattr(error, "strerror", None) or f"no whole image in one of the formats {', '.join(FORMATS)}"
        raise InputError(reason) from error
    raise InputError(f"{image.width} × {image.height} pixels; at most {largest:,} a side can be used")
