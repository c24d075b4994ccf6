"""A siamese network that says how likely two images show the same handwritten digit."""

from siamese_mnist.data import Digits, load_digits
from siamese_mnist.drawing import prepare_drawing
from siamese_mnist.errors import InputError
from siamese_mnist.model import SiameseNetwork
from siamese_mnist.pairs import PairedDataset

__all__ = ["Digits", "InputError", "PairedDataset", "SiameseNetwork", "load_digits", "prepare_drawing"]
