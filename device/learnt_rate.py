"""The rate that a gate was learnt at: what it promises holds of inputs that come as those did."""

import logging
import math
from collections.abc import Generator

import numpy as np

from ..errors import InvalidInput
from ..filters.gates.base import Gate
from ..filters.learnt_from import OTHER_RATE
from ..filters.serves import learnt_step_s
from ..models.inputs.form import PICTURES
from .capture import Capture
from .sources.base import Input

logger = logging.getLogger(__name__)

_MEASURED = 50


class LearntRate:
    """A source's inputs at about the rate that a gate was learnt at; all of them, if that is not known.

    Pictures alone: how often windows of sounds and signals come is a part of their form, and texts have no rate.

    Of a source that gives more than `OTHER_RATE` times as many, those that come too soon are left out, as if the source
    gave fewer: nobody decides on them, and they have no result. A recording that gives fewer is refused. A live source
    is measured on its first frames, and that it gives fewer is said.

    Args:
        capture: the source.
        gate: as `open_gate` opens it.

    Attributes:
        left_out: how many inputs were.
    """

    def __init__(self, capture: Capture, gate: Gate) -> None:
        self.capture = capture
        self.gate = gate
        self.left_out = 0
        self._step_s = learnt_step_s(gate)

    def use(self, gate: Gate) -> None:
        """Goes on with another gate, from the next input on."""
        self.gate, self._step_s = gate, learnt_step_s(gate)
        self.left_out = 0

    def __iter__(self) -> Generator[Input, None, None]:
        """Every input that is decided on.

        Raises:
            InvalidInput: the source gives fewer than the gate was learnt at; and what `Capture` raises.
        """
        last_s = decoded_s = -math.inf
        steps_s: list[float] = []
        for taken in self.capture:
            if self.capture.form not in (None, PICTURES):
                yield taken
                continue
            if last_s == -math.inf:
                self._check_recording()
            # What a packet gate has decoded is not thrown away for what it has not.
            chosen = taken.choice is not None and taken.decoded
            if 0.0 <= taken.captured_s - (decoded_s if chosen else last_s) < self._step_s / OTHER_RATE:
                self._leave_out()
                continue
            step_s = taken.captured_s - last_s
            last_s = taken.captured_s
            decoded_s = taken.captured_s if chosen else decoded_s
            if math.isfinite(step_s) and len(steps_s) < _MEASURED:
                steps_s.append(step_s)
                if len(steps_s) == _MEASURED:
                    self._check_live(float(np.median(steps_s)))
            yield taken

    def _check_recording(self) -> None:
        fps = self.capture.fps
        if fps and self._is_slow(1.0 / fps):
            raise InvalidInput(f"source {self.capture.config.source_name}: {self._slow_text(fps)}")

    def _check_live(self, step_s: float) -> None:
        if self._is_slow(step_s) and not self.capture.fps:
            logger.warning("source: %s", self._slow_text(1.0 / step_s))

    def _is_slow(self, step_s: float) -> bool:
        return self._step_s > 0.0 and step_s > OTHER_RATE * self._step_s

    def _slow_text(self, fps: float) -> str:
        return (
            f"gives {fps:.3g} frames/s, and the filter {self.gate.name} was learnt at {1.0 / self._step_s:.3g}: what "
            "it promises does not hold at such a rate; train it on a trace that was recorded at this one "
            "(`infilink record --every K` records fewer)"
        )

    def _leave_out(self) -> None:
        self.left_out += 1
        if self.left_out == 1:
            logger.warning(
                "%s was learnt at %.3g frames/s and the source gives more: those in between are left out, nothing is "
                "decided on them and they have no result (train it on a trace of every frame to have all of them)",
                self.gate.name,
                1.0 / self._step_s,
            )
