"""A siamese network that says how likely two images show the same handwritten digit."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamese_mnist.data import Digits, load_digits
    from siamese_mnist.drawing import prepare_drawing
    from siamese_mnist.errors import InputError
    from siamese_mnist.model import SiameseNetwork
    from siamese_mnist.pairs import PairedDataset

__all__ = ["Digits", "InputError", "PairedDataset", "SiameseNetwork", "load_digits", "prepare_drawing"]
HOMES = {"Digits": "data", "InputError": "errors", "PairedDataset": "pairs", "SiameseNetwork": "model"}
HOMES |= {"load_digits": "data", "prepare_drawing": "drawing"}


def __getattr__(name: str) -> Any:
    """Imports a name when it is first asked for (PEP 562), so that a script can say something before torch is there."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    return found
