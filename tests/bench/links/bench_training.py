"""What links cost to train and to serve, ours beside the MLink paper's, and what both reach on made-up models.

python tests/bench/links/bench_training.py [--inputs 1000] [--models 7] [--sequences] [--net ours --net paper]

Seven made-up models of one scene: counts, labels, a vector, boxes. Ours are ridges (all that serve are in a
model's file); the paper's are 42 links and 7 ensembles. With `--sequences` one more says a sentence and one
repeats it in other words.
"""

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from infilink.links.linear.link import SUFFIX, LinearLink
from infilink.links.link import Link, LinkSpec, Net, parse_net, reads_ids
from infilink.links.networks.export import export_link
from infilink.links.reading import open_link
from infilink.links.sequences.network import SequenceNetwork
from infilink.links.training.fit import predict
from infilink.links.training.fit_linear import Design, FittedLinear
from infilink.links.training.judge import Judge, best_constant
from infilink.links.training.measure import TargetCases, measure_links
from infilink.links.training.networks import fit_network
from infilink.links.training.predictor import NetworkPredictor, Predictor
from infilink.links.training.samples import Samples, Situations
from infilink.links.training.sets import winning
from infilink.models.spec import parse_spec
from infilink.outputs import Array
from rich.console import Console
from rich.table import Table

OUTPUTS: dict[str, dict[str, object]] = {
    "action": {"kind": "multilabel", "classes": [f"action {index}" for index in range(12)]},
    "cars": {"kind": "count"},
    "colour": {"kind": "vector", "length": 8},
    "day": {"kind": "label", "classes": ["day", "dusk", "night"]},
    "light": {"kind": "scalar", "tolerance": 2.0},
    "objects": {"kind": "boxes", "classes": ["car", "person"], "measure": "counts"},
    "scene": {"kind": "label", "classes": ["empty", "busy", "jam"]},
}
SEQUENCES: dict[str, dict[str, object]] = {
    "said": {"kind": "tokens", "length": 12},
    "repeated": {"kind": "tokens", "length": 12},
}


def one_hot(index: int, count: int) -> Array:
    """Scores with 0.9 for one class."""
    scores = np.full(count, 0.1 / (count - 1), np.float32)
    scores[index] = 0.9
    return scores


def world(count: int, seed: int) -> dict[str, list[Array]]:
    """Outputs that hang together: cars and light drift, everything else follows, with noise."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Array]] = {name: [] for name in (*OUTPUTS, *SEQUENCES)}
    cars, light = 3, 0.0
    said = rng.integers(0, 10, 4)
    for _ in range(count):
        cars = int(np.clip(cars + rng.choice([-2, -1, 0, 0, 0, 1, 2]), 0, 9))
        light = float(np.clip(light + rng.normal() * 0.5, -4, 4))
        people = int(rng.integers(0, 3))
        corners = rng.uniform(0, 0.8, (cars + people, 2)).astype(np.float32)
        classes = np.asarray([0] * cars + [1] * people, np.float32)[:, None]
        boxes = np.concatenate([corners, corners + 0.1, np.full_like(classes, 0.9), classes], axis=1)
        if rng.random() < 0.5:
            said = rng.integers(0, 10, rng.integers(1, 7))
        rows["cars"].append(np.asarray([cars], np.float32))
        rows["scene"].append(one_hot(0 if cars < 2 else 1 if cars < 6 else 2, 3))
        rows["objects"].append(boxes.astype(np.float32))
        rows["light"].append(np.asarray([light], np.float32))
        rows["day"].append(one_hot(0 if light > 1 else 1 if light > -1 else 2, 3))
        rows["colour"].append((light * np.linspace(-1, 1, 8) + rng.normal(size=8) * 0.2 + cars).astype(np.float32))
        rows["action"].append(np.clip((np.arange(12) < cars + people) * 0.8 + 0.1, 0, 1).astype(np.float32))
        rows["said"].append(said)
        rows["repeated"].append(said[::-1] + 1)
    return rows


def samples_of(count: int, outputs: dict[str, dict[str, object]]) -> Samples:
    """The world as samples, half a second apart."""
    rows = world(count, seed=0)
    models = {name: parse_spec({"name": name, "output": output}, where=name) for name, output in outputs.items()}
    return Samples.of(models, np.arange(count) * 0.5, {name: rows[name] for name in outputs})


def train(samples: Samples, net: Net, folder: Path) -> list[tuple[str, float, float, float, Link | LinearLink]]:
    """Of each target: its name, seconds, agreement from all others, agreement of the constant, its link."""
    done, design = [], Design.of(samples)
    for target in samples.models:
        # Processor time: on a machine that does other work as well, the clock on the wall says little.
        started = time.process_time()
        judge = Judge(samples, target)
        sources = samples.sources(target)
        encodings = {name: samples.encodings[name] for name in (*sources, target)}
        predictor: Predictor
        if net == "ours" and encodings[target].tokens is None:
            predictor = fitted = FittedLinear.fit(design, judge)
            sets = list(winning(measure_links(fitted, TargetCases.of(samples, target, seed=0))).linked)
            seconds = time.process_time() - started
            path = folder / f"{net}-{target}{SUFFIX}"
            fitted.link(LinkSpec(target, encodings, {}, "0"), [*dict.fromkeys([*sets, sources])], "").write(path)
        else:
            situations = Situations(samples, target, ids=reads_ids(net, encodings[target]))
            network = fit_network(situations, judge, net=net, seed=0)
            seconds = time.process_time() - started
            predictor = NetworkPredictor(partial(predict, network), situations)
            decoding = network.decoding if isinstance(network, SequenceNetwork) else None
            path = folder / f"{net}-{target}.onnx"
            export_link(network, LinkSpec(target, encodings, {}, "0", net, decoding), path)
        rows = samples.blocks.report
        never = np.full(len(rows), -1)
        predicted, _ = predictor(rows, never, sources)
        reached = judge.linked(predicted, rows, never, [sources] * len(rows)).mean()
        constant = judge.constant(best_constant(judge), rows).mean()
        done.append((target, seconds, float(reached), float(constant), open_link(path)))
    return done


def microseconds(samples: Samples, link: Link | LinearLink, repeats: int = 300) -> float:
    """Processor time of one prediction from all sources, one input at a time."""
    spent = 0.0
    for row in np.resize(samples.blocks.report, repeats):
        now = {name: samples.vectors[name][row] for name in link.spec.sources}
        started = time.thread_time()
        link.predict(now, {}, None, 0.0)
        spent += time.thread_time() - started
    return spent / repeats * 1e6


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--models", type=int, default=7)
    parser.add_argument("--sequences", action="store_true")
    parser.add_argument("--net", action="append", default=[])
    arguments = parser.parse_args()
    outputs = dict(list(OUTPUTS.items())[: arguments.models]) | (SEQUENCES if arguments.sequences else {})
    samples = samples_of(arguments.inputs, outputs)
    with tempfile.TemporaryDirectory() as folder:
        for net in arguments.net or ["ours", "paper"]:
            table = Table(title=f"{net}: {len(outputs)} models, {arguments.inputs} inputs")
            for column in ("target", "train, processor s", "constant", "linked, never run", "one input, processor us"):
                table.add_column(column, justify="left" if column == "target" else "right")
            rows = train(samples, parse_net(net), Path(folder))
            costs = [microseconds(samples, link) for *_, link in rows]
            for (target, seconds, reached, constant, _), cost in zip(rows, costs, strict=True):
                table.add_row(target, f"{seconds:.1f}", f"{constant:.2f}", f"{reached:.2f}", f"{cost:.0f}")
            table.add_row("all", f"{sum(row[1] for row in rows):.1f}", "", "", f"{sum(costs):.0f}", style="bold")
            Console().print(table)


if __name__ == "__main__":
    main()
