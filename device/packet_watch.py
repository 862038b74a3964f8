"""A stream's packet gate as the agent sees it: what it is told, its audit by whole groups, and its budget."""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from ..filters.gates.audit import Audit, Draw
from ..filters.gates.base import Substitute
from ..filters.packets.gate import Choice
from ..filters.packets.held import held_loss
from ..filters.packets.spec import PacketSpec
from ..outputs import Array, OutputSpec
from .capture import Capture
from .config import DeviceConfig
from .decode_budget import DecodeBudget, DecodeSeat
from .sources.base import Input
from .summary import PacketReport

logger = logging.getLogger(__name__)

_ANSWERS = 256
_AWAITED = 1024


@dataclass(frozen=True)
class _Pair:
    """An input, the one whose answer would have stood in for it, and what is asked of the two."""

    sequence: int
    held: int
    choice: Choice
    draw: Draw | None


class PacketWatch:
    """Watches one stream's packet gate; `take` and `spend` are the capture loop's, `answered` the uplink thread's.

    What is lost is found where the gate decodes: an input that it chose says whether the answer before it still was
    right (that is its feedback), and a group that was drawn to be decoded whole says so of every input in it. As groups
    are drawn with the same probability whatever is in them, the mean over these is that over all.

    Args:
        name: of the gate, for the log.
        spec: what it promises.
        explore: the share of the groups that is decoded whole.
        judge: takes a loss to the gate.
        steer: takes a threshold to the gate, and whether everything is decoded.
        seat: its place in a budget; None: its threshold stays as it was certified.
    """

    def __init__(
        self,
        name: str,
        spec: PacketSpec,
        *,
        explore: float,
        judge: Callable[[float], None],
        steer: Callable[[float, bool], None],
        seat: DecodeSeat | None = None,
    ) -> None:
        self.name = name
        self.spec = spec
        self.seat = seat
        self._judge, self._steer = judge, steer
        self._rule = spec.parsed_rule
        self._audit = Audit(1.0 - spec.accuracy, share=1.0) if explore else None
        self._outputs: dict[str, OutputSpec] = {}
        self._lock = threading.Lock()
        self._answers: dict[int, dict[str, Array]] = {}
        self._pairs: dict[int, _Pair] = {}
        self._last: int | None = None
        self._undecoded = 0
        self._packets = 0
        self._times = (0.0, 0.0)
        self._threshold = spec.threshold
        self._broken = False

    @property
    def trusted(self) -> bool:
        """Whether what it loses is proven to be as little as promised: at the threshold that was certified."""
        return self.spec.certificate.certified and self.seat is None and not self._broken

    def confidences(self) -> dict[str, float]:
        """Per model that it was learnt from, how far a held answer was right in calibration."""
        return dict.fromkeys(self.spec.models, self.spec.agreement)

    def tell(self) -> None:
        """Says what nothing proves."""
        found = self.spec.certificate
        if not found.certified:
            logger.warning(
                "packet gate %s is NOT certified to lose at most %.3f: its answers are marked as uncalibrated",
                self.name,
                1.0 - self.spec.accuracy,
            )
        elif self.seat is not None:
            logger.warning(
                "packet gate %s: with a budget its threshold moves, and what is certified holds of %.3g alone",
                self.name,
                self.spec.threshold,
            )

    def serve(self, outputs: Mapping[str, OutputSpec]) -> None:
        """Takes note of the coordinator's models."""
        self._outputs = {name: output for name, output in outputs.items() if name in self.spec.models}

    def spend(self, decode_s: float, whole_decode_s: float, taken: Input) -> None:
        """Takes note of an input and of what decoding has taken so far."""
        self._undecoded += not taken.decoded
        self._packets += 1
        self._times = (decode_s, whole_decode_s)
        if self.seat is None:
            return
        threshold = self.seat.spend(decode_s, whole_decode_s, self._packets)
        if threshold != self._threshold:
            self._threshold = threshold
            self._steer(threshold, self._broken)

    def take(
        self, sequence: int, choice: Choice, substitutes: Mapping[str, Substitute], reference: int | None, *, kept: bool
    ) -> None:
        """Takes note of what became of an input that was decoded.

        Args:
            sequence: the input's.
            choice: why it was decoded.
            substitutes: the models that did not run on it, each with what stands in.
            reference: the kept input that these refer to.
            kept: whether it is sent, so that an answer will come.
        """
        with self._lock:
            draw = None
            if choice.share and self._audit is not None:
                draw = self._audit.take(unsent=not choice.chosen)
            if self._last is not None and (choice.chosen or draw is not None):
                self._pairs[sequence] = _Pair(sequence, self._last, choice, draw)
                if len(self._pairs) > _AWAITED:
                    self._miss(next(iter(self._pairs)))
            elif draw is not None:
                self._settle(draw, None)
            if choice.chosen:
                self._last = sequence
            if not kept:
                known = {} if reference is None else self._answers.get(reference, {})
                values = {
                    model: known.get(model) if each.value is None else each.value for model, each in substitutes.items()
                }
                self._know(sequence, {model: value for model, value in values.items() if value is not None})

    def answered(self, sequence: int, values: Mapping[str, Array]) -> None:
        """Takes an input's answers, the models' own or what stands in for them."""
        with self._lock:
            self._know(sequence, dict(values))

    def unanswered(self, sequence: int) -> None:
        """Takes note that an input will have no answer."""
        with self._lock:
            for each in [pair for pair in self._pairs.values() if sequence in (pair.sequence, pair.held)]:
                self._miss(each.sequence)

    def report(self) -> PacketReport:
        """What it has saved and lost so far."""
        with self._lock:
            audit = self._audit.report() if self._audit is not None else None
            return PacketReport(self._undecoded, *self._times, threshold=self._threshold, audit=audit)

    def _know(self, sequence: int, values: dict[str, Array]) -> None:
        """Takes an input's answers, and judges what waited for them."""
        self._answers[sequence] = values
        while len(self._answers) > _ANSWERS:
            del self._answers[next(iter(self._answers))]
        ready = [
            pair
            for pair in self._pairs.values()
            if sequence in (pair.sequence, pair.held) and {pair.sequence, pair.held} <= self._answers.keys()
        ]
        for pair in ready:
            del self._pairs[pair.sequence]
            loss = held_loss(self._rule, self._answers[pair.held], self._answers[pair.sequence], self._outputs)
            if loss is not None and pair.choice.chosen:
                self._judge(loss)
            if pair.draw is not None:
                self._settle(pair.draw, 0.0 if pair.choice.chosen else loss)

    def _miss(self, sequence: int) -> None:
        pair = self._pairs.pop(sequence)
        if pair.draw is not None:
            self._settle(pair.draw, None)

    def _settle(self, draw: Draw, loss: float | None) -> None:
        assert self._audit is not None, "what is drawn is drawn by the audit"
        if not self._audit.settle(draw, loss):
            return
        self._broken = self._audit.broken
        self._steer(self._threshold, self._broken)
        if self._broken:
            logger.warning(
                "packet gate %s loses more than the %.3f it promised: everything is decoded until it does not (train "
                "it again)",
                self.name,
                self._audit.target,
            )
        else:
            logger.warning("packet gate %s keeps its promise again", self.name)


def open_watched(
    config: DeviceConfig, stopped: threading.Event, *, stays: bool, budget: DecodeBudget, stack: ExitStack
) -> tuple[Capture, PacketWatch | None]:
    """A stream's source, with what watches the packet gate before its decoder if there is one.

    Args:
        config: the stream's settings.
        stopped: ends the capture.
        stays: as in `Capture`.
        budget: shares the time for decoding among the device's streams.
        stack: closes both.

    Raises:
        InvalidInput: the file is no packet gate.
    """
    settings = config.packets
    spec, gating = (None, None) if settings is None else settings.open()
    capture = Capture(config, stopped, stays=stays, gating=gating)
    stack.callback(capture.close)
    if settings is None or spec is None:
        return capture, None
    seat = None
    if settings.budget != "auto":
        seat = budget.join(settings.budget, spec.threshold)
        stack.callback(seat.close)
    watch = PacketWatch(
        str(settings.gate),
        spec,
        explore=settings.explore,
        judge=capture.judge,
        steer=capture.steer,
        seat=seat,
    )
    watch.tell()
    return capture, watch
