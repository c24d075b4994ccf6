"""How the cost of training and comparing grows with images, with the batch and with the references, on log-log axes.

python -m benchmarks.growth runs/growth

Writes growth.png into the folder. Of each size, the least of some tries counts; embeddings compared are random numbers.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from siamese_mnist import SiameseNetwork, load_digits
from siamese_mnist.allpairs import TILE
from siamese_mnist.augment import augment
from siamese_mnist.company import Company
from siamese_mnist.errors import run_script
from siamese_mnist.losses import bce, compare_symbols
from siamese_mnist.options import FOLDER, script_parser
from siamese_mnist.pairs import BalancedBatches

IMAGES, BATCHES, REFERENCES = (
    (1000, 3000, 10_000, 30_000, 60_000),
    (64, 128, 256, 512, 1024),
    (10, 100, 1000, 10_000, 60_000),
)
LEAST, MOST_TRIES = 1.0, 20  # Seconds for all tries of one size, and how many.


def main() -> None:
    folder = Path(parse_arguments().folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = SiameseNetwork().eval()
    digits = load_digits("bundled")
    costs = {
        "encode so many images": (IMAGES, lambda count: encode(model, digits.images, count)),
        "score all pairs of so many embeddings": (IMAGES, lambda count: score_pairs(model, count)),
        "a training step of so many digits": (BATCHES, lambda count: step(digits, count)),
        "match a drawing with so many references": (REFERENCES, lambda count: match(model, count)),
    }
    measured = {}
    for name, (sizes, prepare) in costs.items():
        seconds = [least(prepare(size)) for size in sizes]
        slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        measured[f"{name}: slope {slope:.2f}"] = sizes, seconds
        print(f"{name}: slope {slope:.2f}")
        for size, each in zip(sizes, seconds):
            print(f"{size:12,} {each * 1000:12,.1f} ms", flush=True)
    plot(measured, folder / "growth.png")


def least(call: Callable[[], object]) -> float:
    """The least seconds that a call took, after one that warms up."""
    call()
    times: list[float] = []
    while sum(times) < LEAST and len(times) < MOST_TRIES:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def encode(model: SiameseNetwork, images: torch.Tensor, count: int) -> Callable[[], object]:
    repeated = images.repeat(math.ceil(count / len(images)), 1, 1, 1)[:count]
    return lambda: model.encode_all(repeated)


def score_pairs(model: SiameseNetwork, count: int) -> Callable[[], object]:
    """In tiles, as evaluate.py does, but kept nowhere."""
    tiles = random_embeddings(count).split(TILE)

    @torch.inference_mode()
    def call() -> None:
        for place, rows in enumerate(tiles):
            for columns in tiles[place:]:
                model.logits(rows, columns)

    return call


def step(digits: object, count: int) -> Callable[[], object]:
    """As in train.py, without the optimizer."""
    company, network = Company(digits, ("pens", "symbols"), strangers=True, symbols=44), SiameseNetwork()
    index, generator = next(iter(BalancedBatches(digits, count, seed=0))), torch.Generator().manual_seed(0)

    def call() -> None:
        images, labels, known = company.join(digits.images[index] / 255, digits.labels[index], generator)
        embeddings = network.encode(augment(images, generator))
        loss = bce(network, embeddings[:known], labels[:known], 0)
        (loss + compare_symbols(network, embeddings, labels, known, 1)).backward()

    return call


def match(model: SiameseNetwork, count: int) -> Callable[[], object]:
    """An exact search: the similarity to each of them."""
    drawing, references = random_embeddings(1), random_embeddings(count)

    @torch.inference_mode()
    def call() -> None:
        model.logits(drawing, references)

    return call


def random_embeddings(count: int) -> torch.Tensor:
    return torch.randn(count, 128, generator=torch.Generator().manual_seed(count))


def plot(measured: dict[str, tuple[tuple[int, ...], list[float]]], path: Path) -> None:
    from matplotlib import pyplot as plt

    from siamese_mnist.style import BLUE, GREY, ORANGE, save

    figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
    styles = zip((BLUE, ORANGE, "black", GREY), "osD^", ("-", "--", "-.", ":"))
    for (name, (sizes, seconds)), (colour, marker, line) in zip(measured.items(), styles):
        axes.plot(sizes, seconds, color=colour, marker=marker, ls=line, label=name)
    axes.set(xscale="log", yscale="log", xlabel="images, digits of a batch, or references", ylabel="seconds")
    axes.set_title(f"Time by size, {torch.get_num_threads()} threads: slope 1 is linear, 2 quadratic")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), fontsize=10)
    save(figure, path)


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument("folder", **FOLDER, help="where growth.png is written")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
