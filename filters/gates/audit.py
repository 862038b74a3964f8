"""The live audit of a filter: what it loses now, how sure that is, and when to stop trusting it. NumPy only.

The models run on a share of the inputs that the filter would not keep, all the same. The bound on the loss holds at all
times at once, however often it is read. The alarm is a sequential test too, with at most one false alarm in 1,000
audits on average. While it is on, everything is kept: then each input that the filter would have dropped is an audit,
until the filter is shown to be good again.
"""

from dataclasses import dataclass

import numpy as np

from ...evidence import CONFIDENCE, betting

_BETS = np.geomspace(0.02, 0.9, 8)
_ALARM = 1000.0
_CLEAR = 100.0
_WINDOW = 2000


@dataclass(frozen=True)
class AuditReport:
    """How well a filter does.

    Attributes:
        audited: how many inputs that it would not have kept the models ran on all the same.
        error: the mean loss over all inputs, with kept ones counted as no loss; None before the first audit.
        upper_bound: of that error, valid at all times, with 95 % confidence; over the newest audits.
        target: the error that was promised.
        broken: whether the alarm is on.
        alarms: how often it went on.
    """

    audited: int
    error: float | None
    upper_bound: float
    target: float
    broken: bool
    alarms: int


class Audit:
    """Watches one filter on one stream.

    Args:
        target: the mean loss over all inputs that was promised: one minus the filter's accuracy.
    """

    def __init__(self, target: float) -> None:
        self.target = target
        self.broken = False
        self._seen = 0
        self._unsent = 0
        self._losses: list[float] = []
        self._audited = 0
        self._alarms = 0
        self._evidence = np.zeros(len(_BETS))

    def saw(self, *, unsent: bool) -> None:
        """Counts an input that the filter decided on; `unsent` if it would not have kept it."""
        self._seen += 1
        self._unsent += unsent

    def add(self, loss: float) -> bool:
        """Adds the loss, from 0 to 1, on an input that the filter would not have kept; true if the alarm changes."""
        self._audited += 1
        self._losses.append(loss)
        if len(self._losses) > _WINDOW:
            del self._losses[: _WINDOW // 2]
        # The mean loss on an input that is not kept at which the mean over all inputs is as promised.
        allowed = float(np.clip(self.target * self._seen / max(1, self._unsent), 1e-3, 1.0 - 1e-3))
        # Bets that losses are larger than allowed, or while the alarm is on that they are smaller. Evidence starts
        # anew whenever it runs out, so that a change after a long good time is found as fast as one at the start.
        gain = (allowed - loss) / (1.0 - allowed) if self.broken else (loss - allowed) / allowed
        self._evidence = np.maximum(self._evidence, 1.0) * (1.0 + _BETS * gain)
        if float(self._evidence.mean()) < (_CLEAR if self.broken else _ALARM):
            return False
        self.broken = not self.broken
        self._alarms += self.broken
        self._evidence[:] = 0.0
        self._losses.clear()
        return True

    def report(self) -> AuditReport:
        """How well the filter does, since the alarm last changed."""
        share = self._unsent / max(1, self._seen)
        losses = np.asarray(self._losses)
        return AuditReport(
            audited=self._audited,
            error=float(losses.mean()) * share if len(losses) else None,
            upper_bound=share * (betting(losses, confidence=CONFIDENCE) if len(losses) else 1.0),
            target=self.target,
            broken=self.broken,
            alarms=self._alarms,
        )
