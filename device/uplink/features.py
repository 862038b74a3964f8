"""What travels instead of a frame: what a stem makes of it, in the form that the coordinator takes."""

import logging

import numpy as np

from ... import __version__
from ...errors import InvalidInput
from ...filters.gates.base import Gate
from ...filters.gates.learned import FilterRuntime
from ...filters.local.gate import LocalGate
from ...models.inputs.form import PICTURES, InputForm
from ...models.stem.stem import Stem
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.features import FeatureRange
from ..config import DeviceConfig

logger = logging.getLogger(__name__)


class FeatureEncoder:
    """Writes the features of one stem as the coordinator takes them; where it takes none, frames travel.

    Args:
        digest: of the stem's file.
        length: how many features it gives.
        stem: the stem; None: the gate has it.
        from_gate: whether the gate's features are those of this stem.

    Attributes:
        range: how they are written; None: the coordinator takes none.
    """

    def __init__(self, digest: str, length: int, stem: Stem | None, *, from_gate: bool) -> None:
        self.digest = digest
        self.length = length
        self.stem = stem
        self.from_gate = from_gate
        self.range: FeatureRange | None = None
        self._told = False

    def agree(self, welcome: edge_pb2.Welcome) -> None:
        """Takes note of how the coordinator takes features.

        Raises:
            InvalidInput: its features are not those of this stem.
        """
        if welcome.HasField("features"):
            self.range = FeatureRange.from_message(welcome.features, self.length)
            return
        self.range = None
        if not self._told:
            logger.warning(
                "the coordinator (infilink %s) takes no features, so frames travel: it needs infilink %s or newer, "
                '`answers = "links"`, and links that read this stem',
                welcome.version,
                __version__,
            )
        self._told = True

    def encode(self, image: Array, features: Array | None) -> edge_pb2.Features | None:
        """The message; None: the frame is to travel, also where its features are no numbers.

        Args:
            image: the frame (uint8 BGR).
            features: what the gate's stem made of it; None: nothing.
        """
        if self.range is None:
            return None
        if features is None or not self.from_gate:
            if self.stem is None:
                return None
            features = self.stem.see(image).features
        return self.range.write(features) if np.isfinite(features).all() else None


def open_features(config: DeviceConfig, gate: Gate, form: InputForm = PICTURES) -> FeatureEncoder | None:
    """The features that a device is to send; None: it sends none.

    Raises:
        InvalidInput: it is to send some, and has no stem or no pictures; or the stem's file is none.
    """
    if config.send not in ("features", "ask"):
        return None
    if form != PICTURES:
        raise InvalidInput(f'`send = "{config.send}"`: a stem makes features of pictures, not of {form.modality}')
    inside = gate.spec.stem if isinstance(gate, FilterRuntime | LocalGate) else None
    if config.stem is not None:
        stem = Stem(config.stem)
        same = inside is not None and inside.digest == stem.digest
        return FeatureEncoder(stem.digest, stem.spec.length, stem, from_gate=same)
    if inside is None:
        raise InvalidInput(
            f'`send = "{config.send}"` needs `stem`, as the coordinator has it in `links`: {gate.name} has none inside'
        )
    return FeatureEncoder(inside.digest, inside.spec.length, None, from_gate=True)
