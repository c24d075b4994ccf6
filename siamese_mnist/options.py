"""The options of the scripts. A training's command line, config.json and header all come from one dataclass."""

import argparse
import dataclasses
import os
import shlex
from dataclasses import dataclass, field
from typing import Any, get_args

from siamese_mnist.errors import InputError, program
from siamese_mnist.registry import ALSO, ENCODERS, HEADS, LOSSES, OPTIMIZERS, SOURCES, find_source

LEARNING_RATES = f"{OPTIMIZERS['muon'].lr} with muon, else " + ", ".join(
    f"{row.lr} for {name}" for name, row in ENCODERS.items()
)
INT, FLOAT = {"type": int, "metavar": "N"}, {"type": float, "metavar": "F"}
FLAG = argparse.BooleanOptionalAction


def as_path(typed: str) -> str:
    """A path, with the ~ that a shell leaves in --out=~/runs; an empty one, as of a variable not set, is refused."""
    if not typed:
        raise argparse.ArgumentTypeError("the name is empty")
    path = os.path.expanduser(typed)
    if path.startswith("~"):
        raise argparse.ArgumentTypeError(f"{path}: no such user; write ./{path} if a folder is called so")
    return path


FOLDER = {"type": as_path, "metavar": "DIR"}
WEIGHTS = FOLDER | {"metavar": "WEIGHTS"}
LARGEST = 2**63 - 1  # More is no seed to torch.
LIMITS = {"epochs": (1, 100_000), "batch_size": (4, 5000), "symbols": (1, 5000), "seed": (0, LARGEST)}
HIGHEST = {"lr": 10, "margin": 1000, "match_weight": 1000}
MOST_IN_A_STEP = 5000  # In a step, whose pairs are their square: some 2 GB.
PAIRS = 12  # Shown in a figure.
REFERENCES = "where the references come from (default: bundled, or the weights' own)"


def _option(default: Any, help: str, **rest: Any) -> Any:
    return field(default=default, metadata={"help": help, **rest})


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained. InputError names an option whose value cannot be used."""

    dataset: str = _option("bundled", "where the images come from", choices=tuple(SOURCES))
    data_root: str = _option("data", "the folder of the images, where the dataset needs one", **FOLDER)
    images_per_class: int | None = _option(None, "train on this many images of each class", **INT)
    fraction: float | None = _option(None, "train on this share of the images", **FLOAT)
    transposed: bool = _option(False, "turn images whose rows are columns, as EMNIST's", action=FLAG)
    classes: str | None = _option(None, "train on some classes only, such as 0-7 or 3,5", metavar="LIST")
    also: str | None = _option(
        None, f"what joins the images: {','.join(ALSO)} (default, with a head to train), or none"
    )
    init: str | None = _option(None, "weights to start from: a run, a folder, or owner/name on the Hub", **WEIGHTS)
    encoder: str = _option("conv4s", "the shared convolutional encoder", choices=tuple(ENCODERS))
    head: str = _option("mlp", "how two embeddings become a similarity", choices=tuple(HEADS))
    loss: str = _option("bce", "what is minimised over all pairs of a batch", choices=tuple(LOSSES))
    epochs: int = _option(12, "rounds through the training images", **INT)
    batch_size: int = _option(100, "images in a batch, without what joins them", **INT)
    symbols: int = _option(44, "symbols that join each 100 images, four copies of each", **INT)
    optimizer: str | None = _option(
        None, "what takes the steps (default: muon with conv4s, else adamw)", choices=tuple(OPTIMIZERS)
    )
    lr: float | None = _option(None, f"highest learning rate (default: {LEARNING_RATES})", **FLOAT)
    margin: float = _option(2.0, "the distance that a loss with a margin wants between classes", **FLOAT)
    match_weight: float = _option(1.0, "of what sets training classes apart; less suits classes never seen", **FLOAT)
    augment: bool = _option(True, "change images at random, add strangers", action=FLAG)
    seed: int = _option(0, "decides the initial weights, the batches and the augmentation", **INT)
    device: str = _option("auto", "where to compute; auto is CUDA, MPS or CPU", choices=("auto", "cpu", "cuda", "mps"))

    def __post_init__(self) -> None:
        for option in dataclasses.fields(self):
            value, choices = getattr(self, option.name), option.metadata.get("choices")
            kinds = get_args(option.type) or (option.type,)
            if type(value) not in kinds and not (type(value) is int and float in kinds):
                raise InputError(f"{as_typed(option.name)} {value!r:.40} is no {kinds[0].__name__}")
            if isinstance(value, int) and abs(value) > LARGEST:
                raise InputError(f"{as_typed(option.name)} {value!r:.40} is beyond {LARGEST}")
            if choices and value not in choices and value != option.default:
                raise InputError(f"{as_typed(option.name)} {value} is none of {', '.join(choices)}")
        for name, default in self._dependent().items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        if not set(self.joined) <= set(ALSO):
            raise InputError(f"--also {self.also} is none, or some of {','.join(ALSO)}")
        find_source(self.dataset, self.data_root)
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise InputError(f"{as_typed(name)} {getattr(self, name)} is not {least} to {most}")
        for name, highest in HIGHEST.items():
            value, least = getattr(self, name), 0 if name == "match_weight" else 1e-12
            if not least <= value <= highest:
                raise InputError(f"{as_typed(name)} {value:g} is not {least:g} to {highest}")
        if "symbols" in self.joined and self.batch_size * (1 + self.symbols / 25) > MOST_IN_A_STEP:
            images = f"{self.batch_size} images and four copies of {self.symbols} symbols to 100 of them"
            raise InputError(f"--batch-size {self.batch_size}: {images} are more than {MOST_IN_A_STEP:,} in a step")
        if self.match_weight != 1 and "symbols" not in self.joined:
            raise InputError(f"--match-weight {self.match_weight:g} has no effect where no symbols join; leave it out")
        if self.joined and not LOSSES[self.loss].trains_head:
            raise InputError(f"--also {self.also}: --loss {self.loss} learns nothing from it; leave it out")
        if HEADS[self.head].needs_training and not LOSSES[self.loss].trains_head:
            way_out = ", ".join(name for name, loss in LOSSES.items() if loss.trains_head)
            raise InputError(f"--head {self.head} learns nothing from --loss {self.loss}; it needs one of {way_out}")

    def _dependent(self) -> dict[str, Any]:
        """The defaults that depend on other options."""
        encoder, also = ENCODERS[self.encoder], ",".join(ALSO) if LOSSES[self.loss].trains_head else "none"
        lr = OPTIMIZERS[self.optimizer or encoder.optimizer].lr or encoder.lr
        return {"optimizer": encoder.optimizer, "lr": lr, "also": also}

    @property
    def joined(self) -> tuple[str, ...]:
        """What joins the images of a batch, out of ALSO."""
        return () if self.also == "none" else tuple(self.also.split(","))

    def as_words(self) -> list[str]:
        """The options that differ from the defaults, as they are typed."""
        words, dependent = [], self._dependent()
        for option in dataclasses.fields(self):
            value = getattr(self, option.name)
            if value != dependent.get(option.name, option.default):
                flag = as_typed(option.name) if value else f"--no-{option.name}"
                words += [flag] if isinstance(value, bool) else [as_typed(option.name), str(value)]
        return words

    def as_command(self) -> str:
        """The command that trains so."""
        return shlex.join(["python", "train.py", *self.as_words()])


def as_typed(name: str) -> str:
    """An option's name as it is typed."""
    return "--" + name.replace("_", "-")


def script_parser(doc: str) -> argparse.ArgumentParser:
    """A parser whose complaints are one line."""
    form = argparse.RawDescriptionHelpFormatter
    # Without a usage, which is in the docstring, argparse prints nothing in front of its one line of error.
    return argparse.ArgumentParser(program(), argparse.SUPPRESS, doc, formatter_class=form, allow_abbrev=False)


def training_parser(doc: str) -> argparse.ArgumentParser:
    """Of train.py: the fields of TrainingOptions, of which those not given are left out, --out and --resume."""
    parser = script_parser(doc)
    for option in dataclasses.fields(TrainingOptions):
        default = "" if option.default in (None, True, False) else f" (default: {option.default})"
        rest = {**option.metadata, "help": option.metadata["help"] + default, "default": argparse.SUPPRESS}
        parser.add_argument(as_typed(option.name), dest=option.name, **rest)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", **FOLDER, help="a new folder (default: runs/ plus date, time and dataset)")
    where.add_argument("--resume", **FOLDER, help="go on with a run that was stopped")
    return parser


def evaluation_parser(doc: str) -> argparse.ArgumentParser:
    """Of evaluate.py."""
    parser = script_parser(doc)
    add_weights_and_data(parser, "where the images come from (default: as in training)")
    parser.add_argument("--split", choices=("test", "val"), default="test", help="which images (default: test)")
    parser.add_argument("--fraction", type=float, metavar="F", help="measure this share of the images")
    parser.add_argument("--classes", metavar="LIST", help="measure these, such as 8,9 (default: as in training)")
    shown = f"random pairs that Siamese_test.png shows (default: {PAIRS})"
    parser.add_argument("--pairs", default=PAIRS, **INT, help=shown)
    parser.add_argument("--seed", default=0, **INT, help="draws pairs and references (default: 0)")
    parser.add_argument("--out", **FOLDER, help="where to write (default: the run's folder, or one in it)")
    return parser


def demo_parser(doc: str) -> argparse.ArgumentParser:
    """Of demo.py."""
    parser = script_parser(doc)
    add_weights_and_data(parser, REFERENCES)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", **INT, help="the port (default: the first free one from 7860)")
    parser.add_argument("--share", action="store_true", help="make a public link, too, through Gradio's servers")
    return parser


def match_parser(doc: str) -> argparse.ArgumentParser:
    """Of python -m siamese_mnist."""
    parser = script_parser(doc)
    parser.add_argument("command", choices=("match",), help="what to do")
    add_weights_and_data(parser, REFERENCES)
    parser.add_argument("images", nargs="+", type=as_path, metavar="IMAGE", help="one file, or two")
    return parser


def add_weights_and_data(parser: argparse.ArgumentParser, meant: str) -> None:
    """Adds WEIGHTS for `runs.find_weights`, --dataset and --data-root for `choose_data`; `meant` says what they are."""
    weights = "a run, a folder of weights, or owner/name on the Hub (default: the newest run)"
    parser.add_argument("weights", nargs="?", **WEIGHTS, help=weights)
    parser.add_argument("--dataset", choices=tuple(SOURCES), help=meant)
    parser.add_argument("--data-root", **FOLDER, help="the folder of the images (default: as in training)")
    parser.add_argument("--transposed", action=FLAG, help="turn images, as EMNIST's (default: as in training)")


def choose_data(args: argparse.Namespace, default: str, facts: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The dataset named, else the default; and `load_digits`' root and transposed: those named, else those of a
    training (`facts`) on the same dataset."""
    dataset = args.dataset or default
    find_source(dataset, args.data_root)
    same = facts if facts.get("dataset") == dataset else {}
    transposed = same.get("transposed", False) if args.transposed is None else args.transposed
    return dataset, {"root": args.data_root or same.get("data_root", "data"), "transposed": transposed}
