"""The shared convolutional encoders: standardised images (B, 1, 28, 28) to embeddings (B, D)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese_mnist.distributed import BatchNorm2d

AT_ONCE = 100  # That many images stay near the cache.


def conv4(first: int = 32, second: int = 64, third: int = 128) -> nn.Sequential:
    """Four 3 × 3 convolutions, 1 → 32 → 64 → 128 → 512, adaptive average pooling and a linear layer: D = 128."""
    return nn.Sequential(
        *_convolution(1, first),  # (B, 32, 14, 14)
        *_convolution(first, second),  # (B, 64, 7, 7)
        *_convolution(second, third),  # (B, 128, 3, 3)
        WholeMapConvolution(third, 512),
        BatchNorm2d(512),
        nn.ReLU(),  # (B, 512, 1, 1)
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(512, 128),
    )


def conv4s() -> nn.Sequential:
    """As conv4, 1 → 24 → 48 → 96 → 512, of the middle 24 × 24 pixels: 0.45 of its operations."""
    return nn.Sequential(Crop(2), *conv4(24, 48, 96))


def conv5() -> nn.Sequential:
    """As conv4, with a fifth convolution, 64 → 64, where the maps are 7 × 7: more exact, a sixth slower."""
    layers = conv4()
    at_7 = 6  # Behind the second convolution, its normalisation and its ReLU.
    for place, layer in enumerate([nn.Conv2d(64, 64, 3, padding=1, bias=False), BatchNorm2d(64), nn.ReLU()]):
        layers.insert(at_7 + place, layer)
    return layers


def conv2() -> nn.Sequential:
    """Two 3 × 3 convolutions, 1 → 8 → 16, and three linear layers, 144 → 64 → 32 → 10: D = 10."""
    first = nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2)  # (B, 8, 13, 13)
    second = nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(3)  # (B, 16, 3, 3)
    linear = nn.Linear(144, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)
    return nn.Sequential(*first, *second, nn.Flatten(), *linear)


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [PooledConvolution(inputs, outputs), BatchNorm2d(outputs), nn.ReLU()]


class Crop(nn.Module):
    """Leaves the edge out: (B, C, H, W) to (B, C, H - 2 · edge, W - 2 · edge)."""

    def __init__(self, edge: int) -> None:
        super().__init__()
        self.inner = slice(edge, -edge)

    def forward(self, maps: Tensor) -> Tensor:
        return maps[:, :, self.inner, self.inner]


class PooledConvolution(nn.Conv2d):
    """A 3 × 3 convolution and 2 × 2 maximum pooling, which leaves less to normalise: (B, C, H, W) to (B, K, H/2, W/2).

    Some images at a time: so large a tensor as that of all, 32 MB or more, the system hands out anew at each step."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        parts = (F.conv2d(part, self.weight, padding=1) for part in maps.split(AT_ONCE))
        return torch.cat([F.max_pool2d(part, 2) for part in parts])


class WholeMapConvolution(nn.Conv2d):
    """A 3 × 3 convolution of a 3 × 3 map, (B, C, 3, 3) to (B, K, 1, 1), as a matrix product: an eighth of the time."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        # This is the order of channels_last, so nothing need be copied.
        rows, weight = (tensor.permute(0, 2, 3, 1).flatten(1) for tensor in (maps, self.weight))
        return F.linear(rows, weight)[:, :, None, None]
