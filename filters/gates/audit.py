"""The live audit of a filter: what it loses now, how sure that is, and when to stop trusting it. NumPy only.

Errors come together, in scenes, so that neighbouring inputs say the same thing twice. What the audit counts are
therefore *blocks* of inputs, each longer than the longest run of losses that was seen. Within a block it draws one
input of every stretch of `1 / share`: if the filter would not have kept it, it is sent all the same, and if it did,
nothing is lost on it. As every input of a stretch is drawn with the same probability, the mean over a block's draws has
the block's mean loss as its expectation: that is one sample of a sequential test (`evidence.SequentialTest`), whose
alarm is false with a probability of at most 5 % in 50,000 inputs, however near the promise the filter is. While the
alarm is on, everything is sent: a block is known in full then, and still is one sample.
"""

import random
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from ...evidence import CONFIDENCE, SequentialTest, betting
from .event_watch import EventReport
from .parts import PartReport, PartWatch
from .rate import RateWatch

_RISK = 1.0 - CONFIDENCE
_DAY_INPUTS = 50_000
# To end an alarm wrongly costs little: it comes again.
_CLEAR_RISK = 0.2
# Mean losses to look out for, as shares of the way from what is promised to 1 (or, under the alarm, to 0).
_WORSE = (0.06, 0.15, 0.35, 0.75)
_BETTER = (0.5, 0.95)
LEAST_BLOCK = 200
"""No block has fewer inputs."""
MOST_BLOCK = 10_000
"""A block that grows with what is seen stops here: a break must be found some day."""
_UNKNOWN_BLOCK = 1000
# A block has so many of the runs that calibration counted, or of the longest that was seen here.
_MEAN_RUNS = 4
_LONGEST_RUNS = 2
_RAISED = 4
_RAISED_MOST = 0.2
# So many blocks wait at most for answers that are late.
_WAITING = 8
_NEWEST = 2000


@dataclass(frozen=True)
class AuditReport:
    """How well a filter does.

    Attributes:
        audited: how many inputs that it would not have kept the models ran on all the same.
        blocks: how many blocks of inputs were judged: what all of this rests on.
        block_inputs: how many inputs a block has now.
        error: the mean loss over all inputs, with kept ones counted as no loss; None before the first draw.
        upper_bound: of that error, valid at all times, with 95 % confidence; over the newest blocks.
        target: the error that was promised; None: none was.
        broken: whether the alarm is on.
        alarms: how often it went on.
        share: of the inputs, how many it would not have kept.
        rate_far: whether that share lies "above" or "below" what calibration says; empty: neither is shown.
        parts: what is shown of the parts of the inputs that something is promised of.
        events: what is shown of events; None: nothing is promised of them.
    """

    audited: int
    blocks: int
    block_inputs: int
    error: float | None
    upper_bound: float
    target: float | None
    broken: bool
    alarms: int
    share: float
    rate_far: str = ""
    parts: tuple[PartReport, ...] = ()
    events: EventReport | None = None


@dataclass
class Draw:
    """An input that was drawn.

    Attributes:
        block: the block that it is of.
        inputs: how many inputs it stands for: it was drawn with a probability of one over that.
        unsent: whether the filter would not have kept it.
        loss: of the filter on it, from 0 to 1; None: not known.
        parts: the parts of the inputs that it is of, by name.
    """

    block: "Block"
    inputs: int
    unsent: bool
    loss: float | None = None
    parts: Collection[str] = ()


@dataclass
class Block:
    """Inputs that come one after another.

    Attributes:
        inputs: how many there are.
        unsent: how many of them the filter would not have kept.
        draws: those that were drawn.
        waiting: how many of these wait for their answer.
        judged: whether it was: what comes later comes too late.
    """

    inputs: int = 0
    unsent: int = 0
    draws: list[Draw] = field(default_factory=list)
    waiting: int = 0
    judged: bool = False


class Audit:
    """Watches one filter on one stream.

    Args:
        target: the mean loss over all inputs that was promised: one minus the filter's accuracy; None: none was.
        share: the share of the inputs that is drawn while the promise is kept; above 0, at most 1.
        run_inputs: how many inputs calibration's runs have on average; None: not known.
        rate: what calibration says of the share that is not kept, at least and at most; None: nothing.
        parts: per part of the inputs that something is promised of, the least accuracy there.
        seed: of the random draws.
    """

    def __init__(
        self,
        target: float | None,
        *,
        share: float,
        run_inputs: float | None = None,
        rate: tuple[float, float] | None = None,
        parts: dict[str, float] | None = None,
        seed: int = 0,
    ) -> None:
        self.target = target
        self.broken = False
        self._share = share
        self._random = random.Random(seed)
        least = _UNKNOWN_BLOCK if run_inputs is None else _MEAN_RUNS * run_inputs
        self._block_inputs = round(min(MOST_BLOCK, max(LEAST_BLOCK, least)))
        self._rate = RateWatch(*rate) if rate is not None else None
        self._parts = [PartWatch(name, least) for name, least in (parts or {}).items()]
        self._worse = self._better = None
        if target is not None:
            worse = [target + (1.0 - target) * way for way in _WORSE]
            self._worse = SequentialTest(target, worse, horizon=_DAY_INPUTS / self._block_inputs)
            self._better = SequentialTest(target, [target * (1.0 - way) for way in _BETTER])
        self._seen = self._unsent = self._audited = self._alarms = self._blocks = 0
        self._longest_run = 0
        # The inputs that draws stand for: all, those not kept, and of these the ones whose loss is known.
        self._drawn = self._drawn_unsent = self._judged = 0
        self._lost = 0.0
        self._values: deque[float] = deque(maxlen=_NEWEST)
        self._begin()

    def take(self, *, unsent: bool) -> Draw | None:
        """Counts an input that the filter decided on; returns it if it was drawn.

        Args:
            unsent: whether the filter would not have kept it.
        """
        if not self._left:
            self._next_stretch()
        block = self._block
        self._seen += 1
        self._unsent += unsent
        block.inputs += 1
        block.unsent += unsent
        draw = None
        if self._left == self._drawn_at:
            draw = Draw(block, self._stretch, unsent)
            block.draws.append(draw)
            block.waiting += 1
        self._left -= 1
        return draw

    def settle(self, draw: Draw, loss: float | None, *, parts: Collection[str] = ()) -> bool:
        """Takes what was lost on an input that was drawn; whether the alarm changes with it.

        Args:
            draw: the input.
            loss: from 0 to 1; None: nobody will ever know.
            parts: the parts of the inputs that it is of.
        """
        block = draw.block
        if block.judged or draw.loss is not None:
            return False
        block.waiting -= 1
        draw.loss, draw.parts = loss, parts
        self._drawn += draw.inputs
        if draw.unsent:
            self._drawn_unsent += draw.inputs
            if loss is not None:
                self._audited += 1
                self._judged += draw.inputs
                self._lost += draw.inputs * loss
        return self._judge_complete()

    def begin_anew(self) -> None:
        """Forgets what the tests and the bound rest on; counts go on, and an alarm ends."""
        self.broken = False
        self._values.clear()
        self._blocks = 0
        self._drawn = self._drawn_unsent = self._judged = 0
        self._lost = 0.0
        if self._rate is not None:
            self._rate.begin_anew()
        for block in (*self._complete, self._block):
            block.judged = True
        self._begin()

    @property
    def blocks(self) -> int:
        """How many blocks of inputs were judged."""
        return self._blocks

    @property
    def rate_far(self) -> str:
        """Whether the share that is not kept lies "above" or "below" what calibration says; empty: neither is shown."""
        return self._rate.far if self._rate is not None else ""

    @property
    def broken_parts(self) -> list[str]:
        """The parts of the inputs of which it is shown that the promise is not kept there."""
        return [part.name for part in self._parts if part.broken]

    def report(self) -> AuditReport:
        """How well the filter does, since it began: what it would lose if nothing were sent for the alarm."""
        values = np.asarray(self._values)
        return AuditReport(
            audited=self._audited,
            blocks=self._blocks,
            block_inputs=self._block_inputs,
            error=_mean_loss(self._drawn, self._drawn_unsent, self._judged, self._lost),
            upper_bound=betting(values) if len(values) else 1.0,
            target=self.target,
            broken=self.broken,
            alarms=self._alarms,
            share=self._unsent / max(1, self._seen),
            rate_far=self.rate_far,
            parts=tuple(part.report() for part in self._parts),
        )

    def _begin(self) -> None:
        """Begins the tests anew, as nothing before says anything of what is from now on."""
        for test in (self._worse, self._better):
            if test is not None:
                test.reset()
        self._block = Block()
        self._complete: deque[Block] = deque()
        self._left = self._run = 0

    def _next_stretch(self) -> None:
        """Begins the next stretch, and with it the next block if this one is long enough."""
        if self._block.inputs >= self._block_inputs:
            self._complete.append(self._block)
            self._block = Block()
        share = 1.0 if self.broken else self._share
        if self.rate_far:
            share = max(share, min(_RAISED * share, _RAISED_MOST))
        self._stretch = self._left = int(np.ceil(1.0 / share - 1e-9))
        self._drawn_at = self._random.randint(1, self._stretch)

    def _judge_complete(self) -> bool:
        """Judges the blocks whose answers are there, in their order; whether the alarm changes."""
        while self._complete and (not self._complete[0].waiting or len(self._complete) > _WAITING):
            if self._judge(self._complete.popleft()):
                self.broken = not self.broken
                self._alarms += self.broken
                self._begin()
                return True
        return False

    def _judge(self, block: Block) -> bool:
        """Takes a block as one sample; whether that is enough to change the alarm."""
        block.judged = True
        if self._rate is not None:
            self._rate.add(block.unsent / block.inputs)
        known = [draw for draw in block.draws if draw.loss is not None]
        value = _mean_loss_of(block.draws)
        if not known or value is None:
            return False
        self._blocks += 1
        if not self.broken:
            self._follow_runs(known)
        for part in self._parts:
            part.add(known)
        self._values.append(value)
        if self._worse is None or self._better is None:
            return False
        if not self.broken:
            return self._worse.update(value) >= 1.0 / _RISK
        if self._better.evidence < 0.5:
            # A long bad time must not make the good one after it take longer to be seen.
            self._better.reset()
        return self._better.update(value) >= 1.0 / _CLEAR_RISK

    def _follow_runs(self, known: list[Draw]) -> None:
        """Blocks grow with the longest run of losses that has ended: one that never ends is no scene but a break."""
        for draw in known:
            if (draw.loss or 0.0) > (self.target or 0.0):
                self._run += draw.inputs
                continue
            self._longest_run, self._run = max(self._longest_run, self._run), 0
        needed = min(MOST_BLOCK, _LONGEST_RUNS * self._longest_run)
        self._block_inputs = max(self._block_inputs, needed)


def _mean_loss_of(draws: list[Draw]) -> float | None:
    """The mean loss of the inputs that draws stand for; None: not known."""
    unsent = [draw for draw in draws if draw.unsent]
    known = [(draw.inputs, draw.loss) for draw in unsent if draw.loss is not None]
    return _mean_loss(
        sum(draw.inputs for draw in draws),
        sum(draw.inputs for draw in unsent),
        sum(inputs for inputs, _ in known),
        sum(inputs * loss for inputs, loss in known),
    )


def _mean_loss(drawn: int, unsent: int, judged: int, lost: float) -> float | None:
    """The mean loss where what was kept loses nothing; None: not known.

    What no model had time to look at counts as the others that were not kept, or a busy coordinator would make the
    filter look better than it is.
    """
    if not drawn or (unsent and not judged):
        return None
    return unsent / drawn * (lost / judged) if unsent else 0.0
