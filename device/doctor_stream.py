"""What one stream needs, tried: its source gives an input, its gate decides on it, its models run, it is let in."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import Any

import numpy as np

from ..errors import InfilinkError, InvalidInput, Unavailable
from ..filters.gates.base import Gate
from ..filters.learnt_from import OTHER_RATE
from ..filters.open_gate import gate_file
from ..filters.serves import Served, check_form, check_serves, learnt_step_s
from ..models.doctor import Finding, State, guarded
from ..models.inputs.form import PICTURES, InputForm
from ..models.spec import ModelSpec, digest
from ..models.stem.stem import Stem
from ..protos import edge_pb2
from .config import DeviceConfig, apply_placement
from .gate_swap import open_stream_gate
from .local_models import open_local
from .mask import Mask
from .sources.base import Input, Source
from .sources.open import open_source
from .uplink.features import open_features
from .uplink.payloads import open_encoder
from .uplink.probe import greet

_GIVES_WITHIN_S = 20.0
_MEASURED_S = 3.0
_MEASURED = 60
_ANSWERS_WITHIN_S = 10.0
_RUNS = 20
_CLOCK_OFF_S = 2.0
_SLOW_SHARE = 0.8


class StreamCheck:
    """Tries one stream.

    Args:
        name: what it is called; empty: the device's only one.
        config: its settings.
        greets: whether the coordinator may be greeted in its name: not while its agent runs.
    """

    def __init__(self, name: str, config: DeviceConfig, *, greets: bool = True) -> None:
        self.name = name
        self.config = config
        self.greets = greets
        self._taken: list[Input] = []
        self._form: InputForm = PICTURES
        self._fps: float | None = None
        self._live = False
        self._gate: Gate | None = None
        self._busy_s = 0.0

    def findings(self) -> Iterator[Finding]:
        """All that is found; each thing is tried even where another is wrong."""
        try:
            self.config = apply_placement(self.config)
        except InfilinkError as error:
            yield self._finding("placement", "wrong", str(error))
        for topic, look in (
            ("source", self._source),
            ("gate", self._look_at_gate),
            ("models", self._models),
            ("coordinator", self._coordinator),
            ("speed", self._speed),
        ):
            yield from guarded(self._topic(topic), look)

    def _topic(self, topic: str) -> str:
        return f"{topic} {self.name}".strip()

    def _finding(self, topic: str, state: State, text: str, advice: str = "") -> Finding:
        return Finding(self._topic(topic), state, text, advice)

    def _source(self) -> Iterator[Finding]:
        name = self.config.source_name
        try:
            text = _within(_GIVES_WITHIN_S, self._take_inputs)
        except InfilinkError as error:
            yield self._finding("source", "wrong", str(error), "`infilink sources` says how each kind is written")
            return
        if not self._taken:
            yield self._finding("source", "wrong", f"{name}: gave no input within {_GIVES_WITHIN_S:.0f} s", text)
            return
        value = self._taken[0].value
        size = f"{value.shape[1]}x{value.shape[0]} pictures" if self._form == PICTURES else self._form.modality
        rate = f", {self._fps:.3g} a second" if self._fps else ""
        yield self._finding("source", "ok", f"{name}: {size}{rate}{' (measured)' if self._live else ''}")
        Mask(self.config.mask).check(self._form)

    def _take_inputs(self, opened: list[Source]) -> str:
        config = self.config
        source = open_source(config.source, start_s=config.start_s, loop=config.loop, cut=config.cut)
        opened.append(source)
        self._form, self._live = source.form, source.live
        fps = None if source.live else source.inputs_per_s
        with source, closing(iter(source)) as inputs:  # type: ignore[type-var]
            for taken in inputs:
                self._taken.append(taken)
                first = self._taken[0]
                if len(self._taken) >= _MEASURED or taken.captured_s - first.captured_s >= _MEASURED_S:
                    break
        if self._live and len(self._taken) > 1:
            took_s = self._taken[-1].captured_s - self._taken[0].captured_s
            fps = (len(self._taken) - 1) / took_s if took_s > 0 else None
        self._fps = fps / config.every if fps else None
        return ""

    def _look_at_gate(self) -> Iterator[Finding]:
        config = self.config
        path = gate_file(config.gate)
        if path is not None and not path.is_file():
            yield self._finding("gate", "wrong", f"{path}: there is no such file", "train it, or correct its name")
            return
        # Without the cache, which would be written.
        self._gate = gate = open_stream_gate(config.model_copy(update={"cache": None}), self.name)
        check_form(gate, self._form)
        version = "" if path is None else f", {digest(path)}"
        step_s = learnt_step_s(gate)
        if self._fps and step_s and 1.0 / self._fps > OTHER_RATE * step_s:
            yield self._finding(
                "gate",
                "wrong",
                f"{config.gate}: was learnt at {1.0 / step_s:.3g} inputs a second; the source gives {self._fps:.3g}",
                "raise the camera's rate, or train it on a trace of this one",
            )
        if not self._taken:
            yield self._finding("gate", "ok", f"{config.gate}{version}: opens; there is no input to try it on")
            return
        encoder = open_encoder(config.head, gate, quality=config.quality, form=self._form, encoding=config.encoding)
        values = [encoder.gate_input(taken.value) for taken in self._taken[:_RUNS]]
        decide_s = _median_s([partial(gate.decide, value, float(at)) for at, value in enumerate(values)])
        self._busy_s += decide_s
        yield self._finding("gate", "ok", f"{config.gate}{version}: decides in {1000 * decide_s:.1f} ms")

    def _models(self) -> Iterator[Finding]:
        config, taken = self.config, self._taken[:_RUNS]
        if config.head is not None and self._gate is not None and taken:
            encoder = open_encoder(config.head, self._gate, quality=config.quality, form=self._form)
            head_s = _median_s([partial(encoder.encode_alone, each.value) for each in taken])
            yield self._finding("models", "ok", f"{config.head}: a head, {1000 * head_s:.1f} ms")
        if config.stem is not None:
            stem = Stem(config.stem)
            text = f"{config.stem}: a stem, {stem.digest}"
            if taken:
                text += f", {1000 * _median_s([partial(stem.see, each.value) for each in taken]):.1f} ms"
            yield self._finding("models", "ok", text)
        if config.local is None:
            return
        local = open_local(config, self._form)
        try:
            for name, model in local.models.items():
                began_s = time.monotonic()
                model.load()
                text = f"{model.path}: runs here, loaded in {1000 * (time.monotonic() - began_s):.0f} ms"
                if taken:
                    infer_s = _median_s([partial(model.infer, each.value) for each in taken[:5]])
                    self._busy_s += infer_s
                    text += f", {1000 * infer_s:.1f} ms an input"
                yield self._finding("models", "ok", f"{name}: {text}")
        finally:
            local.close()

    def _coordinator(self) -> Iterator[Finding]:
        config = self.config
        if not self.greets:
            return
        local: dict[str, str] = {}
        features = None
        # What is wrong with them was told.
        with suppress(InfilinkError):
            local = {} if config.local is None else dict(open_local(config, self._form).digests)
            features = None if self._gate is None else open_features(config, self._gate, self._form)
        try:
            found = greet(
                config,
                stream=self.name,
                form=self._form,
                local=local,
                stem="" if features is None else features.digest,
                timeout_s=_ANSWERS_WITHIN_S,
            )
        except (Unavailable, InvalidInput) as error:
            advice = (
                "start it (`infilink cloud`), and look at `coordinator`, `token`, `tls_ca` and the network's firewall"
            )
            # What does not fit says itself what to do.
            is_there = isinstance(error, InvalidInput)
            text = f"{config.coordinator}: {error}"
            yield self._finding("coordinator", "wrong", text, "" if is_there else advice)
            return
        welcome = found.welcome
        specs = {name: ModelSpec.model_validate_json(text) for name, text in welcome.specs.items()}
        mine = {name: spec for name, spec in specs.items() if not spec.fits(self._form)}
        text = (
            f"{config.coordinator}: takes this device in {1000 * found.took_s:.0f} ms; infilink {welcome.version}, "
            f"wire {welcome.wire or 1}; serves {', '.join(mine) or 'nothing'} to such inputs"
        )
        state: State = "ok" if mine else "wrong"
        yield self._finding("coordinator", state, text, "" if mine else "no model there looks at what the source gives")
        if abs(found.behind_s) > _CLOCK_OFF_S:
            ahead = "behind" if found.behind_s > 0 else "ahead of"
            yield self._finding(
                "clock",
                "wrong" if config.deadline_s else "note",
                f"this clock is {abs(found.behind_s):.1f} s {ahead} the coordinator's",
                "set both by NTP (systemd-timesyncd, chrony)",
            )
        if self._gate is not None and mine:
            check_serves(self._gate, _served(welcome, mine))

    def _speed(self) -> Iterator[Finding]:
        if self._fps and self._busy_s * self._fps > _SLOW_SHARE:
            yield self._finding(
                "speed",
                "note",
                f"gate and models take {1000 * self._busy_s:.0f} ms an input here, and {self._fps:.3g} come a second",
                "a smaller filter or model, `every`, or a slower camera",
            )


def _served(welcome: edge_pb2.Welcome, specs: dict[str, ModelSpec]) -> dict[str, Served]:
    return {
        name: Served(spec.output, "" if spec.input is None else welcome.digests.get(name, ""))
        for name, spec in specs.items()
    }


def _median_s(calls: list[Callable[[], Any]]) -> float:
    """How long each call takes: the first one, which is slower, is left out where there are others."""
    took = []
    for call in calls:
        began_s = time.perf_counter()
        call()
        took.append(time.perf_counter() - began_s)
    return float(np.median(took[1:] or took))


def _within(timeout_s: float, take: Callable[[list[Source]], str]) -> str:
    """What a source gives until it has given enough, or for so long; then it is closed.

    Raises:
        InfilinkError: it can't be opened or read.
    """
    opened: list[Source] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            take(opened)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="check", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        for source in opened:
            source.close()
        thread.join(1.0)
        return "is it switched on, and does it send?" if opened else "it does not open: is the address right?"
    if failed and isinstance(failed[0], InfilinkError):
        raise failed[0]
    if failed:
        raise InvalidInput(f"can't be read: {failed[0]!r}")
    return "it ended before its first input"
