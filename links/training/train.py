"""Learns the links of a recording: one network per model, measured, and written as a folder."""

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import __version__
from ...errors import InvalidInput
from ...models.heads.threads import one_blas_thread
from ...models.stem.stem import Stem
from ...outputs import Array
from ...reporting import Progress
from ...traces.trace import Trace
from ..evaluation.unseen import fingerprints
from ..index import STEM_FILE, Index, check_writable, replacing_links
from ..linear.link import SUFFIX
from ..link import LinkSpec, Net, parse_net, reads_ids
from ..sequences.search import Decoding
from ..table import NEVER, STEM, Table
from .certified import certified
from .fit_linear import Design, FittedLinear
from .judge import Judge
from .linkability import Linkability, write_linkability
from .measure import NetworkPredictor, TargetCases, measure_links
from .samples import Samples, Situations

if TYPE_CHECKING:
    from ..networks.vector import LinkNetwork

logger = logging.getLogger(__name__)

_NO_LINK = "no link is better than holding its last output or a constant"

Fit = Callable[[Situations, Judge], "LinkNetwork | FittedLinear"]
"""Makes a target's link: a network in evaluation mode, or regressions."""


@dataclass(frozen=True)
class LearntTarget:
    """How well one model is predicted, measured on the report block.

    Attributes:
        constant: agreement of the best constant.
        held: agreement of its own last output, by age bucket.
        linked: agreement when all other models run and the stem looks, by age bucket and without a last output; the
            links that serve there are chosen on what comes before the report block.
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
    stem: Path | None = None,
    seed: int = 0,
    net: Net = "ours",
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> LinksTraining:
    """Learns a link for every model of a recording and writes them to the folder `out`.

    Args:
        trace: the recording.
        out: the folder.
        stem: the stem whose features links read beside outputs; None: outputs only.
        seed: of everything random.
        net: "ours", or the MLink "paper"'s networks, to compare with; those read no stem.
        fit: makes a target's link, in the place of what `net` says; None: nothing does.
        progress: told the share done and what is being done.

    Raises:
        InvalidInput: the recording is too short or has too few models, `out` is something else than links, or the
            stem can't be used with it.
    """
    started = time.perf_counter()
    parse_net(net)
    if STEM in trace.models:
        raise InvalidInput(
            f"{trace.path}: has a model named {STEM!r}, which is what links call the stem's features; name the model "
            "otherwise and record again"
        )
    out = Path(out)
    check_writable(out)
    say = progress or (lambda share, doing: None)
    say(0.0, "reading the recording")
    opened = None if stem is None or net == "paper" else _open_stem(stem, trace)
    features = None if opened is None else np.stack([opened.see(frame).features for frame in trace.frames()])
    samples = Samples.read(trace, features)
    learner = _Learner(samples, dict(trace.info.digests), seed, net, fit, "" if opened is None else opened.digest)
    tables, constants, refused, linkable = {}, {}, {}, {}
    with replacing_links(out) as folder, one_blas_thread():
        for index, target in enumerate(samples.models):
            say((index + 0.1) / (len(samples.models) + 0.2), f"learning {target}")
            tables[target], constants[target], refused[target], linkable[target] = learner.learn(target, folder)
        if trace.unproven:
            logger.warning("%s", trace.unproven)
            tables = {name: table.uncertified() for name, table in tables.items()}
        write_linkability(folder, linkable)
        read = any(STEM in sources for table in tables.values() for sources in table.linked)
        if opened is not None and read:
            shutil.copy2(opened.path, folder / STEM_FILE)
        digest = opened.digest if opened is not None and read else ""
        _index(trace, samples, tables, constants, seed=seed, net=net, stem=digest).write(folder)
    say(1.0, "done")
    targets = {name: _learnt(samples, name, table, refused[name]) for name, table in tables.items()}
    return LinksTraining(out, len(samples), time.perf_counter() - started, targets)


def _open_stem(path: Path, trace: Trace) -> Stem:
    """The stem, for a recording that it can look at.

    Raises:
        InvalidInput: the recording holds no pictures, or the file is no stem.
    """
    if trace.info.input != "image":
        raise InvalidInput(
            f"{trace.path}: holds no pictures for a stem to look at; leave --stem out, or say --stem none"
        )
    return Stem(path)


@dataclass(frozen=True)
class _Learner:
    """Learns and measures one target after another.

    Attributes:
        samples: the recording.
        digests: of each model's file.
        seed: of everything random.
        net: what is learnt.
        fit: makes a target's link, in the place of what `net` says; None: nothing does.
        stem: the digest of the stem; empty: none is read.
    """

    samples: Samples
    digests: Mapping[str, str]
    seed: int
    net: Net
    fit: Fit | None
    stem: str

    @cached_property
    def design(self) -> Design:
        """All sources as numbers, made once."""
        return Design.of(self.samples)

    def learn(self, target: str, folder: Path) -> tuple[Table, Array, str, Linkability]:
        """A target's table, best constant, why it has no link, and every pair; the link is written to `folder`."""
        encoding, judge = self.samples.encodings[target], Judge(self.samples, target)
        if encoding.length == 0:
            return self._free(target, "its output never changes in the recording")
        if self.fit is None and self.net == "ours" and encoding.tokens is None:
            return self._regressions(FittedLinear.fit(self.design, judge, seed=self.seed), folder)
        situations = Situations(self.samples, target, ids=reads_ids(self.net, encoding))
        if self.net == "paper" and not any(situations.layout.lengths.values()):
            return self._free(target, "no other model's output changes in the recording")
        found = self.fit(situations, judge) if self.fit is not None else self._trained(situations, judge)
        if isinstance(found, FittedLinear):
            return self._regressions(found, folder)
        return self._network(found, situations, folder)

    def _trained(self, situations: Situations, judge: Judge) -> "LinkNetwork":
        from .networks import fit_network

        return fit_network(situations, judge, net=self.net, seed=self.seed)

    def _regressions(self, fitted: FittedLinear, folder: Path) -> tuple[Table, Array, str, Linkability]:
        target, design = fitted.judge.target, fitted.design
        cases = TargetCases.of(self.samples, target, seed=self.seed, chosen_on=design.learnt)
        measured = measure_links(fitted, cases, design.sets(target)).pruned()
        table, linkable = certified(measured, cases, fitted), Linkability.measure(cases, fitted)
        if not table.linked:
            return table, cases.constant, _NO_LINK, linkable
        fitted.link(self._spec(target), list(table.linked), self.stem).write(folder / f"{target}{SUFFIX}")
        return table, cases.constant, "", linkable

    def _network(
        self, network: "LinkNetwork", situations: Situations, folder: Path
    ) -> tuple[Table, Array, str, Linkability]:
        from ..networks.export import export_link
        from ..sequences.network import SequenceNetwork
        from .fit import one_thread, predict

        target = situations.target
        cases = TargetCases.of(self.samples, target, seed=self.seed)
        predictor = NetworkPredictor(partial(predict, network), situations)
        with one_thread():
            table = certified(measure_links(predictor, cases), cases, predictor)
            linkable = Linkability.measure(cases, predictor)
        if not table.linked:
            return table, cases.constant, _NO_LINK, linkable
        decoding = network.decoding if isinstance(network, SequenceNetwork) else None
        export_link(network, self._spec(target, decoding), folder / f"{target}.onnx")
        return table, cases.constant, "", linkable

    def _free(self, target: str, why: str) -> tuple[Table, Array, str, Linkability]:
        cases = TargetCases.of(self.samples, target, seed=self.seed)
        return certified(cases.free, cases), cases.constant, why, Linkability.measure(cases, None)

    def _spec(self, target: str, decoding: Decoding | None = None) -> LinkSpec:
        encodings = {name: self.samples.encodings[name] for name in (*self.samples.sources(target), target)}
        return LinkSpec(target, encodings, self.digests, __version__, self.net, decoding)


def _learnt(samples: Samples, target: str, table: Table, why: str) -> LearntTarget:
    others = frozenset((*samples.sources(target), STEM))
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
    stem: str,
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
    return Index(info.models, info.costs, info.digests, samples.encodings, tables, constants, links, notes, stem=stem)
