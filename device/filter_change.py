"""Another filter for a stream that runs, as an operator wants it: fetched, tried, taken up or refused."""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import closing

from ..errors import InfilinkError, InvalidInput, Unavailable
from ..filters.gates.base import Gate
from ..filters.gates.learned import FilterRuntime
from ..filters.gates.tasks import TasksRuntime
from ..filters.open_gate import gate_file
from ..filters.serves import Served, check_serves
from ..filters.terms import terms_of
from ..models.external_data import external_files
from ..protos import edge_pb2
from ..protos.filter_file import check_file_name, is_digest
from .config import DeviceConfig
from .gate_swap import GateSwap, open_stream_gate
from .promise import Promise
from .rolled_out import Entry, FilterFile, RolledOut, digest_of, own_digest
from .settings_file import Look, look_at
from .stream_log import thread_name
from .uplink.filter_fetch import FilterFetch, Pieces

logger = logging.getLogger(__name__)

_SETTLED_INPUTS = 50
"""What has decided on so many inputs does not end the agent."""
_WATCHED_INPUTS = 20_000
"""For so many inputs a new filter gives way to the one before where it is shown not to keep what it promised."""
_AGAIN_S = 0.5


class FilterChange:
    """What decides on one stream: what its settings name, or what came from the coordinator in its place.

    Args:
        stream: the stream's name.
        own: its settings.
        kept: what came from the coordinator, on disk.
        counts: how many inputs there were, and how many of them were kept.
    """

    def __init__(
        self, stream: str, own: DeviceConfig, kept: RolledOut, *, counts: Callable[[], tuple[int, int]]
    ) -> None:
        self.stream = stream
        self.own = own
        self.kept = kept
        self.counts = counts
        self._swap: GateSwap
        self._fetch = FilterFetch(own.name, stream)
        self._doing = ""
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._began = (0, 0)
        self._since_us = kept.now_us
        self._own_seen: Look | None = None
        self._own_is_new = self._leaves = False

    def open(self) -> GateSwap:
        """Opens what decides, and watches its file.

        Raises:
            InvalidInput: the settings name no gate.
        """
        self.kept.begin(self.own)
        self._own_seen = _look_at_own(self.own)
        config = self.kept.applied(self.own, self.kept.entry.used)
        try:
            gate = open_stream_gate(config, self.stream)
        except InfilinkError as error:
            if config is self.own:
                raise
            self.kept.go_back(str(error))
            config = self.kept.applied(self.own, self.kept.entry.used)
            try:
                gate = open_stream_gate(config, self.stream)
            except InfilinkError:
                if config is self.own:
                    raise
                self.kept.note(lambda now: now.use(None, now_us=self.kept.now_us))
                config, gate = self.own, open_stream_gate(self.own, self.stream)
        if self.kept.entry.used is not None:
            self._since_us = self.kept.entry.since_us
        self._swap = GateSwap(self.stream, config, gate)
        return self._swap

    def turn(self, own: DeviceConfig) -> bool:
        """Goes on with other settings of the stream; whether that can be tried now."""
        entry, before = self.kept.entry, self.own
        self.own = own
        why = self.kept.given_up(own) if entry.used is not None else ""
        keep = (lambda _: self._give_up(why)) if why else None
        if self._swap.turn(self.kept.applied(own, None if why else entry.used), keep=keep):
            self._own_seen = _look_at_own(own)
            return True
        self.own = before
        return False

    def check_served(self, served: Mapping[str, Served]) -> None:
        """Takes note of the coordinator's models, on each connection.

        What came from there and was learnt from others gives way to the settings' own gate: so a device whose models
        were replaced stays there, and can be given another filter.

        Raises:
            InvalidInput: the settings' own gate was learnt from others, too.
        """
        try:
            self._swap.check_served(served)
            return
        except InvalidInput as error:
            if self.kept.entry.used is None:
                raise
            with closing(open_stream_gate(self.own, self.stream)) as gate:
                check_serves(gate, served)
            why = str(error)
        logger.warning("the filter %s gives way: %s", _named(self.kept.entry), why)
        self._give_up(why)
        self._leaves = not self._swap.turn(self.own)

    def used(self) -> None:
        """Another gate decides from now on."""
        self._began, self._since_us = self.counts(), self.kept.now_us

    def state(self) -> edge_pb2.FilterState:
        """What the coordinator is told."""
        doing, entry, (frames, kept) = self._doing, self.kept.entry, self.counts()
        return edge_pb2.FilterState(
            allowed=self.own.filters.from_coordinator,
            # Not before another wish would be heard.
            number=entry.number if entry.settled and not doing else 0,
            refused=entry.refused,
            doing=doing,
            digest=digest_of(entry.used),
            since_us=self._since_us,
            frames=max(0, frames - self._began[0]),
            kept=max(0, kept - self._began[1]),
        )

    def take(self, wanted: edge_pb2.WantedFilter, ask: Pieces) -> None:
        """An operator wants another filter; from the uplink's thread, which does not wait.

        Args:
            wanted: which.
            ask: asks for its file.
        """
        entry = self.kept.entry
        is_known = wanted.number < entry.number or (wanted.number == entry.number and entry.settled)
        if is_known or self._doing or self._closed.is_set():
            return
        self._doing = "fetching"
        self._thread = threading.Thread(
            target=self._carry_out, args=(wanted, ask), name=thread_name("filter", self.stream), daemon=True
        )
        self._thread.start()

    def look(self, promise: Promise) -> None:
        """Whether what came from the coordinator may go on deciding; called about once a second."""
        entry = self.kept.entry
        if self._leaves:
            self._leaves = not self._swap.turn(self.own)
        if self._doing or entry.used is None:
            return
        seen = _look_at_own(self.own)
        if seen != self._own_seen:
            # As with the gate's own file: once it is the same at two looks.
            self._own_seen, self._own_is_new = seen, True
            return
        if self._own_is_new:
            self._own_is_new = False
            if why := self.kept.given_up(self.own):
                self._turn_back(None, why)
                return
        frames = self.counts()[0] - self._began[0]
        if not entry.settled or entry.refused:
            return
        if entry.trial and frames >= _SETTLED_INPUTS:
            self.kept.note(lambda now: now.shown() if now.number == entry.number else now)
        if self.own.filters.from_coordinator == "proven" and frames < _WATCHED_INPUTS and (why := _broken(promise)):
            self._turn_back(entry.before, why)

    def close(self) -> None:
        """Ends what is under way; closing twice is fine."""
        self._closed.set()

    def _carry_out(self, wanted: edge_pb2.WantedFilter, ask: Pieces) -> None:
        try:
            found = self._check(wanted)
            changes = {"number": wanted.number, "wanted": found, "gate": self.own.gate, "refused": ""}
            changes["gate_digest"] = own_digest(self.own)
            # Named before it is written, or it might be tidied away.
            self.kept.save(lambda now: (now if now.number == wanted.number else now.shown()).model_copy(update=changes))
            if found is not None and not self.kept.is_whole(found):
                self.kept.put(found, self._fetch.fetch(wanted, ask))
            if found is not None:
                self._check_alone(found)
            if digest_of(found) == digest_of(self.kept.entry.used):
                self._end()
                return
            self._doing = "opening"
            self.kept.attempt()
            self._open(found)
        except Unavailable as error:
            logger.info("a filter for stream %s: %s; it is asked for again", self.stream or "of this device", error)
            self._end()
        except InfilinkError as error:
            self._refuse(wanted, str(error))
        except Exception as error:
            logger.exception("a filter for stream %s", self.stream or "of this device")
            self._refuse(wanted, f"failed: {error!r}")

    def _check(self, wanted: edge_pb2.WantedFilter) -> FilterFile | None:
        """What is wanted, as far as it may be; None: what the settings name.

        Raises:
            InvalidInput: it may not be.
        """
        if self.own.filters.from_coordinator == "no":
            raise InvalidInput('device.toml says no: from_coordinator = "no" in [filters]')
        if self.own.head is not None:
            raise InvalidInput("a stream with a `head` keeps the gate that was learnt for its maps")
        if not wanted.digest:
            return None
        if not is_digest(wanted.digest):
            raise InvalidInput("`digest`: the SHA-256 of a file, in hexadecimal")
        return FilterFile(name=check_file_name(wanted.name), digest=wanted.digest)

    def _check_alone(self, found: FilterFile) -> None:
        """Makes sure that a file is all that it needs.

        Raises:
            InvalidInput: it keeps weights elsewhere.
        """
        path = gate_file(self.kept.applied(self.own, found).gate)
        assert path is not None, "a filter's file"
        if external_files(path):
            raise InvalidInput("it keeps weights in other files: save it as one")

    def _open(self, found: FilterFile | None) -> None:
        """Has it opened beside the one that decides, which it replaces if it can."""
        config = self.kept.applied(self.own, found)
        while not self._swap.turn(config, keep=self._keep(found), refuse=self._refuse_opened):
            # One before it waits for the next input.
            if self._closed.wait(_AGAIN_S):
                self._end()
                return

    def _keep(self, found: FilterFile | None) -> Callable[[Gate], None]:
        def keep(gate: Gate) -> None:
            if found is not None:
                _check_kind(gate)
            if found is not None and self.own.filters.from_coordinator == "proven":
                _check_proven(gate)
            now_us = self.kept.now_us
            self.kept.save(lambda now: now.use(found, now_us=now_us) if found else now.use(None, now_us=now_us).shown())
            self._end()

        return keep

    def _turn_back(self, found: FilterFile | None, why: str) -> None:
        """Goes back to what was there before."""
        if found is not None and not self.kept.is_whole(found):
            found = None

        def keep(_: Gate) -> None:
            self.kept.note(lambda now: now.use(found, now_us=self.kept.now_us).refuse(why))
            self._end()

        def refuse(reason: str) -> None:
            self._refuse_opened(f"{why}; and what was there before can't be opened: {reason}")

        self._doing = "opening"
        if self._swap.turn(self.kept.applied(self.own, found), keep=keep, refuse=refuse):
            logger.warning("the filter %s gives way: %s", _named(self.kept.entry), why)
        else:
            self._end()

    def _give_up(self, why: str) -> None:
        self.kept.note(lambda now: now.use(None, now_us=self.kept.now_us).refuse(why))

    def _refuse_opened(self, why: str) -> None:
        self.kept.note(lambda now: now.refuse(why))
        self._end()

    def _refuse(self, wanted: edge_pb2.WantedFilter, why: str) -> None:
        logger.warning("the filter %s is not taken: %s", wanted.name or "of device.toml", why)
        self.kept.note(lambda now: now.model_copy(update={"number": wanted.number}).refuse(why))
        self._end()

    def _end(self) -> None:
        self._doing = ""


def _check_kind(gate: Gate) -> None:
    """Makes sure that all that a file does is to have inputs pass, or not.

    Raises:
        InvalidInput: it answers for models.
    """
    if not isinstance(gate, FilterRuntime | TasksRuntime):
        raise InvalidInput("it is no filter: heads, exits and reuse files come to a device by hand")


def _check_proven(gate: Gate) -> None:
    """Makes sure that something is promised, and proven.

    Raises:
        InvalidInput: it is not.
    """
    terms = terms_of(gate)
    if terms is not None and terms.certified:
        return
    why = "it promises nothing" if terms is None else f"it has no certificate ({terms.reason})"
    raise InvalidInput(f'{why}: from_coordinator = "any" in [filters] of device.toml takes it all the same')


def _broken(promise: Promise) -> str:
    """What of its promise a filter is shown not to keep; empty: nothing."""
    found = promise.report()
    if found is None:
        return ""
    if found.broken:
        return f"it loses more than it promised, by {found.blocks} audited blocks of inputs"
    if found.rate_far == "above":
        return f"it drops far more than when it was calibrated: {found.share:.0%} of the inputs"
    return ""


def _look_at_own(own: DeviceConfig) -> Look | None:
    path = gate_file(own.gate)
    return None if path is None else look_at(path)


def _named(entry: Entry) -> str:
    return "of device.toml" if entry.used is None else entry.used.name
