"""What the coordinator counts as it happens: answers, refusals, times by stage, loads; `scrape.py` gives it out."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

Value = TypeVar("Value")
Stage = Literal["decode", "queue", "infer", "ledger", "total"]
Face = Literal["edge", "grpc", "rest"]
LoadReason = Literal["plan", "schedule", "operator", "update", "recycled"]
UnloadReason = Literal["room", "budget", "operator", "update", "recycled"]

MOST_MODELS = 256
"""Names of models that are counted by themselves; those after them are counted as one, as a name is kept for ever."""
OTHER = "other"
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_LOAD_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)
_INPUTS = (1, 2, 4, 8, 16, 32, 64)


class Histogram:
    """How often a value was at most each bound.

    Not prometheus-client's, whose locks make an input cost three times as much: all of this is on the event loop.

    Attributes:
        bounds: rising; what is above the last is counted, too.
        counts: one for each bound, and one for what is above.
        total: the sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Takes a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        """The buckets as Prometheus has them: how many values were at most so much."""
        buckets, count = [], 0
        for bound, here in zip((*map(float, self.bounds), "+Inf"), self.counts, strict=True):
            count += here
            buckets.append((str(bound), float(count)))
        return buckets


class Metrics:
    """Counters and histograms of one coordinator; all of it is counted, and read, on its event loop.

    Attributes:
        stages: the times of inputs (`decode`, `queue`: for a model's turn, `ledger`: until it is on disk, `total`: from
            arrival to answer) and of groups of them in a model (`infer`).
        refusals: refused inputs by why.
        registry: what is read when Prometheus asks; `scrape.py` says what that is.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.stages: dict[Stage, Histogram] = {
            stage: Histogram() for stage in ("decode", "queue", "infer", "ledger", "total")
        }
        self.refusals: Counter[str] = Counter()
        self._models: set[str] = set()
        self._infers: dict[str, Histogram] = {}
        self._batches: dict[str, Histogram] = {}
        self._loads: dict[tuple[str, str], Histogram] = {}
        self._load_failures: Counter[str] = Counter()
        self._unloads: Counter[tuple[str, str]] = Counter()
        self._answers: Counter[tuple[str, str]] = Counter()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._received: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self._audits: dict[str, tuple[int, float]] = {}

    def stage(self, stage: Stage, seconds: float) -> None:
        """One input has gone through a stage."""
        self.stages[stage].observe(seconds)

    def ran(self, model: str, *, waits_s: Sequence[float], took_s: float) -> None:
        """A process of a model has run a group of inputs, which had waited for their turn, each so long."""
        queue = self.stages["queue"]
        for wait_s in waits_s:
            queue.observe(wait_s)
        self.stages["infer"].observe(took_s)
        infers = self._infers.get(model)
        if infers is None:
            model = self._name(model)
            infers = self._infers.setdefault(model, Histogram())
            self._batches.setdefault(model, Histogram(_INPUTS))
        infers.observe(took_s)
        self._batches[model].observe(len(waits_s))

    def answered(self, model: str, origin: str) -> None:
        """An input got its answer for a model."""
        self._answers[model if model in self._models else self._name(model), origin] += 1

    def refused(self, reason: str) -> None:
        """An input was refused; `reason` is one of a fixed set."""
        self.refusals[reason] += 1

    def request(self, face: Face, method: str, code: str) -> None:
        """A request ended; `method` and `code` are of fixed sets."""
        self._requests[face, method, code] += 1

    def received(self, face: Face, size_bytes: int) -> None:
        """An input came."""
        self._received[face] += size_bytes

    def sent(self, face: Face, size_bytes: int) -> None:
        """An answer went out."""
        self._sent[face] += size_bytes

    def event(self, kind: str) -> None:
        """Something happened that an operator wants to know of; `kind` is one of a fixed set."""
        self._events[kind] += 1

    def audited(self, model: str, agreement: float) -> None:
        """A model ran on an input by chance: how far what would have been answered without agrees with it."""
        name = self._name(model)
        count, total = self._audits.get(name, (0, 0.0))
        self._audits[name] = (count + 1, total + agreement)

    def loaded(self, model: str, reason: LoadReason, seconds: float) -> None:
        """A model was loaded and warmed up."""
        self._loads.setdefault((self._name(model), reason), Histogram(_LOAD_SECONDS)).observe(seconds)

    def load_failed(self, model: str) -> None:
        """A model could not be loaded."""
        self._load_failures[self._name(model)] += 1

    def unloaded(self, model: str, reason: UnloadReason) -> None:
        """A model was unloaded."""
        self._unloads[self._name(model), reason] += 1

    def families(self) -> Iterator[Metric]:
        """All of it, as Prometheus reads it."""
        text, model, by_reason = (
            "Time of an input, or of a group in a model, in a stage",
            ["model"],
            ["model", "reason"],
        )
        yield _histograms("infilink_stage_seconds", text, ["stage"], _single(self.stages))
        yield _histograms(
            "infilink_infer_seconds", "Time of a group of inputs in a model's process", model, _single(self._infers)
        )
        yield _histograms("infilink_batch_inputs", "Inputs in such a group", model, _single(self._batches))
        text = "Time of a load, warm-up included, by why"
        yield _histograms("infilink_load_seconds", text, by_reason, self._loads.items())
        yield _counters("infilink_load_failures", "Loads that failed", model, _single(self._load_failures))
        text = "Models that were unloaded, by why"
        yield _counters("infilink_unloads", text, by_reason, self._unloads.items())
        text = "Answers for a model, by how they came to be"
        yield _counters("infilink_answers", text, ["model", "origin"], self._answers.items())
        text = "Inputs that were refused, by why; `deadline` is a deadline missed"
        yield _counters("infilink_refused", text, ["reason"], _single(self.refusals))
        text = "Requests of the Open Inference Protocol that ended"
        yield _counters("infilink_requests", text, ["face", "method", "code"], self._requests.items())
        yield _counters("infilink_received_bytes", "Bytes of inputs", ["face"], _single(self._received))
        yield _counters("infilink_sent_bytes", "Bytes of answers", ["face"], _single(self._sent))
        yield _counters("infilink_events", "What an operator wants to know of", ["kind"], _single(self._events))
        text = "Answers that a run drawn by chance was there to compare with"
        audits = [((name,), *counted) for name, counted in self._audits.items()]
        yield _counters("infilink_audits", text, model, ((label, count) for label, count, _ in audits))
        text = "Their agreement with what the model said, added up: over infilink_audits it is the accuracy"
        yield _counters("infilink_audit_agreement", text, model, ((label, total) for label, _, total in audits))

    def _name(self, model: str) -> str:
        """The name that a model is counted by."""
        if model not in self._models:
            if len(self._models) >= MOST_MODELS:
                return OTHER
            self._models.add(model)
        return model


def _single(by_label: Mapping[Any, Value]) -> Iterator[tuple[tuple[str], Value]]:
    """What has one label, as what has several."""
    return (((label,), value) for label, value in by_label.items())


def _histograms(
    name: str, text: str, labels: list[str], by_labels: Iterable[tuple[Sequence[str], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for values, histogram in by_labels:
        family.add_metric(values, buckets=histogram.cumulated(), sum_value=histogram.total)
    return family


def _counters(name: str, text: str, labels: list[str], by_labels: Iterable[tuple[Sequence[str], float]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in by_labels:
        family.add_metric(values, count)
    return family
