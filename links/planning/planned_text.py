"""A plan and its explanation as tables and lines for a terminal."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from ...models.cost import ModelCost
from ...units import format_bytes
from .explanation import Explanation
from .plan import Pair, Plan
from .what_if import WhatIf

_CLOSEST = 3
_SHOWN_STREAMS = 12


def print_plan(console: Console, plan: Plan, held: Plan, costs: Mapping[str, ModelCost]) -> None:
    """Prints what runs, how the rest is answered for, and what would be reached without links.

    Args:
        console: where to.
        plan: the plan.
        held: the best plan without links.
        costs: what each model costs.
    """
    console.print(_models(plan, costs))
    if len({pair.stream for pair in plan.pairs}) > 1:
        console.print(_streams(plan))
    cores = "" if plan.compute_cores is None else f" of {plan.compute_cores:.3g}"
    console.print(
        f"expected agreement {plan.expected_agreement:.3f} over all streams and models, taking {plan.used_cores:.3g}"
        f"{cores} cores; {held.expected_agreement:.3f} without links "
        f"(loaded: {', '.join(held.resident) or 'all in turn'})",
        highlight=False,
    )
    if plan.gap:
        console.print(f"not all choices could be tried: the best plan may be better by {plan.gap:.4f}")


def print_explanation(console: Console, explained: Explanation) -> None:
    """Prints for each model what was not chosen and why, and what a little less or more of each budget would give."""
    console.print(
        f"\n[bold]why not otherwise[/] (each change to the plan's {explained.value:.4f}, with all else chosen anew)",
        highlight=False,
    )
    if explained.plan.gap:
        console.print("not all choices could be tried: what a change loses is nearly right", highlight=False)
    for name, rows in explained.refused.items():
        served = explained.plan.served[name]
        console.print(f"[bold]{name}[/] is {_kept(explained.runs[name])}: {served.why}", highlight=False)
        for row in rows:
            console.print(f"  - {row.text}", highlight=False, markup=False)
    console.print("[bold]what if[/] (10 % less, 10 % more, and the single changes that are closest)", highlight=False)
    for item in explained.budgets:
        console.print(f"  - {item.text}", highlight=False, markup=False)
    if explained.core_worth > 0:
        console.print(
            f"  - a hundredth of a core more: {explained.core_worth / 100:+.4f}", highlight=False, markup=False
        )
    changes = [
        (row.loses, name, row) for name, rows in explained.refused.items() for row in rows if row.loses is not None
    ]
    for _, name, row in sorted(changes, key=lambda change: change[:2])[:_CLOSEST]:
        console.print(f"  - {name} {row.text}", highlight=False, markup=False)


def print_what_if(
    console: Console, memory: Sequence[WhatIf], compute: Sequence[WhatIf], streams: Sequence[WhatIf]
) -> None:
    """Prints a table for each budget, and one for other numbers of streams."""
    for title, column, rows in (
        ("other memory", "memory", [(format_bytes(item.budget_bytes or 0), item) for item in memory]),
        ("other compute", "cores", [(f"{item.compute_cores or 0.0:.3g}", item) for item in compute]),
        ("more streams", "streams", [(str(item.streams), item) for item in streams]),
    ):
        table = Table(title=title)
        table.add_column(column, justify="right")
        table.add_column("agreement", justify="right")
        table.add_column("loaded")
        table.add_column("in turn")
        for text, item in rows:
            table.add_row(text, f"{item.expected_agreement:.3f}", ", ".join(item.resident), ", ".join(item.rotating))
        console.print(table)


def _kept(runs: str) -> str:
    return {"loaded": "always loaded", "in turn": "loaded in turn", "never": "never loaded"}[runs]


def _models(plan: Plan, costs: Mapping[str, ModelCost]) -> Table:
    budget_bytes = plan.budget_bytes or plan.memory_bytes
    table = Table(title=f"{format_bytes(plan.memory_bytes)} of {format_bytes(budget_bytes)}")
    table.add_column("model")
    table.add_column("memory", justify="right")
    table.add_column("loaded")
    table.add_column("agreement", justify="right")
    table.add_column("why")
    for name, served in plan.served.items():
        turn = f"every {plan.refresh_s[name]:.3g} s" if name in plan.refresh_s else "never"
        loaded = "always" if name in plan.resident else turn
        why = served.why + (f"; {plan.refused[name]}" if name in plan.refused else "")
        memory = format_bytes(costs[name].memory_bytes) if name in costs else "-"
        table.add_row(name, memory, loaded, f"{served.expected_agreement:.2f}", why)
    return table


def _streams(plan: Plan) -> Table:
    """How often each model runs on each stream, and what is expected there."""
    by_stream: dict[str, list[Pair]] = {}
    for pair in plan.pairs:
        by_stream.setdefault(pair.stream, []).append(pair)
    shown = list(by_stream)[:_SHOWN_STREAMS]
    left = f" ({len(by_stream) - len(shown)} more are not shown)" if len(by_stream) > len(shown) else ""
    table = Table(title=f"seconds between two runs, and agreement{left}")
    table.add_column("stream")
    for name in plan.served:
        table.add_column(name, justify="right")
    for stream in shown:
        cells = {pair.model: pair for pair in by_stream[stream]}
        table.add_row(stream, *(_cell(cells[name]) for name in plan.served))
    return table


def _cell(pair: Pair) -> str:
    return f"{'-' if pair.every_s is None else f'{pair.every_s:.2g}'} {pair.expected_agreement:.2f}"
