"""The siamese network: one encoder for both images, and a head that scores pairs of embeddings."""

import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn, Self

import safetensors.torch
import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn
from tqdm import tqdm

from siamese_mnist.device import bf16_autocast
from siamese_mnist.encoders import ENCODERS
from siamese_mnist.errors import InputError
from siamese_mnist.files import write_whole
from siamese_mnist.heads import HEADS

MEAN, STD = 0.1307, 0.3081  # MNIST's training pixels in [0, 1] have these.
CONFIG, WEIGHTS = "config.json", "model.safetensors"
ENCODED_AT_ONCE = 100  # That many images stay near the cache.
PAIR_NUMBERS_AT_ONCE = 1_000_000  # The largest tensor of a scoring step, 4 MB, stays near the cache.

CARD = """---
{{ card_data }}
---
A siamese network that says how likely two images show the same digit; config.json says what it was trained on.
`SiameseNetwork.from_pretrained` of the package siamese_mnist loads it.
"""


class SiameseNetwork(nn.Module, PyTorchModelHubMixin, license="mit", model_card_template=CARD):
    """Says how likely two images show the same digit: `encode` each image once, then ask for the `similarity` of pairs.

    `calibration` (scale, offset) turns the head's raw scores into log-odds; `threshold` and `rejection_threshold` are
    similarities in [0, 1]. `classes` and `training` tell what it learned from. All of it travels in config.json.
    """

    def __init__(
        self,
        encoder: str = "conv4",
        head: str = "mlp",
        threshold: float = 0.5,
        rejection_threshold: float = 0.5,
        calibration: tuple[float, float] = (1.0, 0.0),
        classes: tuple[str, ...] = tuple("0123456789"),
        training: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if encoder not in ENCODERS or head not in HEADS:
            raise InputError(f"encoder {encoder!r}, head {head!r}: known are {', '.join(ENCODERS)}; {', '.join(HEADS)}")
        self.encoder_name, self.head_name = encoder, head
        self.encoder, self.head = ENCODERS[encoder].build(), HEADS[head](ENCODERS[encoder].dimensions)
        self.threshold, self.rejection_threshold = float(threshold), float(rejection_threshold)
        scale, offset = calibration
        self.calibration = float(scale), float(offset)
        self.classes, self.training_facts = tuple(classes), dict(training or {})
        self.to(memory_format=torch.channels_last)

    @property
    def config(self) -> dict[str, Any]:
        """What config.json holds: the constructor's arguments, as they are now."""
        parts = {"encoder": self.encoder_name, "head": self.head_name}
        thresholds = {"threshold": self.threshold, "rejection_threshold": self.rejection_threshold}
        facts = {"calibration": self.calibration, "classes": self.classes, "training": self.training_facts}
        return parts | thresholds | facts

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def encode(self, images: Tensor) -> Tensor:
        """Embeddings (N, D), float32, of images (N, 1, 28, 28), uint8 or float in [0, 1], white ink on black."""
        if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
            raise InputError(f"images of shape {tuple(images.shape)}; (N, 1, 28, 28) is needed")
        pixels = images / 255 if images.dtype == torch.uint8 else images
        pixels = ((pixels.to(self.device) - MEAN) / STD).to(memory_format=torch.channels_last)
        return self.encoder(pixels).float()

    @torch.no_grad()
    def encode_all(self, images: Tensor, title: str | None = None) -> Tensor:
        """Encodes in evaluation mode, in batches and without gradients; shows a bar if there is a title."""
        training = self.training
        self.eval()
        batches = tqdm(images.split(ENCODED_AT_ONCE), desc=title, unit="batch", disable=title is None)
        with bf16_autocast(self.device):
            embeddings = torch.cat([self.encode(batch) for batch in batches])
        self.train(training)
        return embeddings

    def raw_scores(self, a: Tensor, b: Tensor) -> Tensor:
        """The head's scores (N, M) of embeddings (N, D), (M, D), before calibration; always in float32."""
        rows = max(1, PAIR_NUMBERS_AT_ONCE // max(1, len(b) * self.head.numbers_per_pair))
        with torch.autocast(a.device.type, enabled=False):
            return torch.cat([self.head(part, b) for part in a.split(rows)]) if len(a) > rows else self.head(a, b)

    def logits(self, a: Tensor, b: Tensor) -> Tensor:
        """Log-odds (N, M), at even odds, that embeddings (N, D) and (M, D) are of the same digit."""
        scale, offset = self.calibration
        return self.raw_scores(a, b) * scale + offset

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """Probabilities (N, M), at even odds, that embeddings (N, D) and (M, D) are of the same digit."""
        return self.logits(a, b).sigmoid()

    def forward(self, images_a: Tensor, images_b: Tensor) -> Tensor:
        """Log-odds (N,) that two images show the same digit, pair by pair, of images (N, 1, 28, 28) each."""
        a, b = (self.encode(images).split(ENCODED_AT_ONCE) for images in (images_a, images_b))
        return torch.cat([self.logits(*pairs).diagonal() for pairs in zip(a, b)])

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> str | None:
        """Writes config.json and model.safetensors into a folder; see huggingface_hub.PyTorchModelHubMixin."""
        return super().save_pretrained(save_directory, config=self.config, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        state = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        write_whole(save_directory / WEIGHTS, safetensors.torch.save(state))
        write_whole(save_directory / CONFIG, json.dumps(self.config, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs: Any) -> Self:
        """Loads a folder, or owner/name from the Hugging Face Hub. InputError if it is not whole; never a pickle."""
        name = str(pretrained_model_name_or_path)
        folder = Path(name).expanduser()
        if folder.is_dir():
            if (folder / "best" / CONFIG).is_file():
                raise InputError(f"{folder}: is a run; the weights in it are {folder / 'best'}")
            if missing := next((file for file in (CONFIG, WEIGHTS) if not (folder / file).is_file()), None):
                raise InputError(f"{folder / missing}: missing; weights are {CONFIG} and {WEIGHTS}, never a pickle")
        elif folder.parent.is_dir() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            raise InputError(f"{name}: no such folder of weights; train.py makes one, weights/ has those released")
        try:
            with redirect_stdout(None):  # The mixin prints what it does.
                model = super().from_pretrained(folder if folder.is_dir() else name, **{"strict": True, **kwargs})
                return model.eval()  # The mixin does so since huggingface_hub 1.0.
        except InputError:
            raise
        except (OSError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{name}: no weights of this package could be loaded from there ({reason})") from error

    @classmethod
    def _load_as_pickle(cls, model: Self, model_file: str, *_: Any) -> NoReturn:
        raise InputError(f"{model_file}: a pickle, which is never loaded; weights are {CONFIG} and {WEIGHTS}")
