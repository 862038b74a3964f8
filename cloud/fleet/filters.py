"""The roll-out of filters: which one is wanted where, what became of it, and back to the one before."""

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import InvalidInput
from ...filters.spec import load_tasks
from ...models.external_data import external_files
from ...protos import edge_pb2
from ...protos.filter_file import check_file_name, check_size
from ...traces.stream_names import stream_name
from ..repository import Repository
from ..security.caller import Caller
from ..security.text import shown
from ..sessions.session import Session
from .devices import devices_of
from .filter_store import FilterFile, FilterStore, Wish
from .foresight import Foreseen, Foresight

if TYPE_CHECKING:
    from ..coordinator import Coordinator

State = Literal["", "at work", "on its way", "refused", "not connected", "too old"]
_READ_BYTES = 2**20
_MOST_SHOWN, _MOST_REFUSED = 200, 300
OWN = "the gate of its own device.toml"
_DOING = {"fetching": "it fetches the file", "opening": "it opens and tries it", "": "it is told with its next report"}


@dataclass(frozen=True)
class StreamFilter:
    """What decides on a stream, and what is wanted there.

    Attributes:
        stream: DEVICE, or DEVICE/STREAM.
        wish: what is wanted; None: nobody has said anything.
        file: its file; None: what the device's own settings name.
        state: what became of it.
        told: the same in words.
        gate_name: what decides, as the device's settings name it.
        gate_digest: of its file, the first 16 digits.
        since_us: since when, by the device's clock.
        figures: how it does.
        before: how what decided before did.
        modality: what the stream's inputs are.
        is_open: whether it takes filters from here, as far as is known: phones and older agents do not.
    """

    stream: str
    wish: Wish | None
    file: FilterFile | None
    state: State = ""
    told: str = ""
    gate_name: str = ""
    gate_digest: str = ""
    since_us: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    modality: str = ""
    is_open: bool = True

    @property
    def decides(self) -> str:
        """What decides, so that the same on two streams is known as that."""
        return self.gate_digest or self.gate_name

    @property
    def back(self) -> str:
        """What a way back leads to: a filter's digest; empty: what the device's own settings name."""
        if self.wish is None:
            return ""
        return self.wish.earlier if self.state == "refused" else self.wish.before


class Filters:
    """The filters of one coordinator's devices.

    Args:
        coordinator: whose.
    """

    def __init__(self, coordinator: "Coordinator") -> None:
        self.coordinator = coordinator
        self.store = FilterStore(coordinator.ledger.database)
        self.foresight = Foresight(coordinator.ledger.database, coordinator.repository)
        self._changing = asyncio.Lock()

    async def put(self, name: str, content: bytes) -> FilterFile:
        """Keeps a filter's file, so that it can be rolled out.

        Raises:
            InvalidInput: it is no filter, or one for models that are not served here.
            Overloaded: it can't be kept now.
        """
        check_file_name(name)
        check_size(len(content))
        file = FilterFile(hashlib.sha256(content).hexdigest(), name, len(content))
        await asyncio.to_thread(_check, content, name, self.coordinator.repository)
        async with self._changing:
            await asyncio.to_thread(self.store.put, file, content)
        return file

    async def want(self, streams: Sequence[str], digest: str, by: Caller) -> list[StreamFilter]:
        """Rolls a filter out; devices that are connected hear of it with their next report, others as they come.

        Args:
            streams: DEVICE, or DEVICE/STREAM.
            digest: of a file that was put here; empty: what the devices' own settings name.
            by: who says so.

        Raises:
            InvalidInput: there is no such stream or file; or several are named, and none runs it yet.
            Overloaded: that can't be kept now; all stays as it was.
        """
        self.check(streams, digest)
        return await self._set(dict.fromkeys(streams, digest), by)

    async def foresee(self, streams: Sequence[str], digest: str) -> dict[str, Foreseen]:
        """What is known of a filter on streams before it decides there.

        Raises:
            InvalidInput: it can't be rolled out there at all.
        """
        self.check(streams, digest)
        file = self.store.files.get(digest)
        if file is None:
            return {}
        content = await asyncio.to_thread(self.store.content, digest, 0, file.size_bytes)
        return await self.foresight.of(list(dict.fromkeys(streams)), content)

    def check(self, streams: Sequence[str], digest: str) -> None:
        """Refuses what can't be rolled out.

        Raises:
            InvalidInput: there is no such stream or file; or several are named, and none runs it yet.
        """
        if digest and digest not in self.store.files:
            raise InvalidInput("there is no such filter here (any more): put it here first")
        known = {each.stream: each for each in self.all()}
        for name in streams:
            if name not in known:
                raise InvalidInput(f"there is no stream {shown(name)}; there are: {', '.join(known) or 'none'}")
        if not streams:
            raise InvalidInput("say on which stream: DEVICE, or DEVICE/STREAM")
        if digest and len(set(streams)) > 1 and not self._running(known.values(), digest):
            raise InvalidInput("one stream first: no stream runs this filter yet")

    async def back(self, streams: Sequence[str], by: Caller) -> list[StreamFilter]:
        """Goes back to what decided before.

        Raises:
            InvalidInput: nothing was rolled out to one of them.
            Overloaded: that can't be kept now; all stays as it was.
        """
        known = {each.stream: each for each in self.all() if each.wish is not None}
        for name in streams:
            if name not in known:
                raise InvalidInput(f"{shown(name)}: no filter was rolled out to it: there is nothing to go back to")
        return await self._set({name: known[name].back for name in streams}, by)

    def others(self, digest: str, known: Sequence[StreamFilter] = ()) -> list[str]:
        """All other streams on which a filter would replace what it replaced on those that run it.

        Args:
            digest: of the filter.
            known: all streams, where they are at hand.

        Raises:
            InvalidInput: no stream runs it yet.
        """
        known = known or self.all()
        first = self._running(known, digest)
        if not first:
            raise InvalidInput("one stream first: no stream runs this filter yet")
        replaced = {(each.wish.replaced, each.modality) for each in first if each.wish is not None}
        return [
            each.stream
            for each in known
            if (each.decides, each.modality) in replaced
            and each.is_open
            and (each.wish is None or each.wish.digest != digest)
        ]

    def all(self) -> list[StreamFilter]:
        """What decides on each stream that is known, and on those where something is wanted."""
        found = {
            session.key.name: self.of(session) for device in devices_of(self.coordinator) for session in device.streams
        }
        for name, wish in self.store.wishes.items():
            if name not in found:
                file = self.store.files.get(wish.digest)
                found[name] = StreamFilter(name, wish, file, "not connected", "it is told as it comes")
        return [found[name] for name in sorted(found)]

    def of(self, session: Session) -> StreamFilter:
        """What decides on a session's stream, and what is wanted there."""
        wish, report = self.store.wishes.get(session.key.name), session.report
        state, told = _state(wish, session)
        return StreamFilter(
            session.key.name,
            wish,
            None if wish is None else self.store.files.get(wish.digest),
            state,
            told,
            report.gate_name[:_MOST_SHOWN],
            report.gate_digest[:_MOST_SHOWN],
            report.filter.since_us,
            figures_of(report),
            {} if wish is None else json.loads(wish.figures),
            session.form.modality,
            not _is_too_old(report),
        )

    def wanted(self, session: Session) -> edge_pb2.WantedFilter | None:
        """What a device is to be told after its report; None: nothing that it has not heard of."""
        wish, report = self.store.wishes.get(session.key.name), session.report
        if wish is None or not report.HasField("filter") or report.filter.number >= wish.number:
            return None
        file = self.store.files.get(wish.digest)
        if file is None:
            return edge_pb2.WantedFilter(number=wish.number)
        return edge_pb2.WantedFilter(number=wish.number, digest=file.digest, size_bytes=file.size_bytes, name=file.name)

    async def read(self, request: edge_pb2.FilterRequest) -> AsyncIterator[bytes]:
        """The file that is wanted on a stream, for its device.

        Raises:
            InvalidInput: it is not wanted there.
            Overloaded: it can't be read now.
        """
        wish = self.store.wishes.get(stream_name(request.device, request.stream))
        file = None if wish is None else self.store.files.get(wish.digest)
        if file is None or file.digest != request.digest:
            raise InvalidInput("`digest`: this filter is not wanted on this stream")
        at = request.offset_bytes
        while at < file.size_bytes:
            part = await asyncio.to_thread(self.store.content, file.digest, at, _READ_BYTES)
            if not part:
                raise InvalidInput("`digest`: this filter is not here any more")
            yield part
            at += len(part)

    async def _set(self, wanted: dict[str, str], by: Caller) -> list[StreamFilter]:
        async with self._changing:
            known = {each.stream: each for each in self.all()}
            sessions = {
                session.key.name: session for device in devices_of(self.coordinator) for session in device.streams
            }
            wishes = [self._wish(known[name], sessions.get(name), digest, by) for name, digest in wanted.items()]
            await asyncio.to_thread(self.store.want, wishes)
        for wish in wishes:
            file = self.store.files.get(wish.digest)
            named = OWN if file is None else f"the filter {file.name} ({file.digest[:16]})"
            self.coordinator.fleet.note(wish.stream, f"{named} is to decide (by {by.name})")
        return [each for each in self.all() if each.stream in wanted]

    def _wish(self, known: StreamFilter, session: Session | None, digest: str, by: Caller) -> Wish:
        now_us, old = self.store.clock_ns() // 1000, known.wish
        report = edge_pb2.Report() if session is None else session.report
        number = max(now_us, report.filter.number + 1, 0 if old is None else old.number + 1)
        if report.HasField("filter"):
            before = report.filter.digest if report.filter.digest in self.store.files else ""
        else:
            before = "" if old is None else old.digest
        if digest == before:
            # What decides already: back leads where it led.
            before = known.back
        figures = json.dumps(figures_of(report), separators=(",", ":"))
        return Wish(known.stream, number, digest, by.name, now_us, before, known.back, known.decides, figures)

    def _running(self, known: Iterable[StreamFilter], digest: str) -> list[StreamFilter]:
        return [
            each for each in known if each.state == "at work" and each.wish is not None and each.wish.digest == digest
        ]


def figures_of(report: edge_pb2.Report) -> dict[str, Any]:
    """How what decides on a stream does, by its live audit."""
    if not report.HasField("filter"):
        return {}
    return {
        "gate": report.gate_name[:_MOST_SHOWN],
        "frames": report.filter.frames,
        "kept": report.filter.kept,
        "audited": report.audited,
        "blocks": report.audit_blocks,
        "error": report.audit_error if report.HasField("audit_error") else None,
        "bound": report.audit_bound if report.HasField("audit_bound") else None,
        "promised": report.promised if report.HasField("promised") else None,
        "uncertified": report.uncertified,
        "broken": report.audit_broken,
    }


def _is_too_old(report: edge_pb2.Report) -> bool:
    """Whether a device has reported, and takes no filter from here."""
    return report.ByteSize() > 0 and not report.HasField("filter")


def _state(wish: Wish | None, session: Session) -> tuple[State, str]:
    """What became of a wish, and that in words."""
    report, found = session.report, session.report.filter
    if wish is None:
        return "", ""
    if report.HasField("filter") and found.number >= wish.number:
        if found.refused:
            return "refused", found.refused[:_MOST_REFUSED]
        if found.digest == wish.digest and (not wish.digest or report.gate_digest == wish.digest[:16]):
            return "at work", ""
        return "on its way", "it decides from the next input on"
    if session.connection is None:
        return "not connected", "it is told as it comes"
    if _is_too_old(report):
        return "too old", f"it takes no filter from here (infilink {session.version[:20]}): update it by hand"
    return "on its way", _DOING.get(found.doing, "")


def _check(content: bytes, name: str, repository: Repository) -> None:
    """Makes sure that a file is a filter for models that are served here.

    Raises:
        InvalidInput: it is not.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "filter.onnx"
        path.write_bytes(content)
        try:
            if external_files(path):
                raise InvalidInput("keeps weights in other files: save it as one")
            spec = load_tasks(path)[0]
        except InvalidInput as error:
            raise InvalidInput(f"{name}: {str(error).removeprefix(f'{path}: ')}") from error
    for task in spec.tasks:
        for model, digest in task.models.items():
            if model not in repository.specs:
                raise InvalidInput(f"{name}: was learnt from {model}, which is not served here")
            served = repository.digests.get(model, "")
            if digest and served and digest != served:
                raise InvalidInput(
                    f"{name}: was learnt from another version of {model}: from digest {digest}, and here is {served}"
                )
