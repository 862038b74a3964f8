"""One run of one device as the coordinator knows it, over all its connections."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..links.graph import Linked
from ..links.serving import Serving
from ..outputs import Array
from ..protos import edge_pb2


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
        report: what the device last said of itself.
        inputs: how many were answered with a result.
        connection: what serves its stream now.
    """

    key: SessionKey
    serving: Serving
    wanted: tuple[str, ...] = ()
    report: edge_pb2.Report = field(default_factory=edge_pb2.Report)
    inputs: int = 0
    connection: Connection | None = None
    _exact_s: dict[str, float] = field(default_factory=dict)

    def complete(self, captured_s: float, exact: Mapping[str, Array]) -> dict[str, tuple[Linked, float]]:
        """Every wanted model's answer and how long ago, in capture time, it last ran (-1: never)."""
        answers = self.serving.complete(captured_s, exact)
        for name in exact:
            self._exact_s[name] = captured_s
        self.inputs += 1
        return {
            name: (linked, max(0.0, captured_s - self._exact_s[name]) if name in self._exact_s else -1.0)
            for name, linked in answers.items()
            if not self.wanted or name in self.wanted
        }
