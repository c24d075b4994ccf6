"""Measures trained weights on all pairs of a split: a table, metrics.json and figures.

python evaluate.py                                 the newest run's best weights, on the data it was trained on
python evaluate.py runs/NAME --dataset mnist --data-root data
python evaluate.py runs/NAME --classes 8,9         pairs of classes that --classes 0-7 has never seen

Of classes that the weights have never seen, it measures one-shot classification, too.
"""

from siamese_mnist.errors import end_quietly_while_loading
from siamese_mnist.options import evaluation_parser

if __name__ == "__main__":
    end_quietly_while_loading(evaluation_parser(__doc__).parse_args)

import argparse
import json
import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from siamese_mnist import Digits, InputError, SiameseNetwork, distributed, load_digits
from siamese_mnist.device import pick_device
from siamese_mnist.errors import run_script
from siamese_mnist.evaluation import RATES, evaluate_network
from siamese_mnist.files import held, write_whole
from siamese_mnist.options import LARGEST, PAIRS, choose_data
from siamese_mnist.registry import find_source
from siamese_mnist.runs import (
    METRICS,
    choose_folder,
    describe_changes,
    find_weights,
    images_fingerprint,
    trained_images,
)

CALIBRATION_IMAGES_PER_CLASS = 100  # To calibrate the baselines on.
FEW = 200  # Of fewer images, it is said how much a single one counts.


def main() -> None:
    with distributed.ranks(), ExitStack() as stack:
        measure(stack)


def measure(stack: ExitStack) -> None:
    """Measures what the command line names; the folder that it writes into is held on the stack."""
    started = time.perf_counter()
    args = parse_arguments()
    weights = find_weights(args.weights)
    model = SiameseNetwork.from_pretrained(weights).to(pick_device("auto"))
    facts = model.training_facts
    digits, validation, dataset = load(args, model, weights)
    facts_of_this = {"weights": weights, "weights_crc32": model.fingerprint, "images_crc32": images_fingerprint(digits)}
    facts_of_this |= {"dataset": dataset, "split": args.split, "classes": digits.names, "fraction": args.fraction}
    facts_of_this |= {"seed": args.seed, "shown_pairs": args.pairs}
    out = choose_folder(args.out, weights, facts_of_this, unusual(args, dataset, digits, model))
    if distributed.rank() == 0:
        stack.enter_context(held(out, "evaluation"))
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
    if distributed.rank() > 0:  # The first one goes on alone.
        return
    metrics = {"images": len(digits), "pairs": n_pairs, "positives": positives, "threshold": model.threshold}
    metrics |= evaluation.metrics
    metrics["baselines"] = {
        name: {"images": baseline.images} | baseline.metrics for name, baseline in evaluation.baselines.items()
    }
    seconds = round(time.perf_counter() - started, 1)
    metrics |= facts_of_this | {"world_size": facts.get("world_size", 1), "seconds": seconds}
    write_whole(out / METRICS, json.dumps(metrics, indent=2) + "\n")
    print_table(metrics)
    from siamese_mnist.figures import draw_figures  # Matplotlib takes a second to import.

    draw_figures(evaluation, out)
    print(f"{out}: metrics.json and the figures, {time.perf_counter() - started:.0f} s")


def load(args: argparse.Namespace, model: SiameseNetwork, weights: str) -> tuple[Digits, Digits, str]:
    """The split to measure, validation digits for the baselines, and the dataset's name."""
    facts = model.training_facts
    dataset, chosen = choose_data(args, facts.get("dataset", "bundled"), facts)
    try:
        classes = args.classes or trained_classes(model, dataset, args.split, chosen)
        digits = load_digits(dataset, split=args.split, fraction=args.fraction, classes=classes, **chosen)
        validation = load_digits(dataset, split="val", **chosen)
        own = validation.select(torch.isin(validation.labels, digits.labels))  # Other scripts may have other classes.
        validation = (own if len(own.classes) > 1 else validation).at_most(CALIBRATION_IMAGES_PER_CLASS)
    except InputError as error:
        if args.dataset or args.data_root or not find_source(dataset).stand_in:
            raise
        args.dataset = find_source(dataset).stand_in
        print(f"{error}. Measuring on the {args.dataset} images instead.")
        return load(args, model, weights)
    trained = trained_images(weights) if dataset == facts.get("dataset") else None
    if trained and (listing := find_source(dataset).list(Path(chosen["root"]))):
        if told := describe_changes(trained, listing, args.split):
            print(told)
        digits = digits.select(~torch.isin(digits.digests, torch.tensor([digest for digest, _ in trained])))
        if len(digits.classes) < 2 or min(map(len, digits.members)) < 2:
            raise InputError(f"{chosen['root']}: too few images of the {args.split} split that were not trained on")
    return digits, validation, dataset


def trained_classes(model: SiameseNetwork, dataset: str, split: str, chosen: dict[str, Any]) -> Any:
    """The classes to which a training was restricted, where the dataset has them: such as 0-7, of any digits."""
    facts = model.training_facts
    if facts.get("classes") is None or dataset == facts.get("dataset"):
        return facts.get("classes")
    known = set(load_digits(dataset, split=split, **chosen).class_names)
    return model.classes if set(model.classes) <= known else None


def unusual(args: argparse.Namespace, dataset: str, digits: Digits, model: SiameseNetwork) -> list[str]:
    """What tells an evaluation from that of the weights' own classes, dataset and test split; words for a folder."""
    others = digits.names != list(model.classes)
    trained = model.training_facts.get("dataset", dataset)
    words = [args.classes or ",".join(digits.names)] if others and (args.classes or dataset == trained) else []
    words += [f"fraction-{args.fraction:g}"] if args.fraction is not None else []
    words += [f"seed-{args.seed}"] if args.seed else []
    words += [f"pairs-{args.pairs}"] if args.pairs != PAIRS else []
    own = (dataset, args.split) == (trained, "test")
    return [dataset, args.split, *words] if words or not own else []


def seen_in_training(trained: str, measured: str, split: str) -> bool:
    """Whether a network trained on one dataset may have seen images of another's split, as all of them are MNIST's."""
    parts = (find_source(dataset).mnist_parts.get(part) for dataset, part in ((trained, "train"), (measured, split)))
    return trained != measured and bool(frozenset.intersection(*(part or frozenset() for part in parts)))


def print_table(metrics: dict[str, Any]) -> None:
    measured = [metrics, *metrics["baselines"].values()]
    titles = "".join(f"{name.replace('_', ' '):>18}" for name in metrics["baselines"])
    print(f"\n{'':22}{'this network':>12}  {'95 % interval':>18}{titles}")
    for name in (*RATES, "auc", "log_loss", "log_loss_recalibrated"):
        unknown, form = ("–", ".2%") if name in RATES else ("inf", ".5f")
        print_row(name.replace("_", " "), name, measured, unknown, form)
    if "one_shot" in metrics:
        print_row("one shot accuracy", "one_shot_accuracy", measured)
        for group, own in metrics["one_shot"].items():
            title = f"  {group[-10:]}, {own['ways']} ways"
            print_row(title, "accuracy", [each["one_shot"][group] for each in measured])
        guess = f"{metrics['one_shot_chance']:.2%}"
        print(f"One shot, of classes never trained on: the mean of the groups below it; a guess is right in {guess}.")
    print()


def print_row(title: str, name: str, measured: list[dict[str, Any]], unknown: str = "–", form: str = ".2%") -> None:
    """Prints a metric of the network, its interval, and the same metric of the baselines."""
    own, *others = (unknown if each[name] is None else f"{each[name]:{form}}" for each in measured)
    interval = " to ".join(f"{bound:{form}}" for bound in measured[0][f"{name}_ci95"] or ()) or unknown
    print(f"{title:22}{own:>12}  {interval:>18}" + "".join(f"{other:>18}" for other in others))


def parse_arguments() -> argparse.Namespace:
    args = evaluation_parser(__doc__).parse_args()
    if not 2 <= args.pairs <= 600:
        raise InputError(f"--pairs {args.pairs} is not 2 to 600")
    if not 0 <= args.seed <= LARGEST:
        raise InputError(f"--seed {args.seed} is not 0 to {LARGEST}")
    return args


if __name__ == "__main__":
    run_script(main)
