"""How sure we are of a mean loss: bounds on it from a recording, and a test of it while serving.

NumPy only. Inputs of a stream are no independent draws: what is lost comes in runs, and runs are what is counted.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .outputs import Array

CONFIDENCE = 0.95
# In how many blocks, at least, a recording is cut to see how losses come together, and how far short of the number of
# runs that a proof takes it stays.
_LEAST_BLOCKS = 16
_SHORT_OF = 0.7
_LADDER = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
_OVERLAP = 4
# Found by simulation (tests/bench/bench_certificates.py).
_NEAR = 2.0
_SURE = 0.85
_TWICE = 0.7
_LEVELLED = 1.5
_COUNTED = 0.35
_MOST_RUNS = 100_000
# Runs of shares are looked for as if this were a target.
_SHARE = 0.1
_BETS = np.geomspace(0.02, 0.98, 24)
# Evidence stays finite however long it grows.
_MOST_EVIDENCE = 1e12


@dataclass(frozen=True)
class Tested:
    """What a recording proves of each of some thresholds, given from the most careful one on.

    Attributes:
        passed: bool; the mean loss is proven to keep to the target here, and at all thresholds before.
        uppers: the upper bound on the mean loss.
        runs: how many independent draws the inputs are worth; 0: it can't be told, as nothing was ever lost.
        lost: how many of them were lost.
        method: how that was found.
    """

    passed: Array
    uppers: Array
    runs: Array
    lost: Array
    method: str


def fixed_sequence(
    losses: Array,
    *,
    target: float,
    confidence: float = CONFIDENCE,
    where: Array | None = None,
    whole: Array | None = None,
) -> Tested:
    """Tests thresholds in turn, from the most careful one on, up to the first whose mean loss is not proven to be low.

    Testing in a fixed order needs no correction for the number of thresholds. Each has the exact one-sided bound of
    Clopper and Pearson, with runs for draws (see `_run_lengths`).

    Args:
        losses: from 0 to 1, (thresholds, inputs), the inputs in the order of time.
        target: the greatest mean loss that is allowed.
        confidence: of the bounds, one-sided.
        where: the inputs over which the mean is taken, bool (inputs,) or (thresholds, inputs); None: all.
        whole: what would be lost if all inputs were dropped, (inputs,): it shows how losses come together where next to
            nothing is lost. Where every threshold loses a part of it, as of what a rule needs, runs are not taken to be
            shorter than its own: bad stretches that are rare may be as long. None: not known.
    """
    count = len(losses)
    if whole is not None:
        losses = np.vstack([losses, whole])
        where = where if where is None or where.ndim == 1 else np.vstack([where, np.ones_like(where[0])])
    among = np.ones(losses.shape[1], np.bool_) if where is None else where
    among = np.broadcast_to(among, losses.shape)
    counts = among.sum(axis=1)
    errors = np.where(among, losses, 0.0).sum(axis=1) / np.maximum(1, counts)
    lengths = _run_lengths(losses, among, errors, target=target, confidence=confidence)
    if whole is not None and (losses <= whole).all():
        lengths = np.maximum(lengths, _own_length(losses[-1:], among[-1:], errors[-1:], target, confidence))
    runs = np.where(np.isfinite(lengths), counts / np.maximum(1.0, lengths), 0.0)
    bounds: dict[tuple[float, float], float] = {}
    for pair in zip(errors.tolist(), runs.tolist(), strict=True):
        if pair not in bounds:
            bounds[pair] = clopper_pearson(pair[0] * pair[1], pair[1], confidence=confidence)
    uppers = np.asarray([bounds[pair] for pair in zip(errors.tolist(), runs.tolist(), strict=True)])
    cut = slice(count)
    lost = errors * runs
    return Tested(np.cumsum(uppers > target)[cut] == 0, uppers[cut], runs[cut], lost[cut], "clopper-pearson over runs")


def clean_runs(target: float, *, confidence: float = CONFIDENCE) -> int:
    """How many runs without any loss it takes to prove that a mean loss is at most `target`."""
    return math.ceil(math.log1p(-confidence) / math.log1p(-target) - 1e-9)


def _run_lengths(losses: Array, among: Array, errors: Array, *, target: float, confidence: float) -> Array:
    """How many inputs are worth one independent draw, per threshold; infinity where it can't be told.

    A block of `b` independent inputs loses `b p` of them with a variance of `b p (1 - p)`. Where losses come together
    the variance is greater, by a factor that grows with the length of the blocks until they are longer than what holds
    losses together: that factor is the answer (Kish's design effect). No length is taken as known: it is the greatest
    factor over a ladder of block lengths, up to one so long that, were it the answer, nothing would be proven anyway.

    - A threshold under which little was lost says little of how losses come: of it and of looser ones, up to `_NEAR`
      times the target, the most certain upper limit of the factor counts, and none of their factors may be above.
    - Where factors still grow with blocks twice as long, runs are longer than the recording can show: theirs counts.
    """
    longest = _longest(losses.shape[1], target, confidence)
    factors, doubt, twice = _factors(losses, among, errors, longest)
    known = (errors > 0.0) & (errors < 1.0)
    lost = np.where(known & (errors <= 0.5), errors * among.sum(axis=1) / factors, 0.0)
    grows = float((twice / factors) @ lost) > _LEVELLED * lost.sum()
    in_a_row, spread = _streaks(losses, among, errors)
    factors = np.maximum(np.maximum(1.0, in_a_row), np.maximum(factors, _TWICE * twice) - _COUNTED * spread)
    uppers = np.where(known, factors / np.maximum(0.05, 1.0 - _SURE * doubt), np.inf)
    near = known & (errors <= _NEAR * target)
    if not near.any():
        near = known & (errors <= 0.5)
    if not near.any():
        near = known
    surest = -_greatest_from(np.where(near, -uppers, -np.inf))
    lengths = np.where(np.isfinite(surest), surest, uppers)
    lengths = np.maximum(lengths, _greatest_from(np.where(near, factors, 1.0)))
    return np.asarray(np.maximum(lengths, 2.0 * longest * among.mean(axis=1)) if grows else lengths)


def _own_length(whole: Array, among: Array, share: Array, target: float, confidence: float) -> float:
    """How many inputs of what can be lost at all are worth one independent draw, as its dispersion says; one row."""
    longest = _longest(whole.shape[1], target, confidence)
    factors, _, twice = _factors(whole, among, share, longest)
    grows = twice[0] > _LEVELLED * factors[0]
    return float(max(factors[0], 2.0 * longest * among.mean() if grows else 1.0))


def _longest(inputs: int, target: float, confidence: float) -> int:
    """The longest blocks that are looked at: if runs were as long, nothing would be proven anyway."""
    return max(1, int(inputs / max(_LEAST_BLOCKS, _SHORT_OF * clean_runs(target, confidence=confidence))))


def _factors(losses: Array, among: Array, errors: Array, longest: int) -> tuple[Array, Array, Array]:
    """The greatest dispersion over blocks up to `longest`, the doubt of the last, and that of blocks twice as long."""
    beyond = np.where(among, losses - errors[:, None], 0.0)
    sums = np.concatenate([np.zeros((len(losses), 1)), np.cumsum(beyond, axis=1)], axis=1)
    alone = among.mean(axis=1) * errors * (1.0 - errors)
    factors = np.ones(len(losses))
    for length in [*(length for length in _LADDER if length < longest), longest]:
        found, doubt = _dispersion(sums, alone, length)
        factors = np.maximum(factors, found)
    twice, _ = _dispersion(sums, alone, 2 * longest)
    return factors, doubt, twice


def _streaks(losses: Array, among: Array, errors: Array) -> tuple[Array, Array]:
    """How many inputs in a row are lost, and what their being of different lengths adds to the variance of blocks.

    Where whole losses come in streaks it is streaks that are counted: how many there are is a draw, how long they are
    is known by their mean. Of graded losses nothing is known.
    """
    counted = np.zeros(len(losses))
    spread = np.zeros(len(losses))
    lost = (losses > 0.0) & among
    whole = ((losses == 0.0) | (losses == 1.0)).all(axis=1) & lost.any(axis=1)
    edges = np.diff(np.pad(lost.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, begins = np.nonzero(edges == 1)
    lengths = np.nonzero(edges == -1)[1] - begins
    streaks = np.maximum(1, np.bincount(rows, minlength=len(losses)))
    means = np.bincount(rows, weights=lengths, minlength=len(losses)) / streaks
    squares = np.bincount(rows, weights=lengths**2, minlength=len(losses)) / streaks
    counted[whole] = (means * (1.0 - errors))[whole]
    spread[whole] = ((squares / np.maximum(means, 1.0) - means) / np.maximum(1e-9, 1.0 - errors))[whole]
    return counted, spread


def _dispersion(sums: Array, alone: Array, length: int) -> tuple[Array, Array]:
    """The variance of what blocks lose, over that of independent draws, and its relative doubt, per threshold.

    Args:
        sums: what was lost beyond the mean before each input (thresholds, inputs + 1).
        alone: the variance of an independent draw.
        length: of the blocks.
    """
    inputs = sums.shape[1] - 1
    first = np.arange(0, inputs - length + 1, max(1, length // _OVERLAP))
    blocks = inputs / length
    if not len(first) or blocks <= 1.0:
        return np.zeros(len(sums)), np.ones(len(sums))
    squares = (sums[:, first + length] - sums[:, first]) ** 2
    variance = squares.mean(axis=1)
    factors = variance * blocks / (blocks - 1.0) / np.maximum(length * alone, 1e-12)
    doubt = squares.std(axis=1) / math.sqrt(blocks) / np.maximum(variance, 1e-12)
    return np.where(alone > 1e-12, factors, 0.0), doubt


def _greatest_from(values: Array) -> Array:
    """Of each value and all behind it, the greatest."""
    return np.maximum.accumulate(values[::-1])[::-1]


# The tuner asks the same at each of its levels.
@lru_cache(maxsize=1 << 14)
def clopper_pearson(errors: float, inputs: float, *, confidence: float = CONFIDENCE) -> float:
    """The exact upper bound on an error rate from `errors` among `inputs`; both may be effective numbers, not whole."""
    if errors >= inputs:
        return 1.0
    a, b = float(errors) + 1.0, float(inputs - errors)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    low, high, rate = 0.0, 1.0, a / (a + b)
    # Newton's method, kept within where the bound is known to lie.
    for _ in range(100):
        above = _incomplete_beta(a, b, rate) - confidence
        low, high = (rate, high) if above < 0.0 else (low, rate)
        slope = math.exp(log_front + (a - 1.0) * math.log(rate) + (b - 1.0) * math.log1p(-rate))
        nearer = rate - above / slope if slope > 1e-100 else -1.0
        before, rate = rate, nearer if low < nearer < high else (low + high) / 2
        if abs(rate - before) < 1e-12:
            break
    return min(1.0, rate + 1e-12)


def interval(hits: int, count: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval of a share that was seen `hits` times among `count` independent draws."""
    side = (1.0 + confidence) / 2.0
    most = 1.0 if hits >= count else clopper_pearson(hits, count, confidence=side)
    least = 0.0 if hits <= 0 else 1.0 - clopper_pearson(count - hits, count, confidence=side)
    return least, most


def betting(losses: Array, *, confidence: float = CONFIDENCE) -> float:
    """The upper bound on the mean of independent losses from 0 to 1, by betting against every larger mean.

    Against a mean m, a gambler who bets a share of the greatest safe stake wins `1 + bet / (1 - m) * (m - loss)` per
    loss; if m is true (or too small) the average over several bets exceeds 1 / (1 - confidence) with at most the
    probability 1 - confidence (Waudby-Smith and Ramdas, 2023). It adapts to losses that vary little.
    """
    return _bisect(lambda mean: _log_capital(losses, mean) < -math.log1p(-confidence))


def runs_needed(error: float, *, target: float, confidence: float = CONFIDENCE) -> int | None:
    """How many runs, a share `error` of them lost, prove it to be at most `target`; None: none do, or far too many."""
    runs = clean_runs(target, confidence=confidence)
    while runs <= _MOST_RUNS:
        if error < target and clopper_pearson(error * runs, runs, confidence=confidence) <= target:
            return runs
        runs += max(1, runs // 20)
    return None


def share_interval(values: Array, *, confidence: float = CONFIDENCE) -> tuple[tuple[float, float], float]:
    """The two-sided interval of the share of inputs that something holds of, and how many runs they are worth.

    Args:
        values: whether it does, in the order of time (inputs,).
        confidence: of the interval.
    """
    side = (1.0 + confidence) / 2.0
    rows = np.stack([values, ~np.asarray(values, np.bool_)]).astype(np.float64)
    tested = fixed_sequence(rows[:1], target=_SHARE, confidence=side)
    rest = fixed_sequence(rows[1:], target=_SHARE, confidence=side)
    return (1.0 - float(rest.uppers[0]), float(tested.uppers[0])), float(tested.runs[0])


class SequentialTest:
    """A sequential test, by betting, of whether the mean of values in [0, 1] keeps to `bound`; it may change any time.

    While it does (each value's mean, given those before), `evidence` exceeds 1 / risk with a probability of at most
    `risk`, over all time and however often one looks: it is an e-process (Waudby-Smith & Ramdas, JRSS B 2024). It is
    a mixture over when the mean changed and to what. Starting points share a mass of 1; after n samples
    1 / (1 + log(1 + n)) of it is left for those to come, so that a change after 1000 samples needs only 11 nats
    more than one at the start. Constant memory: all that started alike are one number.

    Args:
        bound: what the mean is promised to be at most (or at least).
        alternatives: the means to look out for, all above `bound`, or all below it.
        horizon: None: the promise about `evidence` is for all time. Otherwise it is for each so many samples in a row:
            starting points then weigh alike, so that a change is found as soon after a long time as after a short one.
    """

    def __init__(self, bound: float, alternatives: Sequence[float], *, horizon: float | None = None) -> None:
        if not 0.0 < bound < 1.0:
            raise ValueError(f"bound must be between 0 and 1, not {bound}")
        self.bound = bound
        self.alternatives = tuple(alternatives)
        self.horizon = horizon
        # A bet is the likelihood ratio of an alternative to the bound, extended linearly to values between 0 and 1.
        self._at_zero = [(1.0 - mean) / (1.0 - bound) for mean in self.alternatives]
        self._slope = [mean / bound - zero for mean, zero in zip(self.alternatives, self._at_zero, strict=True)]
        self.reset()

    def reset(self) -> None:
        """Forgets all samples."""
        self.count = 0
        self.evidence = 1.0
        self._running = [0.0] * len(self.alternatives)

    def update(self, value: float, *, share: float = 1.0) -> float:
        """Takes the next sample; returns the evidence that the mean lies beyond the bound.

        Args:
            value: in [0, 1].
            share: how many independent samples it is worth, at most 1; must not depend on the sample itself. A bet to a
                power below 1 is a fair one or worse (Jensen), so no share makes false alarms more frequent.
        """
        opened = 1.0 / self.horizon if self.horizon else self._left() - _mass_left(self.count + 1)
        self.count += 1
        self._running = [
            min(_MOST_EVIDENCE, (running + opened) * (zero + slope * value) ** share)
            for running, zero, slope in zip(self._running, self._at_zero, self._slope, strict=True)
        ]
        self.evidence = sum(self._running) / len(self._running) + self._left()
        return self.evidence

    def _left(self) -> float:
        """The mass of the starting points to come."""
        return max(0.0, 1.0 - self.count / self.horizon) if self.horizon else _mass_left(self.count)

    def as_list(self) -> list[float]:
        """Its state as plain values for JSON."""
        return [float(self.count), self.evidence, *self._running]

    def restore(self, values: Sequence[float]) -> None:
        """Goes on from the state that `as_list` gave.

        Raises:
            ValueError: it was of a test with other alternatives.
        """
        count, evidence, *running = values
        if len(running) != len(self.alternatives):
            raise ValueError(f"a test of {len(self.alternatives)} alternatives has as many numbers, not {len(running)}")
        self.count, self.evidence, self._running = int(count), evidence, running


def _log_capital(losses: Array, mean: float) -> float:
    stakes = _BETS / max(1e-12, 1.0 - mean)
    logs = np.log1p(np.multiply.outer(stakes, mean - losses)).sum(axis=1)
    return float(logs.max() + np.log(np.mean(np.exp(logs - logs.max()))))


def _mass_left(count: int) -> float:
    return 1.0 / (1.0 + math.log1p(count))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function: the probability that a Beta(a, b) is at most `x`."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _beta_fraction(a, b, x) / a


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Its continued fraction, by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0) or tiny)
    value = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / (1.0 + term * d or tiny)
            c = 1.0 + term / c or tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-12:
            break
    return value


def _bisect(holds: Callable[[float], bool]) -> float:
    """Where `holds`, true for small numbers and false for large ones, changes between 0 and 1; never too low."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high
