"""Runs the two graphs of a sequence's link in onnxruntime: the encoder once, the decoder's step for each token."""

from collections.abc import Mapping

import numpy as np
import onnxruntime as ort

from ...outputs import Array
from .search import Decoding, search

ENCODED = "encoded_"
"""What the encoder's outputs begin with; the rest is the name of the step's input."""
STATE_INPUT = "state"
NEXT_STATE = "next_state"


class SequenceRunner:
    """Reads sequences out of a session.

    Args:
        session: of a file that `save_sequence` wrote.
        decoding: how sequences are read.
    """

    def __init__(self, session: ort.InferenceSession, decoding: Decoding) -> None:
        self.decoding = decoding
        self._session = session
        self._encoded = [each.name for each in session.get_outputs() if each.name.startswith(ENCODED)]
        # All inputs must be fed; those of the graph that is not run are a row of nothing.
        self._idle: dict[str, Array] = {
            each.name: np.zeros([1 if isinstance(size, str) else size for size in each.shape], _dtype(each.type))
            for each in session.get_inputs()
        }
        self._options = ort.RunOptions()
        self._options.only_execute_path_to_fetches = True

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Rows of ids: int64 (n, longest); and the probabilities of agreement: float32 (n,).

        Args:
            features: float32 (n, the link's `layout.size`).
        """
        values = self._session.run(self._encoded, {**self._idle, "features": features}, self._options)
        fixed = {name.removeprefix(ENCODED): value for name, value in zip(self._encoded, values, strict=True)}
        state = fixed.pop(STATE_INPUT)
        ids, probability = search(self._step, fixed, state, self.decoding)
        return ids, self.decoding.confidence(probability)

    def _step(self, fixed: Mapping[str, Array], state: Array, tokens: Array, position: int) -> tuple[Array, Array]:
        feed = {**self._idle, **fixed, STATE_INPUT: state, "tokens": tokens, "position": np.asarray([position])}
        logits, after = self._session.run(["logits", NEXT_STATE], feed, self._options)
        return logits, after


def _dtype(onnx_type: str) -> type:
    return np.int64 if onnx_type == "tensor(int64)" else np.float32
