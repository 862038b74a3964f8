"""What being watched costs: the counts and spans that one input makes, and one look of Prometheus.

`python tests/bench/cloud/bench_metrics.py`: an input may cost 10 microseconds.
"""

import time
from statistics import median

from infilink.cloud.metrics import Metrics
from infilink.protos.tracing import Tracing, part, within
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

INPUTS, ROUNDS = 20_000, 7


class Page(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def collect(self):
        return self.metrics.families()


def one_input(metrics: Metrics, models: list[str]) -> None:
    """The calls of `DeviceStream` and `Scheduler` for an input on which every model runs."""
    metrics.received("edge", 60_000)
    metrics.stage("decode", 0.004)
    for model in models:
        metrics.ran(model, waits_s=[0.01], took_s=0.03)
    metrics.stage("ledger", 0.002)
    metrics.stage("total", 0.06)
    metrics.sent("edge", 900)
    for model in models:
        metrics.answered(model, "executed")


def main() -> None:
    print("| models that run on an input | us an input | page, KB | us to write it |\n|---|---|---|---|")
    for count in (1, 2, 5, 30):
        metrics, models = Metrics(), [f"model-{number}" for number in range(count)]
        took_s = []
        for _ in range(ROUNDS):
            began_s = time.process_time()
            for _ in range(INPUTS // count):
                one_input(metrics, models)
            took_s.append((time.process_time() - began_s) / (INPUTS // count))
        registry, pages_s = CollectorRegistry(), []
        registry.register(Page(metrics))
        for _ in range(ROUNDS):
            began_s = time.process_time()
            page = generate_latest(registry)
            pages_s.append(time.process_time() - began_s)
        row = (count, 1e6 * median(took_s), len(page) / 1000, 1e6 * median(pages_s))
        print("| {} | {:.1f} | {:.0f} | {:.0f} |".format(*row))
    print("\n| of the inputs traced | us an input |\n|---|---|")
    print(f"| off | {traced_us(None):.1f} |")
    for share in (0.01, 1.0):
        # Nobody takes them there: what can't be sent is dropped.
        tracing = Tracing("http://127.0.0.1:1", service="bench", share=share)
        print(f"| {share:g} | {traced_us(tracing):.1f} |")
        tracing.close()


def traced_us(tracing: Tracing | None) -> float:
    """Processors' time of one input's span and its three parts."""
    took_s = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        for sequence in range(INPUTS // 4):
            trace = None if tracing is None else tracing.begin("input", sequence=sequence)
            with within(trace):
                for name in ("decode", "model", "ledger"):
                    with part(name):
                        pass
            if trace is not None:
                trace.end()
        took_s.append((time.process_time() - began_s) / (INPUTS // 4))
    return 1e6 * median(took_s)


if __name__ == "__main__":
    main()
