"""Which model can be predicted from which others, read from a folder of links: as a matrix and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from rich import box
from rich.table import Table as RichTable
from rich.text import Text

from ...errors import InvalidInput
from ..index import Index, cameras_in
from ..table import BUCKETS, NEVER, STEM, Route, Table, at_hand, bucket, bucket_bounds_s
from ..training.linkability import Linkability, Reached, Row, read_linkability
from ..trust.certificate import ALPHA

ENOUGH = 1.0 - ALPHA
"""An answer that agrees less than this does not stand in for the model."""

Do = Literal["link", "hold", "constant", "run", "label"]

_OTHERS, _HELD, _CONSTANT = "all others", "held", "constant"
# The colour of a cell from which skill on: clearly worth a link, worth one, no better than holding, worse.
_COLOURS = ((0.5, "bold green"), (0.05, "green"), (-0.05, "yellow"), (float("-inf"), "red"))


@dataclass(frozen=True)
class Verdict:
    """How best to answer for one model when it does not run on an input.

    Attributes:
        target: the model.
        do: link it, hold its last output, answer with a constant; or run it, as none of them agrees enough; of a
            virtual model, which can't run, label more inputs.
        origin: the best of the first three, whether it agrees enough or not.
        sources: the models that the best link reads.
        agreement: what that reached on inputs that nothing was learnt from or chosen on.
        interval: where it lies with 95 % confidence; None: not kept by the version that trained the links.
        inputs: on how many inputs it was measured; None: not kept.
        runs: how many independent runs of inputs these are; None: not kept.
        sure: whether the interval lies all on one side of what is enough; False where there is none.
        text: the same in words.
    """

    target: str
    do: Do
    origin: Literal["linked", "held", "constant"]
    sources: tuple[str, ...]
    agreement: float
    interval: tuple[float, float] | None
    inputs: int | None
    runs: float | None
    sure: bool
    text: str


@dataclass(frozen=True)
class Shown:
    """What `infilink links show` shows.

    Attributes:
        folder: the links.
        age_s: how old a last output the figures are for, beside those without one.
        enough: the agreement that an answer must reach.
        targets: each model's row of the matrix.
        verdicts: what to do with each model.
        predicts: how good a source each model is for the others where they never ran, the best first: mean skill of the
            links from it alone, over the constant and over a link without any source; no skill counts 0.
        missing: what is not known of these links, and how to get it; empty if all is.
        cameras: those that have links of their own beside these.
    """

    folder: Path
    age_s: float
    enough: float
    targets: Mapping[str, Linkability]
    verdicts: tuple[Verdict, ...]
    predicts: Mapping[str, float]
    missing: str
    cameras: tuple[str, ...] = ()

    @property
    def age(self) -> int:
        """The bucket of `age_s`."""
        return bucket(self.age_s)

    @property
    def age_text(self) -> str:
        """The ages that the figures are for: "8 to 16 s"."""
        return age_text(self.age)


def show_links(folder: Path | str, *, age_s: float = 10.0, enough: float = ENOUGH) -> Shown:
    """Reads a folder of links and judges each model.

    Args:
        folder: as `train_links` wrote it; one of an earlier version tells less.
        age_s: how old the last output is that holding and links start from.
        enough: the agreement that an answer must reach to stand in for the model.

    Raises:
        InvalidInput: no such folder, something in it is damaged, or an option makes no sense.
    """
    folder = Path(folder)
    if not 0.0 <= age_s < float("inf"):
        raise InvalidInput(f"the age of the last output must be at least 0 s, not {age_s:g}")
    if not 0.0 < enough <= 1.0:
        raise InvalidInput(f"enough must be above 0 and at most 1, not {enough:g}")
    index = Index.read(folder)
    targets = read_linkability(folder)
    missing = ""
    if targets is None:
        names = tuple(index.tables)
        targets = {
            name: Linkability.of_table(table, tuple(other for other in names if other != name))
            for name, table in index.tables.items()
        }
        missing = (
            "an earlier version trained these links: it did not keep the pairs that are of no use, nor on how many "
            "inputs it measured; train them again (`infilink train links`) to see both"
        )
    age = bucket(age_s)
    verdicts = tuple(_verdict(index, name, targets[name], age, enough) for name in targets)
    return Shown(folder, age_s, enough, targets, verdicts, _predicts(targets), missing, cameras_in(folder))


def age_text(index: int) -> str:
    """A bucket of ages in words."""
    if index == NEVER:
        return "never ran"
    low, high = bucket_bounds_s(index)
    return f"under {high:g} s" if low == 0 else f"over {low:g} s" if high == float("inf") else f"{low:g} to {high:g} s"


@dataclass(frozen=True)
class Matrix:
    """The agreement that every way to answer for every model reached.

    Attributes:
        columns: the ways: a link from one model alone, from all others together, from the stem alone where links read
            one, holding, the best constant. A model in its own column: a link from nothing but its own last output; if
            it never ran, from nothing at all.
        rows: by target; None where nothing was measured.
    """

    columns: tuple[str, ...]
    rows: Mapping[str, tuple[Reached | None, ...]]

    @classmethod
    def of(cls, targets: Mapping[str, Linkability], age: int) -> Self:
        """The matrix at one age bucket; without a last output there is nothing to hold."""
        names = tuple(targets)
        free = (_CONSTANT,) if age == NEVER else (_HELD, _CONSTANT)
        nothing = (None,) * BUCKETS
        looks = any(cell is not None for row in targets.values() for cell in row.stem)
        rows = {}
        for target, row in targets.items():
            ways = [row.itself if name == target else row.sources.get(name, nothing) for name in names]
            ways += [row.others, *([row.stem] if looks else [])]
            ways += [row.constant] if age == NEVER else [row.held, row.constant]
            rows[target] = tuple(way[age] for way in ways)
        return cls((*names, _OTHERS, *((STEM,) if looks else ()), *free), rows)

    def table(self, title: str) -> RichTable:
        """For the terminal: agreement, under it the skill over the better of holding and the constant, coloured."""
        table = RichTable(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("", no_wrap=True)
        for column in self.columns:
            table.add_column(column, justify="right", overflow="fold")
        for target, cells in self.rows.items():
            table.add_row(target, *(_text(cell, column) for column, cell in zip(self.columns, cells, strict=True)))
        return table


def _text(cell: Reached | None, column: str) -> Text:
    if cell is None:
        return Text("-", style="dim")
    agreement = f"{cell.agreement:.2f}"
    if column in (_HELD, _CONSTANT):
        return Text(agreement)
    skill = cell.skill
    if skill is None:
        # Nothing was to be gained.
        return Text(f"{agreement}\n-", style="red" if cell.gain < _COLOURS[-2][0] else "dim")
    style = next(colour for least, colour in _COLOURS if skill >= least)
    return Text(f"{agreement}\n{max(skill, -9.99):+.2f}", style=style)


def _verdict(index: Index, name: str, row: Linkability, age: int, enough: float) -> Verdict:
    table, others, virtual = index.tables[name], at_hand(row.sources), index.models[name].virtual
    age = NEVER if virtual else age
    route = table.choose(others, age)
    found = _found(row, route, age)
    held, constant = _figure(row.held, age), _figure(row.constant, age)
    interval, sure = found.interval, False
    do: Do = {"linked": "link", "held": "hold", "constant": "constant"}[route.origin]  # type: ignore[assignment]
    if found.agreement < enough:
        do = "label" if virtual else "run"
    if interval is not None:
        sure = interval[1] < enough if found.agreement < enough else interval[0] >= enough
    # Links across domains do not read it.
    reads = route.sources if name in index.notes.get("domains", {}) else (*route.sources, "its own last output")
    free = f"; constant {constant}" if virtual else f"; held {held}, constant {constant}{_never(table, others, row)}"
    return Verdict(
        name,
        do,
        route.origin,
        route.sources,
        found.agreement,
        interval,
        found.inputs,
        found.runs,
        sure,
        f"{_advice(do, route, enough, reads)}{_numbers(found)}{free}; {route.certificate_text}"
        f"{'' if sure else _unsure(found, enough)}",
    )


def _found(row: Linkability, route: Route, age: int) -> Reached:
    """What a route reached: as kept if it stands in the matrix, else by its table, on the same inputs."""
    ways: dict[tuple[str, tuple[str, ...]], Row] = {
        ("held", ()): row.held,
        ("constant", ()): row.constant,
        ("linked", ()): row.itself,
        **{("linked", (name,)): cells for name, cells in row.sources.items()},
        ("linked", (STEM,)): row.stem,
        ("linked", tuple(row.sources)): row.others,
    }
    cell = ways.get((route.origin, route.sources), (None,) * (age + 1))[age]
    if cell is not None:
        return cell
    same = row.constant[age]
    agreement = route.measured.report
    if same is None:
        return Reached(agreement, 0.0)
    return Reached(agreement, agreement - (same.agreement - same.gain), same.inputs, same.runs)


def _advice(do: Do, route: Route, enough: float, reads: Sequence[str]) -> str:
    """What to do; `reads` is what a link reads, in words."""
    from_what = " and ".join(filter(None, [", ".join(reads[:-1]), reads[-1]])) if reads else ""
    means = {"linked": f"a link from {from_what}", "held": "holding its last output", "constant": "a constant"}
    if do in ("run", "label"):
        needed = "needs to be run" if do == "run" else "needs more labels"
        return f"{needed}: what did best before, {means[route.origin]}, does not agree to {enough:g} later: "
    if do == "link":
        return f"worth linking from {from_what}: "
    return "better held: " if do == "hold" else "a constant will do: "


def _numbers(found: Reached) -> str:
    text = f"{found.agreement:.2f}"
    if found.interval is None or found.runs is None:
        return text
    low, high = found.interval
    return f"{text} ({low:.2f} to {high:.2f}; {found.inputs} inputs, {found.runs:.0f} runs)"


def _never(table: Table, others: frozenset[str], row: Linkability) -> str:
    """What it comes to if the model never runs."""
    route = table.choose(others, NEVER)
    found = _found(row, route, NEVER)
    if route.origin == "linked":
        return f"; if it never runs {found.agreement:.2f} from {', '.join(route.sources) or 'nothing'}"
    return f"; if it never runs {found.agreement:.2f}, a constant"


def _unsure(found: Reached, enough: float) -> str:
    if found.interval is None:
        return "; how sure that is was not kept"
    return f"; not sure: it may lie on the other side of {enough:g}, a longer recording would tell"


def _figure(row: Row, age: int) -> str:
    cell = row[age]
    return "-" if cell is None else f"{cell.agreement:.2f}"


def _predicts(targets: Mapping[str, Linkability]) -> dict[str, float]:
    means = {}
    for source in targets:
        rows = [row for row in targets.values() if source in row.sources]
        skills = [_source_skill(row.sources[source][NEVER], row.itself[NEVER]) for row in rows]
        means[source] = sum(skills) / max(1, len(skills))
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def _source_skill(cell: Reached | None, without: Reached | None) -> float:
    """The skill of a link from one source over the constant and over a link without any."""
    if cell is None:
        return 0.0
    level = max(cell.agreement - cell.gain, 0.0 if without is None else without.agreement)
    return max(0.0, cell.agreement - level) / max(1.0 - level, 1e-6)
