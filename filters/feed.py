"""From an input to what a filter's graph says of it: prepared as its modality says, or as a stream's channels."""

from typing import Any

import numpy as np
import onnxruntime as ort

from ..outputs import Array
from .channels import Channels
from .low_level import LOW_LEVEL
from .modalities import Modality
from .modalities.video import Video, Window


class Feed:
    """Feeds one stream to a graph, with the same few buffers for each input.

    Args:
        session: of the graph.
        modality: how an input is prepared; None: it is a frame of a stream, seen through `Channels`.
        pairwise: whether frames are compared with the last kept one.
        step_s: the least time to the previous frame, in seconds of capture.

    Attributes:
        channels: None for inputs that a modality prepares.
    """

    def __init__(
        self, session: ort.InferenceSession, modality: Modality | None, *, pairwise: bool, step_s: float
    ) -> None:
        self.channels: Channels | None = None
        self._session = session
        self._modality = modality
        self._window = Window(modality) if isinstance(modality, Video) else None
        self._inputs: dict[str, Array] = {}
        if modality is None:
            wanted = [each.name for each in session.get_inputs()]
            low_level = [name for name in wanted if name in LOW_LEVEL]
            self.channels = Channels(pairwise=pairwise, step_s=step_s, low_level=low_level)
            seen = {"channels": self.channels.tensor, "scalars": self.channels.scalars, **self.channels.differences}
            self._inputs = {name: seen[name] for name in wanted}

    def run(self, value: Array, captured_s: float) -> list[Any]:
        """The graph's outputs for the next input, captured at `captured_s` seconds."""
        if self.channels is not None:
            self.channels.see(value, captured_s)
            return list(self._session.run(None, self._inputs))
        return list(self._session.run(None, {"input": self._prepared(value)[None]}))

    def use(self, session: ort.InferenceSession) -> None:
        """Goes over to another graph of the same inputs; the stream goes on."""
        self._session = session

    def reset(self) -> None:
        """Starts a new stream."""
        if self.channels is not None:
            self.channels.reset()
        if self._window is not None:
            self._window.reset()

    def _prepared(self, value: Array) -> Array:
        assert self._modality is not None
        # A whole window is prepared as such, single frames make one.
        if self._window is not None and value.ndim == 3:
            return self._window.see(value)
        return np.asarray(self._modality.prepare(value))
