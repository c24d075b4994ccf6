"""Trains a siamese network on digits.

python train.py                                    4,000 bundled images, no download
python train.py --dataset mnist --images-per-class 600
python train.py --resume runs/2026-01-31-120000-bundled
"""

from siamese_mnist.errors import end_quietly_while_loading
from siamese_mnist.options import training_parser

if __name__ == "__main__":
    end_quietly_while_loading(training_parser(__doc__).parse_args)

import math
import time
from contextlib import nullcontext
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from siamese_mnist import InputError, SiameseNetwork, distributed, load_digits
from siamese_mnist.augment import augment
from siamese_mnist.calibration import calibrate
from siamese_mnist.company import Company
from siamese_mnist.device import arithmetic, bf16_autocast, pick_device
from siamese_mnist.errors import command, run_script, uninterrupted
from siamese_mnist.files import held
from siamese_mnist.losses import compare_symbols
from siamese_mnist.options import TrainingOptions
from siamese_mnist.pairs import BalancedBatches
from siamese_mnist.registry import LOSSES, OPTIMIZERS
from siamese_mnist.runs import Run, best_epoch, find_weights, images_fingerprint

WEIGHT_DECAY = 0.05
WARM_UP = 0.3  # The learning rate rises in this share of all steps.
AVERAGED = 0.5  # The average of the weights reaches back over this share of the steps so far.
VALIDATION_IMAGES_PER_CLASS = 200


def main() -> None:
    with distributed.ranks():
        run = distributed.by_first(open_run)
        with held(run.path, "training") if distributed.rank() == 0 else nullcontext():
            train(run)


def train(run: Run) -> None:
    """Trains what is left of a run."""
    options, loss, world_size = run.options, LOSSES[run.options.loss], distributed.world_size()
    if options.batch_size < 2 * world_size:
        raise InputError(f"--batch-size {options.batch_size}: {world_size} ranks need two images each, or more")
    device = pick_device(options.device)
    source = {"root": options.data_root, "transposed": options.transposed, "classes": options.classes}
    subset = {"images_per_class": options.images_per_class, "fraction": options.fraction}
    training = load_digits(options.dataset, split="train", **source, **subset)
    validation = load_digits(options.dataset, split="val", **source).at_most(VALIDATION_IMAGES_PER_CLASS)
    never_trained_on = load_digits("symbols", split="val") if "symbols" in options.joined else None
    images_read = images_fingerprint(training, validation)

    torch.manual_seed(options.seed)
    facts = asdict(options) | {"images": len(training), "command": options.as_command(), "world_size": world_size}
    model = SiameseNetwork(options.encoder, options.head, classes=training.names, training=facts).to(device)
    strangers = options.augment and loss.trains_head
    company = Company(training, options.joined, strangers, options.symbols)
    batches = BalancedBatches(training, options.batch_size, options.seed)
    optimizer = OPTIMIZERS[options.optimizer].build(model, options.lr, WEIGHT_DECAY)
    schedule = LambdaLR(optimizer, lambda step: one_cycle(step / (options.epochs * len(batches))))
    average = AveragedModel(model, avg_fn=move_average, use_buffers=True)  # What is validated and saved.
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "average": average}
    history, images_seen = run.load_state(parts, device)
    if images_seen not in (None, images_read, images_fingerprint(training)):  # The last as in runs of version 1.0.
        way_out = "name their folder with --data-root, or start a new run"
        raise InputError(f"{options.data_root}: other images than the run's; {way_out}")

    if options.init and not history:
        start_from(options.init, model)
    distributed.by_first(run.begin, training)  # From here on, something can be resumed.

    size = sum(parameter.numel() for parameter in model.parameters())
    what = f"{len(training):,} {options.dataset} images of {len(training.classes)} classes to train on"
    what += f", {len(validation):,} to validate"
    ranks = f", {world_size} ranks" if world_size > 1 else ""
    print(f"{what} · {device.type}, seed {options.seed}{ranks}")
    print(f"{options.encoder} encoder, {options.head} head, {options.loss} loss, {size:,} parameters")
    print(f"{run.path}: {len(history)} of {options.epochs} epochs done; steps in each: {len(batches)}")
    try:
        for epoch in range(len(history), options.epochs):
            started, total = time.perf_counter(), 0.0
            batches.epoch = epoch
            seed = int(np.random.SeedSequence((options.seed, epoch, distributed.rank())).generate_state(1)[0])
            generator = torch.Generator().manual_seed(seed)  # For what joins, and for the augmentation.
            model.train()
            bar = {"desc": f"epoch {epoch + 1}/{options.epochs}", "unit": "batch", "leave": False}
            bar = tqdm(batches, **bar, disable=distributed.rank() > 0 or None)
            for step, batch in enumerate(bar, 1):
                index = distributed.share(batch)
                images, labels = training.images[index].to(device) / 255, training.labels[index].to(device)
                images, labels, known = company.join(images, labels, generator)  # Behind the known ones are symbols.
                if options.augment:
                    images = augment(images, generator)
                with bf16_autocast(device):
                    embeddings = model.encode(images)
                embeddings, labels, known = distributed.gather(embeddings, labels, known)
                batch_loss = loss.function(model, embeddings[:known], labels[:known], options.margin)
                if known < len(labels):
                    batch_loss += compare_symbols(model, embeddings, labels, known, options.match_weight)
                optimizer.zero_grad()
                batch_loss.backward()
                distributed.average_gradients(model)
                optimizer.step()
                schedule.step()
                average.update_parameters(model)
                total += batch_loss.item()
                if not math.isfinite(total):
                    if not history:
                        distributed.by_first(run.forget)
                    raise InputError(f"--lr {options.lr:g}: the loss is {total} in epoch {epoch + 1}; lower it")
                bar.set_postfix(loss=f"{total / step:.4f}")
            metrics = calibrate(average.module, validation, never_trained_on)
            average.module.training_facts |= {"validation_eer": metrics["eer"], **arithmetic()}
            row = {"epoch": epoch + 1, "loss": total / len(batches)} | {f"val_{k}": v for k, v in metrics.items()}
            row |= {"seconds": time.perf_counter() - started}
            state = {name: part.state_dict() for name, part in parts.items()} | {"images": images_read}
            with uninterrupted():
                distributed.by_first(run.save_epoch, average.module, [*history, row], state)
                history.append(row)
            told = f"validation EER {metrics['eer']:.2%}, AUC {metrics['auc']:.5f} · {history[-1]['seconds']:.1f} s"
            tqdm.write(f"epoch {epoch + 1}/{options.epochs}: loss {row['loss']:.4f} · {told}")
    except KeyboardInterrupt as stop:
        print(f"\nStopped after {len(history)} of {options.epochs} epochs; the one begun starts anew.")
        print(f"Go on with: {command('train.py', '--resume', run.path)}")
        draw_curves(run, history)
        raise SystemExit(getattr(stop, "status", 130)) from None

    distributed.by_first(draw_curves, run, history)
    best, seconds = best_epoch(history), sum(row["seconds"] for row in history)
    told = f"validation EER {history[best - 1]['val_eer']:.2%}, {seconds:.0f} s of training in all"
    print(f"best: epoch {best}, the last within a standard error of the least EER; {told}")
    print(f"next:\n  {command('evaluate.py', run.path)}\n  {command('demo.py', run.path)}")


def draw_curves(run: Run, history: list[dict[str, float]]) -> None:
    """Draws the loss and the validation EER of the epochs that were trained."""
    if history:
        from siamese_mnist.figures import plot_curves, save  # Matplotlib takes a second to import.

        save(plot_curves(history, best_epoch(history)), run.path / "curves.png", dpi=100)


def open_run() -> Run:
    """The run that the command line means: a new one with its options, or an old one to go on with."""
    given = vars(training_parser(__doc__).parse_args())
    resume, out = given.pop("resume"), given.pop("out")
    if resume:
        return Run.resume(resume, given)
    if given.get("init"):  # Of whatever kind those weights are.
        found = SiameseNetwork.from_pretrained(find_weights(given["init"]))
        given = {"encoder": found.encoder_name, "head": found.head_name} | given
    return Run.new(out, TrainingOptions(**given))


def start_from(init: str, model: SiameseNetwork) -> None:
    """Gives the network the weights of another. InputError if that is of another kind."""
    weights = find_weights(init)
    found = SiameseNetwork.from_pretrained(weights)
    kind, other = ((network.encoder_name, network.head_name) for network in (model, found))
    if kind != other:
        way_out = f"train with --encoder {other[0]} --head {other[1]}, or start from others"
        raise InputError(f"--init {init}: those weights are of {' and '.join(other)}; {way_out}")
    model.load_state_dict(found.state_dict())


def one_cycle(progress: float) -> float:
    """The learning rate's share of its highest value: a half cosine up, then one down. Smith and Topin 2018."""
    if progress < WARM_UP:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * progress / WARM_UP)) / 2
    return (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


def move_average(average: Tensor, new: Tensor, steps: Tensor) -> Tensor:
    """A tensor of the averaged weights, moved a step towards the trained one; counters are taken as they are."""
    return average.lerp(new, 1 / (1 + AVERAGED * int(steps))) if average.is_floating_point() else new


if __name__ == "__main__":
    run_script(main)
