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
from .pipeline import Demo
from .score import ORIGINS

# Okabe and Ito's colours, which are told apart by the colour-blind, too.
COLORS = {
    "full": "#000000",
    "infilink": "#0072b2",
    "hold": "#e69f00",
    "random": "#999999",
    "every": "#009e73",
    "difference": "#cc79a7",
}
ORIGIN_COLORS = {
    "executed": "#0072b2",
    "linked": "#e69f00",
    "held": "#f0e442",
    "constant": "#d55e00",
    "reused": "#b8dcf0",
    "skipped": "#dddddd",
}

_SMOOTHED_S = 2.0


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


def _legend(axes: Any, **options: Any) -> None:
    """Beside the plot, where it hides nothing."""
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.02), **options)


def agreement_over_time(demo: Demo) -> str:
    """Mean agreement over the models, averaged over two seconds."""
    with _figure(2.7) as (axes, svg):
        for name, compared in demo.compared.items():
            if name == "full":
                continue
            summed = np.concatenate([[0.0], np.cumsum(compared.agreement.mean(axis=0, dtype=np.float64))])
            at_s = compared.captured_s
            first, last = np.searchsorted(at_s, at_s - _SMOOTHED_S / 2), np.searchsorted(at_s, at_s + _SMOOTHED_S / 2)
            smooth = (summed[last] - summed[first]) / (last - first)
            width = 2.0 if name == "infilink" else 1.0
            axes.plot(at_s, smooth, color=COLORS[name], lw=width, label=name)
        axes.set(xlabel="seconds into the source", ylabel="agreement", ylim=(None, 1.01))
        _legend(axes)
    return svg[0]


def bytes_over_time(demo: Demo) -> str:
    """Bytes sent so far, and what an H.264 stream of the same frames would have sent."""
    with _figure(2.7) as (axes, svg):
        for name, run in demo.runs.items():
            with Results(run.results) as results:
                sent = np.cumsum(results.sent_bytes) / 2**20
            axes.plot(demo.compared[name].captured_s, sent, color=COLORS[name], lw=1.6, label=name)
        streamed = np.cumsum(demo.stream_sizes) / 2**20
        axes.plot(
            demo.compared["full"].captured_s[: len(streamed)],
            streamed,
            color="#d55e00",
            lw=1.6,
            ls="--",
            label="H.264 stream",
        )
        axes.set(xlabel="seconds into the source", ylabel="MiB sent", ylim=(0, None))
        _legend(axes)
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
        axes.axhline(budget, color="#d55e00", lw=1, ls="--", label="budget")
        axes.set(xlabel="% of the run's time", ylabel="MiB", ylim=(0, None))
        _legend(axes)
    return svg[0]


def when_models_ran(demo: Demo) -> str:
    """A row per model, a column per frame: the origin of infilink's result."""
    compared = demo.compared["infilink"]
    colors = np.asarray([mpl.colors.to_rgb(ORIGIN_COLORS[origin]) for origin in ORIGINS])
    with _figure(0.6 + 0.3 * len(demo.specs)) as (axes, svg):
        # A frame's answers stand until the next frame's.
        edges = np.append(compared.captured_s, compared.captured_s[-1] + np.median(np.diff(compared.captured_s)))
        rows = np.arange(len(demo.specs) + 1) - 0.5
        mesh = axes.pcolormesh(edges, rows, compared.origin, cmap=mpl.colors.ListedColormap(colors), rasterized=True)
        mesh.set_clim(-0.5, len(ORIGINS) - 0.5)
        axes.invert_yaxis()
        axes.set_yticks(range(len(demo.specs)), list(demo.specs))
        axes.set(xlabel="seconds into the source")
        present = [ORIGINS[i] for i in np.unique(compared.origin)]
        _legend(axes, handles=[Patch(color=ORIGIN_COLORS[origin], label=origin) for origin in present])
    return svg[0]
