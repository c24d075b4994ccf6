"""Digits on paper, in frames, on a sheet, two at a time, as the page answers: right, refused or wrong.

python -m benchmarks.paper weights

Bundled test images drawn large, at random size and place; a photo is shaded, noisy and JPEG. They are matched with 20
other test images a class. Two digits can only be refused.
"""

import argparse
import io
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from siamese_mnist import InputError, SiameseNetwork, load_digits
from siamese_mnist.drawing import prepare_parts
from siamese_mnist.errors import run_script
from siamese_mnist.matching import Matcher
from siamese_mnist.options import script_parser
from siamese_mnist.runs import find_weights

SIZE = 280
RESULTS = ("right", "refused", "wrong")
RULES = ("#a0c4ff", "#5a82e6", "#b4b4b4", "#5a5a5a", "#000000")
Random = np.random.Generator
Ink = np.ndarray  # (H, W) in [0, 1]


def main() -> None:
    args = parse_arguments()
    weights, digits = find_weights(args.weights), load_digits("bundled", split="test")
    matcher = Matcher(SiameseNetwork.from_pretrained(weights), digits)
    references = matcher.sample(torch.Generator().manual_seed(0))
    others = np.setdiff1d(np.arange(len(digits)), references.flatten().numpy())
    print(f"{weights}: {len(others):,} digits\n\n{'':22}{'right':>9}{'refused':>9}{'wrong':>9}")
    for name, draw in KINDS.items():
        random, results = np.random.default_rng(0), []
        for i in tqdm(others, desc=name, leave=False, disable=None):
            image = draw(scatter(digits.images[i, 0].numpy(), random), random)
            results.append(judge(matcher, references, image, digits.names[digits.labels[i]]))
        print_row(name, results)
    random = np.random.default_rng(0)
    drawings = (pair(digits.images[[i, j], 0].numpy(), random) for i, j in pairwise(random.permutation(others)))
    print_row("two digits", [judge(matcher, references, drawing, None) for drawing in drawings])


def print_row(name: str, results: list[str]) -> None:
    print(f"{name:22}" + "".join(f"{results.count(kind) / len(results):9.1%}" for kind in RESULTS))


def judge(matcher: Matcher, references: torch.Tensor, image: Image.Image, meant: str | None) -> str:
    """What comes of an image of the class `meant`, on the page: "right", "refused" or "wrong"."""
    try:
        images = prepare_parts(image)
        matcher.refuse_several(images[1:], references)
    except InputError:
        return "refused"
    winner = matcher.match(matcher.model.encode_all(images[:1]), references, {}).winner
    return "refused" if winner is None else "right" if winner == meant else "wrong"


def enlarge(digit: np.ndarray, side: float) -> Ink:
    """An MNIST digit (28, 28) cropped to its ink, its longer side `side`, with sharp edges."""
    cropped = Image.fromarray(digit).crop(Image.fromarray(digit).getbbox())
    size = [max(1, round(length * side / max(cropped.size))) for length in cropped.size]
    return np.clip(2.5 * (np.asarray(cropped.resize(size, Image.Resampling.BICUBIC)) / 255 - 0.5) + 0.5, 0, 1)


def put(digits: list[Ink], top: int, left: int, gap: int = 0) -> Ink:
    """Digits beside each other on an empty image."""
    ink = np.zeros((SIZE, SIZE))
    for digit in digits:
        ink[top : top + len(digit), left : left + digit.shape[1]] = digit
        left += digit.shape[1] + gap
    return ink


def scatter(digit: np.ndarray, random: Random) -> Ink:
    """An MNIST digit (28, 28) of random size at a random place."""
    large = enlarge(digit, SIZE * random.uniform(0.4, 0.75))
    return put([large], *(random.integers(SIZE // 16, SIZE * 15 // 16 - side) for side in large.shape))


def pair(digits: np.ndarray, random: Random) -> Image.Image:
    """Two MNIST digits (2, 28, 28) side by side, not touching."""
    large = [enlarge(digit, SIZE * random.uniform(0.34, 0.44)) for digit in digits]
    return paint(put(large, random.integers(20, 120), random.integers(3, 10), random.integers(4, 18)))


def paint(ink: Ink, lines: Ink | float = 0.0, colour: str = "#000000", pencil: str = "#000000") -> Image.Image:
    """Lines of one colour, then ink, on white."""
    image = Image.new("RGB", (SIZE, SIZE), "white")
    for layer, painted in ((lines, colour), (ink, pencil)):
        mask = Image.fromarray(np.uint8(255 * np.broadcast_to(layer, ink.shape)))
        image.paste(painted, (0, 0, SIZE, SIZE), mask)
    return image


def stroke(distance: np.ndarray, width: float) -> Ink:
    return np.clip(width / 2 + 0.5 - np.abs(distance), 0, 1)


def rule(ink: Ink, random: Random, squared: bool = False, colours: tuple[str, ...] = RULES) -> Image.Image:
    """On rules 1 to 3 pixels thick, a twelfth to a quarter of the image apart, half of them up to 2 degrees tilted."""
    y, x = np.indices(ink.shape)
    tilt = np.tan(np.radians(random.choice([0, random.uniform(-2, 2)])))
    apart, width, lines = SIZE * random.uniform(1 / 12, 1 / 4), random.uniform(1, 3), np.zeros_like(ink)
    for at in (y - tilt * x, x + tilt * y)[: 1 + squared]:
        lines = np.maximum(lines, stroke((at - random.uniform(0, apart)) % apart - apart / 2, width))
    return paint(ink, lines, str(random.choice(colours)), str(random.choice(["#000000", "#1e2878"])))


def box(ink: Ink, random: Random, tilted: float = 0.0) -> Image.Image:
    """In a box round it, 1 to 14 pixels thick, which may run off the image, up to so many degrees tilted."""
    (rows, columns), angle = np.nonzero(ink > 0.5), np.radians(random.uniform(-tilted, tilted))
    width, gap = random.uniform(1, 14), random.uniform(0.04, 0.1) * SIZE
    y, x = np.indices(ink.shape) - np.array([np.mean([at.min(), at.max()]) for at in (rows, columns)])[:, None, None]
    v, u = y * np.cos(angle) - x * np.sin(angle), x * np.cos(angle) + y * np.sin(angle)
    half = [np.ptp(at) / 2 + gap + width / 2 for at in (rows, columns)]
    return paint(np.maximum(ink, stroke(np.maximum(np.abs(v) - half[0], np.abs(u) - half[1]), width)))


def frame(ink: Ink, random: Random) -> Image.Image:
    """In a frame of 1 to 5 pixels, at the very edge or up to 10 pixels inside."""
    inset, width = random.choice([0, random.integers(2, 10)]), random.choice([1, 1, 2, 3, 5])
    depth = np.minimum(*(np.minimum(at, SIZE - 1 - at) for at in np.indices(ink.shape))) - inset
    return paint(ink, (depth >= 0.0) & (depth < width), str(random.choice(["#000000", "#707070"])))


def sheet(ink: Ink, random: Random) -> Image.Image:
    """On a sheet that lies on something darker, up to 3 degrees turned."""
    ground = tuple(int(random.uniform(0, 140)) for _ in range(3))
    whole = Image.new("RGB", (SIZE + 80, SIZE + 80), ground)
    whole.paste(paint(ink), (40, 40))
    return whole.rotate(random.uniform(-3, 3), Image.Resampling.BICUBIC, fillcolor=ground)


def photograph(image: Image.Image, random: Random) -> Image.Image:
    """Shaded from corner to corner, noisy, JPEG."""
    pixels = 30 + 0.8 * np.asarray(image, float) + random.normal(0, 4, (SIZE, SIZE, 1))
    down, across = (np.linspace(random.uniform(darkest, 1), 1, SIZE) for darkest in (0.6, 0.7))
    file = io.BytesIO()
    shaded = (pixels * np.outer(down, across)[:, :, None]).clip(0, 255).astype(np.uint8)
    Image.fromarray(shaded).save(file, "JPEG", quality=75)
    return Image.open(file)


KINDS: dict[str, Callable[[Ink, Random], Image.Image]] = {
    "plain": lambda ink, random: paint(ink),
    "framed": frame,
    "boxed": box,
    "boxed, to 4° tilted": lambda ink, random: box(ink, random, 4),
    "on a sheet": sheet,
    "ruled": rule,
    "ruled, photo": lambda ink, random: photograph(rule(ink, random), random),
    "ruled in black": lambda ink, random: rule(ink, random, colours=("#000000",)),
    "squared": lambda ink, random: rule(ink, random, True),
    "squared, photo": lambda ink, random: photograph(rule(ink, random, True), random),
    "squared in black": lambda ink, random: rule(ink, random, True, ("#000000",)),
}


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument("weights", nargs="?", help="a run or a folder of weights (default: the newest run)")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
