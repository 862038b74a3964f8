"""What came of the requests for each model: how many, and where their time went."""

import time
from dataclasses import dataclass, field


@dataclass
class Duration:
    """How often something took place, and the time of all together."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float, count: int = 1) -> None:
        """Counts one more."""
        self.count += count
        self.ns += round(seconds * 1e9)


@dataclass
class ModelCounts:
    """The requests for one model.

    Attributes:
        inputs: how many inputs were answered: a batch of n counts n times.
        executions: how often the model ran for them.
        last_ms: Unix time of the last one that was answered, in milliseconds; 0: none was.
        success: those that were answered.
        fail: those that were not.
        queue: waiting for the model's turn.
        prepare: from the message to the model's input.
        infer: inside the model's process.
        finish: from its output to the response.
    """

    inputs: int = 0
    executions: int = 0
    last_ms: int = 0
    success: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    prepare: Duration = field(default_factory=Duration)
    infer: Duration = field(default_factory=Duration)
    finish: Duration = field(default_factory=Duration)

    def answered(self, took_s: float, inputs: int) -> None:
        """Counts a request that was answered."""
        self.success.add(took_s)
        self.inputs += inputs
        self.last_ms = time.time_ns() // 1_000_000

    def ran(self, infer_s: float, queue_s: float) -> None:
        """Counts a run of the model."""
        self.executions += 1
        self.infer.add(infer_s)
        self.queue.add(max(0.0, queue_s))
