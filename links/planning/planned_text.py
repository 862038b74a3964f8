"""A plan and its explanation as tables and lines for a terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from ...models.cost import ModelCost
from ...units import format_bytes
from .explanation import Explanation
from .plan import Plan

_CLOSEST = 3


def print_plan(console: Console, plan: Plan, held: Plan, costs: Mapping[str, ModelCost]) -> None:
    """Prints what runs, how the rest is answered for, and what would be reached without links.

    Args:
        console: where to.
        plan: the plan.
        held: the best plan without links.
        costs: what each model costs.
    """
    console.print(_table(plan, costs))
    console.print(
        f"expected agreement {plan.expected_agreement:.3f} over all models; "
        f"{held.expected_agreement:.3f} without links (running {', '.join(held.resident) or 'all in turn'})"
    )
    if plan.gap:
        console.print(f"there were too many sets of models to try all: the best plan may be better by {plan.gap:.4f}")


def print_explanation(console: Console, explained: Explanation) -> None:
    """Prints for each model what was not chosen and why, and what a little less or more memory would give."""
    console.print(
        f"\n[bold]why not otherwise[/] (each change to the plan's {explained.value:.4f}, with all else chosen anew; "
        "agreement on the block that choices are made on, and what it is worth that a model runs at all)",
        highlight=False,
    )
    if explained.plan.gap:
        console.print(
            "there were too many sets of models to try all: what a change loses is nearly right", highlight=False
        )
    for name, rows in explained.refused.items():
        served = explained.plan.served[name]
        console.print(f"[bold]{name}[/] runs {explained.runs[name]}: {served.why}", highlight=False)
        for row in rows:
            console.print(f"  - {row.text}", highlight=False, markup=False)
    console.print("[bold]what if[/] (10 % less, 10 % more, and the single changes that are closest)", highlight=False)
    for item in explained.budgets:
        console.print(f"  - {item.text}", highlight=False, markup=False)
    changes = [
        (row.loses, name, row) for name, rows in explained.refused.items() for row in rows if row.loses is not None
    ]
    for _, name, row in sorted(changes, key=lambda change: change[:2])[:_CLOSEST]:
        console.print(f"  - {name} {row.text}", highlight=False, markup=False)


def _table(plan: Plan, costs: Mapping[str, ModelCost]) -> Table:
    budget_bytes = plan.budget_bytes or plan.memory_bytes
    table = Table(title=f"{format_bytes(plan.memory_bytes)} of {format_bytes(budget_bytes)}")
    table.add_column("model")
    table.add_column("memory", justify="right")
    table.add_column("runs")
    table.add_column("agreement", justify="right")
    table.add_column("why")
    for name, served in plan.served.items():
        turn = f"every {plan.refresh_s[name]:g} s" if name in plan.refresh_s else "never"
        runs = "always" if name in plan.resident else turn
        why = served.why + (f"; {plan.refused[name]}" if name in plan.refused else "")
        memory = format_bytes(costs[name].memory_bytes) if name in costs else "-"
        table.add_row(name, memory, runs, f"{served.expected_agreement:.2f}", why)
    return table
