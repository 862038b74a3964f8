"""What a packet gate sees of a stream: the sizes and types of its packets, each against what is usual there."""

import math
from collections import deque

NAMES = (
    "one",
    "age",
    "bits",
    "excess",
    "newest",
    "recent",
    "greatest",
    "key",
    "key change",
    "feedback",
    "feedback by age",
    "feedback by bits",
    "excess by age",
)
"""What `PacketFeatures.vector` gives, in its order."""

_USUAL_S = 60.0
"""What is usual moves with the scene, over so long."""
_RECENT = 5
"""Of so many sizes and judgements a mean is taken: PacketGame's window."""
_MOST = 6.0
_STEP_S = 1.0
"""A longer step between two packets is a hole, over which nothing is known."""
_BACK_S = 2.0
"""Times that go back by more have begun anew."""
# Before anything was judged: neither always nor never needed. It is PacketGame's bonus for what was seldom chosen, at
# the weight of one judgement; as published, it is larger than any mean.
_PRIOR, _PRIOR_WEIGHT = 0.2, 1.0


class PacketFeatures:
    """The features of a stream's newest packet against the last one that was decoded (PacketGame, section 5).

    Sizes count as logarithms against what is usual for this stream and type, so that they carry over to other bit
    rates. Plain Python: for a dozen numbers a packet that is faster than NumPy.
    """

    def __init__(self) -> None:
        self._usual = {True: _Usual(), False: _Usual()}
        self._recent: deque[float] = deque([0.0] * _RECENT, maxlen=_RECENT)
        self._judged: deque[float] = deque(maxlen=_RECENT)
        self._time_s: float | None = None
        self._decoded_s = 0.0
        self._bits = self._excess = self._greatest = 0.0
        self._newest = self._key = self._key_change = 0.0
        self._newest_key: float | None = None
        self._decoded_key: float | None = None

    @property
    def age_s(self) -> float:
        """How long before the newest packet the last decoded one is shown."""
        return max(0.0, (self._time_s or 0.0) - self._decoded_s)

    @property
    def feedback(self) -> float:
        """The mean of what holding lost, over the last judgements: PacketGame's temporal estimator."""
        return (sum(self._judged) + _PRIOR * _PRIOR_WEIGHT) / (len(self._judged) + _PRIOR_WEIGHT)

    def push(self, size_bytes: int, *, key: bool, time_s: float) -> None:
        """Takes the next packet, shown at `time_s`; times may go back by some pictures."""
        if self._time_s is None or time_s < self._time_s - _BACK_S:
            self._time_s = self._decoded_s = time_s
        step_s = min(_STEP_S, max(0.0, time_s - self._time_s))
        self._time_s = max(self._time_s, time_s)
        level = math.log(max(1, size_bytes))
        ratio = max(-_MOST, min(_MOST, self._usual[key].take(level, time_s)))
        if key:
            self._key, self._newest_key = ratio, level
            self._key_change = 0.0 if self._decoded_key is None else abs(level - self._decoded_key)
            return
        times = math.exp(ratio)
        self._newest = ratio
        self._recent.append(ratio)
        self._bits += times * step_s
        self._excess += max(0.0, times - 1.0) * step_s
        self._greatest = max(self._greatest, ratio)

    def decoded(self) -> None:
        """The newest packet was decoded: those that come are compared with it."""
        self._decoded_s = self._time_s or 0.0
        self._bits = self._excess = self._greatest = self._key_change = 0.0
        self._decoded_key = self._newest_key

    def judged(self, loss: float) -> None:
        """What was lost, from 0 to 1, had the answer before a decoded picture been held for it."""
        self._judged.append(loss)

    def vector(self) -> tuple[float, ...]:
        """The numbers that `NAMES` names, each within some units of 0."""
        age = math.log1p(4.0 * self.age_s)
        bits = math.log1p(4.0 * self._bits)
        excess = math.log1p(4.0 * self._excess)
        feedback = self.feedback
        return (
            1.0,
            age,
            bits,
            excess,
            self._newest,
            sum(self._recent) / _RECENT,
            self._greatest,
            self._key,
            self._key_change,
            feedback,
            feedback * age,
            feedback * bits,
            excess * age,
        )


class _Usual:
    """The usual logarithm of a size, which moves slowly."""

    def __init__(self) -> None:
        self._mean = self._weight = 0.0
        self._last_s: float | None = None

    def take(self, level: float, time_s: float) -> float:
        """How far a level lies above what was usual until now, of which it then is a part."""
        last_s, self._last_s = self._last_s, time_s
        if last_s is None:
            self._mean, self._weight = level, 1.0
            return 0.0
        above = level - self._mean
        step_s = min(_USUAL_S, max(0.0, time_s - last_s))
        self._weight = self._weight * math.exp(-step_s / _USUAL_S) + 1.0
        self._mean += above / self._weight
        return above
