"""The demo's steps: record, train, plan, then stream the later part in full, with infilink, and by free baselines."""

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
from ...models.stem.spec import StemSpec
from ...models.stem.stem import Stem
from ...outputs import Array
from ...reporting import Progress
from ...traces.source_name import without_secrets
from ...traces.trace import Trace
from ...traces.train_stem import train_stem
from ...units import format_bytes, parse_budget
from ..street.video import write_video
from ..videofile import VideoFileWriter, stream_sizes
from .daemons import Run, Setting, Stretch, run
from .rate import difference_threshold
from .score import Compared, compare

# The share of the source that is served, at its end; nothing is trained on it.
SERVE_SHARE = 0.3
SERVE_FRAMES = 390
# More inputs than these take minutes: of a longer source every n-th frame is recorded.
LEARN_INPUTS = 460
# A live source is recorded first, so that every run sees the same frames.
LIVE_SECONDS = 60.0
STREET_SECONDS = 150.0
# Of the street: what is trained on is a day and more, what is served is of the next one.
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
        budget: the memory that the models may take, as `units.parse_budget` reads it.
        seconds: how much of the source to use; None: the street's default, or the whole file.
        accuracy: the agreement that the filter must keep; None: the highest of `ACCURACIES` that some filter keeps.
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
    """What the report is made of.

    Attributes:
        options: what the user asked for.
        source: what was recorded and served, without passwords.
        stretch: the part of it that was served.
        specs: the models', by name.
        plan: what runs under the budget.
        filter_text: the filter's promise, in words.
        certified: whether it is proven.
        stem: the first layers of one of the models, which filter and links read; None: none offers any.
        runs: what each run left behind, by its name; "full" is the reference.
        compared: each run against the full one.
        stream_sizes: bytes per served frame of the same stretch as an H.264 stream: what people would send without us.
        seconds_by_step: how long each step took.
    """

    options: DemoOptions
    source: str
    stretch: Stretch
    specs: dict[str, ModelSpec]
    plan: Plan
    filter_text: str
    certified: bool
    stem: StemSpec | None
    runs: dict[str, Run]
    compared: dict[str, Compared]
    stream_sizes: Array
    seconds_by_step: dict[str, float]


@dataclass(frozen=True)
class _Trained:
    """What the recording gave: a stem, a filter and links on it, and a plan for both."""

    stem: Stem | None
    filter_path: Path
    filter_spec: FilterSpec
    links_folder: Path
    plan: Plan
    budget_bytes: int
    input_every_s: float


class Steps:
    """Reports which step runs, and keeps how long each took."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._weights = {
            "source": 8,
            "record": 24,
            "stem": 10,
            "filter": 14,
            "links": 10,
            "full": 24,
            "infilink": 5,
            "free": 15,
        }
        self._done = 0.0

    def start(self, name: str, what: str) -> Progress:
        """Begins a step; returns what the step reports its own progress to."""
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
    """Records, trains, plans and streams.

    Raises:
        InfilinkError: the source, the models or the budget can't be used; the message says what to do.
    """
    parse_budget(options.budget, {})  # A mistake is an error now, not after minutes of work.
    steps = Steps(progress)
    models_folder = options.models or Path(__file__).parent.parent / "street" / "models"
    models = find_models(models_folder)
    options.out.mkdir(parents=True, exist_ok=True)
    source, learn, serve = _split(options, steps.start("source", "preparing the source"))
    trace_path = options.out / "learn.trace"
    trace_path.unlink(missing_ok=True)
    step = steps.start("record", f"recording the outputs of {len(models)} models on the first {learn.seconds:.0f} s")
    record(
        source,
        models,
        trace_path,
        start_s=learn.start_s,
        seconds=learn.seconds,
        every=learn.every,
        progress=step,
    )
    with Trace(trace_path) as trace:
        trained = _train(trace, models, options, steps)
        specs = {name: trace.models[name] for name in sorted(models)}
    runs = _stream(serve, trained, specs, models_folder, options.out, steps)
    sizes = _stream_sizes(serve)
    steps.finish()
    compared = {name: compare(each, runs["full"], specs) for name, each in runs.items()}
    return Demo(
        options=options,
        source=without_secrets(source),
        stretch=serve,
        specs=specs,
        plan=trained.plan,
        filter_text=_filter_text(trained.filter_spec),
        certified=trained.filter_spec.certificate.certified,
        stem=None if trained.stem is None else trained.stem.spec,
        runs=runs,
        compared=compared,
        stream_sizes=sizes,
        seconds_by_step=steps.seconds,
    )


def _train(trace: Trace, models: dict[str, Path], options: DemoOptions, steps: Steps) -> _Trained:
    """A stem, a filter and links from the recording, and the plan under the budget."""
    budget_bytes = parse_budget(options.budget, {name: cost.memory_bytes for name, cost in trace.info.costs.items()})
    filter_path, links_folder = options.out / "filter.onnx", options.out / "links"
    stem = _train_stem(trace, models, options.out / "stem.onnx", steps.start("stem", "choosing a stem"))
    spec = _train_filter(trace, stem, options, filter_path, steps.start("filter", "training the filter")).spec
    shutil.rmtree(links_folder, ignore_errors=True)
    train_links(
        trace,
        out=links_folder,
        stem=None if stem is None else stem.path,
        seed=options.seed,
        progress=steps.start("links", "training the links"),
    )
    # The mean time between two inputs behind the filter; the free gates keep as many.
    step_s = float(np.median(np.diff(trace.captured_s)))
    every_s = step_s / max(1e-3, 1.0 - spec.certificate.rate)
    plan = make_plan(LinkGraph.load(links_folder), budget_bytes, options=PlanOptions(input_every_s=every_s))
    return _Trained(stem, filter_path, spec, links_folder, plan, budget_bytes, every_s)


def _stream(
    serve: Stretch, trained: _Trained, specs: dict[str, ModelSpec], models_folder: Path, out: Path, steps: Steps
) -> dict[str, Run]:
    """Every run over the stretch that is served, by its name."""
    budget = f"{trained.budget_bytes}B"
    runs: dict[str, Run] = {}

    def stream(setting: Setting) -> None:
        runs[setting.name] = run(setting, serve, models_folder, trained.links_folder, out / "runs" / setting.name)

    what = f"streaming the later {serve.seconds:.0f} s"
    steps.start("full", f"{what}: every frame, every model, no budget")
    stream(Setting("full", gate="all", answers="full", budget="none"))
    steps.start("infilink", f"{what}: filter and links within {format_bytes(trained.budget_bytes)}")
    gate, every_s = str(trained.filter_path.absolute()), trained.input_every_s
    stream(Setting("infilink", gate=gate, answers="links", budget=budget, input_every_s=every_s))
    step = steps.start("free", f"{what}: what fits the budget, the last value held")
    stream(Setting("hold", gate="all", answers="hold", budget=budget))
    ours = compare(runs["infilink"], runs["full"], specs)
    for name, gate in _free_gates(serve, ours).items():
        step(0.7, name)
        stream(Setting(name, gate=gate, answers="hold", budget=budget, input_every_s=every_s))
    return runs


def _train_stem(trace: Trace, models: dict[str, Path], path: Path, step: Progress) -> Stem | None:
    """The first layers of one of the models; None: no model offers any, and what is learnt does without."""
    path.unlink(missing_ok=True)
    try:
        train_stem([trace], models, out=path, progress=step)
    except InvalidInput:
        return None
    return Stem(path)


def _train_filter(trace: Trace, stem: Stem | None, options: DemoOptions, path: Path, step: Progress) -> FilterTraining:
    """The filter for the accuracy asked for, or else for the highest that some filter keeps on this source."""
    accuracies = ACCURACIES if options.accuracy is None else (options.accuracy,)
    for accuracy in accuracies:
        try:
            return train_filter(
                trace,
                rule=parse_rule("unchanged"),
                accuracy=accuracy,
                out=path,
                stem=stem,
                uncertified=True,
                seed=options.seed,
                progress=step,
            )
        except InvalidInput:
            if accuracy == accuracies[-1]:
                raise
    raise AssertionError("there is at least one accuracy")


def _split(options: DemoOptions, step: Progress) -> tuple[str, Stretch, Stretch]:
    """The source as a file, its first part to train on, and the later part to serve."""
    source = _as_file(options, step)
    with open_source(source, seconds=options.seconds) as opened:
        fps, times_s = opened.fps, [frame.captured_s for frame in opened]
    frames = len(times_s)
    if frames < LEAST_FRAMES:
        raise InvalidInput(
            f"source {without_secrets(source)}: {frames} frames are too few to train on and to serve; give at least "
            f"{LEAST_FRAMES} ({LEAST_FRAMES / fps:.0f} s of this source)"
        )
    cut = frames - min(int(frames * SERVE_SHARE), SERVE_FRAMES)
    # Between two frames, so that no rounding puts one on the wrong side.
    cut_s, end_s = (times_s[cut - 1] + times_s[cut]) / 2, times_s[-1] + 0.5 / fps
    # Learnt from and served at one rate: what a filter promises holds of inputs that come as those that it learnt from.
    every = max(1, round(cut / LEARN_INPUTS))
    learn, serve = Stretch(source, 0.0, cut_s, cut, every), Stretch(source, cut_s, end_s - cut_s, frames - cut, every)
    return source, learn, serve


def _as_file(options: DemoOptions, step: Progress) -> str:
    if options.source is None:
        path = options.out / "street.mp4"
        seconds = options.seconds or STREET_SECONDS
        write_video(
            path,
            seconds,
            options.seed,
            day_s=STREET_DAY_S,
            progress=lambda done, total: step(done / total, "rendering"),
        )
        return str(path)
    if Path(options.source).is_file():
        return options.source
    with open_source(options.source, seconds=options.seconds or LIVE_SECONDS) as opened:
        if opened.frame_count is not None:
            return options.source
        return _save_live(opened, options, step)


def _save_live(opened: Source, options: DemoOptions, step: Progress) -> str:
    path = options.out / "source.mp4"
    frames = int((options.seconds or LIVE_SECONDS) * opened.fps)
    begun_s: float | None = None
    with VideoFileWriter(path, fps=opened.fps) as video:
        for i, frame in enumerate(islice(opened, frames)):
            begun_s = frame.captured_s if begun_s is None else begun_s
            video.write(frame.image, frame.captured_s - begun_s)
            step((i + 1) / frames, "saving the live source, so that every run sees the same frames")
    return str(path)


def _stream_sizes(serve: Stretch) -> Array:
    return stream_sizes(((frame.captured_s, frame.image) for frame in serve.read()), fps=serve.fps)


def _free_gates(serve: Stretch, ours: Compared) -> dict[str, str]:
    """Gates that need no training, each at the filter's own rate, by the name of their run."""
    kept_share = float(ours.kept.mean())
    return {
        "random": f"random:{kept_share:.4f}:1",
        "every": f"every:{max(1.0, 1 / kept_share):.3f}",
        "difference": f"difference:{difference_threshold(serve, kept_share):.6f}",
    }


def _filter_text(spec: FilterSpec) -> str:
    found = spec.certificate
    promise = "certified" if found.certified else f"not certified (some {found.more_runs} more runs would do)"
    return (
        f"{spec.kind} for {spec.rule!r} at accuracy {spec.accuracy:g}, {promise}: on the last {found.inputs} recorded "
        f"inputs it skips {found.rate:.0%} at an error of {found.error:.3f}, at most {found.upper_bound:.3f} with "
        f"{found.confidence:.0%} confidence"
    )
