"""What is chosen by name, a row each. Read without torch, which takes seconds: a command line is understood at once.

A place is "module:function"; what stands there is imported when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from siamese_mnist.errors import InputError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from siamese_mnist.listing import Arrays, Listing
    from siamese_mnist.model import SiameseNetwork

SPLITS = ("train", "val", "test")
ALSO = ("pens", "symbols")  # What joins the digits of a batch: sources, too.


class Encoder(NamedTuple):
    """An encoder: the place of what builds it, the length D of its embeddings, what suits it."""

    place: str
    dimensions: int
    lr: float
    optimizer: str = "adamw"

    def build(self) -> nn.Module:
        return resolve_name(self.place)()


class Optimizer(NamedTuple):
    """An optimizer, and the learning rate that suits it, whatever the encoder; else that is the encoder's."""

    place: str
    lr: float | None = None

    def build(self, model: SiameseNetwork, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return resolve_name(self.place)(model, lr, weight_decay)


class Head(NamedTuple):
    """A head: the place of its class, and whether it learns; else calibration alone makes a distance a similarity."""

    place: str
    needs_training: bool = True

    def build(self, dimensions: int) -> nn.Module:
        return resolve_name(self.place)(dimensions)


class Loss(NamedTuple):
    """A pair loss, and whether it trains the head; where it does not, strangers would only spoil the distances."""

    place: str
    trains_head: bool = True

    @property
    def function(self) -> Callable[..., Any]:
        return resolve_name(self.place)


class Source(NamedTuple):
    """All that is particular to a source of digits: the place of a reader (root, split) → Arrays, or that of a lister
    root → Listing, of images to which people add, and take from; or of both."""

    reader: str | None = None
    lister: str | None = None
    mnist_parts: Mapping[str, frozenset[str]] = MappingProxyType({})  # The parts its images may be of, by split.
    needs_root: bool = True
    stand_in: str | None = None  # evaluate.py takes it where this one cannot be read.
    other_classes: bool = False  # Its splits hold other classes each.

    def read(self, root: Path, split: str) -> Arrays:
        """One split. InputError names the file, line or folder that cannot be used."""
        return resolve_name(self.reader)(root, split) if self.reader else resolve_name(self.lister)(root).read(split)

    def list(self, root: Path) -> Listing | None:
        return resolve_name(self.lister)(root) if self.lister else None


OPTIMIZERS = {
    "muon": Optimizer("siamese_mnist.optimizer:Muon", lr=0.004),
    "adamw": Optimizer("siamese_mnist.optimizer:AdamW"),
}
ENCODERS = {
    "conv4s": Encoder("siamese_mnist.encoders:conv4s", dimensions=128, lr=0.01, optimizer="muon"),
    "conv4": Encoder("siamese_mnist.encoders:conv4", dimensions=128, lr=0.01),
    "conv5": Encoder("siamese_mnist.encoders:conv5", dimensions=128, lr=0.01),
    "conv2": Encoder("siamese_mnist.encoders:conv2", dimensions=10, lr=0.02),
}
HEADS = {
    "mlp": Head("siamese_mnist.heads:SimilarityHead"),
    "distance": Head("siamese_mnist.heads:DistanceHead", needs_training=False),
}
LOSSES = {
    "bce": Loss("siamese_mnist.losses:bce"),
    "contrastive": Loss("siamese_mnist.losses:contrastive", trains_head=False),
    "both": Loss("siamese_mnist.losses:both"),
}
FIRST, LAST, TEST = (frozenset([part]) for part in ("training images up to 6,000", "the others", "test images"))
ANY = dict.fromkeys(SPLITS, FIRST | LAST)
SOURCES = {
    "bundled": Source("siamese_mnist.sources:read_bundled", None, dict.fromkeys(SPLITS, FIRST), needs_root=False),
    "mnist": Source(
        "siamese_mnist.sources:read_mnist",
        "siamese_mnist.sources:list_mnist",
        {"train": LAST, "val": FIRST, "test": TEST},
        stand_in="bundled",
    ),
    "csv": Source(None, "siamese_mnist.tables:list_csv", ANY | {"test": FIRST | LAST | TEST}),
    "folder": Source(None, "siamese_mnist.folders:list_folder"),
    "symbols": Source("siamese_mnist.handwriting:read_symbols", needs_root=False, other_classes=True),
    "pens": Source("siamese_mnist.handwriting:read_pens", needs_root=False),
    "omniglot": Source("siamese_mnist.omniglot:read_omniglot", other_classes=True),
}


def find_source(dataset: str, root: str | None = None) -> Source:
    """The row of a dataset. InputError if there is none, or if a folder is named where it needs none."""
    if dataset not in SOURCES:
        raise InputError(f"dataset {dataset!r} is none of {', '.join(SOURCES)}; name one of them with --dataset")
    if not SOURCES[dataset].needs_root and root not in (None, "data"):
        raise InputError(f"--data-root {root}: the {dataset} images need none; say --dataset, too")
    return SOURCES[dataset]
