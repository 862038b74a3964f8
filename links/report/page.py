"""The page of linkability: how to answer for each model, heat maps of who predicts whom, how outputs age."""

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np

from ...reporting import new_figure, svg, table_html, write_html
from ..table import NEVER
from ..training.linkability import Linkability, Row
from .show import Matrix, Shown, age_text

_ACROSS = 2


def write_show_page(shown: Shown, path: Path) -> None:
    """Writes a self-contained page (needs matplotlib, in `infilink[train]`)."""
    verdicts = "".join(f"<li><b>{escape(each.target)}</b> {escape(each.text)}</li>" for each in shown.verdicts)
    predicts = [(name, f"{skill:.2f}") for name, skill in shown.predicts.items()]
    missing = f"<p>{escape(shown.missing)}.</p>" if shown.missing else ""
    write_html(
        path,
        f"Links of {shown.folder.name}",
        f"<h1>Who can be predicted from whom</h1>{missing}"
        f"<p>When a model does not run on an input, and its last output is {escape(shown.age_text)} old (with 95 % "
        f"intervals; an answer must agree to {shown.enough:g} to stand in for the model):</p><ul>{verdicts}</ul>"
        f"{_heat_map(shown, NEVER)}{_heat_map(shown, shown.age)}"
        "<p>A cell: agreement with the exact model on inputs that nothing was learnt from. Its colour: skill over the "
        "better of holding the last output and a constant, blue better, red worse, white no better, grey nothing to "
        "gain or not kept. A model in its own column: a link from nothing but its own last output, or from nothing at "
        "all.</p>"
        f"<h2>How outputs age</h2>{_ageing(shown.targets)}"
        f"<h2>Good sources</h2>{table_html(predicts, head=('model', 'mean skill at predicting the others'))}",
    )


def _heat_map(shown: Shown, age: int) -> str:
    matrix = Matrix.of(shown.targets, age)
    skills = np.asarray(
        [[np.nan if cell is None or cell.skill is None else cell.skill for cell in row] for row in matrix.rows.values()]
    )
    figure = new_figure(height=1.6 + 0.45 * len(skills))
    axes = figure.subplots()
    axes.set_facecolor("0.93")
    image = axes.imshow(np.clip(skills, -1, 1), cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for y, row in enumerate(matrix.rows.values()):
        for x, cell in enumerate(row):
            dark = np.isfinite(skills[y, x]) and abs(skills[y, x]) > 0.6
            text = "" if cell is None else f"{cell.agreement:.2f}"
            axes.text(x, y, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
    axes.set_xticks(range(len(matrix.columns)), matrix.columns, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(matrix.rows)), list(matrix.rows), fontsize=8)
    figure.colorbar(image, ax=axes, label="skill", shrink=0.9)
    title = "If it never ran" if age == NEVER else f"With its last output, {age_text(age)} old"
    return f"<h2>{escape(title)}</h2>{svg(figure)}"


def _ageing(targets: Mapping[str, Linkability]) -> str:
    """Agreement over the age of the last output: held, linked from all others, and the constant."""
    down = -(-len(targets) // _ACROSS)
    figure = new_figure(height=0.6 + 1.9 * down)
    grid = figure.subplots(down, _ACROSS, sharex=True, sharey=True, squeeze=False)
    for axes, (name, row) in zip(grid.flat, targets.items(), strict=False):
        for way, cells, style in (
            ("held", row.held, "s-"),
            ("link from all others", row.others, "o-"),
            ("link from the stem", row.stem, "^-"),
        ):
            ages = [age for age in range(NEVER) if cells[age] is not None]
            if not ages:
                continue
            values = np.asarray([_agreement(cells, age) for age in ages])
            below, above = np.asarray([_interval(cells, age) for age in ages]).reshape(-1, 2).T
            errors = [np.maximum(values - below, 0), np.maximum(above - values, 0)]
            axes.errorbar(ages, values, yerr=errors, fmt=style, markersize=3, linewidth=1, capsize=2, label=way)
        level = _agreement(row.constant, NEVER)
        axes.axhline(level, color="grey", linestyle=":", linewidth=1, label="constant")
        axes.set_title(name, fontsize=9)
        axes.set(ylim=(-0.02, 1.05))
        axes.set_xticks(range(NEVER), [age_text(age) for age in range(NEVER)], rotation=60, fontsize=7)
    for axes in grid.flat[max(0, len(targets) - _ACROSS) : len(targets)]:
        axes.tick_params(labelbottom=True)
    for axes in grid.flat[len(targets) :]:
        axes.set_axis_off()
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    figure.supylabel("agreement", fontsize=9)
    return svg(figure)


def _agreement(cells: Row, age: int) -> float:
    cell = cells[age]
    return float("nan") if cell is None else cell.agreement


def _interval(cells: Row, age: int) -> tuple[float, float]:
    cell = cells[age]
    if cell is None or cell.interval is None:
        return _agreement(cells, age), _agreement(cells, age)
    return cell.interval
