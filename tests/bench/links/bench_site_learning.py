"""What a camera with few inputs of its own gains from the others of its site: links and filters, beside those alone.

    python tests/bench/links/bench_site_learning.py TRACES --stem stem.onnx --new jamcam_5 --own 0 --own 60

TRACES is a folder with a trace of each camera. The first 60 % of each is what may be learnt from; a new camera gives
the newest N of these beside all of the others (those that are new are left out), and is judged on its inputs from 62 %
on.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from infilink.errors import InvalidInput, NotCertified
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.open_gate import open_gate
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.train import train_filter
from infilink.links.answer import Exact
from infilink.links.graph import LinkGraph
from infilink.links.table import STEM
from infilink.links.training.train import train_links
from infilink.models.stem.stem import Stem
from infilink.outputs import Array
from infilink.traces.site import Site
from infilink.traces.trace import Trace

LEARNT, JUDGED = 0.6, 0.62
AGES_S = (1.0, 4.0)
WAYS = ("stem alone", "all others")


def agreed(graph: LinkGraph, trace: Trace, features: Array) -> list[float]:
    """Mean agreement over models and judged inputs, by age and by what ran: what the graph chooses, input by input."""
    outputs = {name: trace.outputs(name) for name in trace.models}
    exact = {name: [graph.exact(name, value) for value in values] for name, values in outputs.items()}
    seen = [None if graph.stem is None else graph.seen(each) for each in features]
    found = []
    for age_s in AGES_S:
        then = np.searchsorted(trace.captured_s, trace.captured_s - age_s + 1e-6, side="right") - 1
        for way in WAYS:
            said = []
            for target, spec in trace.models.items():
                for at in range(round(JUDGED * len(trace)), len(trace)):
                    if then[at] < 0:
                        continue
                    ran = [name for name in trace.models if name != target] if way != WAYS[0] else []
                    now, before = (_sources(exact, ran, seen, row) for row in (at, int(then[at])))
                    age = float(trace.captured_s[at] - trace.captured_s[then[at]])
                    answer = graph.answer(target, now, exact[target][int(then[at])], age, before)
                    said.append(spec.output.agreement(answer.value, outputs[target][at]))
            found.append(float(np.mean(said)))
    return found


def _sources(
    exact: Mapping[str, Sequence[Exact]], ran: Sequence[str], seen: Sequence[Exact | None], row: int
) -> dict[str, Exact]:
    looked = seen[row]
    return {name: exact[name][row] for name in ran} | ({} if looked is None else {STEM: looked})


def links_rows(site: Site, new: Sequence[str], own: Sequence[int], stem: Path) -> Iterator[tuple[str, list[float]]]:
    """What is reached at each new camera, by how it was learnt."""
    looks = Stem(stem)
    for camera in new:
        trace = site[camera]
        features = np.stack([looks.see(frame).features for frame in trace.frames()])
        parts = {name: each.part(0, round(LEARNT * len(each))) for name, each in site.items() if name not in new}
        mine = trace.part(0, round(LEARNT * len(trace)))
        with TemporaryDirectory() as folder:
            for count in own:
                taken = min(count, len(mine))
                few = {camera: mine.part(len(mine) - taken, len(mine))} if count else {}
                out = Path(folder) / f"{count}"
                train_links(parts | few, out=out, stem=stem)
                graph = LinkGraph.load(out).camera(camera)
                yield f"{camera} {taken} with others", agreed(graph, trace, features)
                yield f"{camera} {taken} held", agreed(graph.without_links(), trace, features)
                if taken >= 60:
                    train_links(few, out=out, stem=stem)
                    yield f"{camera} {taken} alone", agreed(LinkGraph.load(out), trace, features)


def filter_rows(
    site: Site, new: Sequence[str], own: Sequence[int], stem: Path, rule: str, model: str, accuracy: float
) -> Iterator[tuple[str, list[float]]]:
    """Filtering rate and accuracy at each new camera, by how its filter was learnt."""
    for camera in new:
        trace = site[camera]
        judged = trace.part(round(JUDGED * len(trace)), len(trace))
        parts = {name: each.part(0, round(LEARNT * len(each))) for name, each in site.items() if name not in new}
        mine = trace.part(0, round(LEARNT * len(trace)))
        with TemporaryDirectory() as folder:
            for count in own:
                taken = min(count, len(mine))
                few = {camera: mine.part(len(mine) - taken, len(mine))} if count else {}
                for how, source in (("with others", parts | few), ("alone", few)):
                    if source:
                        path = Path(folder) / "f.onnx"
                        try:
                            train_filter(
                                source, models=(model,), rule=parse_rule(rule), accuracy=accuracy, out=path,
                                stem=Stem(stem), candidates=("stem",), uncertified=True,
                            )  # fmt: skip
                        except (InvalidInput, NotCertified):
                            yield f"{camera} {taken} {how}", [0.0, 1.0]
                            continue
                        done = evaluate_filter(open_gate(path, camera=camera), judged)
                        yield f"{camera} {taken} {how}", [done.rate, done.accuracy]


def main(
    traces: Path,
    stem: Annotated[Path, typer.Option()],
    new: Annotated[list[str], typer.Option(help="A camera that is new (repeat).")],
    own: Annotated[list[int], typer.Option(help="How many inputs of its own it has (repeat).")],
    rule: Annotated[str, typer.Option(help="A filter's rule; none: links.")] = "",
    model: Annotated[str, typer.Option(help="Whose outputs the rule is on.")] = "",
    accuracy: Annotated[float, typer.Option()] = 0.9,
) -> None:
    """Print a table: one row a camera and way to learn, and their mean."""
    with Site.open([traces]) as site:
        if rule:
            columns = ["filtering rate", "accuracy"]
            rows = filter_rows(site, new, own, stem, rule, model, accuracy)
        else:
            columns = [f"{age:g} s, {way}" for age in AGES_S for way in WAYS]
            rows = links_rows(site, new, own, stem)
        print(f"| camera, inputs of its own, learnt | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        kept: dict[str, list[list[float]]] = {}
        for name, figures in rows:
            kept.setdefault(name.partition(" ")[2], []).append(figures)
            print(f"| {name} | {' | '.join(f'{each:.3f}' for each in figures)} |", flush=True)
        for name, each in kept.items():
            mean = np.mean(each, axis=0)
            print(f"| **mean of {len(each)}, {name}** | {' | '.join(f'{value:.3f}' for value in mean)} |")


if __name__ == "__main__":
    typer.run(main)
