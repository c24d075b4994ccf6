"""Match accuracy on digits drawn with a pen: other people, another instrument.

python -m benchmarks.drawings runs/default --writers all

The strokes come with the package, of 30 writers; 25 to 30 are the test split of --dataset pens. Each digit is drawn at
random size and place on a canvas of 280 pixels, with every brush, and matched with 20 references a class.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from tqdm import tqdm

from siamese_mnist import InputError, SiameseNetwork, load_digits, prepare_drawing
from siamese_mnist.errors import run_script
from siamese_mnist.handwriting import Strokes, pen_strokes
from siamese_mnist.matching import Matcher
from siamese_mnist.options import FOLDER, WEIGHTS, script_parser
from siamese_mnist.runs import evaluation_folder, find_weights

CANVAS = 280  # pixels a side
SHORTEST = 80  # of a digit's longer side, without the brush
BRUSHES = (6, 10, 14, 20, 25, 30)
REFERENCE_SETS = 10  # the accuracy is their mean
WORST = 40


def main() -> None:
    args = parse_arguments()
    weights = find_weights(args.weights)
    matcher = Matcher(SiameseNetwork.from_pretrained(weights), load_digits("bundled", split="test"))
    drawn = pen_strokes(None if args.writers == "all" else args.writers)
    order = np.random.default_rng(0).permutation(len(drawn))[: args.digits]
    labels = torch.tensor([drawn[i][0] for i in order])
    print(f"{weights}: {len(labels):,} digits; mean of {REFERENCE_SETS} random sets of references\n")
    print(f"{'brush':>6}{'all':>9}  " + "".join(f"{digit:>7}" for digit in range(10)) + f"{'refused':>9}")
    worst: list[tuple[float, Image.Image, Tensor, str]] = []
    for brush in BRUSHES:
        random, generator = np.random.default_rng(brush), torch.Generator().manual_seed(0)
        bar = tqdm(order, desc=f"brush {brush}", unit="digit", leave=False, disable=None)
        drawings = [draw(drawn[i][1], brush, random) for i in bar]
        bar = tqdm(drawings, desc="preparing", leave=False, disable=None)
        images = torch.cat([prepare(drawing) for drawing in bar])
        told = images.flatten(1).any(1)
        embeddings = matcher.model.encode_all(images)
        scores = torch.stack([matcher.scores(embeddings, matcher.sample(generator)) for _ in range(REFERENCE_SETS)])
        right = ((scores.argmax(2) == labels) & told).float().mean(0)
        refused = ((scores.amax(2) < matcher.model.rejection_threshold) | ~told).float().mean()
        by_digit = "".join(f"{right[labels == digit].mean():7.1%}" for digit in range(10))
        print(f"{brush:>4}px{right.mean():9.2%}  {by_digit}{refused:9.1%}")
        mean = scores.mean(0)
        own = mean.gather(1, labels[:, None])[:, 0]
        best = mean.scatter(1, labels[:, None], -1).max(1)
        for i in (own - best.values).argsort()[:WORST].tolist():
            title = f"{labels[i]} ({own[i]:.2f}) as {best.indices[i]} ({best.values[i]:.2f}), {brush} px"
            worst.append((float(own[i] - best.values[i]), drawings[i], images[i, 0], title))
    out = Path(args.out) if args.out else evaluation_folder(weights)
    out.mkdir(parents=True, exist_ok=True)
    plot_worst(sorted(worst, key=lambda each: each[0])[:WORST], out / "drawings.png")
    print(f"\n{out / 'drawings.png'}: the {WORST} worst, each with what the network saw")


def prepare(drawing: Image.Image) -> Tensor:
    """The prepared drawing (1, 1, 28, 28), without any ink if it is refused."""
    try:
        return prepare_drawing(drawing)
    except InputError:
        return torch.zeros(1, 1, 28, 28)


def draw(strokes: Strokes, brush: int, random: np.random.Generator) -> Image.Image:
    """The digit in black on white, of random size and place, with a round brush."""
    points = np.concatenate(strokes)
    low, extent = points.min(0), np.ptp(points, axis=0)
    room = CANVAS - brush - 2
    scale = random.uniform(SHORTEST, room) / extent.max()
    corner = brush / 2 + 1 + random.uniform(size=2) * (room - extent * scale)
    image = Image.new("L", (2 * CANVAS, 2 * CANVAS), 255)  # halved at the end, for smooth edges
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        path = [tuple(point) for point in 2 * ((stroke - low) * scale + corner)]
        pen.line(path, fill=0, width=2 * brush)
        for x, y in path:
            pen.ellipse((x - brush, y - brush, x + brush, y + brush), fill=0)
    return image.reduce(2)


def plot_worst(worst: list[tuple[float, Image.Image, Tensor, str]], path: Path) -> None:
    """A sheet of drawings, each beside its prepared image."""
    from matplotlib import pyplot as plt

    from siamese_mnist.style import save

    figure, axes = plt.subplots(8, 5, figsize=(12, 12), layout="constrained")
    figure.suptitle("The worst drawings: class (similarity) as the class preferred, brush width in pixels")
    for axis, (_, drawing, prepared, title) in zip(axes.flat, worst):
        seen = Image.fromarray((prepared.numpy() * 255).astype(np.uint8)).resize(drawing.size, Image.Resampling.NEAREST)
        axis.imshow(np.hstack([np.asarray(drawing), np.asarray(seen)]), cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=9)
    for axis in axes.flat:
        axis.set_axis_off()
    save(figure, path, dpi=100)


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument(
        "weights", nargs="?", **WEIGHTS, help="a run or a folder of weights (default: the newest run)"
    )
    whose = "whose digits: writers 25 to 30 (test), 23 and 24 (val), or all 30 (default: test)"
    arguments.add_argument("--writers", choices=("test", "val", "all"), default="test", help=whose)
    arguments.add_argument("--digits", type=int, metavar="N", help="draw this many digits (default: all)")
    arguments.add_argument("--out", **FOLDER, help="where to write drawings.png (default: the run's folder)")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
