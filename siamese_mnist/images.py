"""Opening image files of any origin."""

from typing import Any

from PIL import Image

from siamese_mnist.drawing import LARGEST
from siamese_mnist.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


def open_image(file: Any) -> Image.Image:
    """The image of a path or file object, decoded only if its size can be used. InputError if it is none."""
    try:
        image = Image.open(file, formats=FORMATS)
        if max(image.size) <= LARGEST:
            image.load()
            return image
    except Exception as error:  # Pillow raises whatever its readers meet in a damaged file
        raise InputError(f"no whole image in one of the formats {', '.join(FORMATS)}") from error
    raise InputError(f"{image.width} × {image.height} pixels; at most {LARGEST:,} a side can be used")
