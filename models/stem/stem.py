"""A stem at work: one picture in, its features out, in about a millisecond. Needs onnxruntime and OpenCV only."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydantic import ValidationError

from ...errors import InvalidInput
from ...files import check_format, json_format
from ...outputs import Array
from ...settings import validation_text
from ..inputs.pixels import check_frame
from ..session import open_session
from ..spec import digest
from .spec import FORMAT, METADATA_KEY, StemSpec

PICTURE = "picture"
"""The graph's input: uint8 (n, height, width, 3), BGR."""
FEATURES = "features"
"""The graph's first output: float32 (n, length)."""
PLACES = "places"
"""The graph's second output: float32 (n, channels, rows, columns)."""


@dataclass(frozen=True)
class Seen:
    """What a stem makes of one picture, or of n (then with n before all else).

    Attributes:
        features: float32 (length,): what the picture holds, pooled over its places.
        places: float32 (channels, rows, columns): what is where.
    """

    features: Array
    places: Array

    def __getitem__(self, index: int | slice | Array) -> "Seen":
        """One of several, or some of them."""
        return Seen(self.features[index], self.places[index])

    def __len__(self) -> int:
        """How many pictures, of several."""
        return len(self.features)


class Stem:
    """A stem (`infilink train stem`).

    Args:
        path: its `.onnx` file.

    Attributes:
        spec: what it says of itself.
        digest: of its file: features of another stem are no features of this one.

    Raises:
        InvalidInput: the file is no stem or a damaged one, or a newer version wrote it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._session = open_session(self.path)
        found = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if found is None:
            raise InvalidInput(f"{self.path}: is an ONNX model but no stem (make one: `infilink train stem`)")
        check_format(json_format(found), (FORMAT,), path=self.path, what="a stem")
        try:
            self.spec = StemSpec.model_validate_json(found)
        except ValidationError as error:
            raise InvalidInput(
                f"{self.path}: its stem spec is not readable: {validation_text(error, StemSpec)}"
            ) from error
        taken = {each.name: each.shape[1:] for each in self._session.get_inputs()}
        given = {each.name for each in self._session.get_outputs()}
        width, height = self.spec.size
        if taken.get(PICTURE) != [height, width, 3] or not {FEATURES, PLACES} <= given or not self._works():
            raise InvalidInput(f"{self.path}: is damaged (its graph is not what it says of itself); make it again")
        self.digest = digest(self.path)

    def _works(self) -> bool:
        """Whether a grey picture gives what it says, in finite numbers."""
        width, height = self.spec.size
        try:
            seen = self.see_picture(np.full((height, width, 3), 114, np.uint8))
        except Exception:  # onnxruntime raises many types of its own
            return False
        fits = seen.features.shape == (self.spec.length,) and seen.places.shape == self.spec.places
        return fits and bool(np.isfinite(seen.features).all() and np.isfinite(seen.places).all())

    def picture(self, frame: Array) -> Array:
        """The frame (uint8 BGR) at the stem's size."""
        check_frame(frame)
        return shrink(frame, self.spec.size)

    def see(self, frame: Array) -> Seen:
        """What it makes of a frame (uint8 BGR, of any size).

        Raises:
            InvalidInput: it is no such frame.
        """
        return self.see_picture(self.picture(frame))

    def see_picture(self, picture: Array) -> Seen:
        """What it makes of a picture of its own size."""
        features, places = self._session.run((FEATURES, PLACES), {PICTURE: picture[None]})
        return Seen(features[0], places[0])

    def see_all(self, frames: Iterable[Array]) -> Seen:
        """The same of many frames; the places as float16, as there are many."""
        seen = [self.see(frame) for frame in frames]
        return Seen(
            np.stack([each.features for each in seen]), np.stack([each.places.astype(np.float16) for each in seen])
        )


def shrink(frame: Array, size: tuple[int, int]) -> Array:
    """The picture at `size` (width, height): halved by means while it is twice as large, the rest bilinear.

    That is several times cheaper than means over an odd number of pixels.
    """
    width, height = size
    image = frame
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR))
