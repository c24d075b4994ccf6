"""Digits on ruled and squared paper, in frames and boxes, on a sheet, two at a time: right, refused or wrong.

python -m benchmarks.paper weights
python -m benchmarks.paper weights --dataset mnist --data-root DIR --digits 2000

Test images drawn large, at random size and place, in light or dark pencil; a photo is shaded, noisy JPEG. They are
matched with 20 references a class, of the bundled test images, which are no queries. Two digits can only be refused.
"""

import argparse
import io
from collections.abc import Callable

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
RULES = ("#a0c4ff", "#5a82e6", "#b4b4b4", "#5a5a5a", "#000000")
Random = np.random.Generator
Ink = np.ndarray  # (H, W) in [0, 1]


def main() -> None:
    args = parse_arguments()
    weights = find_weights(args.weights)
    matcher = Matcher(SiameseNetwork.from_pretrained(weights), load_digits("bundled", split="test"))
    references = matcher.sample(torch.Generator().manual_seed(0))
    digits = load_digits(args.dataset, split="test", root=args.data_root)
    order = np.random.default_rng(0).permutation(len(digits))
    if args.dataset == "bundled":
        order = order[~np.isin(order, references.flatten().numpy())]
    order = order[: args.digits]
    print(f"{weights}: {len(order):,} {args.dataset} test images\n\n{'':22}{'right':>9}{'refused':>9}{'wrong':>9}")
    for name, draw in KINDS.items():
        random, counts = np.random.default_rng(0), {"right": 0, "refused": 0, "wrong": 0}
        for i, other in zip(tqdm(order, desc=name, leave=False), np.roll(order, 1)):
            image = draw(enlarge(digits.images[i, 0].numpy(), random), random)
            if name == "two digits":
                image = beside(digits.images[i, 0].numpy(), digits.images[other, 0].numpy(), random)
            meant = None if name == "two digits" else digits.names[digits.labels[i]]
            counts[judge(matcher, references, image, meant)] += 1
        print(f"{name:22}" + "".join(f"{count / len(order):9.1%}" for count in counts.values()))


def judge(matcher: Matcher, references: torch.Tensor, image: Image.Image, meant: str | None) -> str:
    """What comes of an image of the class `meant`, on the page: "right", "refused" or "wrong"."""
    try:
        images = prepare_parts(image)
        matcher.refuse_several(images[1:], references)
    except InputError:
        return "refused"
    winner = matcher.match(matcher.model.encode_all(images[:1]), references, {}).winner
    return "refused" if winner is None else "right" if winner == meant else "wrong"


def enlarge(digit: np.ndarray, random: Random, share: tuple[float, float] = (0.4, 0.75)) -> Ink:
    """An MNIST digit (28, 28), its longer side that share of SIZE, with sharp edges, anywhere."""
    cropped = Image.fromarray(digit).crop(Image.fromarray(digit).getbbox())
    scale = random.uniform(*share) * SIZE / max(cropped.size)
    large = np.asarray(cropped.resize([max(1, round(side * scale)) for side in cropped.size], Image.Resampling.BICUBIC))
    edge = SIZE // 16
    top, left = (random.integers(edge, SIZE - edge - side) for side in large.shape)
    ink = np.zeros((SIZE, SIZE))
    ink[top : top + large.shape[0], left : left + large.shape[1]] = np.clip(2.5 * (large / 255 - 0.5) + 0.5, 0, 1)
    return ink


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
    distance = np.minimum(*(np.minimum(at, SIZE - 1 - at) for at in np.indices(ink.shape)))
    inset, width = random.choice([0, random.integers(2, 10)]), random.choice([1, 1, 2, 3, 5])
    return paint(
        ink, ((distance >= inset) & (distance < inset + width)) * 1.0, str(random.choice(["#000000", "#707070"]))
    )


def sheet(ink: Ink, random: Random) -> Image.Image:
    """On a sheet that lies on something darker, up to 3 degrees turned."""
    ground = tuple(int(random.uniform(0, 140)) for _ in range(3))
    whole = Image.new("RGB", (SIZE + 80, SIZE + 80), ground)
    whole.paste(paint(ink), (40, 40))
    return whole.rotate(random.uniform(-3, 3), Image.Resampling.BICUBIC, fillcolor=ground)


def photograph(image: Image.Image, random: Random) -> Image.Image:
    """Shaded from corner to corner, noisy, JPEG."""
    pixels = 30 + 0.8 * np.asarray(image, float) + random.normal(0, 4, (image.height, image.width, 1))
    shade = np.outer(
        np.linspace(random.uniform(0.6, 1), 1, image.height), np.linspace(random.uniform(0.7, 1), 1, image.width)
    )
    file = io.BytesIO()
    Image.fromarray((pixels * shade[..., None]).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=75)
    return Image.open(file)


def beside(left: np.ndarray, right: np.ndarray, random: Random) -> Image.Image:
    """Two MNIST digits (28, 28) of about one height, side by side, not touching."""
    height, ink, at = random.uniform(0.3, 0.45) * SIZE, np.zeros((SIZE, SIZE)), random.integers(4, 16)
    for digit in (left, right):
        large = enlarge(digit, random, (0.5, 0.5))
        rows, columns = np.nonzero(large > 0.2)
        cropped = Image.fromarray(
            large[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float32)
        )
        tall = round(height * random.uniform(0.85, 1.15))
        wide = min(round(cropped.width * tall / cropped.height), SIZE * 9 // 20)
        top = random.integers(60, 70)
        ink[top : top + tall, at : at + wide] = np.asarray(cropped.resize((wide, tall), Image.Resampling.BILINEAR))
        at += wide + round(height * random.uniform(0.03, 0.15)) + 1
    return paint(ink)


KINDS: dict[str, Callable[[Ink, Random], Image.Image]] = {
    "plain": lambda ink, random: paint(ink),
    "framed": frame,
    "boxed": box,
    "boxed, to 4° tilted": lambda ink, random: box(ink, random, 4),
    "on a sheet": sheet,
    "ruled": rule,
    "ruled, photo": lambda ink, random: photograph(rule(ink, random), random),
    "ruled in black": lambda ink, random: rule(ink, random, colours=("#000000",)),
    "squared": lambda ink, random: rule(ink, random, squared=True),
    "squared, photo": lambda ink, random: photograph(rule(ink, random, squared=True), random),
    "squared in black": lambda ink, random: rule(ink, random, squared=True, colours=("#000000",)),
    "two digits": lambda ink, random: paint(ink),
}


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument("weights", nargs="?", help="a run or a folder of weights (default: the newest run)")
    arguments.add_argument("--dataset", choices=("bundled", "mnist"), default="bundled", help="(default: bundled)")
    arguments.add_argument("--data-root", default="data", metavar="DIR", help="folder of mnist (default: data)")
    arguments.add_argument("--digits", type=int, default=300, metavar="N", help="draw this many (default: 300)")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
