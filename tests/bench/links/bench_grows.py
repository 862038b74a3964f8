"""How links grow with the models of a site: learning, the folder, loading, planning, an input, and what is served.

python tests/bench/links/bench_grows.py [--models 10 25 50] [--inputs 600] [--stem] [--site FOLDER]

Made-up sites: hidden states that come and go, and models that each see a few of them, more or less well. `--stem` lets
links read a stem that sees pictures of the states. With `--site` a folder of traces instead, whose models with classes
are cut into models of a few classes each, so that they are many. Every step runs in a process of its own; memory is the
most that it took. Links are learnt on the first 60 %, and the site's schedule serves what is later.
"""

import argparse
import json
import math
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from infilink.codec import encode_jpeg
from infilink.links.graph import LinkGraph
from infilink.links.planning.plan import Plan
from infilink.links.planning.planner import make_plan
from infilink.links.scheduling.replay import RecordedCamera, replay_site
from infilink.links.scheduling.schedule import SiteSchedule
from infilink.links.serving import Serving
from infilink.links.training.train import train_links
from infilink.models.cost import ModelCost
from infilink.models.spec import ModelSpec, parse_spec
from infilink.models.stem.stem import Stem
from infilink.outputs import BOX_WIDTH, Array
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

sys.path.insert(0, str(Path(__file__).parents[2]))
from filters.stems import SIZE, write_stem

LEARNT, SERVED_FROM = 0.6, 0.62
STEP_S = 0.5
BUDGET = 0.4
SHARES = (0.05, 0.1, 0.2, 0.3)
_MIB = 2**20
_LEVELS = 5
_STAYS_S = 8.0


def states(count: int, inputs: int, rng: np.random.Generator) -> Array:
    """Levels from 0 to 4 that stay for some seconds, a half of them moved by one that all share: (inputs, count)."""
    steps = np.zeros((inputs, count), np.int64)
    now, crowd = rng.integers(0, _LEVELS, count), 2
    for at in range(inputs):
        if rng.random() < STEP_S / _STAYS_S:
            crowd = int(rng.integers(0, _LEVELS))
            follow = rng.random(count) < 0.5
            now = np.where(follow, np.clip(crowd + rng.integers(-1, 2, count), 0, _LEVELS - 1), now)
        change = rng.random(count) < STEP_S / _STAYS_S
        now = np.where(change, rng.integers(0, _LEVELS, count), now)
        steps[at] = now
    return steps


def outputs_of(kind: int, seen: Array, rng: np.random.Generator) -> tuple[dict[str, object], list[Array]]:
    """What a model says that sees those states, (inputs, states): its output's type, and its outputs."""
    wrong = rng.random(seen.shape) < rng.choice((0.02, 0.05, 0.1))
    seen = np.clip(seen + wrong * rng.choice((-1, 1), seen.shape), 0, _LEVELS - 1)
    total = seen.sum(axis=1)
    if kind == 0:
        classes = [f"c{at}" for at in range(seen.shape[1])]
        return {"kind": "boxes", "classes": classes, "measure": "counts"}, [_boxes(row, rng) for row in seen]
    if kind == 1:
        return {"kind": "count"}, [np.asarray([n], np.float32) for n in total]
    if kind == 2:
        third = np.minimum(total * 3 // max(1, seen.shape[1] * _LEVELS), 2)
        return {"kind": "label", "classes": ["few", "some", "many"]}, list(np.eye(3, dtype=np.float32)[third] * 0.9)
    if kind == 3:
        there = np.concatenate([seen >= 1, seen >= 3], axis=1).astype(np.float32) * 0.9
        return {"kind": "multilabel", "classes": [f"c{at}" for at in range(there.shape[1])]}, list(there)
    noisy = total + rng.normal(0, 0.3, len(total))
    return {"kind": "scalar", "tolerance": 3.0}, [np.asarray([n], np.float32) for n in noisy]


def _boxes(counts: Array, rng: np.random.Generator) -> Array:
    classes = np.repeat(np.arange(len(counts)), counts)
    corner = rng.uniform(0, 0.8, (len(classes), 2))
    scores = np.full((len(classes), 1), 0.9)
    return np.concatenate([corner, corner + 0.1, scores, classes[:, None]], axis=1, dtype=np.float32)


def write_site(path: Path, models: int, inputs: int) -> Path:
    """The recording of a made-up site, each with a picture of its states."""
    rng = np.random.default_rng(models)
    hidden = states(max(3, models // 2), inputs, rng)
    specs, said, costs = {}, {}, {}
    for at in range(models):
        name = f"m{at:02d}"
        seen = rng.choice(hidden.shape[1], int(rng.integers(1, 4)), replace=False)
        output, said[name] = outputs_of(at % 5, hidden[:, seen], rng)
        specs[name] = parse_spec({"name": name, "input": {"size": [32, 32]}, "output": output}, where=name)
        costs[name] = ModelCost(int(rng.integers(20, 300)) * _MIB, rng.uniform(0.01, 0.1), rng.uniform(0.1, 0.5))
    digests = {name: f"{at:016x}" for at, name in enumerate(specs)}
    with TraceWriter(path, TraceInfo("made-up", 1.0 / STEP_S, specs, digests, costs)) as writer:
        for row in range(inputs):
            jpeg = encode_jpeg(_picture(hidden[row]))
            writer.append(row, row * STEP_S, jpeg, {name: values[row] for name, values in said.items()})
    return path


def _picture(levels: Array) -> Array:
    side = int(np.ceil(np.sqrt(len(levels))))
    tiles = np.resize(20 + 50 * levels, (side, side)).astype(np.uint8)
    grey = np.kron(tiles, np.ones((SIZE[1] // side, SIZE[0] // side), np.uint8))
    return np.repeat(grey[:, :, None], 3, axis=2)


def write_cut(trace: Trace, path: Path, parts: int, often: Mapping[str, list[int]]) -> Path:
    """A recording whose models that give boxes are cut into models of a class, the frequent first, and the rest."""
    info, specs, said, costs, digests = trace.info, {}, {}, {}, {}
    for name, spec in info.models.items():
        values = trace.outputs(name)
        for part, (output, cut) in enumerate(_cuts(spec, values, parts, often.get(name, []))):
            own = f"{name[:8]}_{part}"
            specs[own] = parse_spec({"name": own, "input": {"size": [32, 32]}, "output": output}, where=own)
            said[own], digests[own] = cut, f"{len(digests):016x}"
            cost = info.costs[name]
            costs[own] = ModelCost(cost.memory_bytes, cost.infer_s, cost.load_s)
    payloads = list(trace.payloads())
    with TraceWriter(path, TraceInfo(info.source, info.fps, specs, digests, costs, input=info.input)) as writer:
        for row, (sequence, moment) in enumerate(zip(trace.sequences.tolist(), trace.captured_s.tolist(), strict=True)):
            writer.append(sequence, moment, payloads[row], {name: values[row] for name, values in said.items()})
    return path


def _cuts(
    spec: ModelSpec, values: list[Array], parts: int, often: list[int]
) -> Iterator[tuple[dict[str, object], list[Array]]]:
    whole = spec.output.model_dump(mode="json", exclude_defaults=True)
    if spec.output.kind != "boxes":
        yield whole, values
        return
    classes = len(spec.output.classes)
    alone = often[: min(parts, classes) - 1]
    groups = [[at] for at in alone] + [[at for at in range(classes) if at not in alone]]
    for group in filter(None, groups):
        place = np.full(classes, -1)
        place[group] = np.arange(len(group))
        cut = []
        for value in values:
            kept = value[place[value[:, BOX_WIDTH - 1].astype(int)] >= 0].copy()
            kept[:, BOX_WIDTH - 1] = place[kept[:, BOX_WIDTH - 1].astype(int)]
            cut.append(kept)
        yield {**whole, "classes": [spec.output.classes[at] for at in group]}, cut


def often_said(traces: Mapping[str, Trace]) -> dict[str, list[int]]:
    """The classes of each model that gives boxes, those first that are said most often."""
    found = {}
    for name, spec in next(iter(traces.values())).models.items():
        if spec.output.kind == "boxes":
            said = [value[:, BOX_WIDTH - 1] for trace in traces.values() for value in trace.outputs(name)]
            counts = np.bincount(np.concatenate(said).astype(int), minlength=len(spec.output.classes))
            found[name] = np.argsort(-counts, kind="stable").tolist()
    return found


def open_site(folder: Path) -> dict[str, Trace]:
    """The recordings of a site, by camera."""
    return {path.stem: Trace(path) for path in sorted(folder.glob("*.trace"))}


def learn(folder: Path, stem: Path | None) -> dict[str, float]:
    """Learns the links of a site: seconds and memory."""
    before = _peak_mib()
    traces = {name: trace.part(0, round(LEARNT * len(trace))) for name, trace in open_site(folder).items()}
    began_s = time.perf_counter(), time.process_time()
    train_links(traces if len(traces) > 1 else next(iter(traces.values())), out=folder / "links", stem=stem)
    return {
        "learn s": time.perf_counter() - began_s[0],
        "learn processor s": time.process_time() - began_s[1],
        "learn MiB": _peak_mib(),
        "imports MiB": before,
    }


def load(folder: Path) -> dict[str, float]:
    """Loads them, as a coordinator does: seconds and memory."""
    began_s = time.perf_counter()
    graph = LinkGraph.load(folder / "links")
    spent_s = time.perf_counter() - began_s
    files = [path for path in (folder / "links").rglob("*") if path.is_file()]
    return {
        "load s": spent_s,
        "load MiB": _peak_mib(),
        "links.json MB": (folder / "links" / "links.json").stat().st_size / 1e6,
        "folder MB": sum(path.stat().st_size for path in files) / 1e6,
        "sets": float(np.mean([len(table.linked) for table in graph.tables.values()])),
    }


def plan(folder: Path) -> dict[str, Any]:
    """Plans: seconds and memory, and what is promised."""
    graph = LinkGraph.load(folder / "links")
    memory = sum(cost.memory_bytes for cost in graph.costs.values())
    began_s = time.perf_counter()
    found = make_plan(graph, int(BUDGET * memory))
    free = make_plan(graph.without_links(), int(BUDGET * memory))
    return {
        "plan s": time.perf_counter() - began_s,
        "plan MiB": _peak_mib(),
        "promised": found.expected_agreement,
        "free": free.expected_agreement,
        "gap": found.gap,
        "residents": found.resident,
    }


def serve(folder: Path, stem: Path | None, inputs: int, residents: tuple[str, ...]) -> dict[str, float]:
    """Serves what is later, with shares of the compute and the residents of a plan: agreement, and what inputs cost."""
    graph, cameras = LinkGraph.load(folder / "links"), []
    for name, trace in open_site(folder).items():
        rows = slice(round(SERVED_FROM * len(trace)), round(SERVED_FROM * len(trace)) + inputs)
        outputs = {model: trace.outputs(model)[rows] for model in trace.models}
        features = None
        if stem is not None:
            opened = Stem(stem)
            features = np.stack([opened.see(frame).features for frame in list(trace.frames())[rows]])
        own = graph.camera(name)
        cameras.append(RecordedCamera(name, trace.captured_s[rows], outputs, features, graph=own))
    figures = {}
    full = sum(cost.infer_s for cost in graph.costs.values()) * len(cameras) / _step_s(cameras[0])
    for share in SHARES:
        schedule = SiteSchedule(graph.costs, compute_cores=share * full, budget_bytes=None)
        figures[f"served {share:.0%}"] = _agreement(graph, cameras, schedule, tuple(graph.costs))
    # In less memory, with compute to spare: what the plan promises.
    budget_bytes = int(BUDGET * sum(cost.memory_bytes for cost in graph.costs.values()))
    schedule = SiteSchedule(graph.costs, compute_cores=math.inf, budget_bytes=budget_bytes)
    figures[f"served in {BUDGET:.0%} of the memory"] = _agreement(graph, cameras, schedule, residents)
    spent_s = []
    for camera in cameras:
        serving = Serving(camera.graph, Plan(None, 0, residents))
        for row, moment in enumerate(camera.captured_s):
            exact = {name: camera.outputs[name][row] for name in residents}
            seen = None if camera.features is None else camera.features[row]
            began_s = time.thread_time()
            serving.preview(float(moment), exact, features=seen)
            serving.complete(float(moment), exact, features=seen)
            spent_s.append(time.thread_time() - began_s)
    figures["us an input"] = float(np.median(spent_s)) * 1e6
    figures["serve MiB"] = _peak_mib()
    return figures


def _step_s(camera: RecordedCamera) -> float:
    return float(np.median(np.diff(np.asarray(camera.captured_s))))


def _agreement(
    graph: LinkGraph, cameras: list[RecordedCamera], schedule: SiteSchedule, residents: tuple[str, ...]
) -> float:
    agreed = [
        graph.models[name].output.agreement(answer.value, cameras[served.place].outputs[name][served.row])
        for served in replay_site(cameras, schedule, resident=residents)
        for name, answer in served.answers.items()
    ]
    return float(np.mean(agreed))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(step: Callable[..., Mapping[str, Any]], *given: object) -> Mapping[str, Any]:
    """A step in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(step, *given).result()


def main() -> None:
    """Prints a table of each site."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, nargs="*", default=[10, 25, 50])
    parser.add_argument("--inputs", type=int, default=600)
    parser.add_argument("--stem", action="store_true", help="links read a stem")
    parser.add_argument("--site", type=Path, help="a folder of traces, whose models are cut by classes")
    parser.add_argument("--parts", type=int, default=4, help="into how many models each is cut")
    parser.add_argument("--keep", type=Path, help="a folder in which what is made is kept")
    parser.add_argument("--served", type=int, default=228, help="how many inputs of each camera are served")
    parser.add_argument("--steps", nargs="*", default=["learn", "load", "plan", "serve"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        top = options.keep or Path(temporary)
        for models in [0] if options.site else options.models:
            folder = top / (f"cut_{options.parts}" if options.site else f"{models}")
            folder.mkdir(parents=True, exist_ok=True)
            stem = write_stem(folder / "stem.onnx") if options.stem else None
            if options.site:
                whole = open_site(options.site)
                often = often_said(whole)
                for name, trace in whole.items():
                    if not (folder / f"{name}.trace").exists():
                        write_cut(trace, folder / f"{name}.trace", options.parts, often)
                given = sorted(options.site.glob("stem*.onnx"))
                stem = given[0] if options.stem and given else stem
            elif not (folder / "site.trace").exists():
                write_site(folder / "site.trace", models, options.inputs)
            figures: dict[str, Any] = {"models": float(len(next(iter(open_site(folder).values())).models))}
            figures |= apart(learn, folder, stem) if "learn" in options.steps else {}
            figures |= apart(load, folder) if "load" in options.steps else {}
            figures |= {"residents": ()} | (apart(plan, folder) if "plan" in options.steps else {})
            if "serve" in options.steps:
                figures |= apart(serve, folder, stem, options.served, figures["residents"])
            figures["residents"] = len(figures["residents"])
            print(json.dumps({name: round(float(value), 4) for name, value in figures.items()}), flush=True)


if __name__ == "__main__":
    main()
