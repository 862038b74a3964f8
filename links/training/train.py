"""Learns the links of a recording, or of a site's: for every model, measured, and written as a folder."""

import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...errors import InvalidInput
from ...models.heads.threads import one_blas_thread
from ...models.stem.stem import Stem
from ...outputs import Array
from ...reporting import Progress
from ...traces.site import Site
from ...traces.trace import Trace
from ..evaluation.unseen import fingerprints
from ..index import CAMERAS, STEM_FILE, Index, check_writable, noted_inputs, replacing_links
from ..linear.link import SUFFIX
from ..link import Net, parse_net
from ..table import NEVER, STEM, Table
from .learner import Fit, Learner
from .linkability import Linkability, write_linkability
from .samples import Blocks, Samples

logger = logging.getLogger(__name__)


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
        targets: what was learnt for each model; of a site from all cameras, for a camera that nobody has seen.
        cameras: of a site: the same for each camera.
    """

    folder: Path
    inputs: int
    seconds: float
    targets: Mapping[str, LearntTarget]
    cameras: Mapping[str, Mapping[str, LearntTarget]] = field(default_factory=dict)


def train_links(
    source: Trace | Mapping[str, Trace],
    *,
    out: Path,
    stem: Path | None = None,
    seed: int = 0,
    net: Net = "ours",
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> LinksTraining:
    """Learns a link for every model of a recording, or of a site's cameras, and writes them to the folder `out`.

    Of a site the folder holds what all cameras taught, and in `cameras/NAME` what each taught beside the others.

    Args:
        source: the recording, or one of each camera.
        out: the folder.
        stem: the stem whose features links read beside outputs; None: outputs only.
        seed: of everything random.
        net: "ours", or the MLink "paper"'s networks, to compare with; those read no stem.
        fit: makes a target's link, in the place of what `net` says; None: nothing does.
        progress: told the share done and what is being done.

    Raises:
        InvalidInput: a recording is too short or has too few models, they are not of the same ones, `out` is something
            else than links, or the stem can't be used with it.
    """
    started = time.perf_counter()
    parse_net(net)
    site = Site.of(source)
    if STEM in site.models:
        raise InvalidInput(
            f"{site.first.path}: has a model named {STEM!r}, which is what links call the stem's features; name the "
            "model otherwise and record again"
        )
    out = Path(out)
    check_writable(out)
    say = progress or (lambda share, doing: None)
    say(0.0, "reading the recording")
    opened = None if stem is None or net == "paper" else _open_stem(stem, site.first)
    features = None if opened is None else {camera: _features(opened, trace) for camera, trace in site.items()}
    samples = Samples.read(site, features)
    digest = "" if opened is None else opened.digest
    pooled = Learner(samples, dict(site.info.digests), seed, net, fit, digest)
    learners = {"": pooled} | {camera: pooled.of(camera) for camera in samples.cameras}
    parts: dict[str, _Part] = {}
    with replacing_links(out) as folder, one_blas_thread():
        for camera in learners:
            parts[camera] = _Part()
            _folder_of(folder, camera).mkdir(parents=True, exist_ok=True)
        for index, target in enumerate(samples.models):
            for number, (camera, learner) in enumerate(learners.items()):
                share = (index + number / len(learners)) / len(samples.models)
                say(0.05 + 0.95 * share, f"learning {target}" + (f" of {camera}" if camera else ""))
                parts[camera].take(target, learner.learn(target, _folder_of(folder, camera)))
            # What cameras are drawn to takes more memory than all that is kept of it.
            pooled.fitted.pop(target, None)
        for camera, part in parts.items():
            write_linkability(_folder_of(folder, camera), part.linkable)
        if site.unproven:
            logger.warning("%s", site.unproven)
        for camera, part in parts.items():
            # A camera that nobody has seen is proven nothing of: units of proof are cameras there, and far too few.
            if site[camera].unproven if camera else site.unproven or len(site) > 1:
                part.tables = {name: table.uncertified() for name, table in part.tables.items()}
        # Where a stem looks, every link in closed form reads it: at least to judge by it what is held.
        read = next(folder.rglob(f"*{SUFFIX}"), None) is not None
        if opened is not None and read:
            shutil.copy2(opened.path, folder / STEM_FILE)
        told = {"seed": seed, "net": net, "calibrated_s": round(time.time(), 3), "version": __version__}
        for camera, part in parts.items():
            at = _folder_of(folder, camera)
            notes = _notes(site if not camera else Site({camera: site[camera]})) | told
            _index(at, site, learners[camera].samples, part, notes, stem=digest if read else "").write(at)
    say(1.0, "done")
    targets = {camera: part.learnt(learners[camera].samples) for camera, part in parts.items()}
    return LinksTraining(out, len(samples), time.perf_counter() - started, targets.pop(""), targets)


@dataclass
class _Part:
    """What was learnt of one camera, or of all together, by target."""

    tables: dict[str, Table] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    linkable: dict[str, Linkability] = field(default_factory=dict)

    def take(self, target: str, found: tuple[Table, Array, str, Linkability]) -> None:
        self.tables[target], self.constants[target], self.refused[target], self.linkable[target] = found

    def learnt(self, samples: Samples) -> dict[str, LearntTarget]:
        return {name: _learnt(samples, name, table, self.refused[name]) for name, table in self.tables.items()}


def _folder_of(folder: Path, camera: str) -> Path:
    """Where a camera's part of the links lies; all cameras' lies on top."""
    return folder / CAMERAS / camera if camera else folder


def _features(stem: Stem, trace: Trace) -> Array:
    return np.stack([stem.see(frame).features for frame in trace.frames()])


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


def _notes(site: Site) -> dict[str, Any]:
    """Where and on what links were learnt: of a site for each camera, under "recordings"."""
    if len(site) > 1:
        recordings = [_notes(Site({camera: trace})) for camera, trace in site.items()]
        step_s = float(np.median([notes["step_s"] for notes in recordings]))
        return {**noted_inputs(site.info), "inputs": site.inputs, "step_s": step_s, "recordings": recordings}
    trace = site.first
    report = int(trace.sequences[Blocks.split(len(trace)).report[0]])
    return {
        "source": trace.info.source,
        **noted_inputs(trace.info),
        "inputs": len(trace),
        "first_sequence": int(trace.sequences[0]),
        "marks": fingerprints(trace, trace.models, before=report),
        "report_sequence": report,
        "step_s": float(np.median(np.diff(trace.captured_s))),
    }


def _index(folder: Path, site: Site, samples: Samples, part: _Part, notes: Mapping[str, Any], *, stem: str) -> Index:
    links = tuple(name for name, table in part.tables.items() if table.linked or (folder / f"{name}{SUFFIX}").is_file())
    encodings = samples.encodings
    return Index(
        site.models, site.costs, site.info.digests, encodings, part.tables, part.constants, links, notes, stem=stem
    )
