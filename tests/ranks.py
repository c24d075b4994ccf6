"""One step of a training by all ranks, whose gradients the first one saves: by torchrun, ranks.py FILE."""

import os
import sys

import torch

from siamese_mnist import SiameseNetwork, distributed, load_digits
from siamese_mnist.company import Company
from siamese_mnist.losses import bce, compare_symbols
from siamese_mnist.pairs import BalancedBatches

RANKS = 2


def step() -> dict[str, torch.Tensor]:
    """The gradients, the buffers and the loss of a network after the step."""
    training = load_digits("bundled", images_per_class=40)
    company = Company(training, ("symbols",), strangers=True, symbols=20)
    batch = next(iter(BalancedBatches(training, 42, seed=0)))
    torch.manual_seed(0)
    model = SiameseNetwork().double()
    with distributed.ranks():
        alone = distributed.world_size() == 1
        parts = []
        for rank in range(RANKS) if alone else [distributed.rank()]:
            index = batch[rank::RANKS] if alone else distributed.share(batch)
            images, labels = training.images[index] / 255, training.labels[index]
            images, labels, known = company.join(images, labels, torch.Generator().manual_seed(rank))
            if alone:  # No symbol, and no stranger, is of the same class as one of the other rank.
                labels[known:] += 1000 * rank
                labels[labels < 0] -= 1000 * rank
            parts += [(images[:known], labels[:known]), (images[known:], labels[known:])]
        parts = parts[::2] + parts[1::2]
        images, labels = (torch.cat(each) for each in zip(*parts))
        known = sum(len(each) for _, each in parts[: len(parts) // 2])
        embeddings = model.encoder(images.double())
        embeddings, labels, known = distributed.gather(embeddings, labels, known)
        loss = bce(model, embeddings[:known], labels[:known], 2.0)
        loss += compare_symbols(model, embeddings, labels, known, 1.0)
        loss.backward()
        distributed.average_gradients(model)
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        return gradients | dict(model.named_buffers()) | {"loss": loss.detach()}


if __name__ == "__main__":
    found = step()
    if os.environ["RANK"] == "0":
        torch.save(found, sys.argv[1])
