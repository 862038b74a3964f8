"""Learns a packet gate from a trace and the clip that it was recorded from, and certifies its threshold."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx

from ... import __version__
from ...errors import InvalidInput, NotCertified, UnknownModel
from ...reporting import Progress
from ...traces.trace import Trace
from ..learnt_from import LearntFrom
from ..proof import check_times, unproven
from ..rules.code import functions_in
from ..rules.parser import Rule
from ..rules.zones import zones_in
from ..training.losses import Losses
from ..training.selection import choose
from ..training.workload import check_accuracy
from .candidates import PacketSweep, policies, sweep
from .features import NAMES
from .graph import save_packets
from .held import HeldLosses
from .recording import PacketRecording, read_packets
from .spec import PacketSpec

_LEAST_GROUPS = 6
"""Half of them are learnt from, half calibrated on; with fewer nothing is."""


@dataclass(frozen=True)
class PacketTraining:
    """What came of a training.

    Attributes:
        path: the gate.
        spec: what it says of itself.
        trained: how many packets it was learnt from.
        calibrated: how many later ones its threshold was certified on.
        groups: how many groups of pictures there are in all.
        seconds: how long it took.
    """

    path: Path
    spec: PacketSpec
    trained: int
    calibrated: int
    groups: int
    seconds: float


def train_packets(
    trace: Trace,
    *,
    clip: Path,
    rule: Rule,
    out: Path,
    models: Sequence[str] = (),
    accuracy: float = 0.9,
    uncertified: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> PacketTraining:
    """Learns which packets of a stream need not be decoded, and writes that to `out`.

    Args:
        trace: what the models said of the clip's pictures.
        clip: the video that it was recorded from.
        rule: by which a held answer is right.
        out: the file.
        models: whose outputs count; none: all.
        accuracy: one minus the mean loss of holding, at least.
        uncertified: whether it is written although nothing is proven of it; the file then says so.
        seed: of what is drawn: same seed and costs, same gate.
        progress: is told the share done, and what is being done.

    Raises:
        InvalidInput: the clip is not the trace's, has too few groups of pictures, or the rule is Python code.
        NotCertified: nothing keeps the accuracy, or is proven to.
        UnknownModel: the trace has no such model.
    """
    began_s = time.perf_counter()
    check_accuracy(accuracy)
    if not uncertified:
        check_times(trace)
    if functions_in(rule):
        raise InvalidInput(f"rule {rule.text!r}: is Python code, which a packet gate can't be judged by at work")
    unknown = [model for model in models if model not in trace.models]
    if unknown:
        raise UnknownModel(unknown[0], list(trace.models))
    told = progress or (lambda *_: None)
    told(0.0, "reading the packets")
    recording = read_packets(clip, trace)
    middle = _middle(recording, clip)
    held = HeldLosses(Losses(trace, tuple(models or trace.models), rule))
    told(0.2, "learning")
    entered = policies(recording, held, 0, middle, seed)
    sweeps: list[PacketSweep] = []
    for number, (name, policy) in enumerate(entered.items()):
        told(0.4 + 0.6 * number / len(entered), f"calibrating: {name}")
        sweeps.append(sweep(name, policy, recording, held, middle, len(recording.packets)))
    spec = _spec(sweeps, trace, recording, held, accuracy=accuracy, seed=seed)
    found = spec.certificate
    if not found.certified and not uncertified:
        more = f"some {found.more_runs} more runs would probably do" if found.more_runs else "record a longer trace"
        raise NotCertified(
            f"nothing is certified to keep an accuracy of {accuracy:g}: on the {found.inputs} calibration inputs, "
            f"worth {found.runs:.0f} independent runs, {spec.kind} saves {found.rate:.3f} of decoding with a loss of "
            f"{found.error:.3f}, at most {found.upper_bound:.3f}; {more}, ask for less, or have it without a proof "
            "with --uncertified"
        )
    save_packets(out, spec)
    return PacketTraining(
        out,
        spec,
        middle,
        len(recording.packets) - middle,
        len(recording.starts),
        time.perf_counter() - began_s,
    )


def _middle(recording: PacketRecording, clip: Path) -> int:
    """The first packet of the calibration part: the key picture nearest the middle."""
    starts = recording.starts
    if len(starts) < _LEAST_GROUPS:
        raise InvalidInput(
            f"{clip}: has {len(starts)} groups of pictures in {len(recording.packets)} packets, and it takes "
            f"{_LEAST_GROUPS} to learn from; record longer, or have the camera send a key picture more often (each 1 "
            "or 2 s)"
        )
    return int(starts[np.argmin(np.abs(starts - len(recording.packets) / 2))])


def _spec(
    sweeps: Sequence[PacketSweep],
    trace: Trace,
    recording: PacketRecording,
    held: HeldLosses,
    *,
    accuracy: float,
    seed: int,
) -> PacketSpec:
    """What the file of the winner says of itself."""
    choice = choose(sweeps, accuracy=accuracy)
    winner = next(each for each in sweeps if each.name == choice.name)
    assert winner.policy is not None, "every packet sweep knows what was run"
    row = int(np.argmin(np.abs(winner.thresholds - choice.threshold)))
    kept, losses = winner.kept[row], winner.losses[row]
    models = held.losses.models
    # Its interval is one of inputs, and the rate here is one of time.
    certificate = unproven(choice.certificate, trace).model_copy(update={"rate_interval": (0.0, 1.0)})
    return PacketSpec(
        kind=choice.name,
        rule=held.losses.rule.text,
        zones=zones_in(held.losses.rule),
        models={model: trace.info.digests.get(model, "") for model in models},
        outputs={model: trace.models[model].output for model in models},
        weights=dict(zip(NAMES, winner.policy.weights, strict=True)),
        costs=asdict(recording.costs),
        keys_only=winner.policy.keys_only,
        threshold=choice.threshold,
        accuracy=accuracy,
        decoded=float(kept.mean()),
        agreement=float(1.0 - losses[~kept].mean()) if not kept.all() else 1.0,
        certificate=certificate,
        table=choice.table,
        candidates=choice.candidates,
        codec=recording.codec,
        learnt_from=LearntFrom.of(trace),
        versions={"infilink": __version__, "onnx": onnx.__version__},
        seed=seed,
    )
