"""The folder of links that a link across domains becomes part of: a new one, or the links that are there already."""

import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ... import __version__
from ...errors import InvalidInput, UnknownModel
from ...models.spec import parse_spec
from ...outputs import Array
from ...traces.trace import Trace
from ..evaluation.unseen import fingerprints
from ..graph import LinkGraph
from ..index import STEM_FILE, Index, noted_inputs, replacing_links
from ..link import Link, LinkSpec
from ..table import BUCKETS, NEVER, Route, Table
from ..training.certified import certified
from ..training.linkability import Linkability, read_linkability, write_linkability
from ..training.measure import TargetCases, measure_links
from ..training.predictor import NetworkPredictor
from ..training.samples import Samples, Situations, check_recording
from .export import Confidence, check_can_export, export_fused
from .fusion import FusedLink
from .task import LinkTask, Pairs

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """What came of a link in its folder.

    Attributes:
        folder: the links.
        target: whom it answers for.
        route: how the target is answered for where it never ran and all of the link's sources did.
        why: why the link is of no use at any age of the target's last output, or an empty text.
    """

    folder: Path
    target: str
    route: Route
    why: str

    @property
    def text(self) -> str:
        """The same in words."""
        route, measured = self.route, self.route.measured
        how = f"linked from {', '.join(route.sources)}" if route.origin == "linked" else "a constant"
        evidence = self.why or route.certificate_text
        return f"{self.folder}: {self.target} is {how}, agreement {measured.report:.3f}; {evidence}"

    def figures(self) -> dict[str, object]:
        """The same as plain values for JSON."""
        route = self.route
        return {
            "links": str(self.folder),
            "target": self.target,
            "origin": route.origin,
            "sources": list(route.sources),
            "agreement": route.measured.report,
            "why": self.why,
        }


@dataclass(frozen=True)
class LinkFolder:
    """A recording, and the links that a link learnt from it is to stand beside.

    Attributes:
        trace: the recording.
        samples: the outputs of its models, all that can run.
        base: the links that are there already, and their folder; None: there are none.
    """

    trace: Trace
    samples: Samples
    base: tuple[Path, LinkGraph] | None

    @classmethod
    def open(cls, trace: Trace, links: Path | None = None, *, virtual: str = "") -> Self:
        """Reads both.

        Args:
            trace: the recording.
            links: the links that are there already, of the same models; None: there are none.
            virtual: what people's labels are called that links are to say; empty: nothing.

        Raises:
            InvalidInput: the recording is too short, or the links are of other models.
        """
        check_recording(trace)
        if links is None:
            models = {name: spec for name, spec in trace.models.items() if name != virtual}
            outputs = {name: trace.outputs(name) for name in models}
            return cls(trace, Samples.of(models, trace.captured_s, outputs), None)
        graph = LinkGraph.load(links)
        graph.check(links, trace.models, trace.info.digests, info=trace.info)
        if virtual in graph.digests:
            raise InvalidInput(
                f"{links}: was trained with {virtual!r} as a model that runs: give the labels another name (--name), "
                "or leave --links out"
            )
        models = {name: graph.models[name] for name in graph.digests}
        outputs = {name: trace.outputs(name) for name in models}
        return cls(trace, Samples.of(models, trace.captured_s, outputs, graph.encodings), (links, graph))

    @property
    def digests(self) -> dict[str, str]:
        """Each model file's digest."""
        known = self.trace.info.digests
        return {name: known[name] for name in self.samples.models if name in known}

    def samples_of(self, task: LinkTask) -> Samples:
        """What a link to a model of the recording is learnt from and measured on.

        Raises:
            UnknownModel: a model of the task is not among those here.
        """
        names = (*task.sources, task.target)
        for name in names:
            if name not in self.samples.models:
                raise UnknownModel(name, tuple(self.samples.models))
        samples = self.samples
        return replace(
            samples,
            models={name: samples.models[name] for name in names},
            values={name: samples.values[name] for name in names},
            encodings={name: samples.encodings[name] for name in names},
            vectors={name: samples.vectors[name] for name in names},
        )

    def labelled(self, task: LinkTask, rows: Array, labels: list[Array]) -> Samples:
        """What a link to people's labels is learnt from and measured on: the labelled inputs, rising `rows`, alone."""
        samples = self.samples
        spec = parse_spec({"name": task.target, "output": task.output, "virtual": True}, where=task.target)
        models = {**{name: samples.models[name] for name in task.sources}, task.target: spec}
        outputs = {**{name: [samples.values[name][row] for row in rows] for name in task.sources}, task.target: labels}
        known = {name: samples.encodings[name] for name in task.sources}
        return Samples.of(models, samples.captured_s[rows], outputs, known)

    def write(self, out: Path, link: FusedLink, samples: Samples, *, seed: int = 0, told: Mapping[str, Any]) -> Written:
        """Measures a link and writes the folder with it; the links that are there already stay as they are.

        Args:
            out: the folder; may be that of the links that are there already.
            link: the link.
            samples: of its task, as `samples_of` or `labelled` gave them.
            seed: of what measuring draws.
            told: what the notes are to say of it.

        Raises:
            InvalidInput: something else than links is at `out`, or the package onnx is not installed.
        """
        target = link.task.target
        check_can_export()
        with replacing_links(out) as folder:
            if self.base is not None:
                for name in self.base[1].links.keys() - {target}:
                    known = self.base[1].links[name].path
                    assert known is not None, "it was read from a folder"
                    shutil.copy2(known, folder / known.name)
                if self.base[1].stem is not None:
                    shutil.copy2(self.base[1].stem.path, folder / STEM_FILE)
            cases = TargetCases.of(samples, target, seed=seed)
            table, row, why = self._measure(folder / f"{target}.onnx", link, samples, cases)
            if self.trace.unproven:
                logger.warning("%s", self.trace.unproven)
                table = table.uncertified()
            index, linkable = self._others(target, seed)
            if linkable is not None:
                others = [name for name in self.samples.models if name != target]
                linkable[target] = _widened(row, others, virtual=samples.models[target].virtual)
                write_linkability(folder, linkable)
            links = tuple(name for name in index.links if name != target) + ((target,) if table.linked else ())
            notes = self._notes(index.notes, link.task, samples, told)
            spec = samples.models[target]
            replace(
                index,
                models=dict(sorted({**index.models, target: spec}.items())),
                encodings={**index.encodings, target: samples.encodings[target]},
                tables={**index.tables, target: table},
                constants={**index.constants, target: cases.constant},
                links=links,
                notes=notes,
            ).write(folder)
        return Written(out, target, table.choose(frozenset(link.task.sources), NEVER), why)

    def _measure(
        self, path: Path, link: FusedLink, samples: Samples, cases: TargetCases
    ) -> tuple[Table, Linkability, str]:
        """The target's table and row, and why it has no link; the link is written to `path`.

        What is measured is what the file says, so it is what will be served.
        """
        task = link.task
        situations = Situations(samples, task.target)
        why = ""
        if not samples.encodings[task.target].length:
            why = "its output never changes in what was learnt from"
        elif not situations.layout.total:
            why = "no output of its sources changes in the recording"
        if why:
            return certified(cases.free, cases), Linkability.measure(cases, None), why
        chosen_on = Pairs.of(task, samples).rows(samples.blocks.validation)
        numbers = link.predict(chosen_on.inputs)
        confidence = Confidence.fit(task.form, numbers, task.form.agreements(numbers, chosen_on.targets))
        encodings = {name: samples.encodings[name] for name in (*task.sources, task.target)}
        spec = LinkSpec(task.target, encodings, self.digests, __version__, "domain")
        export_fused(link, confidence, spec, path)
        predictor, sets = NetworkPredictor(Link(path).predict_many, situations), [situations.sources]
        table = certified(measure_links(predictor, cases, sets), cases, predictor)
        row = Linkability.measure(cases, predictor, sets)
        if not table.linked:
            path.unlink()
            why = "no link is clearly better than what costs nothing"
        return table, row, why

    def _others(self, target: str, seed: int) -> tuple[Index, dict[str, Linkability] | None]:
        """The other models' part of the index and their rows; None: an earlier version kept none."""
        if self.base is not None:
            folder, graph = self.base
            parts = (graph.models, graph.costs, graph.digests, graph.encodings, graph.tables, graph.constants)
            digest = "" if graph.stem is None else graph.stem.digest
            return Index(*parts, tuple(graph.links), graph.notes, stem=digest), read_linkability(folder)
        others = {name: TargetCases.of(self.samples, name, seed=seed) for name in self.samples.models if name != target}
        info, models = self.trace.info, self.samples.models
        index = Index(
            models,
            {name: info.costs[name] for name in models},
            self.digests,
            self.samples.encodings,
            {name: self._certified(cases) for name, cases in others.items()},
            {name: cases.constant for name, cases in others.items()},
            (),
            {
                "source": info.source,
                **noted_inputs(info),
                "inputs": len(self.trace),
                "first_sequence": int(self.trace.sequences[0]),
                "step_s": self.samples.step_s,
                "seed": seed,
                "net": "domain",
                "calibrated_s": round(time.time(), 3),
                "version": __version__,
            },
        )
        return index, {name: Linkability.measure(cases, None) for name, cases in others.items()}

    def _certified(self, cases: TargetCases) -> Table:
        found = certified(cases.free, cases)
        return found.uncertified() if self.trace.unproven else found

    def _notes(
        self, notes: Mapping[str, Any], task: LinkTask, samples: Samples, told: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The notes with what is told of this link, and which inputs may be evaluated on."""
        known = dict(notes.get("domains", {}))
        known[task.target] = {"sources": list(task.sources), "inputs": len(samples), **told}
        found = {**notes, "domains": known}
        if notes.get("source") != self.trace.info.source:
            return found
        first = samples.captured_s[samples.blocks.report[0]]
        at = int(np.searchsorted(self.trace.captured_s, first))
        report = max(int(notes.get("report_sequence", 0)), int(self.trace.sequences[at]))
        marks = fingerprints(self.trace, self.samples.models, before=report)
        return {**found, "report_sequence": report, "marks": marks}


def _widened(row: Linkability, others: list[str], *, virtual: bool) -> Linkability:
    """A row with a cell for every other model, empty for those that the link does not read; labels are never held."""
    none = (None,) * BUCKETS
    sources = {name: row.sources.get(name, none) for name in others}
    everything = row.others if row.sources.keys() == sources.keys() else none
    return replace(row, held=none if virtual else row.held, sources=sources, others=everything)
