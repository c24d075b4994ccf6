"""The folder of a run: its options, its last and best weights, the state to go on from; and which weights are meant."""

import csv
import io
import json
import math
import re
import zipfile
import zlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from siamese_mnist.data import Digits
from siamese_mnist.device import arithmetic, use_arithmetic
from siamese_mnist.errors import SCRIPTS, InputError, command
from siamese_mnist.files import is_leftover, mend_folder, read_object, settled, write_folder, write_whole
from siamese_mnist.listing import Listing
from siamese_mnist.model import SiameseNetwork, named_folder, not_finite
from siamese_mnist.options import TrainingOptions, as_typed

RUNS, RELEASED = Path("runs"), Path("weights")  # The released weights lie beside the scripts, too.
CONFIG, STATE, HISTORY, LAST, BEST = "config.json", "state.pt", "history.csv", "last", "best"
IMAGES, METRICS = "images.csv", "metrics.json"
UP_TO_1_4 = {"also": "none", "optimizer": "adamw", "symbols": 72}  # A run without these; in 1.0, nothing joined.
MOVABLE = ("device", "data_root")  # A run may go on elsewhere: the fingerprint of the images guards what it learns.


@dataclass(frozen=True)
class Run:
    """A run's folder. `state.pt` is written last in an epoch: an epoch that it does not hold did not happen."""

    path: Path
    options: TrainingOptions
    resumed: bool = False

    @classmethod
    def new(cls, out: str | None, options: TrainingOptions) -> "Run":
        """A run in a new or empty folder. InputError if `out` holds a run already, or anything else."""
        folder = Path(out) if out else RUNS / f"{datetime.now():%Y-%m-%d-%H%M%S}-{options.dataset}"
        if (folder / CONFIG).exists():
            raise _holds_a_run(folder)
        if folder.exists() and not all(is_leftover(path) for path in folder.iterdir()):
            raise InputError(f"{folder}: is not empty; name a new folder with --out")
        return cls(folder, options)

    @classmethod
    def resume(cls, folder: str, given: dict[str, Any]) -> "Run":
        """An old run, with its own options but those of MOVABLE. InputError if another that was `given` differs."""
        path = Path(folder) / CONFIG
        try:
            kept = read_object(path)
        except FileNotFoundError as error:
            way_out = f"begin one with {command('train.py', '--out', path.parent)}"
            raise InputError(f"{path.parent}: no run has begun there (no {CONFIG}); {way_out}") from error
        try:
            options = TrainingOptions(**UP_TO_1_4 | kept)
        except (InputError, TypeError) as error:
            reason = error if isinstance(error, InputError) else "holds no options of a run"
            raise InputError(f"{path}: {reason}; name another run's folder, or start a new run") from error
        resumed = replace(options, **given)
        for name, value in given.items():
            if name not in MOVABLE and value != (began := getattr(options, name)):
                why = ", on which the learning rate of every step depends" if name == "epochs" else ""
                way_out = f"leave it out, or start a new run: {command('train.py', *resumed.as_words())}"
                raise InputError(f"{as_typed(name)} {value}: the run began with {began}{why}; {way_out}")
        return cls(Path(folder), resumed, True)

    def begin(self, training: Digits) -> None:
        """Writes which images it learns from, where these may change, then the options, which make the folder a run;
        mends what a killed process left unfinished."""
        if (self.path / CONFIG).exists() and not self.resumed:  # It began since `new` looked.
            raise _holds_a_run(self.path)
        for name in (LAST, BEST):
            mend_folder(self.path / name)
        if training.digests is not None and not (self.path / IMAGES).exists():
            classes = [training.class_names[label] for label in training.labels.tolist()]
            csv.writer(text := io.StringIO()).writerows(zip(training.digests.tolist(), classes))
            write_whole(self.path / IMAGES, text.getvalue())
        if not (self.path / CONFIG).exists():
            write_whole(self.path / CONFIG, json.dumps(asdict(self.options), indent=2) + "\n")

    def forget(self) -> None:
        """Takes back what `begin` wrote: no epoch has ended, and none will."""
        for name in (CONFIG, IMAGES):
            (self.path / name).unlink(missing_ok=True)

    def load_state(self, parts: dict[str, Any], device: torch.device) -> tuple[list[dict[str, float]], int | None]:
        """Puts `parts` back as the last epoch left them; returns the history and the fingerprint of the images."""
        path = self.path / STATE
        try:
            with zipfile.ZipFile(path) as archive:  # torch.load reads no checksums.
                if damaged := archive.testzip():
                    raise ValueError(f"{damaged} has another checksum")
            state = torch.load(path, map_location=device, weights_only=True)
            for name, part in parts.items():
                part.load_state_dict(state[name])
                if isinstance(part, torch.nn.Module) and (wrong := not_finite(part.state_dict())):
                    raise ValueError(f"NaN or infinity in {wrong}")
            self._check(state["history"])
            use_arithmetic(state.get("arithmetic"))
            return state["history"], state["images"]
        except FileNotFoundError:
            return [], None  # No epoch has ended.
        except PermissionError:
            raise
        except Exception as error:  # torch.load raises whatever its reader meets in a damaged file.
            raise InputError(
                f"{path}: damaged, or of another version ({type(error).__name__}); start a new run"
            ) from error

    def _check(self, history: list[dict[str, float]]) -> None:
        """ValueError unless the rows are numbers, alike, and those of epochs 1, 2, … of this run."""
        if [row["epoch"] for row in history] != [*range(1, len(history) + 1)] or len(history) > self.options.epochs:
            raise ValueError("other epochs than the run's")
        if not all(row.keys() == history[0].keys() and all(map(math.isfinite, row.values())) for row in history):
            raise ValueError("rows of other columns, or of what is no number")

    def save_epoch(self, model: SiameseNetwork, history: list[dict[str, float]], state: dict[str, Any]) -> None:
        """Writes weights and history of the last epoch in `history`, then the state, which makes them count.

        InputError if the folder is no longer there."""
        if not (self.path / CONFIG).is_file():
            way_out = f"resume it where it is now; epoch {len(history)} is lost"
            raise InputError(f"{self.path}: was moved or removed while the training ran; {way_out}")
        best = best_epoch(history)
        for name in (LAST, BEST) if best == len(history) else (LAST,):
            write_folder(self.path / name, model.save_pretrained)
        rows = [history[0].keys(), *(row.values() for row in history)]
        write_whole(self.path / HISTORY, "".join(",".join(map(str, row)) + "\n" for row in rows))
        torch.save({**state, "arithmetic": arithmetic(), "history": history}, buffer := io.BytesIO())
        write_whole(self.path / STATE, buffer.getvalue())


def _holds_a_run(folder: Path) -> InputError:
    way_out = f"go on with {command('train.py', '--resume', folder)}, or name another --out"
    return InputError(f"{folder}: holds a run already; {way_out}")


def best_epoch(history: list[dict[str, float]]) -> int:
    """The last epoch (from 1) within a standard error of the least validation EER; Breiman et al. 1984, 3.4.3."""
    least = min(history, key=lambda row: row["val_eer"])
    limit = least["val_eer"] + least["val_eer_error"]
    return max(epoch for epoch, row in enumerate(history, 1) if row["val_eer"] <= limit)


def find_weights(named: str | None) -> str:
    """The named folder or Hub name; else the best of the newest run under runs/, else weights/."""
    if named is not None:
        folder = named_folder(Path(named))
        if run := next(folder.glob(f"*/{BEST}/{CONFIG}"), None):
            raise InputError(f"{named}: holds runs; name one of them, such as {run.parent.parent}")
        begun = (folder / CONFIG).is_file() and "epochs" in read_object(folder / CONFIG)
        has_best = settled(folder / BEST).is_dir()
        if (begun or (folder / LAST).is_dir()) and not has_best:
            way_out = command("train.py", "--resume", folder)
            raise InputError(f"{named}: a run without {BEST}/, stopped before an epoch was written; {way_out} goes on")
        return str(folder / BEST) if has_best else str(folder) if folder.exists() else named
    if newest := max(RUNS.glob(f"*/{BEST}/{CONFIG}"), key=lambda path: path.stat().st_mtime, default=None):
        return str(newest.parent)
    if released := next((folder for folder in (RELEASED, SCRIPTS / RELEASED) if folder.is_dir()), None):
        return str(released)
    way_out = f"run {command('train.py')} first"
    raise InputError(f"no weights: there is no run under {RUNS}/ and no {RELEASED}/ folder; {way_out}")


def trained_images(weights: str) -> set[tuple[int, str]]:
    """The digest and the class of each image that a run learned from, where it noted them."""
    path = Path(weights).parent / IMAGES
    if not path.is_file():
        return set()
    try:
        with open(path, newline="", encoding="utf-8") as file:
            trained = {(int(digest), name) for digest, name in csv.reader(file)}
        if not trained:
            raise ValueError("empty")
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: damaged ({error}); remove it to measure all the same") from error
    return trained


def describe_changes(trained: set[tuple[int, str]], listing: Listing, split: str) -> str:
    """Says how many of the images that a run learned from are no longer as they were, or are in the split measured."""
    now = set(zip(listing.digests.tolist(), (listing.names[label] for label in listing.labels.tolist())))
    digests, measured = dict(now), set(listing.digests[listing.splits == split].tolist())
    numbers = {
        "missing now": sum(digest not in digests for digest, _ in trained),
        "of another class": sum(each not in now and each[0] in digests for each in trained),
        f"in the {split} split, which are left out": sum(digest in measured for digest, _ in trained),
    }
    told = ", ".join(f"{number:,} {what}" for what, number in numbers.items() if number)
    return f"Of the {len(trained):,} images of the training: {told}." if told else ""


def evaluation_folder(weights: str) -> Path:
    """Where the evaluation of weights is written: the run's folder, for its best weights; else one beside them."""
    folder = Path(weights)
    if folder.name in ("", ".."):
        folder = folder.resolve()
    if folder.name == BEST and (folder.parent / HISTORY).is_file():
        return folder.parent
    if not folder.is_dir():  # A name on the Hub, which a folder of that name would hide.
        return Path(f"{folder.name}-evaluation")
    return folder.with_name(f"{folder.resolve().name}-evaluation")


def choose_folder(out: str | None, weights: str, evaluation: dict[str, Any], unusual: list[str]) -> Path:
    """Where an evaluation is written: `out`, else the weights' folder, or one in it named after what is `unusual`.

    One that holds another evaluation than that of these facts is never taken: InputError if it is `out`.
    """
    folder, name = evaluation_folder(weights), re.sub(r"[^\w.,-]+", "_", "-".join(unusual))[:80]
    checksum = f"{zlib.crc32(json.dumps(evaluation).encode()):08x}"
    others: set[str] = set()
    for chosen in (Path(out),) if out else (folder / name, folder / f"{name or 'evaluation'}-{checksum}"):
        there = read_object(chosen / METRICS) if (chosen / METRICS).is_file() else evaluation
        others = {key for key in evaluation if there.get(key) != evaluation[key]}
        if not others - {"weights"} or not others - {"weights_crc32"}:  # They were moved, or trained further.
            return chosen
    differs = ", ".join(sorted({key.removesuffix("_crc32") for key in others}))
    raise InputError(f"{chosen}: holds another evaluation (other {differs}); name another folder with --out")


def images_fingerprint(*parts: Digits) -> int:
    """A checksum (CRC-32) of images and labels, to know them again wherever they lie."""
    checksum = 0
    for part in parts:
        checksum = zlib.crc32(part.labels.numpy(), zlib.crc32(part.images.numpy(), checksum))
    return checksum
