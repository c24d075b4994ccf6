"""EER by the number of training images, three seeds each, beside the pixels and an untrained network.

python -m benchmarks.learning_curve --data-root DIR
python -m benchmarks.learning_curve --dataset bundled --sizes 10 30 100

Each point is a run of train.py with --images-per-class, measured by evaluate.py on the test split; runs that are there
already, in --out, are not trained again.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from siamese_mnist import InputError
from siamese_mnist.cli import parser, run

SIZES = (10, 30, 100, 500)  # images a class
SEEDS = (0, 1, 2)
STEPS, MOST_EPOCHS, BATCH = 640, 200, 250  # as the default run has them; small sets get more epochs, not fewer steps
CLASSES = 10


def main() -> None:
    args = parse_arguments()
    out = Path(args.out)
    runs = [(size, seed) for size in args.sizes for seed in SEEDS]
    measured = {pair: measure(*pair, args, out) for pair in tqdm(runs, desc="runs", unit="run")}
    print(f"\n{'images a class':>14}{'EER, mean of 3 seeds':>24}{'match, 1 reference':>24}")
    rows = []
    for size in args.sizes:
        figures = [measured[size, seed] for seed in SEEDS]
        errors, matches = ([100 * each[name] for each in figures] for name in ("eer", "match_accuracy_1"))
        rows.append((size, statistics.mean(errors), statistics.stdev(errors)))
        print(f"{size:14}{spread(errors):>24}{spread(matches):>24}")
    baselines = {
        name.replace("_", " "): statistics.mean(100 * each["baselines"][name]["eer"] for each in measured.values())
        for name in ("pixel_cosine", "untrained")
    }
    for name, eer in baselines.items():
        print(f"{name:>14}{eer:22.2f} %")
    plot(rows, baselines, out / "learning_curve.png")
    print(f"\n{out / 'learning_curve.png'}: EER by images a class")


def measure(size: int, seed: int, args: argparse.Namespace, out: Path) -> dict[str, Any]:
    """metrics.json of one run, trained and evaluated first if it is not there."""
    folder = out / f"{size}-{seed}"
    epochs = min(MOST_EPOCHS, max(1, STEPS // max(1, size * CLASSES // BATCH)))
    source = ("--dataset", args.dataset, "--data-root", args.data_root)
    if not folder.is_dir():
        options = ("--images-per-class", size, "--epochs", epochs, "--seed", seed)
        call("train.py", *source, *options, "--out", folder)
    if not (folder / "metrics.json").is_file():
        call("evaluate.py", folder, *source)
    return json.loads((folder / "metrics.json").read_text())


def call(script: str, *arguments: object) -> None:
    done = subprocess.run([sys.executable, script, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{script}: {done.stderr.strip().splitlines()[-1]}")


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f} %"


def plot(rows: list[tuple[int, float, float]], baselines: dict[str, float], path: Path) -> None:
    from matplotlib import pyplot as plt

    from siamese_mnist.plots import BLUE, GREY, ORANGE, save

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    sizes, means, deviations = zip(*rows)
    axes.errorbar(sizes, means, deviations, color=BLUE, marker="o", capsize=4, label="this network (3 seeds, ± 1 SD)")
    for (name, eer), colour, style in zip(baselines.items(), (ORANGE, GREY), ("--", ":")):
        axes.axhline(eer, color=colour, linestyle=style, label=name)
    axes.set(xscale="log", yscale="log", xlabel="training images a class", ylabel="EER on test pairs (%)")
    axes.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title("Equal error rate by the number of training images")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    save(figure, path)


def parse_arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--dataset", choices=("bundled", "mnist"), default="mnist", help="default: mnist")
    arguments.add_argument("--data-root", default="data", metavar="DIR", help="folder of mnist (default: data)")
    arguments.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="N", help="default: 10 30 100 500")
    arguments.add_argument(
        "--out", default="runs/curve", metavar="DIR", help="folder of the runs (default: runs/curve)"
    )
    return arguments.parse_args()


if __name__ == "__main__":
    run(main)
