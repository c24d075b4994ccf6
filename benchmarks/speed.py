"""train.py beside the plain way to train a siamese network, and evaluate.py's way beside a loop over the pairs.

python -m benchmarks.speed runs/speed --data-root DIR
python -m benchmarks.speed runs/speed-alike --data-root DIR --train "--also none --no-augment --epochs 4"

DIR holds MNIST/raw, --train is for train.py. Both sides train in turn on the 4,000 bundled images, with the same
encoder, head and threads, in processes of their own. The plain way draws pairs one by one through a DataLoader, encodes
both images of each, and stops after --limit seconds. EERs are of all pairs of MNIST's test images, by weights kept on
the way, measured later.
"""

import argparse
import json
import math
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm

import train
from siamese_mnist import Digits, PairedDataset, SiameseNetwork, load_digits, metrics
from siamese_mnist.allpairs import score_all_pairs, sorted_kinds
from siamese_mnist.errors import InputError, run_script
from siamese_mnist.files import read_object, write_whole
from siamese_mnist.options import FOLDER, script_parser

RATES = (0.05, 0.02, 0.01)
LEARNING_RATE, PAIRS_IN_A_BATCH = 1e-3, 64  # Of the plain way, as usual examples have them.
KEPT_EVERY = 0.2  # Seconds between weights kept, at first; all later ones are 5 % apart.
SAMPLED_PAIRS = 2000  # Of the loop over pairs.


class Watch:
    """Keeps the weights of a training on the way, and counts pairs and images; the time it takes itself is left out."""

    def __init__(self, started: float) -> None:
        self.started, self.left_out, self.pairs, self.images, self.due = started, 0.0, 0, 0, 0.0
        self.begun: float | None = None
        self.kept: list[tuple[float, dict[str, torch.Tensor]]] = []

    @property
    def seconds(self) -> float:
        """Since the process was started."""
        return time.time() - self.started - self.left_out

    def count(self, pairs: int, images: int) -> None:
        self.begun = self.begun or self.seconds
        self.pairs, self.images = self.pairs + pairs, self.images + images

    def keep(self, model: SiameseNetwork, last: bool = False) -> None:
        if (at := self.seconds) >= self.due or last:
            before = time.time()
            self.kept.append((at, {name: tensor.clone() for name, tensor in model.state_dict().items()}))
            self.due = max(at + KEPT_EVERY, at * 1.05)
            self.left_out += time.time() - before

    def write(self, folder: Path) -> None:
        facts = {"pairs": self.pairs, "images": self.images, "begun": self.begun, "ended": self.seconds}
        facts["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB.
        torch.save(self.kept, folder / "kept.pt")
        write_whole(folder / "facts.json", json.dumps(facts))


def train_ours(watch: Watch, folder: Path, args: argparse.Namespace) -> None:
    """What `python train.py` does, with the options of --train."""

    class Watched(AveragedModel):
        def update_parameters(self, model: torch.nn.Module) -> None:
            super().update_parameters(model)
            watch.keep(self.module)

    def gather(embeddings: torch.Tensor, *rest: Any) -> tuple[Any, ...]:
        watch.count(math.comb(len(embeddings), 2), len(embeddings))
        return embeddings, *rest

    words = ["train.py", *args.train, "--seed", str(args.seed), "--out", str(folder / "run")]
    with patch("train.AveragedModel", Watched), patch("train.distributed.gather", gather), patch("sys.argv", words):
        train.main()
    watch.keep(SiameseNetwork.from_pretrained(folder / "run" / "last"), last=True)


def train_plainly(watch: Watch, folder: Path, args: argparse.Namespace) -> None:
    """A pair after the other, as usual examples do."""
    torch.manual_seed(args.seed)
    model = SiameseNetwork()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    pairs = PairedDataset(load_digits("bundled"), n_pairs=10_000_000, seed=args.seed)
    for (a, b), same in tqdm(DataLoader(pairs, PAIRS_IN_A_BATCH), desc="plain", unit="batch", disable=None):
        loss = F.binary_cross_entropy_with_logits(model(a, b), same.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        watch.count(len(same), 2 * len(same))
        watch.keep(model)
        if watch.seconds > args.limit:
            break


SIDES: dict[str, Callable[[Watch, Path, argparse.Namespace], None]] = {"plain": train_plainly, "ours": train_ours}


def main() -> None:
    args = parse_arguments()
    if args.side:
        folder = Path(args.folder)
        folder.mkdir(parents=True, exist_ok=True)
        watch = Watch(args.started)
        SIDES[args.side](watch, folder, args)
        return watch.write(folder)
    digits = load_digits("mnist", split="test", root=args.data_root)
    folders = {side: [Path(args.folder) / f"{side}-{seed}" for seed in range(args.runs)] for side in SIDES}
    for seed, runs in enumerate(zip(*folders.values())):
        for side, folder in zip(SIDES, runs):
            if not (folder / "facts.json").exists():
                command = [sys.executable, "-m", "benchmarks.speed", str(folder), "--side", side, "--seed", str(seed)]
                command += ["--limit", str(args.limit), f"--train={shlex.join(args.train)}"]
                command += ["--started", str(time.time())]
                subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    # Only now, as Linux counts the memory of the process that starts another as that one's, too.
    measured: dict[str, list[dict[str, float]]] = {}
    for side, runs in folders.items():
        measured[side] = [read_object(run / "facts.json") | times_to(run, digits) for run in runs]
    print(f"{args.runs} runs of each side, medians; {torch.get_num_threads()} threads")
    print(f"{'':36}{'plain':>12}{'ours':>12}{'ratio':>10}")
    for name, unit, of in ROWS:
        plain, ours = (statistics.median(of(row) for row in measured[side]) for side in SIDES)
        more, less = max(plain, ours), min(plain, ours)
        bound = "> " if math.inf in (plain, ours) else ""  # One that did not get there took longer than the limit.
        told = [f"> {args.limit:.0f}" if value == math.inf else _three_digits(value) for value in (plain, ours)]
        ratio = bound + f"{(args.limit if more == math.inf else more) / less:,.1f}" if less < math.inf else "–"
        print(f"{f'{name}, {unit}':36}{told[0]:>12}{told[1]:>12}{ratio:>10}")
    compare_evaluations(SiameseNetwork.from_pretrained(Path(args.folder) / "ours-0" / "run" / "last"), digits)


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _per_second(what: str) -> Callable[[dict[str, float]], float]:
    return lambda row: row[what] / (row["ended"] - row["begun"])


ROWS: list[tuple[str, str, Callable[[dict[str, float]], float]]] = [
    ("pairs trained on", "a second", _per_second("pairs")),
    ("images encoded", "a second", _per_second("images")),
    *((f"until the EER is {rate:.0%}", "s", lambda row, rate=str(rate): row[rate]) for rate in RATES),
    *((f"{rate:.0%} from the first step", "s", lambda row, rate=str(rate): row[rate] - row["begun"]) for rate in RATES),
    ("the whole process", "s", lambda row: row["ended"]),
    ("peak memory", "MB", lambda row: row["peak_mb"]),
]


def times_to(folder: Path, digits: Digits) -> dict[str, float]:
    """The seconds from the start of the process until the weights had an EER of each of RATES, or infinity."""
    kept, model, known = torch.load(folder / "kept.pt", weights_only=True), SiameseNetwork().eval(), {}

    def eer(place: int) -> float:
        if place not in known:
            model.load_state_dict(kept[place][1])
            known[place] = equal_error(model, digits)
        return known[place]

    times = {}
    for rate in RATES:  # Halving the interval, as if the EER only fell.
        low, high = -1, len(kept) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if eer(middle) <= rate else (middle, high)
        times[str(rate)] = kept[high][0] if eer(high) <= rate else math.inf
    return times | {"eer": eer(len(kept) - 1)}


@torch.no_grad()
def equal_error(model: SiameseNetwork, digits: Digits) -> float:
    log_odds = score_all_pairs(model.encode_all(digits.images), model.raw_scores, "pairs")
    return metrics.equal_error(*sorted_kinds(log_odds, digits.labels))[0]


@torch.no_grad()
def compare_evaluations(model: SiameseNetwork, digits: Digits) -> None:
    """Prints the seconds for all pairs of the digits: a loop over some of them, scaled up, and evaluate.py's way."""
    pairs, count = PairedDataset(digits, SAMPLED_PAIRS), math.comb(len(digits), 2)
    started = time.perf_counter()
    for (a, b), _ in tqdm(pairs, desc="plain", unit="pair", total=len(pairs), disable=None):
        model(a[None], b[None]).sigmoid()
    plain = (time.perf_counter() - started) / len(pairs) * count
    started = time.perf_counter()
    embeddings = model.encode_all(digits.images)
    encoded = time.perf_counter()
    score_all_pairs(embeddings, model.logits, "pairs")
    scored = time.perf_counter() - encoded
    ours = time.perf_counter() - started
    print(f"all {count:,} test pairs: {ours:.1f} s, {scored:.1f} s of them from embeddings to log-odds; pair by pair")
    print(f"{plain:,.0f} s ({SAMPLED_PAIRS:,} pairs, scaled up): {plain / ours:,.0f} times as long")


def parse_arguments() -> argparse.Namespace:
    arguments = script_parser(__doc__)
    arguments.add_argument("folder", **FOLDER, help="where the runs are, or shall be")
    arguments.add_argument("--data-root", default="data", **FOLDER, help="the folder of MNIST (default: data)")
    arguments.add_argument("--runs", type=int, default=3, metavar="N", help="of each side (default: 3)")
    arguments.add_argument("--train", type=shlex.split, default=[], metavar="OPTIONS", help="options of train.py")
    arguments.add_argument("--limit", type=float, default=900, metavar="S", help="of the plain side (default: 900)")
    for name, kind in (("--side", str), ("--seed", int), ("--started", float)):
        arguments.add_argument(name, type=kind, help=argparse.SUPPRESS)  # Of a process that this one starts.
    args = arguments.parse_args()
    if args.runs < 1 or args.limit <= 0:
        raise InputError(f"--runs {args.runs} --limit {args.limit:g}: one run or more, and more than 0 seconds")
    return args


if __name__ == "__main__":
    run_script(main)
