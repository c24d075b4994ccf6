"""The siamese network: one encoder for both images, and a head that scores pairs of embeddings."""

import json
import math
import re
from pathlib import Path
from typing import Any, Self

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from torch import Tensor, nn

from siamese_mnist.encoders import ENCODERS
from siamese_mnist.errors import InputError
from siamese_mnist.files import write_whole

MEAN, STD = 0.1307, 0.3081  # of MNIST's training pixels, in [0, 1]
CONFIG, WEIGHTS = "config.json", "model.safetensors"
PAIR_NUMBERS_AT_ONCE = 1_000_000  # 4 MB: the largest tensor of a scoring step stays near the cache

CARD = """---
{{ card_data }}
---
A siamese network that says how likely two images show the same digit; config.json says what it was trained on.
`SiameseNetwork.from_pretrained` of the package siamese_mnist loads it.
"""


def pairwise_distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances (…, N, M) of embeddings (…, N, D), (…, M, D); the gradient at distance 0 is 0, not NaN."""
    if not torch.is_grad_enabled():  # cdist is ten times as fast, but its gradient at distance 0 is NaN
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.linalg.vector_norm(a.unsqueeze(-2) - b.unsqueeze(-3), dim=-1)


class SimilarityHead(nn.Module):
    """An MLP on the order-free concatenation [(a-b)²; a⊙b]: logits (…, N, M) of embeddings (…, N, D), (…, M, D).

    Its first layer is linear in a⊙b, a² and b², so it is a matrix product, and no tensor (N, M, 2D) is ever made.
    """

    def __init__(self, dimensions: int, hidden: int = 16) -> None:
        super().__init__()
        self.product = nn.Linear(dimensions, hidden, bias=False)
        self.square = nn.Linear(dimensions, hidden)
        self.output = nn.Linear(hidden, 1)
        self.numbers_per_pair = hidden

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        products = (a.unsqueeze(-3) * self.product.weight[:, None]) @ b.unsqueeze(-3).mT  # (…, H, N, M)
        squares_a = self.square(a.square()).mT.unsqueeze(-1)  # (…, H, N, 1)
        squares_b = F.linear(b.square(), self.square.weight).mT.unsqueeze(-2)  # (…, H, 1, M)
        hidden = F.relu(products.add_(squares_a).add_(squares_b), inplace=True)
        logits = self.output.weight @ hidden.flatten(-2) + self.output.bias
        return logits.unflatten(-1, hidden.shape[-2:]).squeeze(-3)


class DistanceHead(nn.Module):
    """A logistic of the Euclidean distance D: logits (…, N, M) = scale · (offset - D), scale > 0."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.numbers_per_pair = dimensions
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.offset = nn.Parameter(torch.tensor(0.5))

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.log_scale.exp() * (self.offset - pairwise_distance(a, b))


HEADS = {"mlp": SimilarityHead, "distance": DistanceHead}


class SiameseNetwork(nn.Module, PyTorchModelHubMixin, license="mit", model_card_template=CARD):
    """Scores how likely two images show the same digit. `encode` once an image, then `similarity` for all pairs.

    `calibration` (scale, offset) turns the head's raw scores into log-odds; `threshold`, `rejection_threshold` are
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
        build, dimensions = ENCODERS[encoder]
        self.encoder_name, self.head_name = encoder, head
        self.encoder, self.head = build(), HEADS[head](dimensions)
        self.threshold, self.rejection_threshold = float(threshold), float(rejection_threshold)
        scale, offset = calibration
        self.calibration = float(scale), float(offset)
        self.classes, self.training_facts = tuple(classes), dict(training or {})
        self.to(memory_format=torch.channels_last)

    @property
    def config(self) -> dict[str, Any]:
        """What config.json holds: the constructor's arguments, as they are now."""
        return {
            "encoder": self.encoder_name,
            "head": self.head_name,
            "threshold": self.threshold,
            "rejection_threshold": self.rejection_threshold,
            "calibration": self.calibration,
            "classes": self.classes,
            "training": self.training_facts,
        }

    def encode(self, images: Tensor) -> Tensor:
        """Embeddings (N, D), float32, of images (N, 1, 28, 28), uint8 or float in [0, 1], white ink on black."""
        if images.ndim != 4 or images.shape[1:] != (1, 28, 28):
            raise InputError(f"images of shape {tuple(images.shape)}; (N, 1, 28, 28) is needed")
        pixels = images / 255 if images.dtype == torch.uint8 else images
        pixels = ((pixels.to(self.device) - MEAN) / STD).to(memory_format=torch.channels_last)
        return self.encoder(pixels).float()

    def raw_scores(self, a: Tensor, b: Tensor) -> Tensor:
        """The head's scores (N, M) of embeddings (N, D), (M, D), before calibration; always in float32."""
        rows = max(1, PAIR_NUMBERS_AT_ONCE // max(1, len(b) * self.head.numbers_per_pair))
        with torch.autocast(a.device.type, enabled=False):
            if len(a) <= rows:
                return self.head(a, b)
            return torch.cat([self.head(part, b) for part in a.split(rows)])

    def logits(self, a: Tensor, b: Tensor) -> Tensor:
        """Log-odds (N, M), at even odds, that embeddings (N, D) and (M, D) are of the same digit."""
        scale, offset = self.calibration
        return self.raw_scores(a, b) * scale + offset

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """Probabilities (N, M), at even odds, that embeddings (N, D) and (M, D) are of the same digit."""
        return self.logits(a, b).sigmoid()

    def forward(self, images_a: Tensor, images_b: Tensor) -> Tensor:
        """Log-odds (N,) that two images show the same digit, pair by pair, of images (N, 1, 28, 28) each."""
        scale, offset = self.calibration
        a, b = self.encode(images_a), self.encode(images_b)
        with torch.autocast(a.device.type, enabled=False):
            return self.head(a[:, None], b[:, None])[:, 0, 0] * scale + offset

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

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
            for file in (CONFIG, WEIGHTS):
                if not (folder / file).is_file():
                    raise InputError(
                        f"{folder / file}: missing; weights are {CONFIG} and {WEIGHTS}, a pickle is never loaded"
                    )
        elif folder.parent.is_dir() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            raise InputError(
                f"{name}: no such folder of weights; train.py makes one, the released ones are in weights/"
            )
        try:
            return super().from_pretrained(folder if folder.is_dir() else name, **kwargs)
        except (OSError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
            if isinstance(error, InputError):
                raise
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{name}: no weights of this package could be loaded from there ({reason})") from error

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **kwargs: Any) -> Self:
        hub = {
            name: kwargs.pop(name) for name in ("revision", "cache_dir", "force_download", "local_files_only", "token")
        }
        path = Path(model_id) / WEIGHTS
        if not path.parent.is_dir():
            path = hf_hub_download(model_id, WEIGHTS, **hub)
        model = cls(**kwargs)
        model.load_state_dict(safetensors.torch.load_file(path))
        return model.eval()
