"""The live audit: false alarms over days of scenes, and how soon a break is found, by the device's own auditor.

python tests/bench/filters/bench_audit.py [--days 200] [--part alarms|breaks|wire]

`alarms`, `breaks`: days of 50,000 inputs go through `infilink.device.auditor.Auditor`, with answers from memory. A gate
drops 80 % of them, scene by scene; losses come in scenes, of fixed length ("block") or without memory ("Markov", a mean
length). The certificate has counted as many runs as there were scenes. `wire`: a coordinator and an agent as processes,
with a filter that drops everything but each K-th frame; what the agent reports is made again by the same auditor in
memory from its results file.
"""

import argparse
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from audit_wire import check_wire
from infilink.device.auditor import Auditor
from infilink.evidence import interval
from infilink.filters.gates.audit import AuditReport
from infilink.filters.gates.base import Substitute
from infilink.filters.rules.loss import rule_loss
from infilink.filters.rules.parser import parse_rule
from infilink.filters.terms import Terms
from infilink.outputs import Array, OutputSpec

INPUTS = 50_000
DROPPED = 0.8
# What calibration says of that, at worst: the truth is its end.
RATE = (0.75, 0.8)
SHARE = 0.01
RISK = 0.05
LENGTHS = (5, 20, 50, 200)
KINDS = ("block", "Markov")
TARGETS = (0.05, 0.1)
# The mean loss of a filter that is broken.
BREAKS = {"moved camera": 0.3, "fog": 0.5, "infrared": 0.9}
# No day of the reported ones was looked at when the audit's constants were chosen.
SEEDS = 3_000_000

RULE = parse_rule("value == 0")
SPEC = {"m": OutputSpec(kind="count")}
SKIPPED = {"m": Substitute("skipped", np.zeros(1, np.float32), 0.9, True)}
SAID = (np.zeros(1, np.float32), np.ones(1, np.float32))


class Day(NamedTuple):
    """A day: bool (inputs,) each."""

    dropped: Array
    needed: Array


@dataclass(frozen=True)
class Found:
    """How a day went: at which input the alarm came (none: -1), and what the audit says then."""

    at: int
    report: AuditReport
    blocks_before: int


def scenes(random: np.random.Generator, chances: Array, length: int, kind: str) -> Array:
    """Bool (inputs,): scene by scene true with the chance that its first input has."""
    found, i = np.zeros(len(chances), bool), 0
    while i < len(chances):
        end = i + (length if kind == "block" else int(random.geometric(1.0 / length)))
        found[i:end] = random.random() < chances[i]
        i = end
    return found


def make_day(random: np.random.Generator, losses: Array, length: int, kind: str) -> Day:
    """A day on which the filter loses so much on average, input by input."""
    dropped = scenes(random, np.full(len(losses), DROPPED), 3 * length, kind)
    needed = scenes(random, np.minimum(1.0, losses / DROPPED), length, kind)
    return Day(dropped, needed)


def lost(answers: dict[str, Substitute], exact: dict[str, Array], outputs: dict[str, OutputSpec]) -> float:
    """A filter's own loss, as `FilterRuntime.lost`."""
    return rule_loss(RULE, {model: each.value for model, each in answers.items()}, exact, outputs)


def live(
    day: Day,
    *,
    target: float,
    length: int,
    kind: str,
    seed: int,
    broken_at: int = 0,
    rate: tuple[float, float] | None = None,
) -> Found:
    """A day with the auditor, up to its first alarm."""
    terms = Terms(1.0 - target, certified=True, run_inputs=length, rate=rate)
    auditor = Auditor("filter", SHARE, terms, lost, SPEC, seed=seed)
    blocks_before = 0
    for i, (dropped, needed) in enumerate(zip(day.dropped.tolist(), day.needed.tolist(), strict=True)):
        if i == broken_at:
            blocks_before = auditor.report().blocks
        if auditor.take(i, SKIPPED if dropped else {}, kept=not dropped, reference=None):
            auditor.answered(i, {"m": SAID[needed]}, {"m"})
            if auditor.broken:
                return Found(i, auditor.report(), blocks_before)
    return Found(-1, auditor.report(), blocks_before)


def divergence(p: float, q: float) -> float:
    """Of a Bernoulli variable with mean `p` from one with mean `q`, in nats."""
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def false_alarms(days: int) -> None:
    """Days on which the filter loses exactly what it promised."""
    print(
        "| promised loss | scenes | inputs a scene | days | false alarms | 95 % interval | rate said to be far | "
        "inputs a block | blocks |"
    )
    print(f"|{'---|' * 9}")
    for target in TARGETS:
        for kind in KINDS:
            for length in LENGTHS:
                found = []
                for day in range(days):
                    random = np.random.default_rng([SEEDS, day, length, KINDS.index(kind), round(1000 * target)])
                    stream = make_day(random, np.full(INPUTS, target), length, kind)
                    found.append(live(stream, target=target, length=length, kind=kind, seed=SEEDS + day, rate=RATE))
                alarms = sum(each.at >= 0 for each in found)
                far = sum(bool(each.report.rate_far) for each in found)
                low, high = interval(alarms, days)
                print(
                    f"| {target:g} | {kind} | {length} | {days} | {alarms} ({alarms / days:.3f}) | "
                    f"{low:.3f}-{high:.3f} | {far} | "
                    f"{np.median([each.report.block_inputs for each in found]):.0f} | "
                    f"{np.median([each.report.blocks for each in found]):.0f} |",
                    flush=True,
                )


def breaks(days: int) -> None:
    """Days on which the filter loses half of what it promised, until something breaks at any time."""
    print(
        "| promised loss | break to | scenes | inputs a scene | days | found | blocks, mean | 95 % | 1.5 ln(1/d)/KL, "
        f"d = {RISK:g} | d = {RISK:g} / blocks a day | inputs, mean |"
    )
    print(f"|{'---|' * 11}")
    for target in TARGETS:
        for name, loss in BREAKS.items():
            for kind in KINDS:
                for length in (5, 50, 200):
                    row = [_break(target, loss, length, kind, day) for day in range(days)]
                    _print_break(target, f"{loss:g} ({name})", kind, length, [each for each in row if each is not None])


def _break(target: float, loss: float, length: int, kind: str, day: int) -> tuple[Found, int] | None:
    random = np.random.default_rng([SEEDS, 1, day, length, KINDS.index(kind), round(1000 * target), round(100 * loss)])
    broken_at = int(random.integers(INPUTS // 10, INPUTS // 2))
    stream = make_day(random, np.full(INPUTS, target / 2), length, kind)
    # Fog hides everything: all is dropped.
    stream.dropped[broken_at:] = True
    stream.needed[broken_at:] = scenes(random, np.full(INPUTS - broken_at, loss), length, kind)
    found = live(stream, target=target, length=length, kind=kind, seed=SEEDS + day, broken_at=broken_at)
    return None if 0 <= found.at < broken_at else (found, broken_at)


def _print_break(target: float, name: str, kind: str, length: int, found: list[tuple[Found, int]]) -> None:
    caught = [(each, at) for each, at in found if each.at >= 0]
    blocks = [each.report.blocks - each.blocks_before for each, _ in caught]
    inputs = [each.at - at for each, at in caught]
    loss = float(name.split(maxsplit=1)[0])
    a_day = INPUTS / float(np.median([each.report.block_inputs for each, _ in caught]))
    allowed = [1.5 * math.log(1.0 / risk) / divergence(loss, target) for risk in (RISK, RISK / a_day)]
    print(
        f"| {target:g} | {name} | {kind} | {length} | {len(found)} | {len(caught)} | {np.mean(blocks):.1f} | "
        f"{np.quantile(blocks, 0.95):.0f} | {allowed[0]:.1f} | {allowed[1]:.1f} | {np.mean(inputs):.0f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=200)
    parser.add_argument("--part", choices=("alarms", "breaks", "wire"), nargs="*", default=("alarms", "breaks", "wire"))
    options = parser.parse_args()
    if "wire" in options.part:
        with tempfile.TemporaryDirectory() as folder:
            print(check_wire(Path(folder)), file=sys.stderr, flush=True)
    if "alarms" in options.part:
        false_alarms(options.days)
    if "breaks" in options.part:
        breaks(options.days)


if __name__ == "__main__":
    main()
