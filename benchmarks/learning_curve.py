"""EER by the number of training images, three seeds each, beside the pixels and an untrained network.

python -m benchmarks.learning_curve runs/curve --data-root DIR

Each point is a run of train.py with --images-per-class on MNIST, measured by evaluate.py on its test split; what the
folder holds already is not done again.
"""

import argparse
import statistics
from pathlib import Path

from benchmarks.seeds import SEEDS, mean_and_deviation, measure
from siamese_mnist.errors import run_script
from siamese_mnist.options import FOLDER, script_parser

SIZES = (10, 30, 100, 500)  # images a class
CLASSES, BATCH, STEPS, MOST_EPOCHS = 10, 250, 640, 100  # few images are seen more often, not for fewer steps
FEWEST_STEPS = 4  # an epoch


def main() -> None:
    args = parse_arguments()
    folder, source = Path(args.folder), ["--dataset", "mnist", "--data-root", args.data_root]
    rows, baselines = [], {"pixel_cosine": [], "untrained": []}
    print(f"{'images a class':>14}{'EER, mean of 3 seeds':>26}{'match, 1 reference':>26}")
    for size in SIZES:
        train = [*source, "--images-per-class", str(size), *steps(size)]
        measured = [measure(folder / f"{size}-images-seed-{seed}", seed, train, source) for seed in SEEDS]
        errors, matches = ([each[name] for each in measured] for name in ("eer", "match_accuracy_1"))
        print(f"{size:14}{mean_and_deviation(errors, '.2%'):>26}{mean_and_deviation(matches, '.2%'):>26}")
        rows.append((size, 100 * statistics.mean(errors), 100 * statistics.stdev(errors)))
        for name, values in baselines.items():
            values += [each["baselines"][name]["eer"] for each in measured]
    levels = {name.replace("_", " "): 100 * statistics.mean(values) for name, values in baselines.items()}
    for name, eer in levels.items():
        print(f"{name:>14}{eer:25.2f}%")
    plot(rows, levels, folder / "learning_curve.png")
    print(f"{folder / 'learning_curve.png'}: EER by images a class")


def steps(size: int) -> list[str]:
    """The options for about as many steps as the default run has, in smaller batches where there are few images."""
    batch = min(BATCH, size * CLASSES // FEWEST_STEPS)
    epochs = min(MOST_EPOCHS, STEPS // (size * CLASSES // batch))
    return ["--batch-size", str(batch), "--epochs", str(epochs)]


def plot(rows: list[tuple[int, float, float]], baselines: dict[str, float], path: Path) -> None:
    """EER in per cent by images a class, with error bars; the baselines as lines."""
    from matplotlib import pyplot as plt

    from siamese_mnist.style import BLUE, GREY, ORANGE, logarithmic, save

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    sizes, means, deviations = zip(*rows)
    axes.errorbar(sizes, means, deviations, color=BLUE, marker="o", capsize=4, label="this network (3 seeds, ± 1 SD)")
    for (name, eer), colour, style in zip(baselines.items(), (ORANGE, GREY), ("--", ":")):
        axes.axhline(eer, color=colour, linestyle=style, label=name)
    axes.set(xscale="log", xlabel="training images a class", ylabel="EER on test pairs (%)")
    axes.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    axes.set_xticks([], minor=True)
    logarithmic(axes)
    axes.set_title("Equal error rate by the number of training images")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    save(figure, path)


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument("folder", **FOLDER, help="where the runs are, or shall be")
    arguments.add_argument("--data-root", default="data", **FOLDER, help="folder of mnist (default: data)")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
