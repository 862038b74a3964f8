"""A session: the coordinator's state for one run of one device, over all its connections."""

import logging
from collections import Counter
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ...links.answer import Answer
from ...links.planning.plan import Plan
from ...links.serving import Serving
from ...models.inputs.form import PICTURES, InputForm
from ...outputs import Array
from ...protos import edge_pb2
from ...protos.features import FeatureRange
from ...traces.stream_names import stream_name
from ..security.text import LONGEST, printable

logger = logging.getLogger(__name__)

_CHANGES = {
    "revoked": "is no longer trusted: it disagreed with the model too often",
    "regained": "is trusted: it agreed with the model",
}

UNSTABLE, STABLE = "its camera is not stable", "its camera is stable again"
LEFT_OUT, WHOLE = "its governor leaves out", "its governor leaves out nothing any more"
"""How what is noted of a camera and of a governor begins, and what ends it."""

_LEVELS = ("", "stricter", "slower", "features", "local")
_MOST_REASON = 300
REQUESTS = "open-inference"
"""The run that streams of requests belong to: they have no beginning and no end of their own."""


@dataclass(frozen=True)
class SessionKey:
    """Identifies one stream in one run of a device.

    Attributes:
        device: the device.
        session: its run.
        stream: which of its streams; empty: its only one.
    """

    device: str
    session: str
    stream: str = ""

    @property
    def name(self) -> str:
        """What the stream is called, in tables and in the ledger: DEVICE, or DEVICE/STREAM."""
        return stream_name(self.device, self.stream)


def session_key(hello: edge_pb2.Hello) -> SessionKey:
    """The stream that a Hello names."""
    return SessionKey(hello.device, hello.session, hello.stream)


class Connection(Protocol):
    """The connection that serves a session, as far as others need it."""

    @property
    def waiting(self) -> int:
        """How many inputs wait to be answered."""

    def stop(self) -> None:
        """Stops reading; inputs that were read are still answered."""

    def notify(self, text: str) -> None:
        """Has whoever runs the device told something, with the next answer."""


@dataclass
class Session:
    """The state that is kept between two inputs.

    Attributes:
        key: the device and its run.
        serving: the links' state for this stream.
        wanted: the models whose outputs the device wants; empty: all.
        form: what its inputs are.
        local: the models that the device runs itself, with their files' digests.
        features: how the device writes features that it sends instead of frames; None: it sends frames.
        report: the device's last report of its own counters.
        inputs: the number of inputs answered with a result.
        connection: the connection that serves it now; None: it is not connected.
        answered: how many answers of each model came to be in which way.
        plan: what the coordinator expects to run for this stream, and why.
        version: infilink's version on the device.
        wire: the version of the wire that is spoken with it.
        connected_us: when its connection began, Unix time; 0: never.
        heard_us: when something was heard of it last; 0: never.
        held: whether it is to hold its inputs, as an operator has paused the device.
        filter_wanted: gives the filter that the device is to be told of; None: none.
        note: called with the kind and the text of what whoever runs the coordinator wants to read, and find later.
    """

    key: SessionKey
    serving: Serving
    wanted: tuple[str, ...] = ()
    form: InputForm = PICTURES
    local: Mapping[str, str] = field(default_factory=dict)
    features: FeatureRange | None = None
    report: edge_pb2.Report = field(default_factory=edge_pb2.Report)
    inputs: int = 0
    connection: Connection | None = None
    answered: dict[str, Counter[str]] = field(default_factory=dict)
    plan: Plan = field(default_factory=lambda: Plan(None, 0, ()))
    version: str = ""
    wire: int = 0
    connected_us: int = 0
    heard_us: int = 0
    held: bool = False
    filter_wanted: Callable[["Session"], edge_pb2.WantedFilter | None] = lambda session: None
    note: Callable[[str, str], object] = lambda kind, text: logger.warning("%s: %s", kind, text)
    _exact_s: dict[str, float] = field(default_factory=dict)
    _digests: dict[str, str] = field(default_factory=dict)
    _ran: dict[str, str] = field(default_factory=dict)
    _newest: int = -1

    def wants(self, models: Container[str] = ()) -> list[str]:
        """The models whose answers an input wants that names these; if it names none, all that the device wants."""
        return [
            name
            for name in self.serving.models
            if (not self.wanted or name in self.wanted) and (not models or name in models)
        ]

    def wanted_filter(self) -> edge_pb2.CoordinatorMessage | None:
        """What the device is told of the filter that is to decide; None: it has heard of it."""
        wanted = self.filter_wanted(self)
        return None if wanted is None else edge_pb2.CoordinatorMessage(filter=wanted)

    def take_report(self, report: edge_pb2.Report) -> None:
        """Takes the device's counts; what they say of its gate for the first time goes into the log."""
        before, self.report = self.report, report
        if report.uncertified and not before.uncertified:
            self.note("uncertified", "its gate is not certified: nothing proves what it promises")
        if report.audit_broken != before.audit_broken:
            text = (
                "loses more than it promised: everything is sent" if report.audit_broken else "keeps its promise again"
            )
            kind = "promise_broken" if report.audit_broken else "promise_kept"
            self.note(kind, f"its gate {text} ({report.audit_blocks} blocks audited)")
        if report.clock_behind_s and not before.clock_behind_s:
            follows = (
                "its frames are refused as late" if report.clock_behind_s > 0 else "its late frames are not refused"
            )
            way = "behind" if report.clock_behind_s > 0 else "ahead of"
            seconds = abs(report.clock_behind_s)
            self.note("clock", f"its clock is {seconds:.1f} s {way} this one's, and so {follows}: set both")
        if report.camera != before.camera:
            self.note("camera", f"{UNSTABLE}: {printable(report.camera[:LONGEST])}" if report.camera else STABLE)
        if report.level != before.level:
            level = report.level if report.level in _LEVELS else printable(report.level[:LONGEST])
            self.note("level", f"{LEFT_OUT}: {level} ({printable(report.level_reason[:LONGEST])})" if level else WHOLE)
        if report.gate_failing != before.gate_failing:
            self.note("gate", "its gate fails on every input" if report.gate_failing else "its gate decides again")
        if report.gate_digest != before.gate_digest and before.gate_name:
            gate, other = (printable(each[:LONGEST]) for each in (report.gate_name, before.gate_name))
            self.note("filter", f"{gate} {printable(report.gate_digest[:LONGEST])} decides now, instead of {other}")
        if report.filter.refused and report.filter.refused != before.filter.refused:
            self.note("filter", f"a filter is not used: {printable(report.filter.refused[:_MOST_REASON])}")
        if report.rate_far and report.rate_far != before.rate_far:
            way = "more" if report.rate_far == "above" else "less"
            self.note("filtering_rate", f"its gate drops far {way} than when it was calibrated")

    def complete(
        self,
        captured_s: float,
        exact: Mapping[str, Array],
        models: Container[str] = (),
        *,
        features: Array | None = None,
        score: float | None = None,
        biased: Container[str] = (),
        digests: Mapping[str, str] | None = None,
        sequence: int | None = None,
    ) -> dict[str, tuple[Answer, float]]:
        """Every wanted model's answer to an input, and how far, in capture time, its last run is (-1: it never ran).

        An input that comes after newer ones, as it waited on its device, changes nothing of what these have shown last.

        Args:
            captured_s: when the input was captured.
            exact: the outputs of the models that ran on it, here or on the device.
            models: the models whose answers this input asks for; empty: all that the device wants.
            features: what the links' stem makes of the input; None: nobody looked.
            score: what the device's gate thinks of it; None: there is none.
            biased: the models that ran because of what was expected of their answers.
            digests: of the files of those that ran here.
            sequence: the input's; None: it is the newest.
        """
        is_late = sequence is not None and sequence < self._newest
        self._ran = dict(digests or {})
        if not is_late:
            self._digests.update(self._ran)
            self._newest = self._newest if sequence is None else sequence
        answers = self.serving.complete(
            captured_s, exact, features=features, score=score, biased=biased, is_late=is_late
        )
        for change in self.serving.live.take_changes():
            text = f"{change.way.text} {_CHANGES[change.change]} ({change.audited} audited)"
            self.note(f"trust_{change.change}", text)
        for name in exact:
            if not is_late or name not in self._exact_s:
                self._exact_s[name] = captured_s
        self.inputs += 1
        wanted = {name: answers[name] for name in self.wants(models)}
        for name, answer in wanted.items():
            self.answered.setdefault(name, Counter())[answer.origin] += 1
        return {
            name: (answer, self._age_s(name, captured_s, ran=name in exact, is_late=is_late))
            for name, answer in wanted.items()
        }

    def _age_s(self, name: str, captured_s: float, *, ran: bool, is_late: bool) -> float:
        """How far a model's last run is; of a late input that may be after it."""
        if ran or name not in self._exact_s:
            return 0.0 if ran else -1.0
        apart_s = captured_s - self._exact_s[name]
        return abs(apart_s) if is_late else max(0.0, apart_s)

    def digest_of(self, name: str, answer: Answer, served: Mapping[str, str]) -> str:
        """The digest of the file that an answer is from: of one that was held, that which gave it.

        Args:
            name: the model.
            answer: of the input that was completed last.
            served: the digests of what is served now.
        """
        now = served.get(name, "")
        if answer.origin == "executed" and name in self._ran:
            return self._ran[name]
        return self._digests.get(name, now) if answer.origin in ("executed", "held") else now
