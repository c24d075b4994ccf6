"""What each part of the recipe brings: trainings without it on digits 0 to 7, measured on what they never saw.

python -m benchmarks.ablation runs/ablation --data-root DIR

DIR holds MNIST/raw. One training a row, with the seed 0; what the folder holds already is not trained again.
"""

import argparse
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import torch

import train
from benchmarks.one_shot import measure
from siamese_mnist import Digits, SiameseNetwork, load_digits, metrics
from siamese_mnist.allpairs import score_all_pairs, sorted_kinds
from siamese_mnist.errors import run_script
from siamese_mnist.options import FOLDER, script_parser

# The options and the constants of the package that leave a part out.
ROWS: dict[str, tuple[list[str], dict[str, object]]] = {
    "digits alone": (["--also", "none"], {}),
    "digits and pens": (["--also", "pens"], {}),
    "all": ([], {}),
    "no pens": (["--also", "symbols"], {}),
    "no characters": ([], {"symbols.CHARACTERS": 0.0}),
    "no invented symbols": ([], {"symbols.INVENTED": 0.0}),
    "no composed symbols": ([], {"symbols.COMPOSED": 0.0}),
    "none of them upright": ([], {"symbols.UPRIGHT": 0.0}),
    "no match of digits": (["--match-weight", "0"], {}),
    "no match at all": (["--match-weight", "0"], {"losses.SYMBOLS_MATCH": 0.0}),
}
KNOWN, UNSEEN = "0-7", "8,9"


def main() -> None:
    args = parse_arguments()
    digits = [load_digits("mnist", split="test", root=args.data_root, classes=each) for each in (KNOWN, UNSEEN)]
    symbols = load_digits("symbols", split="test")
    print(f"{'':24}{'EER, ' + KNOWN:>12}{'EER, ' + UNSEEN:>12}{'one-shot error: Sanskrit, Tagalog':>38}")
    for name in ROWS:
        model = SiameseNetwork.from_pretrained(train_without(name, Path(args.folder)))
        one_shot = [1 - rates.mean() for (way, _), rates in measure(model, symbols).items() if way == "similarity"]
        rates = [*(equal_error(model, each) for each in digits), *map(float, one_shot)]
        print(f"{name:24}" + "".join(f"{rate:{width}.2%}" for rate, width in zip(rates, (12, 12, 19, 19))), flush=True)


def train_without(name: str, folder: Path) -> Path:
    """Trains what the row of that name says, if that is not there yet; returns the folder of its weights."""
    run, (options, constants) = folder / name.replace(" ", "-"), ROWS[name]
    begun = (run / "config.json").is_file()
    arguments = ["train.py", "--classes", KNOWN, *options, "--resume" if begun else "--out", str(run)]
    with ExitStack() as changed, redirect_stdout(None):
        changed.enter_context(patch("sys.argv", arguments))
        for constant, value in constants.items():
            changed.enter_context(patch(f"siamese_mnist.{constant}", value))
        train.main()
    return run / "best"


@torch.no_grad()
def equal_error(model: SiameseNetwork, digits: Digits) -> float:
    log_odds = score_all_pairs(model.encode_all(digits.images), model.logits, "pairs")
    return metrics.equal_error(*sorted_kinds(log_odds, digits.labels))[0]


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument("folder", **FOLDER, help="where the runs are, or shall be")
    arguments.add_argument("--data-root", default="data", **FOLDER, help="the folder of MNIST")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
