"""Compares image files, without a page.

python -m siamese_mnist match WEIGHTS a.png b.png    do both show the same symbol?
python -m siamese_mnist match WEIGHTS a.png          which digit is it, by 20 references of each?
"""

from siamese_mnist.errors import end_quietly_while_loading
from siamese_mnist.options import match_parser

if __name__ == "__main__":
    end_quietly_while_loading(match_parser(__doc__).parse_intermixed_args)

import argparse
from pathlib import Path

import torch
from torch import Tensor

from siamese_mnist import InputError, SiameseNetwork
from siamese_mnist.drawing import prepare_parts
from siamese_mnist.errors import run_script
from siamese_mnist.images import open_image
from siamese_mnist.matching import Matcher, compare
from siamese_mnist.references import references
from siamese_mnist.runs import find_weights


def main() -> None:
    args = parse_arguments()
    images = [prepare(file) for file in args.images]
    model = SiameseNetwork.from_pretrained(find_weights(args.weights))
    compared = len(images) == 2
    if not compared or any(len(image) > 1 for image in images):
        matcher = Matcher(model, references(args, model))
        always_the_same = matcher.sample(torch.Generator().manual_seed(0))  # As the page's /match.
        for image in images:
            matcher.refuse_several(image[1:], always_the_same)
    if compared:
        similarity, distance = compare(model, *(image[:1] for image in images))
        verdict = "same" if similarity >= model.threshold else "different"
        print(f"{verdict}: similarity {similarity:.4f}, threshold {model.threshold:.4f}, distance {distance:.4f}")
        return
    found = matcher.match(model.encode_all(images[0][:1]), always_the_same, {})
    told = ", ".join(f"{name} {score:.4f}" for name, score in found.scores.items())
    print(f"{found.winner or 'like none'}: threshold {model.rejection_threshold:.4f}, similarity to {told}")


def prepare(file: str) -> Tensor:
    """An image file as `prepare_parts` makes it. InputError names the file."""
    if not Path(file).is_file():
        raise InputError(f"{file}: no such file; name one image, or two, after the weights")
    try:
        return prepare_parts(open_image(file))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def parse_arguments() -> argparse.Namespace:
    args = match_parser(__doc__).parse_intermixed_args()
    if len(args.images) > 2:
        raise InputError(f"{len(args.images)} images; name one or two")
    return args


if __name__ == "__main__":
    run_script(main)
