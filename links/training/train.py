"""Learns the links of a recording: one network per model, measured, and written as a folder."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ... import __version__
from ...outputs import Array
from ...reporting import Progress
from ...traces.trace import Trace
from ..evaluation.unseen import fingerprints
from ..index import Index, check_writable, replacing_links
from ..link import LinkSpec, Net, parse_net, reads_ids
from ..networks.export import export_link
from ..networks.vector import LinkNetwork
from ..sequences.fit import fit_sequence
from ..sequences.network import SequenceNetwork
from ..table import NEVER, Table
from .certified import certified
from .fit import fit_link, one_thread, predict
from .fit_paper import fit_paper, fit_paper_sequence
from .judge import Judge
from .linkability import Linkability, write_linkability
from .measure import TargetCases, measure_links
from .samples import Samples, Situations

logger = logging.getLogger(__name__)

Fit = Callable[[Situations, Judge], LinkNetwork]
"""Makes a target's network, in evaluation mode."""


@dataclass(frozen=True)
class LearntTarget:
    """How well one model is predicted, measured on the report block.

    Attributes:
        constant: agreement of the best constant.
        held: agreement of its own last output, by age bucket.
        linked: agreement when all other models run, by age bucket and without a last output; the links that serve
            there are chosen on the validation block.
        certified: by age bucket, what was certified of how it is answered for when all other models run, in words.
        why: why there is no link, or an empty text.
    """

    constant: float
    held: tuple[float, ...]
    linked: tuple[float, ...]
    certified: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class LinksTraining:
    """The links that `train_links` wrote.

    Attributes:
        folder: where the links are.
        inputs: how many inputs it learnt from, chose on and reported on.
        seconds: how long it took.
        targets: what was learnt for each model.
    """

    folder: Path
    inputs: int
    seconds: float
    targets: Mapping[str, LearntTarget]


def train_links(
    trace: Trace,
    *,
    out: Path,
    seed: int = 0,
    net: Net = "ours",
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> LinksTraining:
    """Learns a link for every model of a recording and writes them to the folder `out`.

    Args:
        trace: the recording.
        out: the folder.
        seed: of everything random.
        net: whose networks: "ours", or the MLink "paper"'s, to compare with.
        fit: makes a network of that kind for a target; None: `fit_target` trains it.
        progress: told the share done and what is being done.

    Raises:
        InvalidInput: the recording is too short or has too few models, or `out` is something else than links.
    """
    started = time.perf_counter()
    parse_net(net)
    out = Path(out)
    check_writable(out)
    say = progress or (lambda share, doing: None)
    say(0.0, "reading the recording")
    samples = Samples.read(trace)
    fit = fit or partial(fit_target, net=net, seed=seed)
    tables, constants, refused, linkable = {}, {}, {}, {}
    with replacing_links(out) as folder:
        for index, target in enumerate(samples.models):
            say((index + 0.1) / (len(samples.models) + 0.2), f"learning {target}")
            tables[target], constants[target], refused[target], linkable[target] = _learn(
                samples, target, dict(trace.info.digests), folder, seed=seed, net=net, fit=fit
            )
        if trace.unproven:
            logger.warning("%s", trace.unproven)
            tables = {name: table.uncertified() for name, table in tables.items()}
        write_linkability(folder, linkable)
        _index(trace, samples, tables, constants, seed=seed, net=net).write(folder)
    say(1.0, "done")
    targets = {name: _learnt(samples, name, table, refused[name]) for name, table in tables.items()}
    return LinksTraining(out, len(samples), time.perf_counter() - started, targets)


def _learn(
    samples: Samples, target: str, digests: Mapping[str, str], folder: Path, *, seed: int, net: Net, fit: Fit
) -> tuple[Table, Array, str, Linkability]:
    """One target: its table, best constant, why it has no link, and every pair; the link is written to `folder`."""
    cases = TargetCases.of(samples, target, seed=seed)
    if samples.encodings[target].length == 0:
        linkable = Linkability.measure(cases, None)
        return certified(cases.free, cases), cases.constant, "its output never changes in the recording", linkable
    situations = Situations(samples, target, ids=reads_ids(net, samples.encodings[target]))
    if net == "paper" and not any(situations.layout.lengths.values()):
        linkable = Linkability.measure(cases, None)
        why = "no other model's output changes in the recording"
        return certified(cases.free, cases), cases.constant, why, linkable
    network = fit(situations, cases.judge)
    predictor = partial(predict, network)
    with one_thread():
        table = certified(measure_links(predictor, situations, cases), cases, (predictor, situations))
        linkable = Linkability.measure(cases, (predictor, situations))
    if not table.linked:
        return table, cases.constant, "no link is better than holding its last output or a constant", linkable
    spec = LinkSpec(
        target,
        {name: samples.encodings[name] for name in (*situations.sources, target)},
        digests,
        __version__,
        net,
        network.decoding if isinstance(network, SequenceNetwork) else None,
    )
    export_link(network, spec, folder / f"{target}.onnx")
    return table, cases.constant, "", linkable


def fit_target(situations: Situations, judge: Judge, *, net: Net, seed: int) -> LinkNetwork:
    """A trained network, in evaluation mode.

    Args:
        situations: the recording's, with ids if the network reads them (`reads_ids`).
        judge: compares the target's outputs.
        net: whose network: "ours" or the MLink "paper"'s.
        seed: of everything random.
    """
    tokens = situations.samples.encodings[situations.target].tokens is not None
    if net == "paper":
        fit = fit_paper_sequence if tokens else fit_paper
        return fit(situations, judge, seed=seed)
    return fit_sequence(situations, judge, seed=seed) if tokens else fit_link(situations, judge, seed=seed)


def _learnt(samples: Samples, target: str, table: Table, why: str) -> LearntTarget:
    others = frozenset(samples.sources(target))
    routes = [table.choose(others, age) for age in range(NEVER + 1)]
    return LearntTarget(
        table.constant.report,
        tuple(cell.report for cell in table.held),
        tuple(route.measured.report for route in routes),
        tuple(route.certificate_text for route in routes),
        why,
    )


def _index(
    trace: Trace,
    samples: Samples,
    tables: Mapping[str, Table],
    constants: Mapping[str, Array],
    *,
    seed: int,
    net: Net,
) -> Index:
    notes: dict[str, Any] = {
        "source": trace.info.source,
        "input": trace.info.input,
        "inputs": len(trace),
        "first_sequence": int(trace.sequences[0]),
        "marks": fingerprints(trace, trace.models, before=int(trace.sequences[samples.blocks.report[0]])),
        "report_sequence": int(trace.sequences[samples.blocks.report[0]]),
        "step_s": samples.step_s,
        "seed": seed,
        "net": net,
        "calibrated_s": round(time.time(), 3),
        "version": __version__,
    }
    links = tuple(name for name, table in tables.items() if table.linked)
    info = trace.info
    return Index(info.models, info.costs, info.digests, samples.encodings, tables, constants, links, notes)
