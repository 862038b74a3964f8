"""The feature networks that the InFi paper and FilterForward describe, for comparison (torch, training only).

InFi: every block begins with a ReLU, convolutions are depthwise separable, LayerNorm is over the channels alone (eps
1e-3). With the head `Linear(200, 1)` the image network has 24,687 parameters, as published.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from .encoders import unit

_EPS = 1e-3


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of (n, channels, height, width)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=_EPS)

    def forward(self, features: Tensor) -> Tensor:
        """Normal features, of the same shape."""
        out: Tensor = self.norm(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return out


def conv_step(wide_in: int, wide: int, size: int, stride: int) -> nn.Sequential:
    """ReLU, a depthwise separable convolution with bias, LayerNorm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(wide_in, wide_in, size, stride, size // 2, groups=wide_in, bias=False),
        nn.Conv2d(wide_in, wide, 1),
        ChannelNorm(wide),
    )


class ConvRes(nn.Module):
    """Two steps and a pooling beside a strided 1x1 step: half the height and width."""

    def __init__(self, wide_in: int, wide: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(conv_step(wide_in, wide, 3, 1), conv_step(wide, wide, 3, 1), nn.MaxPool2d(3, 2, 1))
        self.beside = conv_step(wide_in, wide, 1, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Features of half the size."""
        out: Tensor = self.steps(features) + self.beside(features)
        return out


class Tower(nn.Module):
    """Two residual blocks, 32 and 64 wide, and the most of each channel: (n, channels, h, w) to (n, 64)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ConvRes(channels, 32), ConvRes(32, 64))

    def forward(self, image: Tensor) -> Tensor:
        """Features of pictures from 0 to 1 or of spectrograms."""
        out: Tensor = self.blocks(image).amax(dim=(2, 3))
        return out


class PaperMapEncoder(nn.Module):
    """Images and spectrograms: a tower, then a dense layer."""

    FEATURES: ClassVar = 200

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tower = Tower(channels)
        self.dense = nn.Linear(64, self.FEATURES)

    def forward(self, image: Tensor) -> Tensor:
        """Features (n, 200)."""
        return torch.relu(self.dense(self.tower(unit(image))))


class PaperVideoEncoder(nn.Module):
    """A tower per frame, no weights shared, as in the published code: 121,831 parameters for 5 frames and the head."""

    FEATURES: ClassVar = 200

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.towers = nn.ModuleList([Tower(3) for _ in range(frames)])
        self.dense = nn.Linear(64 * frames, self.FEATURES)

    def forward(self, window: Tensor) -> Tensor:
        """Features (n, 200) of windows (n, frames, 3, h, w)."""
        seen = [tower(unit(window[:, i])) for i, tower in enumerate(self.towers)]
        return torch.relu(self.dense(torch.cat(seen, dim=1)))


class PaperTextEncoder(nn.Module):
    """Embeddings of 32, their most, a dense layer."""

    FEATURES: ClassVar = 200

    def __init__(self, buckets: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(buckets, 32)
        self.dense = nn.Linear(32, self.FEATURES)

    def forward(self, words: Tensor) -> Tensor:
        """Features (n, 200)."""
        return torch.sigmoid(self.dense(self.embedding(words).amax(dim=1)))


class PaperVectorEncoder(nn.Module):
    """Sensor signals and feature maps: flat, dense 128, dense 200 (173,585 parameters for 128 x 9 and the head)."""

    FEATURES: ClassVar = 200

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(size, 128), nn.ReLU(), nn.Linear(128, self.FEATURES), nn.ReLU()
        )

    def forward(self, values: Tensor) -> Tensor:
        """Features (n, 200)."""
        out: Tensor = self.layers(values)
        return out


class FilterForwardEncoder(nn.Module):
    """FilterForward's full-frame micro-classifier on a backbone's map: two 1x1 convolutions of 32, most over places."""

    FEATURES: ClassVar = 32

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.ReLU())

    def forward(self, features: Tensor) -> Tensor:
        """Features (n, 32)."""
        out: Tensor = self.layers(features).amax(dim=(2, 3))
        return out
