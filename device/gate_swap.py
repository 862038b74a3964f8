"""Another gate for a stream that runs: opened beside the capture loop, which takes it between two inputs."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InfilinkError, InvalidInput
from ..filters.gates.base import Gate
from ..filters.gates.learned import FilterRuntime
from ..filters.local.gate import LocalGate
from ..filters.modalities.feature_map import FeatureMap
from ..filters.open_gate import gate_file, open_gate
from ..filters.serves import Served, check_form, check_serves
from ..models.inputs.form import PICTURES, InputForm
from ..models.spec import digest
from .config import DeviceConfig
from .settings_file import Look, look_at
from .stream_log import thread_name

logger = logging.getLogger(__name__)

GATE_KEYS = frozenset({"gate", "cache", "update", "rule_file", "audit"})
"""What of a stream's settings is taken up while it runs; with any other key it is started anew."""
# A filter that can't decide on such a picture can't decide on any.
_TRIED_ON = (240, 320, 3)


def open_stream_gate(config: DeviceConfig, stream: str) -> Gate:
    """The gate that a stream's settings name.

    Raises:
        InvalidInput: there is none, or it is no gate.
    """
    rule_files = () if config.rule_file is None else (config.rule_file,)
    # As links know it, and `record --camera` can call it.
    camera = f"{config.name}.{stream}" if stream else config.name
    return open_gate(config.gate, cache=config.cache, update=config.update, rule_files=rule_files, camera=camera)


@dataclass(frozen=True)
class Fresh:
    """A gate that is ready to take another's place.

    Attributes:
        gate: it.
        config: the settings that name it.
        digest: of its file; empty: it has none.
        seen: how its file looked before it was opened.
    """

    gate: Gate
    config: DeviceConfig
    digest: str
    seen: Look | None


class GateSwap:
    """Watches the file of one stream's gate, and opens what comes in its place.

    A file counts as changed once it is the same at two looks, so one that is being copied is waited for; to be sure it
    is replaced by a rename. What can't be opened, or does not fit the stream, is told once, and the gate stays.

    Args:
        name: the stream's, for the log.
        config: its settings.
        gate: its gate.
    """

    def __init__(self, name: str, config: DeviceConfig, gate: Gate) -> None:
        self.name = name
        self.config = config
        self.gate = gate
        self._form: InputForm = PICTURES
        self._features = ""
        self._served: Mapping[str, Served] = {}
        path = gate_file(config.gate)
        self.digest = "" if path is None else digest(path)
        self._seen = self._settled = None if path is None else look_at(path)
        self._told = ""
        self._ready: Fresh | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self, form: InputForm, features: str) -> None:
        """Takes note of what the stream's inputs are; another gate must do with them, too.

        Args:
            form: what they are.
            features: the digest of the stem whose features the gate gives to be sent; empty: none are.

        Raises:
            InvalidInput: the gate was learnt from others.
        """
        self._form, self._features = form, features
        check_form(self.gate, form)

    def check_served(self, served: Mapping[str, Served]) -> None:
        """Takes note of the coordinator's models, on each connection.

        Raises:
            InvalidInput: the gate was not learnt from them.
        """
        self._served = served
        check_serves(self.gate, served)

    def look(self) -> None:
        """Looks whether the file has changed; called about once a second, never by the capture loop."""
        path = gate_file(self.config.gate)
        if path is None or self._busy:
            return
        seen = look_at(path)
        before, self._seen = self._seen, seen
        if seen is None or seen != before or seen == self._settled:
            return
        self._settled = seen
        self._open_beside(self.config)

    def turn(
        self,
        config: DeviceConfig,
        *,
        keep: Callable[[Gate], object] | None = None,
        refuse: Callable[[str], object] | None = None,
    ) -> bool:
        """Opens the gate of other settings; whether that can be tried now.

        Args:
            config: the settings.
            keep: called with the gate that is about to take the other's place; InfilinkError: it may not.
            refuse: called with the reason where it does not.
        """
        if self._busy:
            return False
        self._told = ""
        self._open_beside(config, keep, refuse)
        return True

    def take(self) -> Fresh | None:
        """The gate to go on with; None: the one that there is. For the capture loop, before each input."""
        if self._ready is None:
            return None
        with self._lock:
            fresh, self._ready = self._ready, None
        if fresh is None:
            return None
        logger.info(
            "gate %s, %s, is replaced by %s, %s",
            self.config.gate,
            self.digest or "no file",
            fresh.config.gate,
            fresh.digest or "no file",
        )
        if not _goes_on(self.config, fresh.config):
            # Beside the capture loop, as it may write what it has learnt.
            threading.Thread(target=self.gate.close, name=thread_name("gate", self.name), daemon=True).start()
        self.gate, self.config, self.digest = fresh.gate, fresh.config, fresh.digest
        self._seen = self._settled = fresh.seen
        return fresh

    def close(self) -> None:
        """Closes the gate, and one that was not taken any more; closing twice is fine."""
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            fresh, self._ready = self._ready, None
        self.gate.close()
        if fresh is not None:
            fresh.gate.close()

    @property
    def _busy(self) -> bool:
        return self._ready is not None or (self._thread is not None and self._thread.is_alive())

    def _open_beside(
        self,
        config: DeviceConfig,
        keep: Callable[[Gate], object] | None = None,
        refuse: Callable[[str], object] | None = None,
    ) -> None:
        self._thread = threading.Thread(
            target=self._open, args=(config, keep, refuse), name=thread_name("gate", self.name), daemon=True
        )
        self._thread.start()

    def _open(
        self,
        config: DeviceConfig,
        keep: Callable[[Gate], object] | None,
        refuse: Callable[[str], object] | None,
    ) -> None:
        path = gate_file(config.gate)
        try:
            seen = None if path is None else look_at(path)
            found = digest(path) if path is not None and seen is not None else ""
            if found == self.digest and config == self.config:
                if keep is not None:
                    keep(self.gate)
                return
            if _goes_on(self.config, config):
                # It goes on from what this one has learnt so far.
                self.gate.close()
            gate = open_stream_gate(config, self.name)
            try:
                check_form(gate, self._form)
                # Where no coordinator was there yet, its models are compared with once it is.
                if self._served:
                    check_serves(gate, self._served)
                _check_same_kind(self.gate, gate, self._form, features=self._features)
                if keep is not None:
                    keep(gate)
            except BaseException:
                gate.close()
                raise
        except InfilinkError as error:
            self._tell(config.gate, str(error), refuse)
        except Exception as error:  # onnxruntime has errors of many types
            self._tell(config.gate, f"can't be opened: {error!r}", refuse)
        else:
            self._told = ""
            with self._lock:
                self._ready = Fresh(gate, config, found, seen)

    def _tell(self, gate: str, why: str, refuse: Callable[[str], object] | None) -> None:
        if refuse is not None:
            refuse(why)
        if why != self._told:
            self._told = why
            logger.warning(
                "gate %s is not taken: %s; it stays as it was (%s)",
                gate,
                why,
                self.digest or self.config.gate,
            )


def _goes_on(old: DeviceConfig, new: DeviceConfig) -> bool:
    """Whether a gate's state goes on in the same file."""
    return (new.update is not None and new.update == old.update) or (new.cache is not None and new.cache == old.cache)


def _check_same_kind(old: Gate, new: Gate, form: InputForm, *, features: str) -> None:
    """Makes sure that a gate can take another's place without anything else of the stream changing.

    Args:
        old: the gate that there is.
        new: the other.
        form: what the stream's inputs are.
        features: the digest of the stem whose features the old one gives to be sent; empty: none are.

    Raises:
        InvalidInput: it can't; the message says what to do.
    """
    if _maps(old) != _maps(new):
        raise InvalidInput(
            "one of both decides on the feature maps of a `head`, and they are not of one model: start the agent anew"
        )
    if features and _stem(new) != features:
        raise InvalidInput(
            f"its stem is {_stem(new) or 'none'}, and features of {features} travel: start the agent anew"
        )
    if isinstance(new, FilterRuntime) and form == PICTURES and not _maps(new):
        decision = new.decide(np.zeros(_TRIED_ON, np.uint8), 0.0)
        if decision.score is None:
            raise InvalidInput("it fails on a picture that was tried")
        new.reset()


def _maps(gate: Gate) -> frozenset[str]:
    """The models whose feature maps a gate decides on, with their digests; empty: on inputs."""
    if not isinstance(gate, FilterRuntime) or not isinstance(gate.spec.modality, FeatureMap):
        return frozenset()
    return frozenset(f"{name} {version}" for name, version in gate.spec.models.items())


def _stem(gate: Gate) -> str:
    inside = gate.spec.stem if isinstance(gate, FilterRuntime | LocalGate) else None
    return "" if inside is None else inside.digest
