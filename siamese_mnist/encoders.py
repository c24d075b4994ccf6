"""The shared convolutional encoders: standardised images (B, 1, 28, 28) to embeddings (B, D)."""

from torch import nn


def conv4() -> nn.Sequential:
    """Four 3 × 3 convolutions, 1 → 24 → 48 → 96 → 512, adaptive average pooling and a linear layer: D = 64.

    Pooling comes before normalisation and activation, which then work on a quarter of the pixels.
    """
    return nn.Sequential(
        *_convolution(1, 24, pool=2),  # (B, 24, 14, 14)
        *_convolution(24, 48, pool=2),  # (B, 48, 7, 7)
        *_convolution(48, 96, pool=2),  # (B, 96, 3, 3)
        *_convolution(96, 512, padding=0),  # (B, 512, 1, 1)
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(512, 64),
    )


def conv2() -> nn.Sequential:
    """Two 3 × 3 convolutions, 1 → 8 → 16, and three linear layers, 144 → 64 → 32 → 10: D = 10."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (B, 8, 13, 13)
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(3),  # (B, 16, 3, 3)
        nn.Flatten(),
        nn.Linear(144, 64),
        nn.ReLU(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def _convolution(inputs: int, outputs: int, pool: int = 1, padding: int = 1) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=padding, bias=False)]
    if pool > 1:
        layers.append(nn.MaxPool2d(pool))
    return [*layers, nn.BatchNorm2d(outputs), nn.ReLU()]


ENCODERS = {"conv4": (conv4, 64), "conv2": (conv2, 10)}
