"""What the scheduler itself takes: a choice and a look at loads per input, the preview beside it, bytes a stream."""

import time
import tracemalloc
from collections.abc import Iterator

import numpy as np
from cameras import Site
from infilink.links.planning.plan import Plan
from infilink.links.scheduling.schedule import SiteSchedule
from infilink.links.serving import Serving
from infilink.models.cost import ModelCost

STREAMS, MODELS = 100, 10
_ROUNDS = 30
_MIB = 2**20


def table(site: Site) -> Iterator[str]:
    """Processor time of one thread, medians over rounds of all streams."""
    yield f"\n| {STREAMS} streams, {MODELS} models | |"
    yield "|---|---|"
    for memory in ("free", "for half of the models"):
        took_us, stream_bytes = _schedule(memory != "free")
        yield f"| choose + load an input, memory {memory} | {took_us:.0f} us |"
    yield f"| the schedule's bytes a stream | {stream_bytes:.0f} |"
    previewed_us, completed_us = _serving_us(site)
    yield f"| preview an input, {len(site.names)} models, with the stem | {previewed_us:.0f} us |"
    yield f"| complete an input | {completed_us:.0f} us |"


def _schedule(tight: bool) -> tuple[float, float]:
    """Microseconds an input, and bytes a stream."""
    random = np.random.default_rng(0)
    names = [f"model{at}" for at in range(MODELS)]
    costs = {name: ModelCost(100 * _MIB, 0.002 * (1 + at), 1.0) for at, name in enumerate(names)}
    budget = MODELS // 2 * 100 * _MIB if tight else None
    full_s = sum(cost.infer_s for cost in costs.values()) * STREAMS * 5.0
    schedule = SiteSchedule(costs, compute_cores=0.1 * full_s, budget_bytes=budget)
    tracemalloc.start()
    for stream in range(STREAMS):
        schedule.join(stream, name=f"stream{stream}")
    losses = [dict(zip(names, random.random(MODELS) ** 3, strict=True)) for _ in range(1000)]
    loaded = set(names[: MODELS // 2] if tight else names)
    before = tracemalloc.get_traced_memory()[0]
    times_s, now_s = [], 0.0
    for tick in range(_ROUNDS):
        if tick == _ROUNDS // 2:
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        began_s = time.thread_time()
        for stream in range(STREAMS):
            now_s += 0.2 / STREAMS
            wanted = schedule.load(now_s, loaded=loaded)
            if wanted is not None:
                loaded = (loaded - set(wanted.unload)) | {wanted.model}
            choice = schedule.choose(stream, now_s, losses[(tick * STREAMS + stream) % 1000], loaded=loaded)
            for name in choice.run:
                schedule.ran(stream, name, now_s, costs[name].infer_s)
        times_s.append((time.thread_time() - began_s) / STREAMS)
    return 1e6 * float(np.median(times_s[_ROUNDS // 2 :])), max(0.0, after - before) / STREAMS


def _serving_us(site: Site) -> tuple[float, float]:
    """Microseconds of a preview and of an answer, each input with one exact output."""
    camera = site.cameras[0]
    looks = camera.features is not None and camera.graph.stem is not None
    serving = Serving(camera.graph, Plan(None, 0, ()))
    previews, completes = [], []
    for row in range(min(100, len(camera))):
        seen = camera.features[row] if looks else None
        name = site.names[row % len(site.names)]
        began_s = time.thread_time()
        serving.preview(0.2 * row, {}, features=seen)
        then_s = time.thread_time()
        serving.complete(0.2 * row, {name: camera.outputs[name][row]}, features=seen)
        previews.append(then_s - began_s)
        completes.append(time.thread_time() - then_s)
    return 1e6 * float(np.median(previews)), 1e6 * float(np.median(completes))
