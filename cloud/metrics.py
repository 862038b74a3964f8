"""What the coordinator counts as it happens, for Prometheus: answers, refusals, times by stage, loads, bytes."""

from typing import Any, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

Stage = Literal["decode", "ledger", "total"]
Face = Literal["edge", "grpc", "rest"]
LoadReason = Literal["plan", "schedule", "operator", "update", "recycled"]
UnloadReason = Literal["room", "budget", "operator", "update", "recycled"]

MOST_MODELS = 256
"""Names of models that have series of their own; those after them share one, as every series costs memory for ever."""
OTHER = "other"
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_LOAD_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0)
_INPUTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters and histograms; they belong to one coordinator, so that two in one process are counted apart.

    Everything here is called on the event loop for each input: what a call looks up is made once.

    Attributes:
        registry: where they are kept; `scrape.py` adds what is read when Prometheus asks.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=False)
        self._stages = Histogram(
            "infilink_stage_seconds",
            "Time of an input in a stage: decode, ledger (until it is on disk), total (from arrival to answer)",
            ["stage"],
            registry=registry,
            buckets=_SECONDS,
        )
        self._waits = Histogram(
            "infilink_queue_seconds",
            "Time that a run waited for its turn on the model",
            ["model"],
            registry=registry,
            buckets=_SECONDS,
        )
        self._infers = Histogram(
            "infilink_infer_seconds", "Time of one run of a model", ["model"], registry=registry, buckets=_SECONDS
        )
        self._batches = Histogram(
            "infilink_batch_inputs",
            "Inputs that one run of a model took",
            ["model"],
            registry=registry,
            buckets=_INPUTS,
        )
        self._answers = Counter(
            "infilink_answers_total",
            "Answers for a model, by how they came to be",
            ["model", "origin"],
            registry=registry,
        )
        self._refused = Counter(
            "infilink_refused_total",
            "Inputs that were refused, by why; `deadline` is a deadline missed",
            ["reason"],
            registry=registry,
        )
        self._requests = Counter(
            "infilink_requests_total",
            "Requests of the Open Inference Protocol that ended",
            ["face", "method", "code"],
            registry=registry,
        )
        self._received = Counter("infilink_received_bytes_total", "Bytes of inputs", ["face"], registry=registry)
        self._sent = Counter("infilink_sent_bytes_total", "Bytes of answers", ["face"], registry=registry)
        self._loads = Histogram(
            "infilink_load_seconds",
            "Time of a load, warm-up included, by who wanted it",
            ["model", "reason"],
            registry=registry,
            buckets=_LOAD_SECONDS,
        )
        self._load_failures = Counter("infilink_load_failures_total", "Loads that failed", ["model"], registry=registry)
        self._unloads = Counter(
            "infilink_unloads_total", "Models that were unloaded, by why", ["model", "reason"], registry=registry
        )
        self._models: set[str] = set()
        self._by_stage: dict[Stage, Histogram] = {
            stage: self._stages.labels(stage) for stage in ("decode", "ledger", "total")
        }
        self._by_model: dict[str, tuple[Histogram, Histogram, Histogram]] = {}
        self._by_origin: dict[tuple[str, str], Counter] = {}
        self._by_face: dict[Face, tuple[Counter, Counter]] = {
            face: (self._received.labels(face), self._sent.labels(face)) for face in ("edge", "grpc", "rest")
        }

    def stage(self, stage: Stage, seconds: float) -> None:
        """One input has gone through a stage."""
        self._by_stage[stage].observe(seconds)

    def ran(self, model: str, *, wait_s: float, infer_s: float, inputs: int = 1) -> None:
        """A model has run once, on one input or on a batch of them; each of them waited for `wait_s`."""
        children = self._by_model.get(model)
        if children is None:
            name = self._name(model)
            children = self._by_model[model] = (
                self._waits.labels(name),
                self._infers.labels(name),
                self._batches.labels(name),
            )
            self._forget(self._by_model)
        children[0].observe(wait_s)
        children[1].observe(infer_s)
        children[2].observe(inputs)

    def answered(self, model: str, origin: str) -> None:
        """An input got its answer for a model."""
        child = self._by_origin.get((model, origin))
        if child is None:
            child = self._by_origin[model, origin] = self._answers.labels(self._name(model), origin)
            self._forget(self._by_origin)
        child.inc()

    def refused(self, reason: str) -> None:
        """An input was refused; `reason` is one of a fixed set."""
        self._refused.labels(reason).inc()

    def request(self, face: Face, method: str, code: str) -> None:
        """A request ended; `method` and `code` are of fixed sets."""
        self._requests.labels(face, method, code).inc()

    def received(self, face: Face, size_bytes: int) -> None:
        """An input came."""
        self._by_face[face][0].inc(size_bytes)

    def sent(self, face: Face, size_bytes: int) -> None:
        """An answer went out."""
        self._by_face[face][1].inc(size_bytes)

    def loaded(self, model: str, reason: LoadReason, seconds: float) -> None:
        """A model was loaded and warmed up."""
        self._loads.labels(self._name(model), reason).observe(seconds)

    def load_failed(self, model: str) -> None:
        """A model could not be loaded."""
        self._load_failures.labels(self._name(model)).inc()

    def unloaded(self, model: str, reason: UnloadReason) -> None:
        """A model was unloaded."""
        self._unloads.labels(self._name(model), reason).inc()

    def _name(self, model: str) -> str:
        """The label that a model's series have."""
        if model not in self._models:
            if len(self._models) >= MOST_MODELS:
                return OTHER
            self._models.add(model)
        return model

    def _forget(self, looked_up: dict[Any, Any]) -> None:
        """Keeps a table of what was looked up from growing with names that come and go."""
        if len(looked_up) > 8 * MOST_MODELS:
            looked_up.clear()
