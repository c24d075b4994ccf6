"""The siamese network: one encoder for both images, and a head that scores pairs of embeddings."""

import json
import math
import re
import zlib
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from textwrap import shorten
from typing import Any, NoReturn, Self

import safetensors.torch
import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors import SafetensorError
from torch import Tensor, nn
from tqdm import tqdm

from siamese_mnist.device import bf16_autocast
from siamese_mnist.encoders import AT_ONCE
from siamese_mnist.errors import InputError, note
from siamese_mnist.files import folder_state, read_object, settled, write_whole
from siamese_mnist.registry import ENCODERS, HEADS

MEAN, STD = 0.1307, 0.3081  # MNIST's training pixels in [0, 1] have these.
CONFIG, WEIGHTS = "config.json", "model.safetensors"
CHECKSUM = "weights_crc32"  # In config.json, so that one is never read with the weights of another.
MOSTLY = 0.6  # A full square of ink, 20 × 20 in 28 × 28, has 0.51 of the white.
OVERSHOOT = 1e-3  # So far, interpolation may leave [0, 1].
PAIR_NUMBERS_AT_ONCE = 1_000_000  # The largest tensor of a scoring step, 4 MB, stays near the cache.
COLUMNS_AT_ONCE = 4000  # And that many embeddings, 2 MB: a third of the time for one against 60,000.
# What the scripts read of the facts of a training, where it is there.
FACTS = {"dataset": (str,), "data_root": (str,), "images": (int,), "classes": (str, list, tuple, type(None))}

CARD = """---
{{ card_data }}
---
A siamese network that says how likely two images show the same symbol; config.json says what it was trained on.
`SiameseNetwork.from_pretrained` of the package siamese_mnist loads it.
"""


class SiameseNetwork(nn.Module, PyTorchModelHubMixin, license="mit", model_card_template=CARD):
    """Says how likely two images show the same symbol: `encode` each once, then ask for the `similarity` of pairs.

    `calibration` (scale, offset) turns the head's raw scores into log-odds; `threshold` and `rejection_threshold` are
    similarities in [0, 1]. `classes` and `training` tell what it learned from. All of it travels in config.json.
    InputError names a value that cannot be used.
    """

    def __init__(
        self,
        encoder: str = "conv4s",
        head: str = "mlp",
        threshold: float = 0.5,
        rejection_threshold: float = 0.5,
        calibration: tuple[float, float] = (1.0, 0.0),
        classes: tuple[str, ...] = tuple("0123456789"),
        training: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if encoder not in [*ENCODERS] or head not in [*HEADS]:  # Lists, as not all that JSON holds can be hashed.
            raise InputError(f"encoder {encoder!r}, head {head!r}: known are {', '.join(ENCODERS)}; {', '.join(HEADS)}")
        self.encoder_name, self.head_name = encoder, head
        self.encoder, self.head = ENCODERS[encoder].build(), HEADS[head].build(ENCODERS[encoder].dimensions)
        self.threshold = _finite("threshold", threshold, 0, 1)
        self.rejection_threshold = _finite("rejection_threshold", rejection_threshold, 0, 1)
        if not isinstance(calibration, list | tuple) or len(calibration) != 2:
            raise InputError(f"calibration {calibration!r:.40} is not two numbers")
        self.calibration = _finite("calibration", calibration[0]), _finite("calibration", calibration[1])
        if not isinstance(classes, list | tuple) or not all(isinstance(name, str) for name in classes):
            raise InputError(f"classes {classes!r:.40} are not a list of names")
        self.classes, self.training_facts = tuple(classes), _known_facts({} if training is None else training)
        self.to(memory_format=torch.channels_last)

    @property
    def config(self) -> dict[str, Any]:
        """What config.json holds: the constructor's arguments, as they are now."""
        parts = {"encoder": self.encoder_name, "head": self.head_name}
        thresholds = {"threshold": self.threshold, "rejection_threshold": self.rejection_threshold}
        facts = {"calibration": self.calibration, "classes": self.classes, "training": self.training_facts}
        return parts | thresholds | facts

    @property
    def fingerprint(self) -> int:
        """A checksum (CRC-32) of the weights and of config.json: equal where they are the same network."""
        return zlib.crc32(safetensors.torch.save(self._state()), zlib.crc32(json.dumps(self.config).encode()))

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The encoder's: float32 unless `half()` or the like was called."""
        return next(self.encoder.parameters()).dtype

    def encode(self, images: Tensor) -> Tensor:
        """Embeddings (N, D), float32, of images (N, 1, 28, 28), uint8 or float in [0, 1], white ink on black.

        InputError if the shape, the type or the range is another; bool images are 0 and 1.
        """
        pixels = (_fractions(images).to(self.device) - MEAN) / STD
        return self.encoder(pixels.to(self.dtype, memory_format=torch.channels_last)).float()

    @torch.no_grad()
    def encode_all(self, images: Tensor, title: str | None = None) -> Tensor:
        """Encodes in evaluation mode, in batches and without gradients; shows a bar if there is a title."""
        training = self.training
        self.eval()
        batches = tqdm(images.split(AT_ONCE), desc=title, unit="batch", disable=None if title else True)
        with bf16_autocast(self.device) if self.dtype == torch.float32 else nullcontext():
            embeddings = torch.cat([self.encode(batch) for batch in batches])
        self.train(training)
        return embeddings

    def _apply(self, *args: Any, **kwargs: Any) -> Self:
        """Keeps the head in float32 where `half()` and the like change the network: in less, a score has an order."""
        super()._apply(*args, **kwargs).head.float()
        return self

    def raw_scores(self, a: Tensor, b: Tensor) -> Tensor:
        """The head's scores (N, M) of embeddings (N, D), (M, D), before calibration; always in float32."""
        a, b = a.float(), b.float()
        if len(b) > COLUMNS_AT_ONCE:
            return torch.cat([self.raw_scores(a, part) for part in b.split(COLUMNS_AT_ONCE)], 1)
        rows = max(1, PAIR_NUMBERS_AT_ONCE // max(1, len(b) * self.head.numbers_per_pair))
        with torch.autocast(a.device.type, enabled=False):
            return torch.cat([self.head(part, b) for part in a.split(rows)]) if len(a) > rows else self.head(a, b)

    def logits(self, a: Tensor, b: Tensor) -> Tensor:
        """Log-odds (N, M), at even odds, that embeddings (N, D) and (M, D) are of the same symbol."""
        scale, offset = self.calibration
        return self.raw_scores(a, b) * scale + offset

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """Probabilities (N, M), at even odds, that embeddings (N, D) and (M, D) are of the same symbol."""
        return self.logits(a, b).sigmoid()

    def forward(self, images_a: Tensor, images_b: Tensor) -> Tensor:
        """Log-odds (N,) that two images show the same symbol, pair by pair, of images (N, 1, 28, 28) each."""
        if len(images_a) != len(images_b):
            raise InputError(f"{len(images_a)} and {len(images_b)} images; as many of each are needed, pair by pair")
        a, b = (self.encode(images).split(AT_ONCE) for images in (images_a, images_b))
        return torch.cat([self.logits(*pairs).diagonal() for pairs in zip(a, b)])

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> str | None:
        """Writes config.json and model.safetensors into a folder; see huggingface_hub.PyTorchModelHubMixin."""
        return super().save_pretrained(Path(save_directory).expanduser(), config=self.config, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        write_whole(save_directory / WEIGHTS, content := safetensors.torch.save(self._state()))
        config = self.config | {CHECKSUM: zlib.crc32(content)}
        write_whole(save_directory / CONFIG, json.dumps(config, indent=2) + "\n")

    def _state(self) -> dict[str, Tensor]:
        return {name: tensor.contiguous() for name, tensor in self.state_dict().items()}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Self:
        """Loads a folder, or owner/name from the Hugging Face Hub, to `map_location`; see PyTorchModelHubMixin.

        InputError if it is not whole, or no such device is there. Never reads a pickle.
        """
        device = kwargs.pop("map_location", "cpu")
        folder = named_folder(Path(str(pretrained_model_name_or_path)).expanduser())
        there = model = None
        while there != (there := folder_state(folder)):  # Again, if a training has replaced it meanwhile.
            try:
                model = cls._open(str(pretrained_model_name_or_path), settled(folder), kwargs)
            except InputError:
                if folder_state(folder) == there:
                    raise
        try:
            return model.to(torch.device("cpu" if device is None else device))
        except (RuntimeError, AssertionError, TypeError) as error:
            reason = shorten(str(error), 200)
            raise InputError(f"map_location={device!r}: cannot be used here ({reason}); leave it out") from error

    @classmethod
    def _open(cls, name: str, folder: Path, kwargs: dict[str, Any]) -> Self:
        if folder.is_dir():
            if settled(folder / "best").is_dir() and not (folder / WEIGHTS).is_file():
                raise InputError(f"{folder}: is a run; the weights in it are {folder / 'best'}")
            if missing := next((file for file in (CONFIG, WEIGHTS) if not (folder / file).is_file()), None):
                raise InputError(f"{folder / missing}: missing; weights are {CONFIG} and {WEIGHTS}, never a pickle")
            needed = ("encoder", "head", "threshold", "rejection_threshold", "calibration", "classes")
            found = read_object(folder / CONFIG)  # The mixin's own complaints name no file.
            if lacking := [name for name in needed if name not in found]:
                raise InputError(f"{folder / CONFIG}: lacks {', '.join(lacking)}; restore it")
        elif folder.parent.is_dir() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            way_out = "train.py makes one, the repository's weights/ has those released"
            raise InputError(f"{name}: {'a file, no' if folder.is_file() else 'no such'} folder of weights; {way_out}")
        try:
            with redirect_stdout(None):  # The mixin prints what it does.
                return super().from_pretrained(folder if folder.is_dir() else name, **{"strict": True, **kwargs})
        except InputError as error:
            raise InputError(f"{folder / CONFIG}: {error}") from error
        except (OSError, TypeError, ValueError, RuntimeError, AttributeError, SafetensorError) as error:
            reason = shorten(str(error), 200)
            where = "from there" if folder.is_dir() else "from the Hub, and there is no such folder"
            raise InputError(f"{name}: no weights of this package could be loaded {where} ({reason})") from error

    @classmethod
    def _load_as_safetensor(cls, model: Self, model_file: str, map_location: str, strict: bool) -> Self:
        content = Path(model_file).read_bytes()
        kept = read_object(path).get(CHECKSUM) if (path := Path(model_file).with_name(CONFIG)).is_file() else None
        if kept not in (None, zlib.crc32(content)):
            raise ValueError(f"{model_file}: damaged, or not the weights that {CONFIG} beside it belongs to")
        state = safetensors.torch.load(content)
        if wrong := not_finite(state):
            raise ValueError(f"{model_file}: NaN or infinity in {wrong}")
        model.load_state_dict(state, strict=strict)
        return model.eval()

    @classmethod
    def _load_as_pickle(cls, model: Self, model_file: str, *_: Any) -> NoReturn:
        raise ValueError(f"{model_file}: a pickle, which is never loaded; weights are {CONFIG} and {WEIGHTS}")


def not_finite(state: dict[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity."""
    return next((name for name, tensor in state.items() if not tensor.isfinite().all()), None)


def named_folder(path: Path) -> Path:
    """The folder of weights that is meant where a file in it is named."""
    return path.parent if path.name in (CONFIG, WEIGHTS) and path.is_file() else path


def _finite(name: str, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number in [low, high]. InputError names one that is not."""
    try:
        number = math.nan if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or not low <= number <= high:
        raise InputError(f"{name} {value!r:.40} is no number" + (f" from {low} to {high}" if high == 1 else ""))
    return number


def _known_facts(training: Any) -> dict[str, Any]:
    """A copy of the facts of a training. InputError names one of another type than its readers expect."""
    if not isinstance(training, dict):
        raise InputError(f"training {training!r:.40} is not an object")
    for name, kinds in FACTS.items():
        if name in training and type(training[name]) not in kinds:
            raise InputError(f"training: {name} {training[name]!r:.40} is no {kinds[0].__name__}")
    if "validation_eer" in training:
        _finite("training: validation_eer", training["validation_eer"], 0, 1)
    return dict(training)


def _fractions(images: Tensor) -> Tensor:
    """Images (N, 1, 28, 28) as float32 in [0, 1]. InputError if uint8, bool or float values cannot mean that."""
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1:] != (1, 28, 28):
        found = f"{type(images).__name__} of shape {tuple(getattr(images, 'shape', ()))}"
        raise InputError(f"{found}; a tensor (N, 1, 28, 28) is needed")
    kind, pixels = images.dtype, images.float()
    # On a GPU, each number that is looked at is waited for: both at once.
    low, high = torch.stack(pixels.detach().aminmax()).tolist() if len(images) else (0.0, 0.0)
    fraction = (kind == torch.bool or kind.is_floating_point) and low >= -OVERSHOOT and high <= 1 + OVERSHOOT
    if not fraction and (kind != torch.uint8 or high == 1):
        meant = "" if high != 1 or kind.is_floating_point else "convert what is 0 and 1 to bool or float; "
        found = f"{str(kind).removeprefix('torch.')} images from {low:g} to {high:g}"
        raise InputError(f"{found}: {meant}uint8 from 0 to 255 or float from 0 (black) to 1 (white ink) is needed")
    pixels = pixels if fraction else images / 255
    if len(images) and pixels.detach().mean() > MOSTLY:
        note("most of the images is white: if that is paper, not ink, pass 1 - images, or use prepare_drawing")
    return pixels
