"""The street's models as torch modules: one kind of trunk, and a head for boxes, a label or a count."""

import torch
from torch import Tensor, nn

TOP = 32
STRIDE = 4
POOL = 4
# No box ends before it begins, whatever the network says of one that it is not sure of.
NARROWEST = 0.002


def conv(inputs: int, outputs: int, *, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(width, width), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Features in, features of the same shape out."""
        out: Tensor = x + self.body(x)
        return out


class Trunk(nn.Module):
    """RGB pixels from 0 to 1 to features at a quarter (24 channels) and an eighth (32) of the input's size."""

    def __init__(self) -> None:
        super().__init__()
        self.quarter = nn.Sequential(conv(3, 16, stride=2), conv(16, 24, stride=2), Residual(24))
        self.eighth = nn.Sequential(conv(24, 32, stride=2), Residual(32), Residual(32))
        self.sixteenth = nn.Sequential(conv(32, 48, stride=2), Residual(48))
        self.up_eighth = conv(48, 32, kernel=1)
        self.up_quarter = conv(32, 24, kernel=1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 3, h, w) to (n, 24, h/4, w/4) and (n, 32, h/8, w/8)."""
        quarter = self.quarter(pixels)
        eighth = self.eighth(quarter)
        deep = self.up_eighth(self.sixteenth(eighth))
        eighth = eighth + nn.functional.interpolate(deep, scale_factor=2.0)
        quarter = quarter + nn.functional.interpolate(self.up_quarter(eighth), scale_factor=2.0)
        return quarter, eighth


class BoxHead(nn.Module):
    """Centre points: a heat map per class, and the distances of a centre's four sides as shares of the frame."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.shared = conv(24, 24)
        self.heat = nn.Conv2d(24, classes, 1)
        self.sides = nn.Conv2d(24, 4, 1)
        # A cell is rarely a centre: starting there keeps the first steps calm.
        nn.init.constant_(self.heat.bias, -4.0)  # type: ignore[arg-type]

    def forward(self, quarter: Tensor, eighth: Tensor) -> tuple[Tensor, Tensor]:
        """Heat logits (n, classes, h/4, w/4) and sides (n, 4, h/4, w/4)."""
        x = self.shared(quarter)
        return self.heat(x), self.sides(x)


class PlaceHead(nn.Module):
    """A label or a number from a coarse map: the cameras are fixed, so where something is matters."""

    def __init__(self, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        cells = (size[0] // 8 // POOL) * (size[1] // 8 // POOL)
        self.reduce = conv(32, 24, kernel=1)
        self.dense = nn.Sequential(nn.Linear(cells * 24, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, outputs))

    def forward(self, quarter: Tensor, eighth: Tensor) -> Tensor:
        """Logits or numbers (n, outputs)."""
        out: Tensor = self.dense(nn.functional.max_pool2d(self.reduce(eighth), POOL).flatten(1))
        return out


class PresenceHead(nn.Module):
    """Whether one kind of thing is anywhere: a heat map and its highest peak, wherever that is."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = conv(24, 24)
        self.heat = nn.Conv2d(24, 1, 1)
        nn.init.constant_(self.heat.bias, -2.0)  # type: ignore[arg-type]

    def forward(self, quarter: Tensor, eighth: Tensor) -> Tensor:
        """Logits (n, 2) of absent and present."""
        there = self.heat(self.shared(quarter)).flatten(1).amax(1, keepdim=True)
        return torch.cat((torch.zeros_like(there), there), dim=1)


class Exported(nn.Module):
    """The exported network: the trunk, the head, and the last step to an output as `outputs.py` describes it."""

    def __init__(self, trunk: Trunk, head: nn.Module, kind: str) -> None:
        super().__init__()
        self.trunk, self.head, self.kind = trunk, head, kind

    def forward(self, pixels: Tensor) -> Tensor:
        """Boxes (1, TOP, 6), probabilities (1, classes) or a count (1, 1)."""
        found = self.head(*self.trunk(pixels))
        if self.kind == "boxes":
            return top_boxes(*found)
        if self.kind == "count":
            return torch.relu(found)
        return torch.softmax(found, dim=1)


def top_boxes(heat: Tensor, sides: Tensor) -> Tensor:
    """The strongest local peaks as rows x1, y1, x2, y2 (shares of the frame), score, class; batch of one."""
    score = torch.sigmoid(heat)
    peaks = score * (score >= nn.functional.max_pool2d(score, 3, 1, 1))
    _classes, height, width = peaks.shape[1:]
    best, index = torch.topk(peaks.reshape(1, -1), TOP)
    kind = torch.div(index, height * width, rounding_mode="floor")
    cell = index - kind * (height * width)
    row = torch.div(cell, width, rounding_mode="floor")
    column = cell - row * width
    around = sides.reshape(1, 4, -1).gather(2, cell.unsqueeze(1).expand(1, 4, TOP)).clamp(min=NARROWEST)
    x, y = (column + 0.5) / width, (row + 0.5) / height
    corners = (x - around[:, 0], y - around[:, 1], x + around[:, 2], y + around[:, 3])
    return torch.stack([*corners, best, kind.to(best.dtype)], dim=2)
