"""A placement as tables and lines for a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .places import CLOUD
from .problem import PlacementProblem
from .reasons import amount
from .result import Answer, Placement

_COLOURS = {"device": "green", "cloud": "cyan", "linked": "yellow"}


def print_placement(console: Console, problem: PlacementProblem, placed: Placement, *, explain: bool) -> None:
    """Prints what runs where, what is taken of every budget and, if asked to, why the rest does not run."""
    table = Table(title="what runs where")
    table.add_column("model")
    for device in problem.devices:
        table.add_column(f"{escape(device.name)} x {device.count}")
    table.add_column(CLOUD)
    for name in problem.names:
        cells = [_cell(placed.answers[device.name][name]) for device in problem.devices]
        table.add_row(escape(name), *cells, "in memory" if name in placed.held_in_cloud else "")
    console.print(table)
    console.print(
        f"expected agreement {placed.expected_agreement:.3f} over all models and devices; {placed.value:.3f} on the "
        "block that choices are made on, which the table's figures are from",
        highlight=False,
    )
    if placed.gap:
        console.print(f"time was up: the best placement may be better by {placed.gap:.4f}")
    for name, sent in placed.sent.items():
        console.print(f"{name} sends {', '.join(sent) or 'nothing'}", highlight=False, markup=False)
    console.print(_uses(placed))
    if explain:
        _print_reasons(console, placed)


def _cell(answer: Answer) -> str:
    if answer.where in ("device", "cloud"):
        return f"[{_COLOURS[answer.where]}]{answer.where}[/]"
    if answer.where in ("held", "constant"):
        return f"{answer.where} {answer.agreement:.2f}"
    place = " in the cloud" if answer.where == "linked in the cloud" else ""
    sources = escape("+".join(answer.sources) or "itself")
    return f"[{_COLOURS['linked']}]linked[/] from {sources}{place} {answer.agreement:.2f}"


def _uses(placed: Placement) -> Table:
    table = Table(title="budgets")
    for column in ("place", "of", "used", "budget"):
        table.add_column(column, justify="right" if column in ("used", "budget") else "left")
    for use in placed.uses:
        if use.budget is None and not use.used:
            continue
        budget = "no limit" if use.budget is None else amount(use.resource, use.budget)
        table.add_row(escape(use.place), use.resource.split("_")[0], amount(use.resource, use.used), budget)
    return table


def _print_reasons(console: Console, placed: Placement) -> None:
    console.print("\n[bold]why not run[/] (beside all else that was chosen)", highlight=False)
    for device, answers in placed.answers.items():
        for name, answer in answers.items():
            if answer.where in ("device", "cloud"):
                continue
            console.print(f"{name} of {device}", style="bold", highlight=False, markup=False)
            for refusal in answer.refused:
                place = "in the cloud" if refusal.place == CLOUD else "on the device"
                console.print(f"  - {place}: {refusal.text}", highlight=False, markup=False)
            if not answer.refused:
                console.print("  - it would bring nothing", highlight=False)
