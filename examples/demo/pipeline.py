"""The demo's steps: record, learn, serve the later part over daemons, and replay what stands beside it."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from ...errors import InvalidInput
from ...filters.spec import FilterSpec
from ...models.spec import find_models
from ...models.stem.spec import StemSpec
from ...models.stem.stem import Stem
from ...reporting import Progress
from ...units import parse_budget, parse_compute
from .daemons import Setting, Watch, run_site
from .learning import Learner, Learnt, links_of, record_cameras, trace_path
from .policies import FULL, OURS, POLICIES, REPLAYED, Policy
from .processor_costs import processor_costs
from .recorded import Recorded, Site, full_cores, read_recorded
from .replaying import serve, until
from .score import Compared, compare
from .served import Served
from .site import STREET_SECONDS, Camera, own_site, rendered_site

WORKERS = 2
# The other policy that daemons serve, too: the same schedule where nothing is linked; and how long.
CHECKED = next(policy for policy in POLICIES if policy.name == "no_links")
CHECKED_SECONDS = 10.0

# About how many seconds each step takes.
_WEIGHTS = {
    "source": 10,
    "record": 45,
    "stem": 12,
    "filter": 20,
    "look": 10,
    "links": 30,
    "serve": 35,
    "check": 18,
    "replay": 14,
}

ShowRun = Callable[[Site, Path, str], AbstractContextManager[Watch]]
"""Shows a run while it lasts."""


@dataclass(frozen=True)
class DemoOptions:
    """What the user asked for.

    Attributes:
        out: the folder for everything the demo writes.
        sources: video files, RTSP addresses, cameras' numbers; none: the rendered site.
        models: a folder of models; None: the street's seven.
        budget: the memory that the models may take, as `units.parse_budget` reads it.
        compute: the processors that they may take: `0.5 cores`, or a share of what all models on all inputs would.
        seconds: how much of each source to use; None: the rendered site's default, or the whole file.
        accuracy: the agreement that the filter must keep; None: the highest that some filter keeps.
        seed: of the rendered site and the training.
    """

    out: Path
    sources: tuple[str, ...] = ()
    models: Path | None = None
    budget: str = "75%"
    compute: str = "6%"
    seconds: float | None = None
    accuracy: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Demo:
    """What the report is made of.

    Attributes:
        options: what the user asked for.
        site: what was served, and the budgets.
        filter_spec: what the filter says of itself.
        stem: the first layers of one of the models, which filter and links read; None: none offers any.
        policies: those that were compared, ours first.
        served: what each answered, by name.
        compared: each against the models' own outputs.
        checked: of a policy by its title: over daemons and replayed, agreement on the same inputs.
        seconds_by_step: how long each step took.
    """

    options: DemoOptions
    site: Site
    filter_spec: FilterSpec
    stem: StemSpec | None
    policies: tuple[Policy, ...]
    served: Mapping[str, Served]
    compared: Mapping[str, Compared]
    checked: Mapping[str, tuple[float, float]]
    seconds_by_step: Mapping[str, float]


class Steps:
    """Reports which step runs, and keeps how long each took."""

    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._done = 0.0
        self._running: tuple[str, float] | None = None

    def start(self, name: str, what: str) -> Progress:
        """Begins a step; returns what the step reports its own progress to."""
        self.finish()
        self._running = name, time.perf_counter()
        weight, base = _WEIGHTS[name] / sum(_WEIGHTS.values()), self._done
        self._done += weight
        self._progress(base, what)
        return lambda share, text: self._progress(base + weight * share, f"{what}: {text}" if text else what)

    def finish(self) -> None:
        """Ends the step that runs, if one does."""
        if self._running is not None:
            name, since = self._running
            self.seconds[name] = round(time.perf_counter() - since, 2)
            self._running = None


def run_demo(options: DemoOptions, progress: Progress, show: ShowRun) -> Demo:
    """Records, learns, serves and replays.

    Args:
        options: what the user asked for.
        progress: told which step runs.
        show: shows what is served over daemons.

    Raises:
        InfilinkError: a source, the models or a budget can't be used; the message says what to do.
    """
    # A mistake is an error now, not after minutes of work.
    parse_budget(options.budget, {})
    compute_cores(options.compute, 1.0)
    models_folder = options.models or Path(__file__).parent.parent / "street" / "models"
    models = find_models(models_folder)
    steps = Steps(progress)
    # One pool to the end: what its processes import takes them seconds.
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        cameras = _cameras(options, pool, steps.start("source", "preparing the cameras"))
        step = steps.start("record", f"recording {len(models)} models on {len(cameras)} cameras")
        record_cameras(cameras, models, options.out, step)
        learnt, recorded = _learn(cameras, models, options, pool, steps)
        site = _site(cameras, learnt, recorded, options)
        served, checked = _serve(site, learnt, models_folder, options, steps, show)
        # Replays begin with what the coordinator had loaded.
        site = replace(site, resident=served[OURS.name].resident)
        policies, replays = _replay(site, options, pool, steps.start("replay", "replaying what stands beside it"))
    served |= replays
    compared = {name: compare(each, site) for name, each in served.items()}
    agreement = {name: each.score.agreement for name, each in compared.items()}
    found = {OURS.title: (agreement["infilink"], agreement["replayed"])}
    if checked is not None:
        alike = until(served[CHECKED.name], CHECKED_SECONDS, site)
        found[CHECKED.title] = (compare(checked, site).score.agreement, compare(alike, site).score.agreement)
    steps.finish()
    stem = None if learnt.stem is None else Stem(learnt.stem).spec
    return Demo(options, site, learnt.filter_spec, stem, policies, served, compared, found, steps.seconds)


def compute_cores(text: str, full: float) -> float:
    """Processors, as `parse_compute` reads them or as a share of what everything would take.

    Raises:
        InvalidInput: it is neither.
    """
    if not text.strip().endswith("%"):
        return parse_compute(text)
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0.0 < share <= 1.0:
        raise InvalidInput(f"compute {text!r}: give processors (0.5 cores) or a share of the full run's (6%)")
    return share * full


def _cameras(options: DemoOptions, pool: Executor, step: Progress) -> list[Camera]:
    if not options.sources:
        seconds = options.seconds or STREET_SECONDS
        return rendered_site(options.out / "cameras", pool, seconds=seconds, seed=options.seed, progress=step)
    return own_site(options.sources, options.out / "cameras", seconds=options.seconds, progress=step)


def _learn(
    cameras: list[Camera], models: Mapping[str, Path], options: DemoOptions, pool: Executor, steps: Steps
) -> tuple[Learnt, dict[str, Recorded]]:
    """What the earlier parts teach, and the later ones as devices with that see them; links are learnt meanwhile."""
    with Learner(cameras, models, options.out, seed=options.seed) as learner:
        stem = learner.stem(steps.start("stem", "choosing a stem"))
        links = pool.submit(links_of, learner.cameras, options.out, stem, seed=options.seed)
        step = steps.start("filter", "training the filter, and links beside it")
        filter_path, spec = learner.filter(stem, options.accuracy, step)
        step = steps.start("look", "looking at what is served as the devices will")
        looks = {
            each.name: pool.submit(read_recorded, each, trace_path(options.out, each), stem, filter_path)
            for each in cameras
        }
        recorded: dict[str, Recorded] = {}
        for name, future in looks.items():
            recorded[name] = future.result()
            step(len(recorded) / len(cameras), name)
        steps.start("links", "training the links")
        folder = links.result()
        costs = processor_costs(learner.models, learner.costs)
        return Learnt(stem, filter_path, spec, folder, costs, learner.specs), recorded


def _site(cameras: list[Camera], learnt: Learnt, recorded: Mapping[str, Recorded], options: DemoOptions) -> Site:
    budget = parse_budget(options.budget, {name: cost.memory_bytes for name, cost in learnt.costs.items()})
    cores = compute_cores(options.compute, full_cores(cameras, learnt.costs))
    return Site(recorded, learnt.specs, learnt.costs, budget, cores, learnt.links)


def _serve(
    site: Site, learnt: Learnt, models: Path, options: DemoOptions, steps: Steps, show: ShowRun
) -> tuple[dict[str, Served], Served | None]:
    """Ours over daemons, and a few seconds of another policy."""
    gate = str(learnt.filter_path.absolute())
    steps.start("serve", f"serving the later {site.seconds:.0f} s over daemons")
    setting = Setting(options.out / "runs" / OURS.name, models, gate, "links", learnt.stem)
    with show(site, setting.folder, "infilink serves the site") as watch:
        ours = run_site(setting, site, watch)
    steps.start("check", f"{CHECKED.title} over daemons, for {CHECKED_SECONDS:.0f} s")
    short = Setting(options.out / "runs" / CHECKED.name, models, gate, "hold", None, CHECKED_SECONDS)
    with show(
        site, short.folder, f"{CHECKED.title}: {CHECKED_SECONDS:.0f} s, to see that its replay says the same"
    ) as watch:
        checked = run_site(short, site, watch)
    return {OURS.name: ours}, checked


def _replay(
    site: Site, options: DemoOptions, pool: Executor, step: Progress
) -> tuple[tuple[Policy, ...], dict[str, Served]]:
    policies = (REPLAYED, *POLICIES, FULL)
    found: dict[str, Served] = {}
    futures = {each.name: pool.submit(serve, each, site, seed=options.seed) for each in policies}
    for name, future in futures.items():
        found[name] = future.result()
        step(len(found) / len(policies), name)
    return (OURS, *policies), found


def _one_thread() -> None:
    """Two processes with two threads of arithmetic each would get in each other's way."""
    os.environ["OMP_NUM_THREADS"] = "1"
