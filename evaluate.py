"""Measures trained weights on all pairs of a split: a table, metrics.json and figures.

python evaluate.py                                 the newest run's best weights, on the data it was trained on
python evaluate.py runs/NAME --dataset mnist --data-root data
python evaluate.py runs/NAME --classes 8,9         pairs of classes that --classes 0-7 has never seen
"""

import json
import time
from pathlib import Path
from typing import Any

from siamese_mnist import Digits, InputError, SiameseNetwork, load_digits
from siamese_mnist.cli import add_weights, evaluation_folder, find_data, find_weights, parser, run
from siamese_mnist.data import DATASETS
from siamese_mnist.device import pick_device
from siamese_mnist.evaluation import (
    Measured,
    encode_all,
    measure_baselines,
    measure_network,
)
from siamese_mnist.files import write_whole

CALIBRATION_IMAGES_PER_CLASS = 100  # of the baselines


def main() -> None:
    started = time.perf_counter()
    args = parse_arguments()
    weights = find_weights(args.weights)
    model = SiameseNetwork.from_pretrained(weights).to(pick_device("auto"))
    digits, validation, dataset = load(args, model)
    out = Path(args.out) if args.out else evaluation_folder(weights)
    out.mkdir(parents=True, exist_ok=True)
    pairs = len(digits) * (len(digits) - 1) // 2
    print(f"{weights}: {len(digits):,} images of the {dataset} {args.split} split, {pairs:,} pairs")
    trained = model.training_facts.get("dataset", dataset)
    if seen_in_training(trained, dataset, args.split):
        print(f"Some of them may be among the {trained} images of the training: the figures are too good then.")

    baselines = measure_baselines(model, digits, validation, args.seed)
    embeddings = encode_all(model, digits.images, "encoding")
    network = measure_network(model, digits, embeddings, args.seed, "this network")
    from siamese_mnist.report import draw_figures  # matplotlib comes when the pairs have gone

    draw_figures(model, digits, embeddings, network, baselines, args.pairs, args.seed, out)
    metrics = summarise(model, digits, network, baselines)
    metrics |= {"weights": weights, "dataset": dataset, "split": args.split, "seed": args.seed}
    metrics |= {
        "classes": [digits.class_names[label] for label in digits.classes],
        "fraction": args.fraction,
        "world_size": model.training_facts.get("world_size", 1),
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_whole(out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    print_table(metrics)
    print(f"{out}: metrics.json and the figures, {metrics['seconds']:.0f} s")


def load(args: Any, model: SiameseNetwork) -> tuple[Digits, Digits, str]:
    """The split to measure, validation digits for the baselines, and the dataset's name."""
    facts = model.training_facts
    dataset = args.dataset or facts.get("dataset", "bundled")
    root = find_data(args.data_root, dataset, facts)
    args.classes = args.classes or facts.get("classes")
    try:
        return *load_splits(dataset, root, args), dataset
    except InputError as error:
        if args.dataset or args.data_root or dataset != "mnist":
            raise
        print(f"{error}. Measuring on the bundled images instead.")
        return *load_splits("bundled", root, args), "bundled"


def seen_in_training(trained: str, measured: str, split: str) -> bool:
    """Whether a network trained on one dataset may have seen images of another's split: all of them are of MNIST."""
    both_mnist = {trained, measured} <= {"bundled", "csv", "mnist"} and trained != measured
    return both_mnist and (measured, split) != ("mnist", "test") and (trained, measured) != ("mnist", "bundled")


def load_splits(dataset: str, root: str, args: Any) -> tuple[Digits, Digits]:
    digits = load_digits(dataset, split=args.split, root=root, classes=args.classes, fraction=args.fraction)
    validation = load_digits(dataset, split="val", root=root, classes=args.classes)
    return digits, validation.at_most(CALIBRATION_IMAGES_PER_CLASS)


def summarise(
    model: SiameseNetwork, digits: Digits, network: Measured, baselines: dict[str, Measured]
) -> dict[str, Any]:
    """The content of metrics.json, but for what was measured on."""
    sizes = digits.labels.bincount()
    counts = {
        "images": len(digits),
        "pairs": len(digits) * (len(digits) - 1) // 2,
        "positives": int((sizes * (sizes - 1)).sum()) // 2,
    }
    others = {name: measured.figures for name, measured in baselines.items()}
    return {
        **counts,
        "threshold": model.threshold,
        **network.figures,
        "baselines": {"always_different": network.always_different, **others},
    }


def print_table(metrics: dict[str, Any]) -> None:
    columns = {"this network": metrics, **metrics["baselines"]}
    print(
        f"\n{'':22}{'this network':>12}  {'95 % interval':>18}"
        + "".join(f"{name.replace('_', ' '):>18}" for name in metrics["baselines"])
    )
    rates = ("eer", "balanced_accuracy", "accuracy", "match_accuracy_1", "match_accuracy_20")
    for name in (
        "eer",
        "auc",
        "balanced_accuracy",
        "accuracy",
        "match_accuracy_1",
        "match_accuracy_20",
        "log_loss",
        "log_loss_recalibrated",
    ):
        form = (
            (lambda value: "–" if value is None else f"{value:.2%}")
            if name in rates
            else (lambda value: "∞" if value is None else f"{value:.5f}")
        )
        own = metrics[name]
        interval = "–" if own is None else " to ".join(form(bound) for bound in metrics[f"{name}_ci95"])
        rest = "".join(f"{form(figures[name]):>18}" for title, figures in columns.items() if title != "this network")
        print(f"{name.replace('_', ' '):22}{form(own):>12}  {interval:>18}{rest}")
    print()


def parse_arguments() -> Any:
    arguments = parser(__doc__)
    add_weights(arguments)
    arguments.add_argument("--dataset", choices=DATASETS, help="where the images come from (default: as in training)")
    arguments.add_argument(
        "--data-root", metavar="DIR", help="folder of mnist, csv or folder images (default: as in training)"
    )
    arguments.add_argument(
        "--split", choices=("test", "val"), default="test", help="which images to measure (default: test)"
    )
    arguments.add_argument("--fraction", type=float, metavar="F", help="measure this share of the images")
    arguments.add_argument(
        "--classes", metavar="LIST", help="measure these classes, such as 8,9 (default: as in training)"
    )
    arguments.add_argument(
        "--pairs", type=int, default=12, metavar="N", help="random pairs that Siamese_test.png shows (default: 12)"
    )
    arguments.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the pairs shown and the references drawn (default: 0)"
    )
    arguments.add_argument("--out", metavar="DIR", help="where to write (default: the run's folder)")
    args = arguments.parse_args()
    if args.pairs < 2 or args.pairs > 600:
        raise InputError(f"--pairs {args.pairs} is not 2 to 600")
    if args.seed < 0:
        raise InputError(f"--seed {args.seed} is below 0")
    return args


if __name__ == "__main__":
    run(main)
