"""The demo's steps: record, learn, plan, then stream the later part in full, our way, and by what costs nothing."""

import shutil
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ...device.record import record
from ...device.sources.base import Source
from ...device.sources.open import open_source
from ...errors import InvalidInput
from ...filters.rules.parser import parse_rule
from ...filters.spec import FilterSpec
from ...filters.training.train import FilterTraining, train_filter
from ...links.graph import LinkGraph
from ...links.planning.options import PlanOptions
from ...links.planning.plan import Plan
from ...links.planning.planner import make_plan
from ...links.training.train import train_links
from ...models.spec import ModelSpec, find_models
from ...reporting import Progress
from ...traces.trace import Trace
from ...units import format_bytes, parse_budget
from ..street.video import write_video
from .daemons import Run, Setting, Stretch, run
from .rate import difference_threshold
from .score import Compared, compare
from .videofile import VideoFileWriter

# How much of the source is served, at its end; nothing learnt has seen it.
SERVE_SHARE = 0.3
SERVE_FRAMES = 390
# More inputs than these cost minutes: of a longer source every n-th frame is recorded.
LEARN_INPUTS = 460
# A live source is recorded first, so that every run sees the same frames.
LIVE_SECONDS = 60.0
STREET_SECONDS = 150.0
# Of the street: what is learnt from is a day and more, what is served is of the next one.
STREET_DAY_S = 75.0
LEAST_FRAMES = 120
ACCURACIES = (0.99, 0.95, 0.9, 0.8, 0.7)


@dataclass(frozen=True)
class DemoOptions:
    """What the user asked for.

    Attributes:
        out: the folder for everything the demo writes.
        source: a video file, an RTSP address, a camera's number; None: the rendered street.
        models: a folder of models; None: the street's seven.
        budget: what the models may hold, as `budget.py` reads it.
        seconds: how much of the source to use; None: the street's default, or the whole file.
        accuracy: what agreement the filter must keep; None: the highest of `ACCURACIES` that one does keep.
        seed: of the rendered street and of the training.
    """

    out: Path
    source: str | None = None
    models: Path | None = None
    budget: str = "40%"
    seconds: float | None = None
    accuracy: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Demo:
    """All that the report tells of."""

    options: DemoOptions
    source: str
    stretch: Stretch
    specs: dict[str, ModelSpec]
    plan: Plan
    filter_text: str
    runs: dict[str, Run]
    compared: dict[str, Compared]
    seconds_by_step: dict[str, float]


class Steps:
    """Tells what is being done, and keeps how long it took."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._weights = {"source": 8, "record": 24, "filter": 14, "links": 10, "full": 24, "infilink": 5, "free": 15}
        self._done = 0.0

    def start(self, name: str, what: str) -> Progress:
        """Begins a step; returns where the step tells its own progress."""
        now = time.perf_counter()
        self.finish()
        self._name, self._since = name, now
        weight, base = self._weights[name] / sum(self._weights.values()), self._done
        self._done += weight
        self._progress(base, what)
        return lambda share, text: self._progress(base + weight * share, f"{what}: {text}" if text else what)

    def finish(self) -> None:
        """Ends the step that runs, if one does."""
        if hasattr(self, "_name"):
            self.seconds[self._name] = round(time.perf_counter() - self._since, 2)


def run_demo(options: DemoOptions, progress: Progress) -> Demo:
    """Does the whole job.

    Raises:
        InfilinkError: the source, the models or the budget won't do; the message says what to do.
    """
    parse_budget(options.budget, {})  # what is no budget at all is told before minutes of work
    steps = Steps(progress)
    models_folder = options.models or Path(__file__).parent.parent / "street" / "models"
    models = find_models(models_folder)
    options.out.mkdir(parents=True, exist_ok=True)
    told = steps.start("source", "preparing the source")
    source, learn, serve = _split(options, told)

    told = steps.start("record", f"recording what {len(models)} models say of the first {learn.seconds:.0f} s")
    trace_path = options.out / "learn.trace"
    trace_path.unlink(missing_ok=True)
    every = _every(source, learn)
    record(source, models, trace_path, start_s=learn.start_s, seconds=learn.seconds, every=every, progress=told)

    with Trace(trace_path) as trace:
        budget_bytes = parse_budget(
            options.budget, {name: cost.memory_bytes for name, cost in trace.info.costs.items()}
        )
        told = steps.start("filter", "learning the filter")
        filter_path = options.out / "filter.onnx"
        learnt = _learn_filter(trace, options, filter_path, told)
        told = steps.start("links", "learning the links")
        links_folder = options.out / "links"
        shutil.rmtree(links_folder, ignore_errors=True)
        train_links(trace, out=links_folder, seed=options.seed, progress=told)
        # With the filter before it, an input comes so often; the free gates keep as many.
        step_s = float(np.median(np.diff(trace.captured_s)))
        every_s = step_s / max(1e-3, 1.0 - learnt.spec.certificate.rate)
    plan = make_plan(LinkGraph.load(links_folder), budget_bytes, options=PlanOptions(input_every_s=every_s))

    settings = [
        Setting("full", gate="all", answers="full", budget="none"),
        Setting(
            "infilink",
            gate=str(filter_path.absolute()),
            answers="links",
            budget=f"{budget_bytes}B",
            input_every_s=every_s,
        ),
        Setting("hold", gate="all", answers="hold", budget=f"{budget_bytes}B"),
    ]
    runs: dict[str, Run] = {}
    for setting in settings:
        step = setting.name if setting.name != "hold" else "free"
        steps.start(step, f"streaming the later {serve.seconds:.0f} s: {_describe(setting, budget_bytes)}")
        runs[setting.name] = run(setting, serve, models_folder, links_folder, options.out / "runs" / setting.name)
    specs = {name: trace.models[name] for name in sorted(models)}
    ours = compare(runs["infilink"], runs["full"], specs)
    for setting in _free_gates(serve, ours, budget_bytes, every_s):
        progress(0.95, f"streaming the later {serve.seconds:.0f} s: {setting.name}")
        runs[setting.name] = run(setting, serve, models_folder, links_folder, options.out / "runs" / setting.name)
    steps.finish()
    compared = {name: compare(each, runs["full"], specs) for name, each in runs.items()}
    return Demo(options, source, serve, specs, plan, _filter_text(learnt.spec), runs, compared, steps.seconds)


def _learn_filter(trace: Trace, options: DemoOptions, path: Path, told: Progress) -> FilterTraining:
    """The filter for the asked accuracy, or else for the highest that some filter keeps on this source."""
    accuracies = ACCURACIES if options.accuracy is None else (options.accuracy,)
    for accuracy in accuracies:
        try:
            return train_filter(
                trace, rule=parse_rule("unchanged"), accuracy=accuracy, out=path, seed=options.seed, progress=told
            )
        except InvalidInput:
            if accuracy == accuracies[-1]:
                raise
    raise AssertionError("there is at least one accuracy")


def _split(options: DemoOptions, told: Progress) -> tuple[str, Stretch, Stretch]:
    """The source as a file, its first part to learn from, and the later part to serve."""
    source = _as_file(options, told)
    with open_source(source) as opened:
        frames, fps = opened.frame_count or 0, opened.fps
    if options.seconds is not None:
        frames = min(frames, int(options.seconds * fps))
    if frames < LEAST_FRAMES:
        raise InvalidInput(
            f"source {source}: {frames} frames are too few to learn from and to serve; give at least {LEAST_FRAMES} "
            f"({LEAST_FRAMES / fps:.0f} s of this source)"
        )
    cut = frames - min(int(frames * SERVE_SHARE), SERVE_FRAMES)
    return source, Stretch(source, 0.0, cut / fps), Stretch(source, cut / fps, (frames - cut) / fps)


def _as_file(options: DemoOptions, told: Progress) -> str:
    if options.source is None:
        path = options.out / "street.mp4"
        seconds = options.seconds or STREET_SECONDS
        write_video(
            path,
            seconds,
            options.seed,
            day_s=STREET_DAY_S,
            progress=lambda done, total: told(done / total, "rendering"),
        )
        return str(path)
    if Path(options.source).is_file():
        return options.source
    with open_source(options.source, seconds=options.seconds or LIVE_SECONDS) as opened:
        if opened.frame_count is not None:
            return options.source
        return _save_live(opened, options, told)


def _save_live(opened: Source, options: DemoOptions, told: Progress) -> str:
    path = options.out / "source.mp4"
    frames = int((options.seconds or LIVE_SECONDS) * opened.fps)
    with VideoFileWriter(path, fps=opened.fps) as video:
        for i, frame in enumerate(islice(opened, frames)):
            video.write(frame.image)
            told((i + 1) / frames, "saving what is live, so that every run sees the same")
    return str(path)


def _free_gates(serve: Stretch, ours: Compared, budget_bytes: int, every_s: float) -> list[Setting]:
    """What costs nothing to learn: each at the filter's own rate, then what fits the budget, the last value held."""
    kept_share = float(ours.kept.mean())
    threshold = difference_threshold(serve, kept_share)
    gates = {
        "random": f"random:{kept_share:.4f}:1",
        "every": f"every:{max(1.0, 1 / kept_share):.3f}",
        "difference": f"difference:{threshold:.6f}",
    }
    return [
        Setting(name, gate=gate, answers="hold", budget=f"{budget_bytes}B", input_every_s=every_s)
        for name, gate in gates.items()
    ]


def _filter_text(spec: FilterSpec) -> str:
    found = spec.certificate
    promise = "certified" if found.certified else f"not certified (some {found.more_inputs} more inputs would do)"
    return (
        f"{spec.kind} for {spec.rule!r} at accuracy {spec.accuracy:g}, {promise}: on the last {found.inputs} recorded "
        f"inputs it skips {found.rate:.0%} at an error of {found.error:.3f}, at most {found.upper_bound:.3f} with "
        f"{found.confidence:.0%} confidence"
    )


def _describe(setting: Setting, budget_bytes: int) -> str:
    return {
        "full": "every frame, every model, no budget",
        "infilink": f"filter and links within {format_bytes(budget_bytes)}",
        "hold": "what fits the budget, the last value held",
    }[setting.name]


def _every(source: str, learn: Stretch) -> int:
    with open_source(source) as opened:
        return max(1, round(learn.seconds * opened.fps / LEARN_INPUTS))
