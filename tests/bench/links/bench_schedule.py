"""What the site's schedule itself costs: 100 streams, 10 models, memory for some of them, on one core.

OMP_NUM_THREADS=1 python tests/bench/links/bench_schedule.py
"""

import sys
import time
import tracemalloc

import numpy as np
from infilink.links.scheduling.schedule import SiteSchedule
from infilink.models.cost import ModelCost

STREAMS, MODELS, SECONDS = 100, 10, 20
EVERY_S = 0.2


def main() -> None:
    rng = np.random.default_rng(0)
    print("| memory for | choose, ran, us an input | load, us an input | bytes a stream |")
    print("|---|---|---|---|")
    for fit in (MODELS, 4):
        costs = {f"m{at}": ModelCost(1, 0.005 * (at + 1), 0.3) for at in range(MODELS)}
        full = sum(cost.infer_s for cost in costs.values()) * STREAMS / EVERY_S
        schedule = SiteSchedule(costs, compute_cores=0.1 * full, budget_bytes=fit, audit=0.01)
        tracemalloc.start()
        for stream in range(STREAMS):
            schedule.join(stream, name=f"camera {stream}")
        each_bytes = tracemalloc.get_traced_memory()[0] / STREAMS
        tracemalloc.stop()
        loaded: set[str] = set()
        spent = np.zeros(2)
        losses = [dict(zip(costs, row, strict=True)) for row in rng.uniform(0.0, 0.6, (256, MODELS)).tolist()]
        inputs = round(SECONDS / EVERY_S) * STREAMS
        for at in range(inputs):
            now_s, stream = at * EVERY_S / STREAMS, at % STREAMS
            begun = time.thread_time()
            choice = schedule.choose(stream, now_s, losses[at % 256], loaded=loaded)
            for name in choice.run:
                schedule.ran(stream, name, now_s, costs[name].infer_s)
            chosen = time.thread_time()
            found = schedule.load(now_s, loaded=loaded)
            spent += (chosen - begun, time.thread_time() - chosen)
            if found is not None:
                loaded = (loaded - set(found.unload)) | {found.model}
        each = 1e6 * spent / inputs
        print(f"| {fit} of {MODELS} | {each[0]:.0f} | {each[1]:.0f} | {each_bytes:.0f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
