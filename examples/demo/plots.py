"""The report's plots, each as SVG for the page."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...device.results import Results
from ...outputs import Array
from .pipeline import Demo
from .score import ORIGINS

COLORS = {
    "full": "#6b7280",
    "infilink": "#0f766e",
    "hold": "#b45309",
    "random": "#9ca3af",
    "every": "#7c3aed",
    "difference": "#2563eb",
}
ORIGIN_COLORS = {
    "executed": "#0f766e",
    "linked": "#f59e0b",
    "held": "#fcd34d",
    "constant": "#fca5a5",
    "reused": "#e5e7eb",
    "skipped": "#e5e7eb",
}


@contextmanager
def _figure(height: float) -> Iterator[tuple[Any, list[str]]]:
    """A figure's axes, and a list that holds its SVG afterwards."""
    svg: list[str] = []
    # Text stays text: it is in the page's font, and can be searched and read aloud.
    with mpl.rc_context({"svg.fonttype": "none", "font.size": 9, "svg.hashsalt": "infilink"}):
        figure = Figure(figsize=(9.2, height), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        yield axes, svg
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    svg.append(re.sub(r' (width|height)="[\d.]+pt"', "", text[text.index("<svg") :], count=2))


def _seconds(demo: Demo, frames: int) -> Array:
    return demo.stretch.start_s + np.arange(frames) * demo.stretch.seconds / frames


def agreement_over_time(demo: Demo) -> str:
    """Mean agreement over the models, averaged over two seconds."""
    with _figure(2.7) as (axes, svg):
        for name, compared in demo.compared.items():
            if name == "full":
                continue
            values = compared.agreement.mean(axis=0)
            window = min(len(values), max(1, round(2 * len(values) / demo.stretch.seconds)))
            kernel = np.ones(window)
            smooth = np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
            width = 2.0 if name == "infilink" else 1.0
            axes.plot(_seconds(demo, len(values)), smooth, color=COLORS[name], lw=width, label=name)
        axes.set(xlabel="seconds into the source", ylabel="agreement", ylim=(None, 1.01))
        axes.legend(ncols=5, frameon=False, loc="lower left")
    return svg[0]


def bytes_over_time(demo: Demo) -> str:
    """Bytes sent so far."""
    with _figure(2.3) as (axes, svg):
        for name, run in demo.runs.items():
            with Results(run.results) as results:
                sent = np.cumsum(results.sent_bytes) / 2**20
            axes.plot(_seconds(demo, len(sent)), sent, color=COLORS[name], lw=1.6, label=name)
        axes.set(xlabel="seconds into the source", ylabel="MiB sent", yscale="log")
        axes.legend(ncols=6, frameon=False, loc="lower right")
    return svg[0]


def memory_over_time(demo: Demo) -> str:
    """The memory of the model processes, measured during the run, and the budget."""
    with _figure(2.3) as (axes, svg):
        for name in ("full", "infilink", "hold"):
            samples = np.asarray(demo.runs[name].memory or [(0.0, 0)])
            # The runs take different times: each is drawn over its own length.
            share = samples[:, 0] / max(samples[-1, 0], 1e-9)
            axes.step(100 * share, samples[:, 1] / 2**20, where="post", color=COLORS[name], label=name)
        budget = demo.compared["infilink"].score.budget_bytes / 2**20
        axes.axhline(budget, color="#dc2626", lw=1, ls="--", label="budget")
        axes.set(xlabel="% of the run's time", ylabel="MiB", ylim=(0, None))
        axes.legend(ncols=4, frameon=False, loc="center right")
    return svg[0]


def when_models_ran(demo: Demo) -> str:
    """A row per model, a column per frame: the origin of infilink's result."""
    compared = demo.compared["infilink"]
    colors = np.asarray([mpl.colors.to_rgb(ORIGIN_COLORS[origin]) for origin in ORIGINS])
    with _figure(0.6 + 0.3 * len(demo.specs)) as (axes, svg):
        start, stop = demo.stretch.start_s, demo.stretch.start_s + demo.stretch.seconds
        extent = (start, stop, len(demo.specs) - 0.5, -0.5)
        axes.imshow(colors[compared.origin], aspect="auto", interpolation="nearest", extent=extent)
        axes.set_yticks(range(len(demo.specs)), list(demo.specs))
        axes.set(xlabel="seconds into the source")
        present = [ORIGINS[i] for i in np.unique(compared.origin)]
        handles = [Patch(color=ORIGIN_COLORS[origin], label=origin) for origin in present]
        axes.legend(handles=handles, ncols=6, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    return svg[0]
