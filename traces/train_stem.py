"""A stem from the traces of a site: which of their models may give it, and by which inputs it is chosen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ..codec import decode_jpeg
from ..errors import InvalidInput
from ..models.spec import digest
from ..models.stem.choose import ChosenStem, StemTooSlow, choose_stem
from ..models.stem.cut import save_stem
from ..models.stem.judge import Stream
from ..models.stem.origin import Origin
from ..outputs import Array
from ..reporting import Progress
from .trace import Trace

LATENCY_MS = 1.0
"""What a frame may take where nobody says; where nothing is as fast, it may take somewhat more than what is fastest."""
_MORE = 1.5
_MOST_INPUTS = 800
_LEAST_INPUTS = 40
# The stem is part of what filters and links certify on the later part of the same trace: it is chosen without that.
_CHOSEN_SHARE = 0.5


def train_stem(
    traces: Sequence[Trace],
    models: Mapping[str, Path],
    *,
    out: Path,
    named: bool = False,
    latency_ms: float | None = None,
    slowdown: float = 1.0,
    device: str = "",
    licences: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> tuple[ChosenStem, dict[str, str]]:
    """Chooses a stem among what the models offer, by the first half of each trace, and writes it to `out`.

    Args:
        traces: of the site's cameras, with their pictures.
        models: the files that may give it, by name.
        out: the stem's file.
        named: whether these models were asked for by name, so that one that no trace knows is taken all the same.
        latency_ms: what a frame may take on one core, its resizing included; None: `LATENCY_MS`, or, where nothing is
            as fast, what is not much slower than the fastest.
        slowdown: how much slower the device is than this machine.
        device: its name.
        licences: of models whose own files do not say it, by name.
        progress: told how far it is.

    Returns:
        What was chosen and tried, and why some models were not.

    Raises:
        InvalidInput: no model can be taken or offers anything within the limit, a trace holds too few pictures, or a
            licence is of no model here, or another than its file says.
    """
    licences = licences or {}
    for name, licence in licences.items():
        _check_licence(name, licence, models)
    taken, left_out = _known(traces, models, named=named)
    streams = [_stream(trace, _MOST_INPUTS // len(traces)) for trace in traces]
    choose = partial(choose_stem, taken, streams, slowdown=slowdown, device=device, progress=progress)
    try:
        done = choose(latency_ms=LATENCY_MS if latency_ms is None else latency_ms)
    except StemTooSlow as error:
        if latency_ms is not None:
            raise
        done = choose(latency_ms=_MORE * error.fastest_ms)
    if done.spec.model in licences:
        done = replace(done, spec=done.spec.model_copy(update={"licence": licences[done.spec.model]}))
    save_stem(out, done.graph, done.spec)
    return done, {**done.nothing, **left_out}


def _check_licence(name: str, licence: str, models: Mapping[str, Path]) -> None:
    if name not in models:
        raise InvalidInput(
            f"--licence {name}={licence}: there is no model {name!r} here; there are {', '.join(models)}"
        )
    own = Origin.of(models[name]).licence
    if own not in ("", licence):
        raise InvalidInput(f"--licence {name}={licence}: {models[name]} itself says {own!r}, which holds: leave it out")


def _known(
    traces: Sequence[Trace], found: Mapping[str, Path], *, named: bool
) -> tuple[dict[str, Path], dict[str, str]]:
    """The models that the traces are of, and why others are not taken."""
    taken, left_out = {}, {}
    for name, path in found.items():
        recorded = {trace.path.name: trace.info.digests.get(name) for trace in traces}
        now = digest(path)
        other = next((trace for trace, then in recorded.items() if then not in (None, now)), None)
        if other is not None:
            why = f"the file is {now}, and {other} recorded {recorded[other]}: record it again, or bring that file back"
            if named:
                raise InvalidInput(f"{path}: {why}")
            left_out[name] = why
        elif not named and not any(recorded.values()):
            left_out[name] = "no trace knows it; name it with --model to take it all the same"
        else:
            taken[name] = path
    if not taken:
        raise InvalidInput(f"no model here can be taken: {'; '.join(f'{n}: {why}' for n, why in left_out.items())}")
    return taken, left_out


def _stream(trace: Trace, most: int) -> Stream:
    """Up to so many inputs of a trace's first half, at equal distances.

    Raises:
        InvalidInput: its inputs are no pictures, or there are too few.
    """
    if trace.info.input != "image":
        kept = "outputs only" if trace.info.input == "none" else f"inputs {trace.info.told_input}"
        raise InvalidInput(
            f"{trace.path}: holds {kept}; a stem is chosen by pictures (docs/STEM.md); filters, reuse and links of "
            "other inputs are learnt without one"
        )
    if len(trace) < _LEAST_INPUTS:
        raise InvalidInput(f"{trace.path}: holds {len(trace)} inputs; a stem is chosen by {_LEAST_INPUTS} or more")
    inputs = round(_CHOSEN_SHARE * len(trace))
    taken = np.unique(np.linspace(0, inputs - 1, min(inputs, most)).round().astype(int)).tolist()
    wanted = set(taken)

    def frames() -> Iterator[Array]:
        return (decode_jpeg(each) for i, each in enumerate(trace.payloads()) if i in wanted)

    outputs = {name: [values[i] for i in taken] for name in trace.models for values in [trace.outputs(name)]}
    return Stream(trace.path.name, frames, outputs, {name: spec.output for name, spec in trace.models.items()})
