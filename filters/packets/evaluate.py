"""Judges a packet gate on a trace and its clip: what decoding it saves, and what holding answers costs."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...traces.events import EventScore
from ...traces.trace import Trace
from ..evaluation.baselines import Baseline
from ..evaluation.outcome import Answers, Outcome
from ..evaluation.verdict import Promise, judge_losses, trace_warnings, worst_of
from ..training.losses import Losses
from .gate import PacketGate
from .held import HeldLosses
from .packet import Packet
from .recording import PacketRecording, read_packets
from .replay import Chooser, Played, play, play_gate
from .spec import PacketSpec

_MOST_STEP = 64
_SHARES = np.geomspace(0.002, 1.0, 28)
KEYS = "key pictures only"


@dataclass(frozen=True)
class PacketEvaluation:
    """How a packet gate did on a trace, in closed loop, with the models' feedback at once.

    Attributes:
        gate: its name.
        rule: by which held answers are right.
        models: the models whose outputs count.
        inputs: how many inputs there are.
        packets: how many packets.
        groups: how many groups of pictures these are in.
        saved: the share of the time of decoding everything that it saved.
        decoded: the share of the inputs that has an answer of its own.
        accuracy: one minus the mean loss, over all inputs.
        accuracy_held: the same over those that were held; None: there are none.
        promised: the accuracy that it promises.
        certified: whether it was promised with a certificate.
        promise: what became of that.
        contract: the same in one word.
        events: how many events were found, and how late.
        baselines: what costs nothing to learn, decoding for as long.
        ahead: those of them that did better.
        warnings: why this trace may say little.
    """

    gate: str
    rule: str
    models: tuple[str, ...]
    inputs: int
    packets: int
    groups: int
    saved: float
    decoded: float
    accuracy: float
    accuracy_held: float | None
    promised: float
    certified: bool
    promise: Promise
    contract: str
    events: EventScore
    baselines: tuple[Baseline, ...]
    ahead: tuple[str, ...]
    warnings: tuple[str, ...]


def evaluate_packets(spec: PacketSpec, trace: Trace, *, clip: Path, name: str) -> PacketEvaluation:
    """Runs a packet gate over a clip's packets, beside choices that are not learnt.

    Args:
        spec: the gate.
        trace: of the same models.
        clip: the video that it was recorded from.
        name: what the gate is called.

    Raises:
        InvalidInput: it was learnt from other models, or the clip is not the trace's.
    """
    missing = [model for model in spec.models if model not in trace.models]
    if missing:
        raise InvalidInput(f"{name} was learnt from {', '.join(missing)}, which {trace.path} does not have")
    other = [model for model, known in spec.models.items() if trace.info.digests.get(model, "") != known]
    if other:
        raise InvalidInput(
            f"{name} was learnt from other versions of {', '.join(other)} than {trace.path} was recorded with"
        )
    recording = read_packets(clip, trace)
    losses = Losses(trace, tuple(spec.models), spec.parsed_rule)
    held, stop = HeldLosses(losses), len(recording.packets)
    found = play_gate(recording, PacketGate(spec.policy), held, 0, stop)
    answers = answers_on(trace, held, found)
    ours = outcome_of(found, answers)
    baselines = measure_packet_baselines(recording, held, answers, saved=found.saved)
    dropped = held.of(np.zeros(len(found.losses), np.int64) + found.first, found.first + np.arange(len(found.losses)))
    promise = judge_losses("accuracy", spec.accuracy, found.losses, dropped=dropped)
    return PacketEvaluation(
        gate=name,
        rule=spec.rule,
        models=tuple(spec.models),
        inputs=len(trace),
        packets=stop,
        groups=len(recording.starts),
        saved=found.saved,
        decoded=float(found.decoded.mean()),
        accuracy=found.accuracy,
        accuracy_held=None if found.decoded.all() else float(1.0 - found.losses[~found.decoded].mean()),
        promised=spec.accuracy,
        certified=spec.certificate.certified,
        promise=promise,
        contract=worst_of([promise]),
        events=ours.events,
        baselines=baselines,
        ahead=tuple(each.name for each in baselines if each.is_ahead(ours)),
        warnings=trace_warnings(spec.learnt_from, spec.certificate, trace, found.saved),
    )


def answers_on(trace: Trace, held: HeldLosses, played: Played) -> Answers:
    """The answers on the stretch of a trace that was played."""
    part = trace.part(played.first, played.first + len(played.decoded))
    losses = held.losses
    return Answers(Losses(part, losses.models, losses.rule), part.captured_s, held=True)


def outcome_of(played: Played, answers: Answers) -> Outcome:
    """The events that a choice finds on its stretch; what it "sent" is the share of the time of decoding."""
    kept = played.decoded | (np.arange(len(played.decoded)) == 0)
    return replace(answers.outcome(kept), sent=1.0 - played.saved, accuracy=played.accuracy)


def measure_packet_baselines(
    recording: PacketRecording, held: HeldLosses, answers: Answers, *, saved: float, start: int = 0
) -> tuple[Baseline, ...]:
    """Choices that are not learnt, each at the setting that decodes as long as the gate did, or a little less.

    Args:
        recording: the packets.
        held: what holding loses.
        answers: on the same stretch.
        saved: the share of the time of decoding that the gate saved.
        start: the first packet that is judged on.
    """
    stop = len(recording.packets)

    def run(choose: Chooser) -> Played:
        return play(recording, choose, held, start, stop)

    found = [Baseline.of(KEYS, "", outcome_of(run(lambda _, packet: packet.key), answers))]
    for name, settings, make in (
        ("every K-th key picture", range(1, _MOST_STEP), _every_key),
        ("every K-th packet", range(1, 4 * _MOST_STEP, 3), _every_packet),
        ("random packets", _SHARES[::-1].tolist(), _random),
    ):
        played = _first_as_cheap(settings, make, run, saved)
        if played is not None:
            found.append(Baseline.of(name, "one draw" if "random" in name else "", outcome_of(played, answers)))
    return tuple(found)


def _first_as_cheap(
    settings: "range | list[float]", make: Callable[[float], Chooser], run: Callable[[Chooser], Played], saved: float
) -> Played | None:
    """The run with the first setting, from the dearest on, that saves as much."""
    for setting in settings:
        played = run(make(setting))
        if played.saved >= saved - 1e-9:
            return played
    return None


def _every_key(step: float) -> Chooser:
    seen = [0]

    def choose(_: int, packet: Packet) -> bool:
        seen[0] += packet.key
        return packet.key and (seen[0] - 1) % int(step) == 0

    return choose


def _every_packet(step: float) -> Chooser:
    return lambda number, _: number % int(step) == 0


def _random(share: float) -> Chooser:
    draw = random.Random(0)
    return lambda number, _: number == 0 or draw.random() < share
