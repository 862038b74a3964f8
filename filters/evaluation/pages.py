"""Pages: what an assessment found, what came of a training, how a filter did (plots need `infilink[train]`)."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...reporting import new_figure, svg, table_html, write_html
from ..training.free_gates import LAST_KEPT
from .assess import Assessment
from .evaluate import FilterEvaluation
from .words import GATE_CAPTION, GATE_COLUMNS, ahead_text, contract_text, events_text, gate_rows, tuned_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..training.train import FilterTraining

_FREE = ("random", "every K-th", LAST_KEPT, "difference", "background", "age")
# Told apart also by the colour-blind (Okabe and Ito).
_OURS, _GREY = "#0072b2", "#666666"
_FREE_COLOURS = ("#d55e00", "#009e73")


def write_evaluation_page(found: FilterEvaluation, path: Path) -> None:
    """Writes the page of a judgement: who is ahead, the table of gates, the promises, the warnings."""
    headline = ahead_text(found) if found.ahead else f"{found.gate} sends {1 - found.rate:.0%}; no free gate is ahead"
    warned = "".join(f"<p>Warning: {escape(text)}</p>" for text in found.warnings)
    promises = "".join(f"<li>{escape(promise.text)}</li>" for promise in found.promises)
    write_html(
        path,
        f"{found.gate} judged",
        f"<h1>{escape(found.gate)}</h1><p>{escape(found.rule)} on {found.inputs} inputs of "
        f"{escape(', '.join(found.models))}</p><p class=verdict>{escape(headline)}</p>"
        f"<p>{escape(contract_text(found))}</p><ul>{promises}</ul>{warned}"
        f"{table_html(gate_rows(found), head=('gate', *GATE_COLUMNS, ''), won=found.gate)}<p>{escape(GATE_CAPTION)}</p>"
        f"<p>{escape(tuned_text(found))} {escape(events_text(found))}</p>",
    )


def lines_of(found: Assessment) -> list[tuple[str, str]]:
    """The numbers behind a verdict, each with what it is."""
    low, high = found.redundant_interval
    lines = [
        ("theory", found.theory),
        ("inputs", str(found.inputs)),
        (
            f"redundant, with 95 % interval, on {found.runs:.0f} runs",
            f"{found.redundant:.3f} ({low:.3f} to {high:.3f})",
        ),
        ("right if everything is dropped", f"{found.constant_accuracy:.3f}"),
        (f"rate at accuracy {found.accuracy:g}: knowing the outputs", f"{found.optimal_rate:.3f}"),
        ("the same: dropping at random", f"{found.random_rate:.3f}"),
    ]
    if found.every_rate:
        lines.append(("the same: keeping every K-th input", f"{found.every_rate:.3f}"))
    if found.expected_rate is not None:
        lines.append(("expected from the paper's filters for such a rule", f"{found.expected_rate:.3f}"))
    lines += [
        ("a decision, counted", f"{found.filter_s * 1000:.2f} ms"),
        ("the models on one input", f"{found.models_s * 1000:.1f} ms"),
        ("deciding pays from a rate of", f"{found.break_even_rate:.3f}"),
        ("inputs per second, at most", f"x {found.speed_up:.1f}"),
    ]
    if not found.probes:
        return lines
    for probe in found.probes:
        skill = "-" if probe.skill is None else f"{probe.skill:.2f}"
        lines.append(
            (
                f"probe trained on {probe.inputs} inputs ({probe.name}): rate, skill",
                f"{probe.rate:.3f}, {skill} ({probe.dropped:.3f} dropped, right on {probe.accuracy:.3f})",
            )
        )
    lines += [
        (f"free, {each.name}: rate", f"{each.rate:.3f} ({each.dropped:.3f} dropped, right on {each.accuracy:.3f})")
        for each in found.free
    ]
    return [
        *lines,
        ("there: at random, knowing the outputs", f"{found.probe_random:.3f}, {found.probe_optimal:.3f}"),
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
    """Filtering rate over the inputs trained on, beside what is free, all on the part that judges."""
    if not found.probes:
        return ""
    figure = new_figure()
    axes = figure.subplots()
    sizes = [probe.inputs for probe in found.probes]
    axes.plot(sizes, [probe.rate for probe in found.probes], "o-", color=_OURS, label="probe")
    lines: list[tuple[str, float, Any, str]] = [
        ("knowing the outputs", found.probe_optimal, "--", _GREY),
        ("at random", found.probe_random, ":", _GREY),
        ("deciding pays from", found.break_even_rate, (0, (1, 4)), _GREY),
    ]
    free = (each for each in found.free if each.name != "random")
    lines += [(each.name, each.rate, "-.", colour) for each, colour in zip(free, _FREE_COLOURS, strict=False)]
    for name, rate, style, colour in lines:
        axes.axhline(rate, linestyle=style, color=colour, linewidth=1, label=name)
    axes.set(xlabel="inputs trained on", ylabel=f"filtering rate at {found.accuracy:g}", ylim=(0, 1.05))
    return _with_legend(figure)


def _with_legend(figure: "Figure") -> str:
    """The figure with its legend beside the plot."""
    figure.legend(loc="outside right upper", fontsize=8)
    return svg(figure)


def write_training_page(done: "FilterTraining", path: Path) -> None:
    """Writes the page of a training: who won with what proof, the table, other thresholds, how the networks learnt."""
    spec, found = done.spec, done.spec.certificate
    rows = [
        (name, f"{each.rate:.3f}", f"{1 - each.error:.3f}", f"{each.threshold:.4g}", "yes" if each.certified else "no")
        for name, each in spec.candidates.items()
    ]
    what, share = spec.asked
    head = ("candidate", "filtering rate", what, "threshold", "certified")
    proof = (
        f"Error {found.error:.3f} on {found.inputs} inputs, worth {found.runs:.0f} independent runs; at "
        f"most {found.upper_bound:.3f} with {found.confidence:.0%} confidence ({found.method})."
    )
    floors = [
        (each.name, str(each.inputs), f"{each.least:g}", f"{each.accuracy:.3f}", f"{each.lower_bound:.3f}")
        for each in spec.floors
    ]
    kept = table_html(floors, head=("kept besides", "inputs", "asked", "accuracy", "at least")) if floors else ""
    title = f"{spec.rule} on {', '.join(spec.models)}, {what} {share:g}"
    write_html(
        path,
        title,
        f"<h1>Filter {escape(done.path.name)}</h1><p>{escape(title)}. Trained on {done.trained} inputs, calibrated "
        f"on the {done.calibrated} after them, {done.seconds:.0f} s.</p>"
        f"<p class=verdict>{escape(_headline(done))}</p><p>{escape(proof)}</p>"
        f"{table_html(rows, head=head, won=spec.kind)}{kept}{_levels(done)}{_curves(done)}",
    )


def _headline(done: "FilterTraining") -> str:
    """Whether it is certified, what it drops, and whether something that costs nothing drops as much."""
    spec, found = done.spec, done.spec.certificate
    said = f"{'certified' if found.certified else 'not certified'}: {spec.kind} drops {found.rate:.0%} of the inputs"
    free = {
        name: each.rate
        for name, each in spec.candidates.items()
        if name in _FREE and name != spec.kind and (each.certified or not found.certified)
    }
    best = max(free, key=free.__getitem__, default="")
    if not best or free[best] < found.rate:
        return said
    return f"{best}, which costs nothing, is ahead: it drops {free[best]:.0%}; {said}"


def _levels(done: "FilterTraining") -> str:
    """What each threshold would bring, and cost."""
    figure = new_figure()
    axes = figure.subplots()
    levels = [level for level in done.spec.table if level.rate > 0]
    rates = [level.rate for level in levels]
    axes.plot(rates, [level.error for level in levels], "o-", markersize=3, label="error, measured")
    axes.plot(rates, [level.upper_bound for level in levels], "--", label="its upper bound")
    allowed = 1 - done.spec.asked[1]
    axes.axhline(allowed, color="grey", linewidth=1, linestyle=":")
    axes.axvline(done.spec.certificate.rate, color="grey", linewidth=1, linestyle=":")
    most = max([4 * allowed, done.spec.certificate.upper_bound])
    axes.set(xlabel="filtering rate", ylabel="error", xlim=(0, 1), ylim=(0, min(1.0, most)))
    return f"<h2>What other thresholds would bring</h2>{_with_legend(figure)}"


def _curves(done: "FilterTraining") -> str:
    if not done.curves:
        return ""
    figure = new_figure()
    axes = figure.subplots()
    for i, (name, curve) in enumerate(done.curves.items()):
        epochs = range(1, len(curve) + 1)
        axes.plot(epochs, [epoch.training for epoch in curve], ":", color=f"C{i}")
        axes.plot(epochs, [epoch.validation for epoch in curve], "-", color=f"C{i}", label=f"{name}: validation")
    axes.set(xlabel="epoch", ylabel="loss (dotted: on what is learnt from)", ylim=(0, None))
    return f"<h2>How the networks learnt</h2>{_with_legend(figure)}"
