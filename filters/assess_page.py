"""The page of an assessment: the verdict, its numbers, the learning curve."""

from html import escape
from pathlib import Path

from ..page import new_figure, svg, table_html, write_html
from .assess import Assessment


def lines_of(found: Assessment) -> list[tuple[str, str]]:
    """The numbers behind a verdict, each with what it is."""
    low, high = found.redundant_interval
    lines = [
        ("theory", found.theory),
        ("inputs", str(found.inputs)),
        ("redundant, with 95 % interval", f"{found.redundant:.3f} ({low:.3f} to {high:.3f})"),
        ("right if everything is dropped", f"{found.constant_accuracy:.3f}"),
        (f"rate at accuracy {found.accuracy:g}: knowing the outputs", f"{found.optimal_rate:.3f}"),
        ("the same: dropping at random", f"{found.random_rate:.3f}"),
    ]
    if found.every_rate:
        lines.append(("the same: keeping every K-th input", f"{found.every_rate:.3f}"))
    if found.expected_rate is not None:
        lines.append(("expected from the paper's filters for such a rule", f"{found.expected_rate:.3f}"))
    return [
        *lines,
        ("a decision", f"{found.filter_s * 1000:.2f} ms"),
        ("the models on one input", f"{found.models_s * 1000:.1f} ms"),
        ("deciding pays from a rate of", f"{found.break_even_rate:.3f}"),
        ("inputs per second, at most", f"x {found.speed_up:.1f}"),
        *((f"probe trained on {p.inputs} inputs: rate, skill", f"{p.rate:.3f}, {p.skill:.2f}") for p in found.probes),
    ]


def write_page(found: Assessment, path: Path) -> None:
    """Writes a self-contained page (needs matplotlib, in `infilink[train]`)."""
    title = f"{found.rule} on {', '.join(found.models)}"
    write_html(
        path,
        title,
        f"<h1>Is it filterable?</h1><p>{escape(title)}, accuracy {found.accuracy:g}</p>"
        f"<p class=verdict>{escape(found.verdict)}</p><p>{escape(found.why)}</p>"
        f"{table_html(lines_of(found))}{_plot(found)}",
    )


def _plot(found: Assessment) -> str:
    """Filtering rate over the inputs trained on, between random and optimal."""
    figure = new_figure()
    axes = figure.subplots()
    if found.probes:
        sizes = [probe.inputs for probe in found.probes]
        axes.plot(sizes, [probe.rate for probe in found.probes], "o-", label="probe, on the later inputs")
    for name, rate, style in (
        ("knowing the outputs", found.optimal_rate, "--"),
        ("every K-th", found.every_rate, "-."),
        ("at random", found.random_rate, ":"),
        ("break-even", found.break_even_rate, (0, (1, 4))),
    ):
        if rate:
            axes.axhline(rate, linestyle=style, color="grey", linewidth=1)
            axes.annotate(name, (1.0, rate), xycoords=("axes fraction", "data"), fontsize=8, va="bottom", ha="right")
    axes.set(xlabel="inputs trained on", ylabel=f"filtering rate at {found.accuracy:g}", ylim=(0, 1.05))
    if found.probes:
        axes.legend(loc="lower right", fontsize=8)
    return svg(figure)
