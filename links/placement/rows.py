"""The rows of the placement's program: links tied to the places of their sources, budgets, and ties broken."""

from dataclasses import dataclass

import numpy as np

from ...outputs import Array
from ..planning.program import Rows
from .columns import Allowed, Blocks, Columns
from .problem import PlacementProblem

PREFERENCE = 1e-6
"""How much using all of every budget costs in the objective: it decides between equally good choices."""


def add_links(
    columns: Columns,
    rows: Rows,
    problem: PlacementProblem,
    blocks: Blocks,
    allowed: Allowed,
    most: int,
    *,
    placed: bool,
) -> bool:
    """Adds the columns of single links, and the rows that tie them to what runs.

    Args:
        columns: gets the links' columns.
        rows: gets their rows.
        problem: the problem with its links.
        blocks: the columns of everything else.
        allowed: what keeps every budget by itself.
        most: how many links of each target have columns of their own.
        placed: whether a link's sources must be where it answers; else it is enough that they run anywhere.

    Returns:
        Whether every useful link has a column of its own.
    """
    entries = _Entries.of(problem, *useful_ways(problem, most))
    gains = problem.weights[:, entries.targets] * (entries.values - problem.free[entries.targets])
    anywhere = allowed.on_device | allowed.in_cloud
    on_device = _Part(allowed.on_device, allowed.device_links, [blocks.device_linked], [blocks.on_device])
    in_cloud = _Part(anywhere, allowed.cloud_links, [blocks.cloud_linked], [blocks.in_cloud, blocks.sent])
    either = _Part(
        anywhere,
        allowed.device_links | allowed.cloud_links,
        [blocks.device_linked, blocks.cloud_linked],
        [blocks.on_device, blocks.in_cloud],
    )
    used = []
    for part in (on_device, in_cloud) if placed else (either,):
        devices, entry = np.nonzero(entries.within(part.models) & part.links[:, entries.targets] & (gains > 0))
        z = columns.add(np.ones(len(devices)), gains=gains[devices, entry], whole=False)
        used.append((z, devices, entry))
        answers = devices * len(problem.names) + entries.targets[entry]
        answered, place = np.unique(answers, return_inverse=True)
        at = rows.add(np.zeros(len(answered)))
        rows.set(at[place], z, 1.0)
        for block in part.linked:
            rows.set(at, block.ravel()[answered], -1.0)
        _tie(rows, entries, used[-1], part.sources)
    if placed:
        z, devices, entry = (np.concatenate(column) for column in zip(*used, strict=True))
        _tie(rows, entries, (z, devices, entry), either.sources)
    return not entries.any_source.any()


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
    """Makes every column cost a little, so that of equally good choices the one that takes less is found.

    Each place's memory, time and traffic count the same, in shares of what all models together would take.

    Returns:
        An upper bound on what that costs in all.
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


def useful_ways(problem: PlacementProblem, most: int) -> tuple[Array, Array]:
    """The numbers of the links that gain over answering without: the `most` best of each target, and the rest."""
    ways = problem.ways
    gains = ways.values - problem.free[ways.targets]
    useful = np.flatnonzero(gains > 0)
    order = useful[np.lexsort((-gains[useful], ways.targets[useful]))]
    targets = ways.targets[order]
    rank = np.arange(len(order)) - np.searchsorted(targets, targets)
    return order[rank < most], order[rank >= most]


@dataclass(frozen=True)
class _Entries:
    """The links that have columns of their own, and one entry for all the other links of a target.

    Attributes:
        targets: int (E,).
        values: float (E,).
        sources: bool (E, M).
        any_source: whether one of the sources will do, or none where there are none: bool (E,).
    """

    targets: Array
    values: Array
    sources: Array
    any_source: Array

    @classmethod
    def of(cls, problem: PlacementProblem, best: Array, rest: Array) -> "_Entries":
        ways = problem.ways
        kept, starts = np.unique(ways.targets[rest], return_index=True)
        union = np.zeros((len(kept), len(problem.names)), bool)
        for row, part in enumerate(np.split(rest, starts[1:]) if len(kept) else []):
            sources = ways.sources[part]
            union[row] = sources.any(axis=0) & sources.any(axis=1).all()
        return cls(
            np.concatenate([ways.targets[best], kept]),
            np.concatenate([ways.values[best], ways.values[rest[starts]]]),
            np.concatenate([ways.sources[best], union]),
            np.concatenate([np.zeros(len(best), bool), np.ones(len(kept), bool)]),
        )

    def within(self, models: Array) -> Array:
        """Which entries can answer where only `models`, bool (D, M), are available: bool (D, E)."""
        missing = np.stack([(self.sources & ~row).sum(axis=1) for row in models])
        needed = self.sources.sum(axis=1)
        return np.asarray(np.where(self.any_source, (missing < needed) | (needed == 0), missing == 0), bool)


@dataclass(frozen=True)
class _Part:
    """Links that answer on the device, in the cloud, or at either place.

    Attributes:
        models: which models' outputs may reach the place, bool (D, M).
        links: which targets may be linked there, bool (D, M).
        linked: the columns of "a link answers there", (D, M) each.
        sources: the columns of "an output is there", (D, M) each.
    """

    models: Array
    links: Array
    linked: list[Array]
    sources: list[Array]


def _tie(rows: Rows, entries: _Entries, used: tuple[Array, Array, Array], sources: list[Array]) -> None:
    """Adds, for each device, target and source: the links in use sum to at most the columns `sources` (D, M) there."""
    z, devices, entry = used
    count = entries.sources.shape[1]
    of, members = np.nonzero(entries.sources[entry] & ~entries.any_source[entry, None])
    keys = (devices[of] * count + entries.targets[entry[of]]) * count + members
    pairs, place = np.unique(keys, return_inverse=True)
    at = rows.add(np.zeros(len(pairs)))
    rows.set(at[place], z[of], 1.0)
    for block in sources:
        rows.set(at, block[pairs // count**2, pairs % count], -1.0)
    shared = np.flatnonzero(entries.any_source[entry] & entries.sources[entry].any(axis=1))
    keys, first, place = np.unique(
        devices[shared] * len(entries.targets) + entry[shared], return_index=True, return_inverse=True
    )
    at = rows.add(np.zeros(len(keys)))
    rows.set(at[place], z[shared], 1.0)
    of, members = np.nonzero(entries.sources[entry[shared[first]]])
    for block in sources:
        rows.set(at[of], block[devices[shared[first[of]]], members], -1.0)


def _add(rows: Rows, limit: float, columns: Array, taken: Array) -> None:
    if np.isfinite(limit):
        (row,) = rows.add(np.asarray([1.0 if limit > 0 else 0.0]))
        rows.set(np.full(len(columns), row), columns, taken / limit if limit > 0 else taken)


def _add_memory(
    columns: Columns, rows: Rows, problem: PlacementProblem, limit: float, models: Array, linked: Array
) -> None:
    """A memory budget: the models together and the largest link, which has a column of its own."""
    if not np.isfinite(limit):
        return
    scale = 1.0 / limit if limit > 0 else 1.0
    largest = columns.add(np.ones(1), whole=False)
    _add(rows, limit, np.append(models, largest), np.append(problem.memory, 1.0 / scale))
    costly = np.broadcast_to(problem.link_memory > 0, linked.shape)
    at = rows.add(np.zeros(int(costly.sum())))
    rows.set(at, linked[costly], np.broadcast_to(problem.link_memory * scale, linked.shape)[costly])
    rows.set(at, np.broadcast_to(largest, at.shape), -1.0)
