"""Links from token sequences on toy tasks that ask for more and more of the order: our description, the paper's LSTM.

python tests/bench/links/bench_sequences.py [--inputs 500] [--net ours --net paper] [--task words --task far]
"""

import argparse
import time
from functools import partial

import numpy as np
from infilink.links.link import parse_net, reads_ids
from infilink.links.training.fit import predict
from infilink.links.training.fit_linear import Design, FittedLinear
from infilink.links.training.judge import Judge, best_constant
from infilink.links.training.networks import fit_network
from infilink.links.training.predictor import NetworkPredictor, Predictor
from infilink.links.training.samples import Samples, Situations
from infilink.models.spec import parse_spec
from infilink.outputs import Array
from rich.console import Console
from rich.table import Table

YES_NO = {"kind": "label", "classes": ["no", "yes"]}
TASKS: dict[str, dict[str, object]] = {
    "words": {"kind": "count"},
    "alarm": YES_NO,
    "starts": YES_NO,
    "near": YES_NO,
    "far": YES_NO,
    "copied": {"kind": "tokens", "length": 12},
    "turned": {"kind": "tokens", "length": 12},
}
"""How many tokens; whether 3 is in it; whether it starts below 5; whether two neighbours rise and it ends above 4;
whether the first below 3 comes before the first above 6; the same again; turned round, every token one higher."""


def asked(task: str, said: Array) -> Array:
    """The target's output for a sequence."""
    if task == "words":
        return np.asarray([len(said)], np.float32)
    if task in ("copied", "turned"):
        return said.copy() if task == "copied" else said[::-1] + 1
    low, high = np.flatnonzero(said < 3), np.flatnonzero(said > 6)
    yes = {
        "alarm": bool((said == 3).any()),
        "starts": bool(said[0] < 5),
        "near": bool((np.diff(said) > 0).any() and said[-1] > 4),
        "far": bool(len(low) and len(high) and low[0] < high[0]),
    }[task]
    return np.asarray([0.05, 0.95] if yes else [0.95, 0.05], np.float32)


def samples_of(task: str, count: int) -> Samples:
    """Sequences of 1 to 8 of ten tokens; each stays for two and a half inputs on average."""
    rng = np.random.default_rng(0)
    said, outputs = rng.integers(0, 10, 4), []
    for _ in range(count):
        if rng.random() < 0.4:
            said = rng.integers(0, 10, rng.integers(1, 9))
        outputs.append(said)
    specs = {"said": {"kind": "tokens", "length": 12}, task: TASKS[task]}
    models = {name: parse_spec({"name": name, "output": output}, where=name) for name, output in specs.items()}
    return Samples.of(models, np.arange(count) * 0.5, {"said": outputs, task: [asked(task, each) for each in outputs]})


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=500)
    parser.add_argument("--net", action="append", default=[])
    parser.add_argument("--task", action="append", default=[])
    arguments = parser.parse_args()
    table = Table(title=f"from a sequence alone, {arguments.inputs} inputs, the last fifth reported")
    for column in ("task", "net", "constant", "linked", "train, processor s"):
        table.add_column(column, justify="left" if column in ("task", "net") else "right")
    for task in arguments.task or TASKS:
        samples = samples_of(task, arguments.inputs)
        judge, rows = Judge(samples, task), samples.blocks.report
        constant = judge.constant(best_constant(judge), rows).mean()
        for net in arguments.net or ["ours", "paper"]:
            chosen = parse_net(net)
            never, started = np.full(len(rows), -1), time.process_time()
            predictor: Predictor
            if chosen == "ours" and samples.encodings[task].tokens is None:
                predictor = FittedLinear.fit(Design.of(samples), judge, seed=0)
            else:
                situations = Situations(samples, task, ids=reads_ids(chosen, samples.encodings[task]))
                network = fit_network(situations, judge, net=chosen, seed=0)
                predictor = NetworkPredictor(partial(predict, network), situations)
            seconds = time.process_time() - started
            predicted, _ = predictor(rows, never, ("said",))
            reached = judge.linked(predicted, rows, never, [("said",)] * len(rows)).mean()
            table.add_row(task, net, f"{constant:.2f}", f"{reached:.3f}", f"{seconds:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
