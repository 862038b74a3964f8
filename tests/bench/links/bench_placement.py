"""Placement of models on devices and in their cloud: how long the exact choice takes, and what placing brings.

Simulated models in groups that predict each other well, every budget short: devices with 5-20 % of the memory of all
models, a cloud with 30 % of it, and a network for about 60 % of the inputs. Beside the placement stands what the cloud
reaches by itself and what devices reach by themselves, links included in both, under the same budgets.

python tests/bench/links/bench_placement.py [--models 7,20,80] [--devices 3,10] [--timeout-s 60] [--seed 0]
"""

import argparse
import time
from dataclasses import replace

import numpy as np
from infilink.links.placement.assignment import Assignment
from infilink.links.placement.places import Cloud, Device
from infilink.links.placement.problem import PlacementProblem
from infilink.links.placement.solver import solve
from infilink.links.table import BUCKETS, NEVER, Measured, Table
from infilink.models.cost import ModelCost

MIB = 2**20
BASELINE_SHARE = 0.25


def draw_tables(rng: np.random.Generator, names: list[str]) -> dict[str, Table]:
    """Links between all pairs, .75-.97 within a group of about four models and .2-.6 across; constants .2-.6."""
    group = rng.integers(0, max(len(names) // 4, 2), len(names))
    tables = {}
    for own, name in enumerate(names):
        linked = {}
        for index, other in enumerate(names):
            low, high = (0.75, 0.97) if group[index] == group[own] else (0.2, 0.6)
            value = float(rng.uniform(low, high))
            if index != own:
                linked[other,] = (Measured(value, value),) * BUCKETS
        constant = float(rng.uniform(0.2, 0.6))
        tables[name] = Table(Measured(constant, constant), (Measured(constant, constant),) * NEVER, linked)
    return tables


def draw_problem(seed: int, models: int, devices: int) -> PlacementProblem:
    """One instance."""
    rng = np.random.default_rng(seed)
    names = [f"m{index:02d}" for index in range(models)]
    tables = draw_tables(rng, names)
    memory = np.exp(rng.uniform(np.log(20), np.log(400), models)) * MIB
    infer_s = np.exp(rng.uniform(np.log(0.005), np.log(0.2), models))
    costs = {
        name: ModelCost(int(size), float(each_s), 0.2)
        for name, size, each_s in zip(names, memory, infer_s, strict=True)
    }
    places = [
        Device(
            f"d{index}",
            count=int(rng.integers(1, 10)),
            inputs_per_s=float(rng.uniform(0.5, 4)),
            input_bytes=40_000,
            slowdown=float(rng.uniform(2, 8)),
            memory_bytes=float(memory.sum() * rng.uniform(0.05, 0.2)),
            cores=float(rng.choice([1, 2, 4])),
            network_bytes_per_s=float(rng.uniform(20_000, 300_000)),
        )
        for index in range(devices)
    ]
    inputs_per_s = sum(device.count * device.inputs_per_s for device in places)
    cloud = Cloud(
        float(0.3 * memory.sum()), float(0.3 * inputs_per_s * infer_s.sum()), float(0.6 * inputs_per_s * 40_000)
    )
    return PlacementProblem.of(tables, costs, places, cloud, output_bytes=dict.fromkeys(names, 64.0))


def alone(problem: PlacementProblem, *, cloud: bool) -> PlacementProblem:
    """The same with the cloud only, or with the devices only."""
    if cloud:
        bare = tuple(replace(device, memory_bytes=0.0, cores=0.0) for device in problem.devices)
        return replace(problem, devices=bare)
    return replace(problem, cloud=Cloud(0.0, 0.0))


def main(models: list[int], devices: list[int], timeout_s: float, seed: int) -> None:
    """Prints the table, row by row."""
    print(f"seed {seed}, {timeout_s:g} s at most; agreement and in brackets its gap\n")
    print("| models | device classes | time | placed | cloud only | devices only | constants |")
    print("|---|---|---|---|---|---|---|")
    for count in models:
        for classes in devices:
            problem = draw_problem(seed, count, classes)
            started_s = time.perf_counter()
            chosen, gap = solve(problem, timeout_s=timeout_s)
            took_s = time.perf_counter() - started_s
            cells = [(chosen.value(problem), gap)]
            for where in (True, False):
                other = alone(problem, cloud=where)
                found, other_gap = solve(other, timeout_s=timeout_s * BASELINE_SHARE)
                cells.append((found.value(other), other_gap))
            constants = Assignment.nothing(problem).value(problem)
            told = " | ".join(f"{value:.4f} ({each:.4f})" for value, each in cells)
            print(f"| {count} | {classes} | {took_s:.1f} s | {told} | {constants:.4f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="7,20,80")
    parser.add_argument("--devices", default="3,10")
    parser.add_argument("--timeout-s", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts = [[int(each) for each in text.split(",")] for text in (arguments.models, arguments.devices)]
    main(*counts, arguments.timeout_s, arguments.seed)
