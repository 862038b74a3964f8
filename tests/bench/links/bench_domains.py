"""Links across domains: a few human labels, several sites. All of them are made up here.

Each figure is a mean and standard deviation over seeds; each seed is another draw. `docs/BENCHMARKS.md` has a run.
"""

import numpy as np
from infilink.cloud.federation.wire import central_bytes, pack_change, pack_weights
from infilink.links.domains.adapt import adapt, constant
from infilink.links.domains.fusion import Fusion
from infilink.links.domains.link import learn_link
from infilink.links.domains.rounds import Site
from infilink.links.domains.task import LinkTask, Pairs
from infilink.outputs import OutputSpec
from infilink.protos import federation_pb2
from reference_rounds import RoundSettings, run_rounds

SEEDS = 5
COUNT = OutputSpec(kind="count")
SCENE = OutputSpec(kind="label", classes=("empty", "some", "busy"))


def row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def spread(figures: list[float]) -> str:
    return f"{100 * np.mean(figures):.1f} ± {100 * np.std(figures):.1f}"


def scenes(seed: int, count: int, *, bent: bool) -> Pairs:
    """A scene classifier that says "some" of what a person calls busy.

    What it sees is in its third number (a line finds it), or, `bent`, where its numbers are neither high nor low.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, count)
    logits = rng.normal(0.0, 0.6, (count, 3))
    if bent:
        logits[:, 0] += np.choose(truth, [3.0, -3.0, 0.0]) * rng.choice([-1.0, 1.0], count)
        logits[:, 1] += np.choose(truth, [0.0, 2.0, 0.0])
    else:
        seen = np.where((truth == 2) & (rng.random(count) < 0.7), 1, truth)
        logits[np.arange(count), seen] += 3.0
        logits[:, 2] += np.where(truth == 2, 1.5, -1.5)
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    task = oracle()
    return Pairs(task.source_forms["scene"].numbers(said), task.form.numbers(np.eye(3)[truth]))


def oracle() -> LinkTask:
    return LinkTask({"scene": SCENE}, "oracle", SCENE, {"scene": "-"})


def bench_labels() -> None:
    row("shift", "labels", "nothing", "constant", "temperature, bias", "linear", "link", "what is chosen")
    row(*["---"] * 8)
    for shift, bent in (("a line finds it", False), ("bent", True)):
        for count in (50, 100, 200, 800):
            found: dict[str, list[float]] = {}
            for seed in range(2 * SEEDS):
                # Spend `count` labels, report on as many fresh ones as it takes to tell.
                done = adapt(oracle(), scenes(seed, count, bent=bent), seed=seed)
                fresh = scenes(1000 + seed, 2000, bent=bent)
                for way in done.entrants:
                    found.setdefault(way.name, []).append(way.link.agreement(fresh))
                found.setdefault("chosen", []).append(done.winner.link.agreement(fresh))
            row(shift, count, *(spread(figures) for figures in found.values()))


def place(seed: int, which: int, count: int, apart: float) -> Pairs:
    """One of three places: each has traffic of its own, and a relation that is more or less the others'."""
    rng = np.random.default_rng((seed, which))
    low, high = ((0, 8), (4, 12), (2, 12))[which]
    inputs = rng.integers(low, high, (count, 2)).astype(float)
    slope = 1.0 + apart * (-0.1, 0.0, 0.1)[which]
    people = 1.0 + slope * inputs[:, 0] + 0.8 * np.sin(inputs[:, 1]) + apart * (0.0, 0.3, 0.6)[which]
    return Pairs(inputs, np.maximum(0.0, np.rint(people + rng.normal(0.0, 0.2, count)))[:, None])


def bench_sites() -> None:
    row(
        "relations",
        "served",
        "none: constant",
        "one other",
        "the other other",
        "all others",
        "own, 60 inputs",
        "everybody",
        "own + others",
    )
    row(*["---"] * 9)
    for relations, apart in (("alike", 0.0), ("near", 0.3), ("apart", 1.0)):
        bench_places(relations, apart)


def bench_places(relations: str, apart: float) -> None:
    task = LinkTask({"vehicles": COUNT, "objects": COUNT}, "people", COUNT, {})
    names = ("gym", "hall", "office")
    means: list[dict[str, float]] = []
    for target, served in enumerate(names):
        found: dict[str, list[float]] = {}
        for seed in range(SEEDS):
            first, second = (which for which in range(3) if which != target)
            data = {which: place(seed, which, 600, apart) for which in range(3)}
            own = place(seed + 100, target, 100, apart)
            train, validation = own.rows(slice(60)), own.rows(slice(60, None))
            report = place(seed + 200, target, 1000, apart)
            settings = RoundSettings(rounds=40, seed=seed)
            sites = {which: Site(names[which], task, data[which], seed=seed) for which in range(3)}
            local = learn_link(task, train, validation, seed=seed)
            others = run_rounds([sites[first], sites[second]], settings)
            with_own = [sites[first], sites[second], Site(served, task, train, seed=seed)]
            links = {
                "none": constant(task, data[first]),
                "one": run_rounds([sites[first]], settings),
                "other": run_rounds([sites[second]], settings),
                "others": others,
                "own": local,
                "everybody": run_rounds(with_own, settings),
            }
            both = {"own": local, "others": others}
            fused = Fusion.choose(
                task.form, {name: link.predict(validation.inputs) for name, link in both.items()}, validation.targets
            )
            predicted = fused.predict({name: link.predict(report.inputs) for name, link in both.items()})
            for name, link in links.items():
                found.setdefault(name, []).append(link.agreement(report))
            found.setdefault("fused", []).append(float(task.form.agreements(predicted, report.targets).mean()))
        row(relations, served, *(spread(figures) for figures in found.values()))
        means.append({name: float(np.mean(figures)) for name, figures in found.items()})
    row(relations, "mean", *(f"{100 * np.mean([mean[name] for mean in means]):.1f}" for name in means[0]))


def bench_bytes() -> None:
    row(
        "link",
        "weights",
        "bytes a round, 3 sites, both ways",
        "5 rounds, one site",
        "its outputs: 1000 inputs",
        "10 000",
    )
    row(*["---"] * 6)
    for inputs, outputs, hidden in ((1, 1, 24), (16, 16, 32)):
        vector = {"a": OutputSpec(kind="vector", length=inputs)}
        task = LinkTask(vector, "b", OutputSpec(kind="vector", length=outputs), {}, hidden=hidden)
        rng = np.random.default_rng(0)
        pairs = Pairs(rng.normal(size=(1000, inputs)), rng.normal(size=(1000, outputs)))
        site = Site("a", task, pairs)
        link = run_rounds([site], RoundSettings(rounds=1))
        weights = link.network.weights.astype(np.float32)
        down = federation_pb2.AggregatorMessage(round=federation_pb2.Round(index=1, weights=pack_weights(weights)))
        both = len(down.SerializeToString()) + len(pack_change(1, site.change(link, weights, 1)).SerializeToString())
        many = Pairs(np.tile(pairs.inputs, (10, 1)), np.tile(pairs.targets, (10, 1)))
        row(
            f"{inputs} to {outputs}, {hidden} hidden",
            len(weights),
            3 * both,
            5 * both,
            central_bytes(pairs),
            central_bytes(many),
        )


if __name__ == "__main__":
    for title, bench in (
        ("A few human labels", bench_labels),
        ("Three sites", bench_sites),
        ("Bytes", bench_bytes),
    ):
        print(f"\n### {title}\n", flush=True)
        bench()
