"""The budgets as rows of the placement's program, and which of equal choices is taken."""

import numpy as np

from ...outputs import Array
from ..planning.program import Rows
from .blocks import Blocks
from .columns import Columns
from .problem import PlacementProblem

PREFERENCE = 1e-6
"""What taking all of everything costs in the objective: it decides between choices that are equally good."""


def add_budgets(columns: Columns, rows: Rows, problem: PlacementProblem, blocks: Blocks) -> None:
    """Adds a row for each budget that has a limit, in shares of it: the solver's tolerance is absolute."""
    pace, cloud_pace = problem.device_pace[:, None], problem.cloud_pace[:, None]
    run, link = pace * problem.infer_s, pace * problem.link_s
    inputs, outputs = problem.input_traffic, problem.output_traffic
    active, sent = problem.active_w[:, None], problem.sent_j
    for device, (memory, cores, network, energy) in enumerate(problem.device_limits):
        on, linked = blocks.on_device[device], blocks.device_linked[device]
        travel = np.append(blocks.sent[device], blocks.travels[device])
        traffic = np.append(outputs[device], inputs[device])
        computing = np.concatenate([run[device], link[device]])
        _add(rows, cores, np.concatenate([on, linked]), computing)
        _add(rows, network, travel, traffic)
        _add(
            rows,
            energy,
            np.concatenate([on, linked, travel]),
            np.concatenate([active[device] * computing, sent[device] * traffic]),
        )
        _add_memory(columns, rows, problem, memory, on, linked)
    memory, cores, network = problem.cloud_limits
    _add(
        rows,
        cores,
        np.concatenate([blocks.in_cloud.ravel(), blocks.cloud_linked.ravel()]),
        np.concatenate([(cloud_pace * problem.infer_s).ravel(), (cloud_pace * problem.link_s).ravel()]),
    )
    counts = problem.counts
    _add(
        rows,
        network,
        np.append(blocks.sent.ravel(), blocks.travels),
        np.append((counts[:, None] * outputs).ravel(), counts * inputs),
    )
    _add_memory(columns, rows, problem, memory, blocks.held, blocks.cloud_linked)


def add_preferences(gains: Array, problem: PlacementProblem, blocks: Blocks) -> float:
    """Makes every column cost a little, so that of equal choices the one that takes less is found.

    Each place's memory, time and traffic count the same, in shares of what all models together would take.

    Returns:
        At most what all of them together cost.
    """
    devices = len(problem.devices)
    each = PREFERENCE / (3 * devices + 2)
    seconds = np.maximum(problem.infer_s + problem.link_s, 1e-300)
    memory, run, link = (
        values / max(total.sum(), 1e-300)
        for values, total in (
            (problem.memory, problem.memory),
            (problem.infer_s, seconds),
            (problem.link_s, seconds),
        )
    )
    traffic = np.maximum(problem.input_traffic + problem.output_traffic.sum(axis=1), 1e-300)
    gains[blocks.on_device] -= each * (memory + run)
    gains[blocks.device_linked] -= each * link
    gains[blocks.in_cloud] -= each * run / devices
    gains[blocks.cloud_linked] -= each * link / devices
    gains[blocks.held] -= each * memory
    gains[blocks.sent] -= each * problem.output_traffic / traffic[:, None]
    gains[blocks.travels] -= each * problem.input_traffic / traffic
    return PREFERENCE


def _add(rows: Rows, limit: float, columns: Array, taken: Array) -> None:
    if np.isfinite(limit):
        (row,) = rows.add(np.asarray([1.0 if limit > 0 else 0.0]))
        rows.set(np.full(len(columns), row), columns, taken / limit if limit > 0 else taken)


def _add_memory(
    columns: Columns, rows: Rows, problem: PlacementProblem, limit: float, models: Array, linked: Array
) -> None:
    """The models together and the largest link, whose share has a column of its own."""
    if not np.isfinite(limit):
        return
    scale = 1.0 / limit if limit > 0 else 1.0
    largest = columns.add(np.ones(1), whole=False)
    _add(rows, limit, np.append(models, largest), np.append(problem.memory, 1.0 / scale))
    costly = np.broadcast_to(problem.link_memory > 0, linked.shape)
    at = rows.add(np.zeros(int(costly.sum())))
    rows.set(at, linked[costly], np.broadcast_to(problem.link_memory * scale, linked.shape)[costly])
    rows.set(at, np.broadcast_to(largest, at.shape), -1.0)
