"""What the page shows, as HTML: the macros of panels.html, in which every word is escaped, and one sentence."""

import base64
import io
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader
from PIL import Image
from torch import Tensor

from siamese_mnist.matching import Match
from siamese_mnist.sources import DIGIT_NAMES

PREFIX = "data:image/png;base64,"


def data_url(image: Tensor) -> str:
    """An image (…, 28, 28), uint8 or float in [0, 1], as the data URL of a greyscale PNG."""
    pixels, buffer = image.squeeze().cpu().numpy(), io.BytesIO()
    Image.fromarray(pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)).save(buffer, "PNG")
    return PREFIX + base64.b64encode(buffer.getvalue()).decode()


def describe(match: Match) -> str:
    """One sentence, such as "Looks like a 7 (0.98); next 1 (0.21)"."""
    first, second = sorted(match.scores, key=match.scores.__getitem__, reverse=True)[:2]
    if match.winner is None:
        kind = "digit" if set(match.scores) <= set(DIGIT_NAMES) else "symbol here"
        return f"Not like any {kind}; nearest is {first} ({match.scores[first]:.2f})"
    winner = f"{'an' if first == '8' else 'a'} {first}" if first in DIGIT_NAMES else f"“{first}”"
    return f"Looks like {winner} ({match.scores[first]:.2f}); next {second} ({match.scores[second]:.2f})"


_environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
_environment.filters["data_url"] = data_url
PANELS = _environment.get_template("panels.html").module
