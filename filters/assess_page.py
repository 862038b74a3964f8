"""The page of an assessment: the verdict, its numbers, the learning curve."""

import io
from html import escape
from pathlib import Path

from .assess import Assessment

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "td{padding:.2rem 1.5rem .2rem 0;vertical-align:top}td+td{text-align:right;font-variant-numeric:tabular-nums}"
    "svg{max-width:100%;height:auto}.verdict{font-size:1.4rem;font-weight:600}"
)


def lines_of(found: Assessment) -> list[tuple[str, str]]:
    """The numbers behind a verdict, each with what it is."""
    low, high = found.redundant_interval
    lines = [
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
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in lines_of(found))
    title = escape(f"{found.rule} on {', '.join(found.models)}")
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>Is it filterable?</h1><p>{title}, accuracy {found.accuracy:g}</p>"
        f"<p class=verdict>{escape(found.verdict)}</p><p>{escape(found.why)}</p><table>{rows}</table>{_plot(found)}"
    )
    part = path.with_name(path.name + ".part")
    part.write_text(page + "\n", encoding="utf-8")
    part.replace(path)


def _plot(found: Assessment) -> str:
    """Filtering rate over the inputs trained on, between random and optimal."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.2), layout="constrained")
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
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return text.getvalue()[text.getvalue().index("<svg") :]
