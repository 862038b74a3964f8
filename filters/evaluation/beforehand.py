"""What a filter would have lost and sent on a stream on which another one decided: estimated from what came through.

What was sent was chosen, so that its plain mean says nothing. But the audit draws inputs at random among those that the
gate at work did not keep: each of these stands for as many of them as there were for each that was drawn. What the gate
kept was seen whole, and counts as it is. Blocks of inputs are judged, not inputs, as what is lost comes in scenes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...errors import InvalidInput
from ...evidence import betting
from ...outputs import Array, OutputSpec
from ..gates.audit import LEAST_BLOCK, MOST_BLOCK
from ..gates.base import Substitute
from ..gates.learned import FilterRuntime

CONFIDENCE = 0.95
_SIDE = (1.0 + CONFIDENCE) / 2.0
_LIKELY = 0.8
_FEW, _ALWAYS_FEW = 0.02, 10
"""Where no more than that share is missing, or at first so many inputs, a filter that compares them is tried."""
_UNKNOWN_BLOCK = 1000
_COMPARES = (
    "it compares inputs with those before, and of those that were not sent nothing is kept: "
    "only the live audit can tell"
)
# As the audit has it.
_MEAN_RUNS = 4


@dataclass(frozen=True)
class Came:
    """An input that came through.

    Attributes:
        session: of which run of the stream it is.
        missing: how many before it in that run did not come, as they were not kept.
        captured_s: when it was captured.
        audited: whether the audit drew it; else the gate at work kept it.
        value: the input; None: it is not kept any more.
        exact: what models themselves said of it, by name.
    """

    session: str
    missing: int
    captured_s: float
    audited: bool
    value: Array | None
    exact: Mapping[str, Array]


@dataclass(frozen=True)
class Estimate:
    """What a filter would have done.

    Attributes:
        inputs: how many inputs of the stream it is about, those that did not come among them.
        looked_at: on how many of them the filter was tried.
        audited: how many of these the audit had drawn.
        blocks: how many blocks of inputs were judged.
        agreement: one minus the mean loss.
        interval: where that lies, with 95 % confidence.
        likely_most: what it is hardly above: with 80 % confidence.
        sent: the share of the inputs that it would have kept.
    """

    inputs: int
    looked_at: int
    audited: int
    blocks: int
    agreement: float
    interval: tuple[float, float]
    likely_most: float
    sent: float


def estimate(
    gate: FilterRuntime,
    came: Iterable[Came],
    outputs: Mapping[str, OutputSpec],
    *,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Estimate:
    """Tries a filter on what came through of a stream.

    Args:
        gate: a filter that promises an agreement.
        came: in the order of time.
        outputs: of the models that it was learnt from.
        out_of_time: asked before each input: what comes then is not looked at.

    Raises:
        InvalidInput: this tells nothing of the filter; the text says why.
    """
    runs = gate.spec.certificate.runs
    least = _MEAN_RUNS * gate.spec.certificate.inputs / runs if runs else _UNKNOWN_BLOCK
    blocks = _Blocks(round(min(MOST_BLOCK, max(LEAST_BLOCK, least))))
    tried = _Trial(gate, outputs)
    gate.reset()
    session, gone, seen = "", 0, 0
    for each in came:
        if out_of_time():
            break
        seen += 1
        gone += each.missing + (each.value is None)
        if gate.remembers and gone > max(_ALWAYS_FEW, _FEW * (seen + gone)):
            raise InvalidInput(_COMPARES)
        if each.session != session:
            tried.begin()
            session = each.session
        if not gate.remembers:
            blocks.pass_over(each.missing)
        if each.value is not None:
            keeps, loss = tried.of(each.value, each)
            blocks.add(audited=each.audited, keeps=keeps, loss=loss)
        elif not gate.remembers:
            blocks.add(audited=each.audited)
    if gate.remembers and gone > _FEW * (seen + gone):
        raise InvalidInput(_COMPARES)
    return blocks.estimate()


class _Trial:
    """A filter on one input after another, with the answers that stand in where it keeps none."""

    def __init__(self, gate: FilterRuntime, outputs: Mapping[str, OutputSpec]) -> None:
        self.gate = gate
        self.outputs = outputs
        self.substitutes = {name: gate.substitute(name, output) for name, output in outputs.items()}
        self._held: Mapping[str, Array] = {}

    def begin(self) -> None:
        """Another run of the stream begins."""
        self.gate.reset()
        self._held = {}

    def of(self, value: Array, came: Came) -> tuple[bool, float | None]:
        """Whether it keeps an input, and what is lost on it; None: nobody knows."""
        decision = self.gate.decide(value, came.captured_s)
        keeps = decision.keep
        if not self.gate.remembers:
            # That the first of a stream is kept says nothing here.
            keeps = decision.score is None or decision.score > decision.threshold
        known = came.exact.keys() >= self.outputs.keys()
        if keeps:
            self._held = came.exact
            return True, 0.0
        answers = {name: self._answer(name, each) for name, each in self.substitutes.items()}
        if not known or any(each.value is None for each in answers.values()):
            return False, None
        exact = {name: came.exact[name] for name in self.outputs}
        return False, self.gate.lost(answers, exact, self.outputs)

    def _answer(self, name: str, given: Substitute) -> Substitute:
        return given if given.value is not None else Substitute(given.origin, self._held.get(name))


@dataclass
class _Part:
    """The inputs of a block that were kept, or those that were not.

    Attributes:
        inputs: how many there are.
        kept: what the filter decides on those that it was tried on.
        lost: what is lost on those of them of which that is known.
    """

    inputs: int = 0
    kept: list[bool] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether something is known of it, if it has any input."""
        return not self.inputs or bool(self.lost)


class _Blocks:
    """Cuts what came through into blocks, each of so many inputs at least that something is known of both parts."""

    def __init__(self, least: int) -> None:
        self.least = least
        self._parts = (_Part(), _Part())
        # Of each block: how many inputs, what was lost and what was kept, as means.
        self._done: list[tuple[int, float, float]] = []
        self.looked_at = self.audited = 0

    def pass_over(self, inputs: int) -> None:
        """Counts inputs that did not come."""
        self._parts[1].inputs += inputs

    def add(self, *, audited: bool, keeps: bool | None = None, loss: float | None = None) -> None:
        """Takes an input that came; None: nothing is known of it."""
        part = self._parts[1 if audited else 0]
        part.inputs += 1
        if keeps is not None:
            part.kept.append(keeps)
        if loss is not None:
            part.lost.append(loss)
            self.looked_at += 1
            self.audited += bool(audited)
        if sum(each.inputs for each in self._parts) >= self.least and all(each.is_known for each in self._parts):
            self._close()

    def estimate(self) -> Estimate:
        """What the blocks say; what is left over of the last one says nothing.

        Raises:
            InvalidInput: there is none.
        """
        if not self._done:
            raise InvalidInput(
                f"too little of it is kept to tell (a block takes {self.least} inputs, some of them audited): only the "
                "live audit can tell"
            )
        inputs, lost, kept = map(np.asarray, zip(*self._done, strict=True))
        return Estimate(
            inputs=int(inputs.sum()),
            looked_at=self.looked_at,
            audited=self.audited,
            blocks=len(inputs),
            agreement=1.0 - float(np.average(lost, weights=inputs)),
            interval=(1.0 - betting(lost, confidence=_SIDE), betting(1.0 - lost, confidence=_SIDE)),
            likely_most=betting(1.0 - lost, confidence=_LIKELY),
            sent=float(np.average(kept, weights=inputs)),
        )

    def _close(self) -> None:
        inputs = sum(each.inputs for each in self._parts)
        lost = sum(each.inputs * float(np.mean(each.lost)) for each in self._parts if each.inputs)
        kept = sum(each.inputs * float(np.mean(each.kept)) for each in self._parts if each.inputs)
        self._done.append((inputs, lost / inputs, kept / inputs))
        self._parts = (_Part(), _Part())
