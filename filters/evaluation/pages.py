"""Pages with plots: what an assessment found, and what came of a training (needs `infilink[train]`)."""

from html import escape
from pathlib import Path

from ...reporting import new_figure, svg, table_html, write_html
from ..training.train import FilterTraining
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


def write_assessment_page(found: Assessment, path: Path) -> None:
    """Writes the page of an assessment: the verdict, its numbers, the learning curve."""
    title = f"{found.rule} on {', '.join(found.models)}"
    write_html(
        path,
        title,
        f"<h1>Is it filterable?</h1><p>{escape(title)}, accuracy {found.accuracy:g}</p>"
        f"<p class=verdict>{escape(found.verdict)}</p><p>{escape(found.why)}</p>"
        f"{table_html(lines_of(found))}{_learning_curve(found)}",
    )


def _learning_curve(found: Assessment) -> str:
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


def write_training_page(done: FilterTraining, path: Path) -> None:
    """Writes the page of a training: who won with what proof, the table, other thresholds, how the networks learnt."""
    spec, found = done.spec, done.spec.certificate
    rows = [
        (name, f"{each.rate:.3f}", f"{1 - each.error:.3f}", f"{each.threshold:.4g}", "yes" if each.certified else "no")
        for name, each in spec.candidates.items()
    ]
    head = ("candidate", "filtering rate", "accuracy", "threshold", "certified")
    proof = (
        f"Error {found.error:.3f} on {found.inputs} inputs, worth {found.effective_inputs:.0f} independent ones; at "
        f"most {found.upper_bound:.3f} with {found.confidence:.0%} confidence ({found.method})."
    )
    floors = [
        (each.name, str(each.inputs), f"{each.least:g}", f"{each.accuracy:.3f}", f"{each.lower_bound:.3f}")
        for each in spec.floors
    ]
    kept = table_html(floors, head=("kept besides", "inputs", "asked", "accuracy", "at least")) if floors else ""
    title = f"{spec.rule} on {', '.join(spec.models)}, accuracy {spec.accuracy:g}"
    write_html(
        path,
        title,
        f"<h1>Filter {escape(done.path.name)}</h1><p>{escape(title)}. Trained on {done.trained} inputs, calibrated "
        f"on the {done.calibrated} after them, {done.seconds:.0f} s.</p>"
        f"<p class=verdict>{'certified' if found.certified else 'not certified'}: {escape(spec.kind)} drops "
        f"{found.rate:.0%} of the inputs</p><p>{escape(proof)}</p>"
        f"{table_html(rows, head=head, won=spec.kind)}{kept}{_levels(done)}{_curves(done)}",
    )


def _levels(done: FilterTraining) -> str:
    """What each threshold would bring, and cost."""
    figure = new_figure()
    axes = figure.subplots()
    levels = [level for level in done.spec.table if level.rate > 0]
    rates = [level.rate for level in levels]
    axes.plot(rates, [level.error for level in levels], "o-", markersize=3, label="error, measured")
    axes.plot(rates, [level.upper_bound for level in levels], "--", label="its upper bound")
    axes.axhline(1 - done.spec.accuracy, color="grey", linewidth=1, linestyle=":")
    axes.axvline(done.spec.certificate.rate, color="grey", linewidth=1, linestyle=":")
    most = max([4 * (1 - done.spec.accuracy), done.spec.certificate.upper_bound])
    axes.set(xlabel="filtering rate", ylabel="error", xlim=(0, 1), ylim=(0, min(1.0, most)))
    axes.legend(loc="upper left", fontsize=8)
    return f"<h2>What other thresholds would bring</h2>{svg(figure)}"


def _curves(done: FilterTraining) -> str:
    if not done.curves:
        return ""
    figure = new_figure()
    axes = figure.subplots()
    for i, (name, curve) in enumerate(done.curves.items()):
        epochs = range(1, len(curve) + 1)
        axes.plot(epochs, [epoch.training for epoch in curve], ":", color=f"C{i}")
        axes.plot(epochs, [epoch.validation for epoch in curve], "-", color=f"C{i}", label=f"{name}: validation")
    axes.set(xlabel="epoch", ylabel="loss (dotted: on what is learnt from)", ylim=(0, None))
    axes.legend(loc="upper right", fontsize=8)
    return f"<h2>How the networks learnt</h2>{svg(figure)}"
