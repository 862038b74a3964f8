"""One run of one device as the coordinator knows it, over all its connections."""

import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ...links.answer import Answer
from ...links.serving import Serving
from ...outputs import Array
from ...protos import edge_pb2
from ..plans.reselection import Watched

logger = logging.getLogger(__name__)

_TOLD = {
    "revoked": "is no longer trusted: it was seen to disagree with the model too often",
    "regained": "is trusted: it was seen to agree with the model",
}


@dataclass(frozen=True)
class SessionKey:
    """What names a run of a device."""

    device: str
    session: str


class Connection(Protocol):
    """What serves a session's stream, as much as others need of it."""

    def stop(self) -> None:
        """Reads no more; what was read is still answered."""


@dataclass
class Session:
    """What is kept between two inputs.

    Attributes:
        key: whose it is.
        serving: the links' state.
        wanted: the models whose outputs the device wants; all, if empty.
        local: the models that the device runs itself, with their files' digests.
        report: what the device last said of itself.
        inputs: how many were answered with a result.
        connection: what serves its stream now.
        watched: what re-selection knows of its stream; None: nothing is chosen anew.
    """

    key: SessionKey
    serving: Serving
    wanted: tuple[str, ...] = ()
    local: Mapping[str, str] = field(default_factory=dict)
    report: edge_pb2.Report = field(default_factory=edge_pb2.Report)
    inputs: int = 0
    connection: Connection | None = None
    watched: Watched | None = None
    _exact_s: dict[str, float] = field(default_factory=dict)

    def complete(
        self,
        captured_s: float,
        exact: Mapping[str, Array],
        models: Container[str] = (),
        *,
        escalated: Container[str] = (),
    ) -> dict[str, tuple[Answer, float]]:
        """Every wanted model's answer and how long ago, in capture time, it last ran (-1: never).

        Args:
            captured_s: when the input was captured.
            exact: the outputs of the models that ran on it, here or on the device.
            models: those whose answers are wanted for this very input; all, if empty.
            escalated: the models that ran because their answers were not trusted.
        """
        answers = self.serving.complete(captured_s, exact, escalated=escalated)
        for change in self.serving.live.take_changes():
            told = _TOLD[change.change]
            logger.warning("%s: %s %s (%d audited)", self.key.device, change.way.text, told, change.audited)
        for name in exact:
            self._exact_s[name] = captured_s
        self.inputs += 1
        return {
            name: (linked, max(0.0, captured_s - self._exact_s[name]) if name in self._exact_s else -1.0)
            for name, linked in answers.items()
            if (not self.wanted or name in self.wanted) and (not models or name in models)
        }
