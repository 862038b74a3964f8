"""The modalities' feature networks and the head on them (torch, training only)."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

HIDDEN = 32


class EncoderNetwork(nn.Module):
    """An encoder and the heads that say how needed an input is: (n, ...) to probabilities (n, tasks).

    Args:
        encoder: the modality's.
        features: how many it gives.
        plain: one layer for a head, as the paper has; else there is a hidden one.
        tasks: how many heads (the extended InFi paper's multi-task filter): the head's last layer is so wide.
    """

    def __init__(self, encoder: nn.Module, features: int, *, plain: bool = False, tasks: int = 1) -> None:
        super().__init__()
        self.encoder = encoder
        hidden = () if plain else (nn.Linear(features, HIDDEN), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.2), *hidden, nn.Linear(features if plain else HIDDEN, tasks))

    def forward(self, inputs: Tensor) -> Tensor:
        """The probability that an input is needed."""
        return torch.sigmoid(self.logits(inputs))

    def logits(self, inputs: Tensor) -> Tensor:
        """Its logit: (n, tasks)."""
        out: Tensor = self.head(self.encoder(inputs))
        return out


class TextEncoder(nn.Module):
    """Embeddings of the words that are there, pooled: (n, length) to (n, 2 * width)."""

    def __init__(self, buckets: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(buckets, width, padding_idx=0)

    def forward(self, words: Tensor) -> Tensor:
        """Features of words; padding is left out of both."""
        embedded = self.embedding(words)
        there = (words > 0).unsqueeze(2).to(embedded.dtype)
        mean = (embedded * there).sum(dim=1) / there.sum(dim=1).clamp(min=1.0)
        most = (embedded - 1e3 * (1.0 - there)).amax(dim=1).clamp(min=-10.0)
        return torch.cat([mean, most], dim=1)


class SignalEncoder(nn.Module):
    """Three strided convolutions over time, pooled: (n, channels, steps) to (n, 96)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = channels
        for wide, size in ((24, 7), (32, 5), (48, 3)):
            layers += [nn.Conv1d(width, wide, size, 2, size // 2, bias=False), nn.BatchNorm1d(wide), nn.ReLU()]
            width = wide
        self.layers = nn.Sequential(*layers)

    def forward(self, signal: Tensor) -> Tensor:
        """Features of windows."""
        return pooled(self.layers(signal), (2,))


class MapEncoder(nn.Module):
    """A 1x1 convolution, strided ones and a residual one, pooled: (n, channels, height, width) to (n, 96)."""

    def __init__(self, channels: int, *, stride: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.down = nn.Sequential(
            nn.Conv2d(24, 32, 3, stride, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, stride, 1, bias=False),
            nn.BatchNorm2d(48),
            nn.ReLU(),
        )
        self.residual = nn.Sequential(nn.Conv2d(48, 48, 3, 1, 1, bias=False), nn.BatchNorm2d(48))

    def forward(self, image: Tensor) -> Tensor:
        """Features of maps."""
        features = self.down(self.stem(image))
        return pooled(torch.relu(features + self.residual(features)), (2, 3))


class PictureEncoder(nn.Module):
    """Three strided convolutions and a residual one, pooled: bytes (n, channels, side, side) to (n, 112)."""

    FEATURES: ClassVar = 112

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = _strided(channels, ((24, 5, 4), (32, 3, 2), (56, 3, 2)))
        self.residual = nn.Sequential(
            nn.Conv2d(56, 56, 3, padding=1, groups=56, bias=False),
            nn.BatchNorm2d(56),
            nn.ReLU(),
            nn.Conv2d(56, 56, 1, bias=False),
            nn.BatchNorm2d(56),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Features of pictures."""
        features = self.stem(unit(image))
        return pooled(torch.relu(features + self.residual(features)), (2, 3))


class VideoEncoder(nn.Module):
    """One tower for every frame, then what the newest shows and how it differs: (n, frames, 3, h, w) to (n, 96)."""

    FEATURES: ClassVar = 96

    def __init__(self) -> None:
        super().__init__()
        self.tower = _strided(3, ((16, 5, 4), (24, 3, 2)))
        self.joined = _strided(72, ((48, 3, 2),))

    def forward(self, window: Tensor) -> Tensor:
        """Features of windows, the newest frame last."""
        n, frames = window.shape[0], window.shape[1]
        seen = self.tower(unit(window.flatten(0, 1))).unflatten(0, (n, frames))
        newest = seen[:, -1]
        joined = torch.cat([newest, (newest - seen[:, -2]).abs(), (newest - seen[:, :-1].mean(dim=1)).abs()], dim=1)
        return pooled(self.joined(joined), (2, 3))


class JointEncoder(nn.Module):
    """Several encoders side by side, each on its part of a flat input: (n, sizes) to (n, all features)."""

    def __init__(self, encoders: list[nn.Module], shapes: list[tuple[tuple[int, ...], str]]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.shapes = shapes

    def forward(self, inputs: Tensor) -> Tensor:
        """Features of all parts."""
        found, at = [], 0
        for encoder, (shape, dtype) in zip(self.encoders, self.shapes, strict=True):
            size = math.prod(shape)
            part = inputs[:, at : at + size].reshape(-1, *shape)
            # Bytes stay numbers from 0 to 255 here: the tower divides what comes as bytes alone.
            found.append(encoder(part * (1 / 255) if dtype == "uint8" else part.to(getattr(torch, dtype))))
            at += size
        return torch.cat(found, dim=1)


def pooled(features: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Mean and most of features over places."""
    return torch.cat([features.mean(dim=axes), features.amax(dim=axes)], dim=1)


def _strided(channels: int, layers: tuple[tuple[int, int, int], ...]) -> nn.Sequential:
    """Convolutions of so many channels, size and stride, each with batch norm and ReLU."""
    found: list[nn.Module] = []
    for wide, size, stride in layers:
        found += [nn.Conv2d(channels, wide, size, stride, size // 2, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        channels = wide
    return nn.Sequential(*found)


def unit(image: Tensor) -> Tensor:
    """Bytes as numbers from 0 to 1; numbers as they are."""
    return image.float() * (1 / 255) if image.dtype == torch.uint8 else image
