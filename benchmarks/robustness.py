"""How the metrics fall as digits are shifted, scaled, turned, thickened or noisy: changed queries, clean references.

python -m benchmarks.robustness weights
python -m benchmarks.robustness runs/released/seed-* --dataset mnist --data-root DIR --fraction 0.2

EER of all pairs of a changed image and another clean one; match with one random reference of every class. Of several
weights, mean and standard deviation.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as TF
from torch import Tensor
from torchvision.transforms import InterpolationMode
from tqdm import tqdm

from benchmarks.seeds import mean_and_deviation
from siamese_mnist import Digits, SiameseNetwork, load_digits, metrics
from siamese_mnist.errors import run_script
from siamese_mnist.options import FOLDER, WEIGHTS, script_parser
from siamese_mnist.runs import evaluation_folder, find_weights

REFERENCE_SETS = 100
FINE = 4  # points a pixel, in which strokes are widened


def main() -> None:
    args = parse_arguments()
    weights = [find_weights(named) for named in args.weights or (None,)]
    models = [SiameseNetwork.from_pretrained(each) for each in weights]
    source = {"root": args.data_root, "fraction": args.fraction, "classes": models[0].classes}
    digits = load_digits(args.dataset, split="test", **source)
    clean, images = [model.encode_all(digits.images) for model in models], digits.images / 255
    generator = torch.Generator().manual_seed(0)

    def measure_all(queries: list[Tensor]) -> Rates:
        return np.array([measure(*each, digits) for each in zip(models, queries, clean)])

    pairs = len(digits) * (len(digits) - 1)
    print(f"{', '.join(weights)}: {len(digits):,} {args.dataset} test images, {pairs:,} ordered pairs\n")
    print(f"{'change':34}{'EER':>16}{'match, 1 reference':>24}")
    measured: dict[str, list[tuple[float, Rates]]] = {}
    bar = tqdm(total=sum(len(steps) for _, steps in CHANGES.values()), unit="step", leave=False, disable=None)
    for name, (change, steps) in CHANGES.items():
        for step in steps:
            changed = change(images, step, generator).clamp(0, 1)
            rates = measure_all([model.encode_all(changed) for model in models])
            measured.setdefault(name, []).append((step, rates))
            bar.update()
            eers, matches = map(describe, rates.T)
            tqdm.write(f"{f'{name} {step:g}':34}{eers:>16}{matches:>24}")
    bar.close()
    out = Path(args.out) if args.out else evaluation_folder(weights[0])
    out.mkdir(parents=True, exist_ok=True)
    plot(measured, measure_all(clean), out / "robustness.png")
    print(f"\n{out / 'robustness.png'}: both metrics by step, beside the clean value")


def describe(rates: np.ndarray) -> str:
    return mean_and_deviation(rates.tolist(), ".2%") if len(rates) > 1 else f"{rates[0]:.2%}"


def measure(model: SiameseNetwork, queries: Tensor, clean: Tensor, digits: Digits) -> tuple[float, float]:
    """EER and match accuracy of queries (N, D) against clean (N, D), of the same digits; none with itself."""
    with torch.no_grad():
        log_odds = model.logits(queries, clean)
    same, itself = digits.labels[:, None] == digits.labels, torch.eye(len(queries), dtype=torch.bool)
    eer, _ = metrics.equal_error(*(np.sort(log_odds[mask].numpy()) for mask in (same & ~itself, ~same)))
    random, won, asked = np.random.default_rng(0), 0.0, 0
    members, own = [members.numpy() for members in digits.members], digits.labels.unique(return_inverse=True)[1]
    for _ in range(REFERENCE_SETS):
        references = torch.tensor([random.choice(images) for images in members])
        queried = ~torch.isin(torch.arange(len(queries)), references)
        scores, mine = log_odds[queried][:, references], own[queried, None]
        others = scores.scatter(1, mine, -torch.inf).amax(1)
        won += (scores.gather(1, mine)[:, 0] > others).sum().item()
        asked += int(queried.sum())
    return eer, won / asked


def shift(images: Tensor, pixels: float, generator: torch.Generator) -> Tensor:
    """By whole pixels, up, down, left or right."""
    moves = ((pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels))
    return by_kind(images, [lambda part, move=move: affine(part, translate=[*map(float, move)]) for move in moves])


def scale(images: Tensor, factor: float, generator: torch.Generator) -> Tensor:
    return affine(images, scale=factor)


def rotate(images: Tensor, degrees: float, generator: torch.Generator) -> Tensor:
    """Clockwise or counter-clockwise."""
    return by_kind(images, [lambda part, sign=sign: affine(part, angle=sign * degrees) for sign in (1.0, -1.0)])


def widen(images: Tensor, pixels: float, generator: torch.Generator) -> Tensor:
    """Strokes wider or, below 0, narrower by so many pixels."""
    fine = F.interpolate(images, scale_factor=FINE, mode="bicubic", align_corners=False)
    reach = round(abs(pixels) * FINE / 2)
    sign = 1 if pixels > 0 else -1
    grown = sign * F.max_pool2d(sign * fine, 2 * reach + 1, stride=1, padding=reach)
    return F.avg_pool2d(grown, FINE)


def add_noise(images: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    return images + deviation * torch.randn(images.shape, generator=generator)


def affine(images: Tensor, angle: float = 0.0, translate: tuple | list = (0, 0), scale: float = 1.0) -> Tensor:
    return TF.affine(images, angle, list(translate), scale, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)


def by_kind(images: Tensor, changes: list[Callable[[Tensor], Tensor]]) -> Tensor:
    """Each change for an equal share of the images."""
    changed = images.clone()
    for first, change in enumerate(changes):
        changed[first :: len(changes)] = change(images[first :: len(changes)])
    return changed


Rates = np.ndarray  # (weights, 2): EER and match accuracy
Change = Callable[[Tensor, float, torch.Generator], Tensor]
CHANGES: dict[str, tuple[Change, tuple[float, ...]]] = {
    "shift (pixels)": (shift, (0, 1, 2, 3, 4, 5, 6)),
    "scale (factor)": (scale, (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)),
    "rotation (degrees)": (rotate, (0, 10, 20, 30, 40, 50)),
    "stroke width (pixels more)": (widen, (-1.5, -1, -0.5, 0, 1, 2, 3)),
    "noise (standard deviation)": (add_noise, (0, 0.1, 0.2, 0.3, 0.4, 0.5)),
}


def plot(measured: dict[str, list[tuple[float, Rates]]], unchanged: Rates, path: Path) -> None:
    """EER above, match errors below, by the step of each change; the clean values as dashed lines."""
    from matplotlib import pyplot as plt

    from siamese_mnist.style import BLUE, GREY, ORANGE, logarithmic, save

    figure, grid = plt.subplots(2, len(measured), figsize=(13, 5), sharey="row", sharex="col", layout="constrained")
    bars = f"; mean and standard deviation of {len(unchanged)} seeds" if len(unchanged) > 1 else ""
    figure.suptitle(f"Changed queries, clean references; dashed: nothing changed{bars}")
    for column, (name, rows) in zip(grid.T, measured.items()):
        errors = 100 * np.abs([rates - (0, 1) for _, rates in rows])  # (steps, weights, 2), per cent
        spread = errors.std(1, ddof=1) if len(unchanged) > 1 else np.zeros_like(errors[:, 0])
        clean = 100 * np.abs(unchanged - (0, 1)).mean(0)
        for axes, index, colour, marker in zip(column, (0, 1), (BLUE, ORANGE), "os"):
            steps, style = [step for step, _ in rows], {"color": colour, "marker": marker, "capsize": 3}
            axes.errorbar(steps, errors.mean(1)[:, index], spread[:, index], **style)
            axes.axhline(clean[index], color=GREY, linestyle="--")
        column[1].set_xlabel(name)
    for axes in grid.flat:
        logarithmic(axes)
    grid[0, 0].set_ylabel("EER (%)")
    grid[1, 0].set_ylabel("wrong matches (%),\n1 reference")
    save(figure, path)


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    meant = "runs or folders of weights (default: the newest run)"
    arguments.add_argument("weights", nargs="*", **WEIGHTS, help=meant)
    arguments.add_argument(
        "--dataset", choices=("bundled", "mnist"), default="bundled", help="whose test images (default: bundled)"
    )
    arguments.add_argument("--data-root", default="data", **FOLDER, help="folder of mnist (default: data)")
    arguments.add_argument("--fraction", type=float, metavar="F", help="measure this share of the images")
    arguments.add_argument("--out", **FOLDER, help="where to write robustness.png (default: the run's folder)")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
