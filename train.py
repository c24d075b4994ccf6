"""Trains a siamese network on digits.

python train.py                                    4,000 bundled images, no download
python train.py --dataset mnist --images-per-class 600
python train.py --resume runs/2026-01-31-120000-bundled
"""

import copy
import dataclasses
import math
import time
import zlib

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from siamese_mnist import Digits, SiameseNetwork, load_digits, losses
from siamese_mnist.augment import augment
from siamese_mnist.cli import parser, run
from siamese_mnist.device import bf16_autocast, pick_device
from siamese_mnist.errors import InputError
from siamese_mnist.evaluation import VALIDATION_IMAGES_PER_CLASS, calibrate
from siamese_mnist.options import TrainingOptions, add_training_options
from siamese_mnist.pairs import BalancedBatches
from siamese_mnist.runs import Run, best_epoch
from siamese_mnist.strangers import add_strangers

WEIGHT_DECAY = 0.05
WARM_UP = 0.3  # of all steps
AVERAGED = 0.5  # of the steps so far is how far back the saved weights' average reaches


def main() -> None:
    args = parse_arguments()
    resume, out = args.pop("resume", None), args.pop("out", None)
    run_folder = Run.resume(resume, args) if resume else Run.new(out, TrainingOptions(**args))
    options = run_folder.options
    device = pick_device(options.device)
    training, validation = load(options)
    run_folder.begin()

    torch.manual_seed(options.seed)
    model = SiameseNetwork(options.encoder, options.head).to(device)
    average = copy.deepcopy(model)
    average.classes = tuple(training.class_names[label] for label in training.classes)
    average.training_facts = describe(options, training)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=WEIGHT_DECAY)
    batches = BalancedBatches(training.labels, options.batch_size, options.seed)
    history: list[dict[str, float]] = []
    if state := run_folder.load_state(device):
        if state["images"] != fingerprint(training):
            raise InputError(
                f"{options.data_root}: other images than the run began with; restore them, or start a new run"
            )
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]

    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(
        f"{len(training):,} {options.dataset} images of {len(training.classes)} classes · {options.encoder} encoder, "
        f"{options.head} head, {options.loss} loss, {parameters:,} parameters · {device.type}, seed {options.seed}"
        f"\n{run_folder.folder}: {len(history)} of {options.epochs} epochs done, {len(batches)} steps each"
    )
    try:
        for epoch in range(len(history), options.epochs):
            started = time.perf_counter()
            loss = train_epoch(model, average, optimizer, batches, training, options, epoch)
            figures = calibrate(average, validation)
            average.training_facts["validation_eer"] = figures["eer"]
            seconds = time.perf_counter() - started
            history.append(
                {"epoch": epoch + 1, "loss": loss, **{f"val_{k}": v for k, v in figures.items()}, "seconds": seconds}
            )
            trained = {"model": model, "average": average, "optimizer": optimizer}
            state = {name: part.state_dict() for name, part in trained.items()}
            run_folder.save_epoch(average, history, {**state, "images": fingerprint(training)})
            tqdm.write(
                f"epoch {epoch + 1}/{options.epochs}: loss {loss:.4f} · validation EER {figures['eer']:.2%}, "
                f"AUC {figures['auc']:.5f}, balanced accuracy {figures['balanced_accuracy']:.2%} · {seconds:.1f} s"
            )
    except KeyboardInterrupt:
        print(f"\nStopped after {len(history)} of {options.epochs} epochs; the one begun starts anew.")
        print(f"Go on with: python train.py --resume {run_folder.folder}")
        raise SystemExit(130) from None

    best, seconds = best_epoch(history), sum(row["seconds"] for row in history)
    print(f"best: epoch {best}, validation EER {history[best - 1]['val_eer']:.2%}; {seconds:.0f} s of training")
    print(f"next:\n  python evaluate.py {run_folder.folder}\n  python demo.py {run_folder.folder}")


def train_epoch(
    model: SiameseNetwork,
    average: SiameseNetwork,
    optimizer: torch.optim.Optimizer,
    batches: BalancedBatches,
    digits: Digits,
    options: TrainingOptions,
    epoch: int,
) -> float:
    """One round through the images, each encoded once and compared with all of its batch; gives the mean loss."""
    model.train()
    batches.epoch = epoch
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence((options.seed, epoch)).generate_state(1)[0]))
    torch.manual_seed(generator.initial_seed())  # of the dropout
    total, bar = 0.0, tqdm(batches, desc=f"epoch {epoch + 1}/{options.epochs}", unit="batch", leave=False)
    for step, index in enumerate(bar):
        for group in optimizer.param_groups:
            group["lr"] = options.lr * one_cycle((epoch * len(batches) + step) / (options.epochs * len(batches)))
        images = digits.images[index].to(model.device) / 255
        labels = digits.labels[index].to(model.device)
        if options.augment:
            if options.loss != "contrastive":  # which only spoils the distances where nothing else is learned
                images, labels = add_strangers(images, labels, generator)
            images = augment(images, generator)
        with bf16_autocast(model.device):
            embeddings = model.encode(images)
        loss = pair_loss(model, embeddings, labels, options)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        move_average(average, model, steps=epoch * len(batches) + step)
        total += loss.item()
        bar.set_postfix(loss=f"{total / (step + 1):.4f}")
    if not math.isfinite(total):
        raise InputError(
            f"--lr {options.lr:g} is too high: the loss is {total} in epoch {epoch + 1}; start with a lower one"
        )
    return total / len(batches)


def pair_loss(model: SiameseNetwork, embeddings: Tensor, labels: Tensor, options: TrainingOptions) -> Tensor:
    """The loss of all pairs of a batch, from embeddings (B, D) and labels (B,)."""
    loss = embeddings.new_zeros(())
    if options.loss in ("bce", "both"):
        loss = loss + losses.bce(model.raw_scores(embeddings, embeddings), labels)
    if options.loss in ("contrastive", "both"):
        loss = loss + losses.contrastive(embeddings, labels, options.margin)
    return loss


def one_cycle(progress: float) -> float:
    """The learning rate's share of its highest value: a half cosine up, then one down. Smith and Topin 2018."""
    if progress < WARM_UP:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


@torch.no_grad()
def move_average(average: SiameseNetwork, model: SiameseNetwork, steps: int) -> None:
    """Moves the averaged weights, which are validated and saved, a step towards the trained ones."""
    share = 1 / (1 + AVERAGED * steps)
    for kept, new in zip(average.state_dict().values(), model.state_dict().values()):
        if kept.is_floating_point():
            kept.lerp_(new, share)
        else:
            kept.copy_(new)


def load(options: TrainingOptions) -> tuple[Digits, Digits]:
    """The training images, and at most 200 validation images a class."""
    source = {"root": options.data_root, "classes": options.classes}
    subset = {"images_per_class": options.images_per_class, "fraction": options.fraction}
    training = load_digits(options.dataset, split="train", **source, **subset)
    return training, load_digits(options.dataset, split="val", **source).at_most(VALIDATION_IMAGES_PER_CLASS)


def describe(options: TrainingOptions, training: Digits) -> dict[str, object]:
    """What config.json says of the training: its options, its data, its command."""
    command = f"python train.py {options.as_flags()}".strip()
    return {**dataclasses.asdict(options), "images": len(training), "command": command, "world_size": 1}


def fingerprint(digits: Digits) -> int:
    """A number that changes with any pixel or label."""
    return zlib.crc32(digits.labels.numpy(), zlib.crc32(digits.images.numpy()))


def parse_arguments() -> dict[str, object]:
    """The options that were given, by name."""
    arguments = parser(__doc__)
    add_training_options(arguments)
    group = arguments.add_argument_group("where")
    exclusive = group.add_mutually_exclusive_group()
    exclusive.add_argument(
        "--out", metavar="DIR", help="a new folder for the run (default: runs/ plus date, time and dataset)"
    )
    exclusive.add_argument("--resume", metavar="DIR", help="go on with a run that was stopped")
    return {name: value for name, value in vars(arguments.parse_args()).items() if value is not None}


if __name__ == "__main__":
    run(main)
