"""Inputs that stand alone (a text, a sound, a picture, a feature map), as training and judging see them."""

from collections.abc import Sequence

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array
from ..trace import Trace
from .modalities import Modality
from .modalities.video import Video


class Singles:
    """The prepared inputs of a trace; has what a sweep needs of a `Replay`.

    Attributes:
        captured_s: when each input was captured.
        pairwise: never: no input refers to another.
        step_s: 0: time means nothing here.
        inputs: what a network is fed, one row per input; of a stream that is seen in windows, one row per frame.
    """

    pairwise = False
    step_s = 0.0

    def __init__(self, trace: Trace, modality: Modality) -> None:
        self.captured_s = trace.captured_s
        # The frames of a stream are kept once and put together to windows as they are asked for.
        self._frames = modality.frames if isinstance(modality, Video) and trace.info.input == "image" else 0
        prepare = modality.prepare_frame if isinstance(modality, Video) and self._frames else modality.prepare
        self.inputs: Array | None = None
        for index, value in enumerate(trace.inputs()):
            try:
                prepared = prepare(value)
            except InvalidInput as error:
                raise InvalidInput(f"{trace.path}: input {int(trace.sequences[index])}: {error}") from error
            if self.inputs is None:
                self.inputs = np.empty((len(trace), *prepared.shape), prepared.dtype)
            self.inputs[index] = prepared

    def __len__(self) -> int:
        """How many inputs it holds."""
        return len(self.captured_s)

    def rows(self, index: Sequence[int] | Array) -> Array:
        """The prepared inputs of those indices."""
        assert self.inputs is not None, "a trace holds at least one input"
        newest = np.asarray(index)
        if not self._frames:
            return np.asarray(self.inputs[newest])
        return np.asarray(self.inputs[np.maximum(newest[:, None] + np.arange(1 - self._frames, 1), 0)])
