"""What joins the digits of a batch: the same digits by pen, strangers, and symbols."""

import torch
from torch import Tensor

from siamese_mnist.data import Digits, load_digits
from siamese_mnist.strangers import add_strangers
from siamese_mnist.symbols import Symbols

PENS = 0.25  # Digits by pen, to those of a batch.


class Company:
    """Joins to batches of the `training` digits what is named in `also`, of ALSO, so many `symbols` to 100 digits;
    strangers if asked."""

    def __init__(self, training: Digits, also: tuple[str, ...], strangers: bool, symbols: int) -> None:
        self.pens = _pens_of(training) if "pens" in also else None
        self.symbols = Symbols(load_digits("symbols"), training) if "symbols" in also else None
        self.strangers, self.symbols_each = strangers, symbols / 100

    def join(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, int]:
        """Of a batch (B, 1, 28, 28) in [0, 1], (B,): the images and labels of all, and how many are no symbols.

        The labels of symbols are classes of their own, apart from those of the others."""
        batch_size = len(labels)
        if self.pens is not None:
            chosen = torch.randint(len(self.pens), (round(PENS * batch_size),), generator=generator)
            images = torch.cat([images, self.pens.images[chosen].to(images.device) / 255])
            labels = torch.cat([labels, self.pens.labels[chosen].to(labels.device)])
        if self.strangers:
            images, labels = add_strangers(images, labels, generator)
        if self.symbols is None:
            return images, labels, len(labels)
        symbols, own = self.symbols.draw(self.symbols_each * batch_size, generator)
        joined = torch.cat([images, symbols.to(images.device)]), torch.cat([labels, own.to(labels.device)])
        return *joined, len(labels)


def _pens_of(training: Digits) -> Digits | None:
    """The digits by pen, labelled as in `training`, of those of its classes that are digits, if there are any."""
    pens = load_digits("pens")
    index = {name: label for label, name in zip(training.classes, training.names)}
    labels = torch.tensor([index.get(name, -1) for name in pens.class_names])[pens.labels]
    known = labels >= 0
    return Digits(pens.images[known], labels[known], training.class_names) if known.any() else None
