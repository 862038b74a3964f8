"""The modalities' feature networks and the head on them (torch, training only)."""

import torch
from torch import Tensor, nn

HIDDEN = 32


def pooled(features: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Mean and most of features over places."""
    return torch.cat([features.mean(dim=axes), features.amax(dim=axes)], dim=1)


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


class EncoderNetwork(nn.Module):
    """An encoder and the head that says how needed an input is: (n, ...) to probabilities (n, 1)."""

    def __init__(self, encoder: nn.Module, features: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        """The probability that an input is needed."""
        return torch.sigmoid(self.logits(inputs)).unsqueeze(1)

    def logits(self, inputs: Tensor) -> Tensor:
        """Its logit: (n,)."""
        out: Tensor = self.head(self.encoder(inputs)).squeeze(1)
        return out
