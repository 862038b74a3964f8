"""`infilink device --draw`: a picture of each stream, with what its mask blackens and the zones of its gate's rules."""

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from ..errors import InfilinkError, InvalidInput
from ..files import replacing
from ..filters.open_gate import open_gate
from ..filters.rules.zones import Points, read_zones
from ..filters.serves import zones_of_gate
from ..models.draw import color_of, draw_text
from ..outputs import Array
from .config import DeviceConfig
from .mask import Mask
from .sources.open import open_source

_QUALITY = 92
_MASK_COLOR = (80, 80, 255)
_GROUND = (0, 0, 0)
_LINE = 18
_MARGIN = 4


@dataclass(frozen=True)
class Drawn:
    """What became of a stream's picture.

    Attributes:
        stream: its name.
        path: of the picture; None: there is none.
        black: the share of the picture that is masked.
        zones: the zones in it, by name.
        failed: why there is no picture.
    """

    stream: str
    path: Path | None = None
    black: float = 0.0
    zones: tuple[str, ...] = ()
    failed: str = ""

    def __str__(self) -> str:
        """A line for people."""
        of_stream = f"stream {self.stream}: " if self.stream else ""
        if self.path is None:
            return f"{of_stream}not drawn: {self.failed}"
        masked = f"{self.black:.1%} of it is masked" if self.black else "nothing is masked"
        return f"{of_stream}wrote {self.path}: {masked}; zones: {', '.join(self.zones) or 'none'}"


def draw_streams(config: DeviceConfig, folder: Path, *, zones: Path | None = None) -> list[Drawn]:
    """Draws a picture of each stream, of one frame of its source as it is now.

    Args:
        config: the device's settings.
        folder: for the pictures; made if it is missing.
        zones: a file of zones to draw besides those of the gates' rules.

    Raises:
        InvalidInput: the folder is a file, or the file draws no zones.
    """
    if folder.is_file():
        raise InvalidInput(f"--draw {folder}: is a file; name a folder")
    given = {name: zone.points for name, zone in read_zones(zones).items()}
    return [_drawn(name, settings, folder, given) for name, settings in config.by_stream().items()]


def _drawn(name: str, config: DeviceConfig, folder: Path, given: Mapping[str, Points]) -> Drawn:
    try:
        gate = open_gate(config.gate, rule_files=() if config.rule_file is None else (config.rule_file,))
        with closing(gate):
            zones = {**zones_of_gate(gate), **given}
        mask = Mask(config.mask)
        picture = np.array(mask.apply(_frame(config)))
    except InfilinkError as error:
        return Drawn(name, failed=str(error))
    height, width = picture.shape[:2]
    for i, points in enumerate(config.mask):
        _draw_polygon(picture, points, f"mask {i + 1}", _MASK_COLOR)
    for i, (zone, points) in enumerate(zones.items()):
        _draw_polygon(picture, points, zone, color_of(i))
    path = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name or config.name)}.jpg"
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done, "a picture of this size is a JPEG"
    with replacing(path) as part:
        part.write_bytes(data.tobytes())
    return Drawn(name, path, float(mask.covered(height, width).mean()), tuple(zones))


def _frame(config: DeviceConfig) -> Array:
    """One frame of a stream's source.

    Raises:
        InvalidInput: it gives no pictures, or nothing at all.
        Unavailable: it can't be opened.
    """
    with open_source(config.source, start_s=config.start_s, cut=config.cut) as source:
        if source.form.modality not in ("image", "video"):
            raise InvalidInput(f"{source.name}: gives {source.form.modality}, of which there is no picture")
        taken = next(islice(source, 1), None)
    if taken is None:
        raise InvalidInput(f"{source.name}: gave no frame")
    return taken.value if source.form.modality == "image" else taken.value[-1]


def _draw_polygon(picture: Array, points: Points, name: str, color: tuple[int, int, int]) -> None:
    height, width = picture.shape[:2]
    corners = np.rint(np.asarray(points) * (width - 1, height - 1)).astype(np.int32)
    cv2.polylines(picture, [corners], True, color, 2, cv2.LINE_AA)
    left, top = corners.min(axis=0).tolist()
    baseline = min(height - _MARGIN, top + _LINE)
    # A dark ground behind the name, whatever the picture is there.
    draw_text(picture, name, left + _MARGIN + 1, baseline + 1, _GROUND, scale=0.5)
    draw_text(picture, name, left + _MARGIN, baseline, color, scale=0.5)
