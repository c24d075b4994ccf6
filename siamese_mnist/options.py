"""The options of training: the command line, a run's config.json and the printed header all come from here."""

import argparse
import dataclasses
from dataclasses import dataclass, field
from typing import Any

from siamese_mnist.data import DATASETS
from siamese_mnist.encoders import ENCODERS
from siamese_mnist.errors import InputError
from siamese_mnist.model import HEADS

LOSSES = ("bce", "contrastive", "both")
LEARNING_RATES = {"conv4": 0.01, "conv2": 0.02}
DEVICES = ("auto", "cpu", "cuda", "mps")


def _option(default: Any, group: str, help: str, **rest: Any) -> Any:
    return field(default=default, metadata={"group": group, "help": help, **rest})


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is trained. InputError names an option whose value cannot be."""

    dataset: str = _option("bundled", "data", "where the images come from", choices=DATASETS)
    data_root: str = _option("data", "data", "folder of mnist, csv or folder images", metavar="DIR")
    images_per_class: int | None = _option(
        None, "data", "train on this many images of each class", type=int, metavar="N"
    )
    fraction: float | None = _option(None, "data", "train on this share of the images", type=float, metavar="F")
    classes: str | None = _option(None, "data", "train on some classes only, such as 0-7 or 3,5", metavar="LIST")
    encoder: str = _option("conv4", "model", "the shared convolutional encoder", choices=tuple(ENCODERS))
    head: str = _option("mlp", "model", "how two embeddings become a similarity", choices=tuple(HEADS))
    loss: str = _option("bce", "model", "what is minimised over all pairs of a batch", choices=LOSSES)
    epochs: int = _option(36, "training", "rounds through the training images", type=int, metavar="N")
    batch_size: int = _option(250, "training", "images in a batch", type=int, metavar="N")
    lr: float | None = _option(
        None, "training", "highest learning rate (default: 0.01; 0.02 for conv2)", type=float, metavar="F"
    )
    margin: float = _option(
        2.0, "training", "contrastive: the distance that different images should reach", type=float, metavar="F"
    )
    augment: bool = _option(True, "training", "turn, scale, shear, shift, bend or thicken the images, or add strangers")
    seed: int = _option(0, "run", "of the initial weights, the batches and the augmentation", type=int, metavar="N")
    device: str = _option("auto", "run", "where to compute; auto is CUDA, MPS or CPU", choices=DEVICES)

    def __post_init__(self) -> None:
        if self.lr is None and self.encoder in LEARNING_RATES:
            object.__setattr__(self, "lr", LEARNING_RATES[self.encoder])
        if self.dataset == "bundled" and self.data_root != "data":
            raise InputError(f"--data-root {self.data_root}: the bundled images need none; say --dataset, too")
        for name, least in (("epochs", 1), ("batch_size", 4), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{flag(name)} {getattr(self, name)} is below {least}")
        for name in ("lr", "margin"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{flag(name)} {getattr(self, name):g} is not above 0 and finite")
        if self.head == "mlp" and self.loss == "contrastive":
            raise InputError(
                "--head mlp learns nothing from --loss contrastive alone; use --loss both, or --head distance"
            )

    def as_flags(self) -> str:
        """The command line's arguments that differ from the defaults."""
        words, defaults = [], {**vars(TrainingOptions()), "lr": LEARNING_RATES[self.encoder]}
        for option in dataclasses.fields(self):
            value = getattr(self, option.name)
            if value != defaults[option.name]:
                words.append(flag(option.name) if isinstance(value, bool) else f"{flag(option.name)} {value}")
        return " ".join(words)


def add_training_options(parser: argparse.ArgumentParser, names: tuple[str, ...] | None = None) -> None:
    """Adds the options, or the named ones, in their groups; those not given are left out of the parsed namespace."""
    groups: dict[str, Any] = {}
    for option in dataclasses.fields(TrainingOptions):
        if names is not None and option.name not in names:
            continue
        rest = {**option.metadata}
        group, text = rest.pop("group"), rest.pop("help")
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        if isinstance(option.default, bool):
            rest |= {"action": "store_false"}
            text = f"do not {text}"
        elif option.default is not None:
            text += f" (default: {option.default})"
        groups[group].add_argument(flag(option.name), dest=option.name, help=text, default=argparse.SUPPRESS, **rest)


def flag(name: str) -> str:
    """An option's name as it is typed."""
    return "--no-augment" if name == "augment" else "--" + name.replace("_", "-")
