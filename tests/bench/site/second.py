"""A second site of short clips: links of one half of the cameras serve the other half, and each camera's own beside."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from agreed import POLICIES, difference, measure
from baselines import FREE
from cameras import Site, learnt, mean_costs, served
from infilink.links.graph import LinkGraph
from infilink.traces.site import camera_of
from infilink.traces.trace import Trace
from ours import OURS
from prepare import Bench

POLICY_NAMES = (OURS, "ours without links", "ours without a stem", *FREE)


def table(bench: Bench) -> Iterator[str]:
    """Cameras that are new (served from their beginning), and the same that are known (from 62 % on)."""
    given = bench.options
    yield from _rows("cameras that nothing was learnt from, links of the other half", halves(bench), bench)
    if len(bench.recordings) > 1:
        yield from _rows("each camera known, from 62 % on", bench.site, bench)
    yield f"\n{given.ticks} inputs of each camera, {given.turns} beginnings; clips are served again and again."


def halves(bench: Bench) -> Site:
    """Every camera with the links that the half it is not of has taught."""
    stem, folder = bench.stem, bench.place.folder
    parts = bench.recordings[::2], bench.recordings[1::2]
    cameras, costs = [], []
    for new, known in (parts, parts[::-1]):
        graph = LinkGraph.load(learnt(known, stem, folder))
        for path in new:
            assert not graph.knows(camera_of(path))
            with Trace(path) as trace:
                cameras.append(served(trace, 0, graph.camera(camera_of(path)), stem, folder, known=False))
                costs.append(trace.info.costs)
    return replace(Site(tuple(cameras), mean_costs(costs)), stem_share=bench.stem_share)


def _rows(what: str, site: Site, bench: Bench) -> Iterator[str]:
    given = bench.options
    shares: Sequence[float] = given.shares
    yield f"\n| {what} | {' | '.join(f'{share:.0%}' for share in shares)} |"
    yield "|---|" + "---|" * len(shares)
    found = {
        (name, share): measure(site, POLICIES[name], share, ticks=given.ticks, turns=given.turns)
        for name in POLICY_NAMES
        if name in given.policies
        for share in shares
    }
    for name in dict.fromkeys(name for name, _ in found):
        cells = [f"{found[name, share].mean:.3f} ({found[name, share].spent(site):.3f})" for share in shares]
        yield f"| {name} | {' | '.join(cells)} |"
    cells = []
    for share in shares:
        best = max(
            (name for name, at in found if at == share and name in FREE), key=lambda name: found[name, share].mean
        )
        ahead, low, high = difference(site, found[OURS, share], found[best, share], ticks=given.ticks)
        cells.append(f"{ahead:+.3f} [{low:+.3f}, {high:+.3f}] ({best})")
    yield f"| ours less the best that is free | {' | '.join(cells)} |"
