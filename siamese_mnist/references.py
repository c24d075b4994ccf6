"""The real images that an image is compared with."""

import argparse

from siamese_mnist.data import Digits, load_digits
from siamese_mnist.errors import InputError
from siamese_mnist.listing import DIGIT_NAMES
from siamese_mnist.model import SiameseNetwork
from siamese_mnist.options import choose_data
from siamese_mnist.registry import find_source

CANDIDATES = 50  # References are drawn from so many images of each class,
MOST_IMAGES = 3000  # but from no more in all: each is compared with each, for the map.


def references(args: argparse.Namespace, model: SiameseNetwork) -> Digits:
    """Returns test images of the weights' classes: bundled, or where those are not MNIST's digits, the training's; or
    images that were trained on, where the test split is of other classes."""
    facts = model.training_facts
    trained = facts.get("dataset", "bundled")
    digits = set(model.classes) <= set(DIGIT_NAMES) and find_source(trained).mnist_parts
    dataset, chosen = choose_data(args, "bundled" if digits else trained, facts)
    try:
        split = "train" if find_source(dataset).other_classes else "test"
        digits = load_digits(dataset, split=split, classes=model.classes, **chosen)
        return digits.at_most(max(1, min(CANDIDATES, MOST_IMAGES // len(digits.classes))))
    except InputError as error:
        way_out = "" if args.dataset else "; say with --dataset and --data-root where the references come from"
        raise InputError(f"{error}{way_out}") from error
