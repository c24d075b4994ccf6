"""A training with three seeds: mean and standard deviation of its metrics on the test split.

python -m benchmarks.seeds runs/seeds-default --evaluate "--dataset mnist"
python -m benchmarks.seeds runs/seeds-unseen --train "--classes 0-7" --evaluate "--dataset mnist --classes 8,9"

Runs train.py and evaluate.py with these options; what DIR holds already is not done again.
"""

import argparse
import csv
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from siamese_mnist.errors import run_script
from siamese_mnist.files import read_object
from siamese_mnist.options import FOLDER, script_parser
from siamese_mnist.runs import METRICS

SEEDS = (0, 1, 2)
RATES = {
    "eer": "EER",
    "balanced_accuracy": "balanced accuracy",
    "match_accuracy_1": "match, 1 reference",
    "match_accuracy_20": "match, 20 references",
}
NUMBERS = {"auc": "AUC", "log_loss": "log-loss", "log_loss_recalibrated": "log-loss, recalibrated"}


def main() -> None:
    args = parse_arguments()
    measured = [measure(Path(args.folder) / f"seed-{seed}", seed, args.train, args.evaluate) for seed in SEEDS]
    print(f"{'':24}{'mean ± SD':>22}   seeds {', '.join(map(str, SEEDS))}")
    for name, title in (RATES | NUMBERS).items():
        if None not in (values := [each[name] for each in measured]):
            style = ".3%" if name in RATES else ".5f"
            each = ", ".join(format(value, style) for value in values)
            print(f"{title:24}{mean_and_deviation(values, style):>22}   {each}")
    print(f"{'training, seconds':24}{mean_and_deviation([each['training_seconds'] for each in measured], '.0f'):>22}")


def measure(folder: Path, seed: int, train: list[str], evaluate: list[str]) -> dict[str, Any]:
    """The metrics of one run in `folder` and its `training_seconds`; trained and evaluated first if it is not there."""
    begun = (folder / "config.json").is_file()  # --resume refuses other options than it began with
    call("train.py", *train, "--seed", str(seed), "--resume" if begun else "--out", str(folder))
    out = folder / re.sub(r"\W+", "-", " ".join(["evaluation", *evaluate]))
    if not (out / METRICS).is_file():
        call("evaluate.py", str(folder), *evaluate, "--out", str(out))
    with (folder / "history.csv").open() as file:
        seconds = sum(float(row["seconds"]) for row in csv.DictReader(file))
    return read_object(out / METRICS) | {"training_seconds": seconds}


def call(script: str, *arguments: str) -> None:
    """Runs a script, whose bars and errors are seen; ends with its exit status if it fails."""
    done = subprocess.run([sys.executable, script, *arguments], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def mean_and_deviation(values: list[float], style: str) -> str:
    return f"{statistics.mean(values):{style}} ± {statistics.stdev(values):{style}}"


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument("folder", **FOLDER, help="where the runs are, or shall be: seed-0, seed-1, seed-2")
    arguments.add_argument("--train", type=shlex.split, default=[], metavar="OPTIONS", help="options of train.py")
    arguments.add_argument("--evaluate", type=shlex.split, default=[], metavar="OPTIONS", help="options of evaluate.py")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
