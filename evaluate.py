"""Measures trained weights on all pairs of a split: a table, metrics.json and figures.

python evaluate.py                                 the newest run's best weights, on the data it was trained on
python evaluate.py runs/NAME --dataset mnist --data-root data
python evaluate.py runs/NAME --classes 8,9         pairs of classes that --classes 0-7 has never seen
"""

from siamese_mnist.errors import end_quietly_while_loading

if __name__ == "__main__":
    end_quietly_while_loading()

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch

from siamese_mnist import Digits, InputError, SiameseNetwork, load_digits
from siamese_mnist.device import pick_device
from siamese_mnist.errors import run_script
from siamese_mnist.evaluation import RATES, evaluate_network
from siamese_mnist.files import write_whole
from siamese_mnist.options import FOLDER, LARGEST, add_weights_and_data, choose_data, find_source, script_parser
from siamese_mnist.runs import (
    METRICS,
    choose_folder,
    describe_changes,
    find_weights,
    images_fingerprint,
    trained_images,
)

CALIBRATION_IMAGES_PER_CLASS = 100  # To calibrate the baselines on.
PAIRS, FEW = 12, 200  # Shown in a figure; of fewer images, it is said how much a single one counts.


def main() -> None:
    started = time.perf_counter()
    args = parse_arguments()
    weights = find_weights(args.weights)
    model = SiameseNetwork.from_pretrained(weights).to(pick_device("auto"))
    facts = model.training_facts
    digits, validation, dataset = load(args, facts, weights)
    facts_of_this = {"weights": weights, "weights_crc32": model.fingerprint, "images_crc32": images_fingerprint(digits)}
    facts_of_this |= {"dataset": dataset, "split": args.split, "classes": digits.names, "fraction": args.fraction}
    facts_of_this |= {"seed": args.seed, "shown_pairs": args.pairs}
    out = choose_folder(args.out, weights, facts_of_this, unusual(args, dataset, digits, model))
    out.mkdir(parents=True, exist_ok=True)
    n_pairs, positives = math.comb(len(digits), 2), sum(math.comb(len(own), 2) for own in digits.members)
    print(f"{weights}: {len(digits):,} images of the {dataset} {args.split} split, {n_pairs:,} pairs")
    if len(digits) < FEW:
        print(f"So few that one of them is {1 / len(digits):.1%}: take no rate without its interval.")
    if (out / METRICS).is_file():
        print(f"{out}: the evaluation there is replaced.")
    trained = facts.get("dataset", dataset)
    if seen_in_training(trained, dataset, args.split):
        print(f"Some of them may be among the {trained} images of the training: the metrics are too good then.")

    evaluation = evaluate_network(model, digits, validation, args.seed)._replace(shown_pairs=args.pairs)
    metrics = {"images": len(digits), "pairs": n_pairs, "positives": positives, "threshold": model.threshold}
    metrics |= evaluation.metrics
    metrics["baselines"] = {name: baseline.metrics for name, baseline in evaluation.baselines.items()}
    seconds = round(time.perf_counter() - started, 1)
    metrics |= facts_of_this | {"world_size": facts.get("world_size", 1), "seconds": seconds}
    write_whole(out / METRICS, json.dumps(metrics, indent=2) + "\n")
    print_table(metrics)
    from siamese_mnist.figures import draw_figures  # Matplotlib takes a second to import.

    draw_figures(evaluation, out)
    print(f"{out}: metrics.json and the figures, {time.perf_counter() - started:.0f} s")


def load(args: argparse.Namespace, facts: dict[str, Any], weights: str) -> tuple[Digits, Digits, str]:
    """The split to measure, validation digits for the baselines, and the dataset's name."""
    dataset, chosen = choose_data(args, facts.get("dataset", "bundled"), facts)
    chosen["classes"] = args.classes or facts.get("classes")
    try:
        digits = load_digits(dataset, split=args.split, fraction=args.fraction, **chosen)
        validation = load_digits(dataset, split="val", **chosen).at_most(CALIBRATION_IMAGES_PER_CLASS)
    except InputError as error:
        if args.dataset or args.data_root or not find_source(dataset).stand_in:
            raise
        args.dataset = find_source(dataset).stand_in
        print(f"{error}. Measuring on the {args.dataset} images instead.")
        return load(args, facts, weights)
    trained = trained_images(weights) if dataset == facts.get("dataset") else None
    if trained and (listing := find_source(dataset).list(Path(chosen["root"]))):
        if told := describe_changes(trained, listing, args.split):
            print(told)
        digits = digits.select(~torch.isin(digits.digests, torch.tensor([digest for digest, _ in trained])))
        if len(digits.classes) < 2 or min(map(len, digits.members)) < 2:
            raise InputError(f"{chosen['root']}: too few images of the {args.split} split that were not trained on")
    return digits, validation, dataset


def unusual(args: argparse.Namespace, dataset: str, digits: Digits, model: SiameseNetwork) -> list[str]:
    """What tells an evaluation from that of the weights' own classes, dataset and test split; words for a folder."""
    others = digits.names != list(model.classes)
    words = [args.classes or ",".join(digits.names)] if others else []
    words += [f"fraction-{args.fraction:g}"] if args.fraction is not None else []
    words += [f"seed-{args.seed}"] if args.seed else []
    words += [f"pairs-{args.pairs}"] if args.pairs != PAIRS else []
    own = (dataset, args.split) == (model.training_facts.get("dataset", dataset), "test")
    return [dataset, args.split, *words] if words or not own else []


def seen_in_training(trained: str, measured: str, split: str) -> bool:
    """Whether a network trained on one dataset may have seen images of another's split, as all of them are MNIST's."""
    parts = (find_source(dataset).mnist_parts.get(part) for dataset, part in ((trained, "train"), (measured, split)))
    return trained != measured and bool(frozenset.intersection(*(part or frozenset() for part in parts)))


def print_table(metrics: dict[str, Any]) -> None:
    baselines = metrics["baselines"]
    titles = "".join(f"{name.replace('_', ' '):>18}" for name in baselines)
    print(f"\n{'':22}{'this network':>12}  {'95 % interval':>18}{titles}")
    for name in (*RATES, "auc", "log_loss", "log_loss_recalibrated"):
        unknown, form = ("–", ".2%") if name in RATES else ("inf", ".5f")
        own, *others = (
            unknown if each[name] is None else f"{each[name]:{form}}" for each in (metrics, *baselines.values())
        )
        interval = " to ".join(f"{bound:{form}}" for bound in metrics[f"{name}_ci95"] or ()) or unknown
        print(f"{name.replace('_', ' '):22}{own:>12}  {interval:>18}" + "".join(f"{other:>18}" for other in others))
    print()


def parse_arguments() -> argparse.Namespace:
    parser = script_parser(__doc__)
    add_weights_and_data(parser, "where the images come from (default: as in training)")
    parser.add_argument("--split", choices=("test", "val"), default="test", help="which images (default: test)")
    parser.add_argument("--fraction", type=float, metavar="F", help="measure this share of the images")
    parser.add_argument("--classes", metavar="LIST", help="measure these, such as 8,9 (default: as in training)")
    shown = f"random pairs that Siamese_test.png shows (default: {PAIRS})"
    parser.add_argument("--pairs", type=int, default=PAIRS, metavar="N", help=shown)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws pairs and references (default: 0)")
    parser.add_argument("--out", **FOLDER, help="where to write (default: the run's folder, or one in it)")
    args = parser.parse_args()
    if not 2 <= args.pairs <= 600:
        raise InputError(f"--pairs {args.pairs} is not 2 to 600")
    if not 0 <= args.seed <= LARGEST:
        raise InputError(f"--seed {args.seed} is not 0 to {LARGEST}")
    return args


if __name__ == "__main__":
    run_script(main)
