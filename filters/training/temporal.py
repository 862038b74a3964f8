"""The learned candidate: three strided convolutions over the channels, joined by the scalars (torch, training only)."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ...outputs import Array
from ..modalities.stream import CHANNELS, SCALARS

CONVOLUTIONS = ((24, 5, 4), (32, 3, 2), (48, 3, 2))
HIDDEN = 32


class TemporalNetwork(nn.Module):
    """Channels and scalars in, the logit of the expected loss out.

    Args:
        mean: of each scalar over the training pairs.
        scale: one over its deviation; 0 leaves the scalar out.
    """

    def __init__(self, mean: Array, scale: Array) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        width = CHANNELS
        for wide, size, stride in CONVOLUTIONS:
            conv = nn.Conv2d(width, wide, size, stride=stride, padding=size // 2, bias=False)
            blocks += [conv, nn.BatchNorm2d(wide), nn.ReLU(inplace=True)]
            width = wide
        self.features = nn.Sequential(*blocks)
        self.hidden = nn.Linear(2 * width + len(SCALARS), HIDDEN)
        self.last = nn.Linear(HIDDEN, 1)
        self.register_buffer("mean", torch.from_numpy(np.asarray(mean, np.float32)))
        self.register_buffer("scale", torch.from_numpy(np.asarray(scale, np.float32)))

    def forward(self, channels: Tensor, scalars: Tensor) -> Tensor:
        """The logits: (n,)."""
        features = self.features(channels)
        pooled = torch.cat([features.amax(dim=(2, 3)), features.mean(dim=(2, 3)), self.normal(scalars)], dim=1)
        out: Tensor = self.last(torch.relu(self.hidden(pooled))).squeeze(1)
        return out

    def normal(self, scalars: Tensor) -> Tensor:
        """The scalars about 0, within ±4."""
        assert isinstance(self.mean, Tensor) and isinstance(self.scale, Tensor)
        return ((scalars - self.mean) * self.scale).clamp(-4, 4)

    @torch.no_grad()
    def scores(self, images: Array, scalars: Array, *, batch: int = 128) -> Array:
        """The expected losses of images (uint8, channels last) and scalars: float64 (n,)."""
        self.eval()
        parts = [
            torch.sigmoid(self(to_channels(images[i : i + batch]), torch.from_numpy(scalars[i : i + batch]))).numpy()
            for i in range(0, len(images), batch)
        ]
        return np.concatenate(parts).astype(np.float64)

    def folded(self) -> list[tuple[Array, Array]]:
        """Each convolution's weights and bias with its batch norm worked in."""
        found = []
        blocks = list(self.features)
        for conv, norm in zip(blocks[0::3], blocks[1::3], strict=True):
            assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            assert norm.running_var is not None and norm.running_mean is not None
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weight = conv.weight * gain[:, None, None, None]
            bias = norm.bias - norm.running_mean * gain
            found.append((weight.detach().numpy(), bias.detach().numpy()))
        return found


def to_channels(images: Array) -> Tensor:
    """What the network is fed: (n, 3, side, side) from 0 to 1, in memory channels last, which is faster on a CPU."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().mul_(1 / 255)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: as fast for so small a network, many times faster on a busy machine, and repeatable."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
