"""Symbols never trained on, by one example each: errors of one-shot tasks, and of symbols taught beside the ten digits.

python -m benchmarks.one_shot weights
python -m benchmarks.one_shot runs/symbols/seed-* --dataset folder --data-root DIR

One-shot tasks are those of evaluate.py. Then five characters of a script are taught by one drawer's example each, and
images of the other drawers and as many bundled test digits are matched with them and 20 references of each digit, as
the page does: the best of 15 wins, if it is like enough. Of several weights, mean and standard deviation.
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from benchmarks.seeds import mean_and_deviation
from siamese_mnist import Digits, InputError, SiameseNetwork, load_digits
from siamese_mnist.bootstrap import interval, sample_means
from siamese_mnist.errors import note, run_script
from siamese_mnist.heads import pairwise_distance
from siamese_mnist.matching import Matcher
from siamese_mnist.one_shot import answer, draw_tasks, find_groups
from siamese_mnist.options import FOLDER, WEIGHTS, script_parser
from siamese_mnist.registry import SOURCES
from siamese_mnist.runs import find_weights

DRAWS, SYMBOLS = 100, 5
WAYS = ("similarity", "embedding distance", "pixel cosine")
Rates = Tensor  # float64 (T,): a rate of each task, or of each draw


def main() -> None:
    args = parse_arguments()
    weights = [find_weights(named) for named in args.weights or (None,)]
    models = [SiameseNetwork.from_pretrained(each) for each in weights]
    symbols = load_digits(args.dataset, split="test", root=args.data_root)
    groups = find_groups(symbols)
    if not groups:
        raise InputError(f"{args.dataset}: no group holds two classes; name other data with --dataset")
    if any(set(symbols.names) & set(model.classes) for model in models):
        note("weights were trained on some of these classes: take no figure for one of symbols never seen")
    measured = [measure(model, symbols) for model in tqdm(models, desc="one-shot", leave=False, disable=None)]
    print(f"{', '.join(weights)}: {len(symbols):,} {args.dataset} test images of {len(symbols.classes)} classes")
    print(f"\n{'error of one-shot tasks':32}" + "".join(f"{way:>28}" for way in WAYS))
    for group, classes in groups.items():
        told = [describe([1 - each[way, group] for each in measured]) for way in WAYS]
        print(f"{f'{group[-20:]}, {min(20, len(classes))} ways':32}" + "".join(f"{each:>28}" for each in told))

    script = args.script or list(groups)[-1]
    if len(groups.get(script, ())) < SYMBOLS:
        raise InputError(f"--script {script}: has no {SYMBOLS} classes; name one of {', '.join(groups)}")
    digits = load_digits("bundled", split="test")
    taught = [teach(Matcher(model, digits), symbols, groups[script]) for model in models]
    print(f"\n{f'{SYMBOLS} symbols of {script[-20:]} beside 10 digits':44}{'right':>28}{'right, if like enough':>28}")
    for queries in ("symbols", "digits", "both"):
        told = [describe([each[queries, refusing] for each in taught]) for refusing in (False, True)]
        print(f"{queries:44}" + "".join(f"{each:>28}" for each in told))


def describe(rates: list[Rates]) -> str:
    """A rate with its 95 % interval over tasks; of several weights, their mean and standard deviation."""
    means = [float(each.mean()) for each in rates]
    if len(means) > 1:
        return mean_and_deviation(means, ".2%")
    low, high = interval(sample_means(rates[0]), means[0], len(rates[0]))
    return f"{means[0]:.2%} ({low:.2%} to {high:.2%})"


def measure(model: SiameseNetwork, symbols: Digits) -> dict[tuple[str, str], Rates]:
    """The accuracy in each one-shot task, by way to score and group."""
    tasks, embeddings = draw_tasks(symbols, seed=0), model.encode_all(symbols.images)
    pixels = F.normalize(symbols.images.flatten(1).float())
    scores = (embeddings, model.logits), (embeddings, lambda a, b: -pairwise_distance(a, b)), (pixels, cosine)
    return {
        (way, group): own.right.double().mean(1)
        for way, scoring in zip(WAYS, scores)
        for group, own in answer(tasks, *scoring).items()
    }


def cosine(a: Tensor, b: Tensor) -> Tensor:
    return a @ b.T


@torch.no_grad()
def teach(matcher: Matcher, symbols: Digits, classes: list[Tensor]) -> dict[tuple[str, bool], Rates]:
    """The share of right answers in each of DRAWS, of symbols, of digits and of both, without and with refusals.

    A draw's examples are the images of one rank, which are one drawer's; all others of their classes are queries."""
    model, random, generator = matcher.model, np.random.default_rng(0), torch.Generator().manual_seed(0)
    embeddings, labels = model.encode_all(symbols.images), matcher.digits.labels
    thresholds = torch.tensor([model.rejection_threshold] * len(matcher.names) + [model.threshold] * SYMBOLS)
    rates: dict[tuple[str, bool], list[float]] = {}
    for _ in tqdm(range(DRAWS), desc="teaching", unit="draw", leave=False, disable=None):
        chosen = [classes[label] for label in random.permutation(len(classes))[:SYMBOLS]]
        rank = int(random.integers(max(map(len, chosen))))
        places = [rank % len(members) for members in chosen]
        examples = torch.stack([members[place] for members, place in zip(chosen, places)])
        others = [torch.cat([members[:place], members[place + 1 :]]) for members, place in zip(chosen, places)]
        asked, references = torch.cat(others), matcher.sample(generator)
        no_references = np.setdiff1d(np.arange(len(labels)), references)
        digits = torch.from_numpy(random.permutation(no_references)[: len(asked)])
        queries = torch.cat([embeddings[asked], matcher.embeddings[digits]])
        of_symbols = torch.cat(
            [torch.full((len(own),), len(matcher.names) + number) for number, own in enumerate(others)]
        )
        scores = [matcher.scores(queries, references), model.similarity(queries, embeddings[examples])]
        best, winner = torch.cat(scores, 1).max(1)
        right = winner == torch.cat([of_symbols, labels[digits]])
        for refusing, hits in ((False, right), (True, right & (best >= thresholds[winner]))):
            parts = {"symbols": hits[: len(asked)], "digits": hits[len(asked) :], "both": hits}
            for name, part in parts.items():
                rates.setdefault((name, refusing), []).append(part.double().mean().item())
    return {key: torch.tensor(values, dtype=torch.double) for key, values in rates.items()}


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    meant = "runs or folders of weights (default: the newest run)"
    arguments.add_argument("weights", nargs="*", **WEIGHTS, help=meant)
    arguments.add_argument(
        "--dataset", choices=tuple(SOURCES), default="symbols", help="whose test split holds symbols"
    )
    arguments.add_argument(
        "--data-root", default="data", **FOLDER, help="the folder of the images, where one is needed"
    )
    arguments.add_argument("--script", metavar="NAME", help="of which symbols are taught (default: the last one)")
    return arguments.parse_args()


if __name__ == "__main__":
    run_script(main)
