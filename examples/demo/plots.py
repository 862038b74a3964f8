"""The report's plots, each as SVG for the page."""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...outputs import Array
from .pipeline import Demo
from .served import ORIGINS

# Okabe and Ito's colours, which are told apart by the colour-blind, too.
COLORS = {
    "full": "#000000",
    "infilink": "#0072b2",
    "replayed": "#56b4e9",
    "hold": "#e69f00",
    "random": "#999999",
    "every": "#009e73",
    "difference": "#cc79a7",
    "stream": "#d55e00",
}
OTHER = "#bbbbbb"
ORIGIN_COLORS = {
    "executed": "#0072b2",
    "linked": "#e69f00",
    "held": "#f0e442",
    "constant": "#d55e00",
    "reused": "#b8dcf0",
    "skipped": "#dddddd",
}
_OVER_TIME = ("infilink", "hold", "every", "difference", "random")
_SMOOTHED_S = 2.0


@contextmanager
def _figure(height: float, rows: int = 1, width: float = 9.2) -> Iterator[tuple[Any, list[str]]]:
    """A figure's axes (an array of them for several rows), and a list that holds its SVG afterwards."""
    svg: list[str] = []
    # Text stays text: it is in the page's font, and can be searched and read aloud.
    with mpl.rc_context({"svg.fonttype": "none", "font.size": 9, "svg.hashsalt": "infilink"}):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, 1, sharex=True)
        for each in np.atleast_1d(axes):
            each.spines[["top", "right"]].set_visible(False)
        yield axes, svg
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    svg.append(re.sub(r' (width|height)="[\d.]+pt"', "", text[text.index("<svg") :], count=2))


def _legend(axes: Any, **options: Any) -> None:
    """Beside the plot, where it hides nothing."""
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.02), **options)


def what_it_costs(demo: Demo) -> str:
    """Every policy's agreement, against what it executes and what it sends."""
    titles = {policy.name: policy.title for policy in demo.policies}
    full_bytes = max(1, demo.served["full"].sent_bytes)
    with _figure(3.4) as (axes, svg):
        axes.set_axis_off()
        left, right = axes.inset_axes([0.0, 0.12, 0.46, 0.88]), axes.inset_axes([0.54, 0.12, 0.46, 0.88])
        for place, shares, label in (
            (left, {n: each.score.executions_share for n, each in demo.compared.items()}, "% of the full run's runs"),
            (right, {n: each.sent_bytes / full_bytes for n, each in demo.served.items()}, "% of its JPEGs' bytes"),
        ):
            place.spines[["top", "right"]].set_visible(False)
            for name, title in titles.items():
                if name in ("full", "replayed"):
                    continue
                ours, color = name == "infilink", COLORS.get(name, OTHER)
                x, y = 100 * shares[name], demo.compared[name].score.agreement
                place.scatter([x], [y], s=70 if ours else 26, color=color, zorder=3, marker="D" if ours else "o")
                place.annotate(title, (x, y), xytext=(5, 3), textcoords="offset points", fontsize=7, color="#333333")
            place.set(xlabel=label, ylabel="agreement")
            place.set_xlim(0, None)
            place.margins(x=0.3, y=0.12)
    return svg[0]


def agreement_over_time(demo: Demo) -> str:
    """Mean agreement over cameras and models, averaged over two seconds."""
    with _figure(2.7) as (axes, svg):
        for name in _OVER_TIME:
            at_s, value = _in_time(demo, demo.compared[name].agreement)
            width = 2.0 if name == "infilink" else 1.0
            axes.plot(at_s, value, color=COLORS[name], lw=width, label=name)
        axes.set(xlabel="seconds", ylabel="agreement", ylim=(None, 1.01))
        _legend(axes)
    return svg[0]


def _in_time(demo: Demo, agreement: Mapping[str, Array]) -> tuple[Array, Array]:
    """Every input's mean over the models, in the order of time, smoothed."""
    at_s = np.concatenate([demo.site.cameras[name].captured_s[: each.shape[1]] for name, each in agreement.items()])
    mean = np.concatenate([each.mean(axis=0, dtype=np.float64) for each in agreement.values()])
    order = np.argsort(at_s, kind="stable")
    at_s, summed = at_s[order], np.concatenate([[0.0], np.cumsum(mean[order])])
    moments = np.unique(at_s)
    first = np.searchsorted(at_s, moments - _SMOOTHED_S / 2)
    last = np.searchsorted(at_s, moments + _SMOOTHED_S / 2, side="right")
    return moments, (summed[last] - summed[first]) / (last - first)


def bytes_over_time(demo: Demo) -> str:
    """Bytes sent so far by all cameras, and what they would take as H.264 streams."""
    with _figure(2.7) as (axes, svg):
        for name in ("full", *_OVER_TIME):
            if name == "hold":
                continue  # It sends every frame, as the full run does.
            sent = {camera: each.sent_bytes for camera, each in demo.served[name].streams.items()}
            axes.plot(*_summed(demo, sent), color=COLORS[name], lw=2.0 if name == "infilink" else 1.2, label=name)
        streamed = {name: each.stream_bytes for name, each in demo.site.cameras.items()}
        axes.plot(*_summed(demo, streamed), color=COLORS["stream"], lw=1.6, ls="--", label="H.264 streams")
        axes.set(xlabel="seconds", ylabel="MiB sent", yscale="log")
        _legend(axes)
    return svg[0]


def _summed(demo: Demo, sizes: Mapping[str, Array]) -> tuple[Array, Array]:
    at_s = np.concatenate([demo.site.cameras[name].captured_s[: len(each)] for name, each in sizes.items()])
    order = np.argsort(at_s, kind="stable")
    return at_s[order], np.cumsum(np.concatenate(list(sizes.values()))[order]) / 2**20


def budgets_over_time(demo: Demo) -> str:
    """The memory that models hold, which of them do, and the processors' seconds they take, against the budgets."""
    served, site = demo.served["infilink"], demo.site
    with _figure(4.6, rows=3) as (axes, svg):
        memory, compute = np.asarray(served.memory or [(0.0, 0)]), np.asarray(served.compute or [(0.0, 0.0)])
        axes[0].step(memory[:, 0], memory[:, 1] / 2**20, where="post", color=COLORS["infilink"], label="models")
        axes[0].axhline(site.budget_bytes / 2**20, color=COLORS["stream"], lw=1, ls="--", label="budget")
        axes[0].axhline(site.full_bytes / 2**20, color=COLORS["full"], lw=0.8, ls=":", label="all models")
        axes[0].set(ylabel="MiB", ylim=(0, None))
        for row, name in enumerate(site.specs):
            spans = [(start, max(0.1, stop - start)) for start, stop in served.held.get(name, ())]
            axes[1].broken_barh(spans, (row - 0.36, 0.72), color=COLORS["infilink"])
        axes[1].set_yticks(range(len(site.specs)), list(site.specs))
        axes[1].set(ylim=(len(site.specs) - 0.4, -0.6), ylabel="in memory")
        begun_s = next((s for s, spent in served.compute if spent > 0), 0.0)
        ends_s = begun_s + site.seconds
        axes[2].plot(compute[:, 0], compute[:, 1], color=COLORS["infilink"], label="models")
        axes[2].plot(
            [begun_s, ends_s],
            [0, site.compute_cores * site.seconds],
            color=COLORS["stream"],
            lw=1,
            ls="--",
            label="budget",
        )
        axes[2].plot(
            [begun_s, ends_s],
            [0, site.full_cores * site.seconds],
            color=COLORS["full"],
            lw=0.8,
            ls=":",
            label="all models",
        )
        axes[2].set(ylabel="CPU seconds", xlabel="seconds since the agents were started")
        axes[2].set_ylim(0, 2.5 * site.compute_cores * site.seconds)
        for each in (axes[0], axes[2]):
            _legend(each)
    return svg[0]


def when_models_ran(demo: Demo) -> str:
    """A panel per camera, a row per model, a column per input: the origin of infilink's answer."""
    served = demo.served["infilink"].streams
    colors = mpl.colors.ListedColormap([mpl.colors.to_rgb(ORIGIN_COLORS[origin]) for origin in ORIGINS])
    with _figure(0.5 + (0.25 + 0.14 * len(demo.site.specs)) * len(served), rows=len(served)) as (axes, svg):
        for place, (name, stream) in zip(np.atleast_1d(axes), served.items(), strict=True):
            at_s = demo.site.cameras[name].captured_s[: stream.origin.shape[1]]
            # An input's answers stand until the next one's.
            edges = np.append(at_s, at_s[-1] + np.median(np.diff(at_s)))
            rows = np.arange(len(demo.site.specs) + 1) - 0.5
            mesh = place.pcolormesh(edges, rows, stream.origin, cmap=colors, rasterized=True)
            mesh.set_clim(-0.5, len(ORIGINS) - 0.5)
            place.invert_yaxis()
            place.set_yticks(range(len(demo.site.specs)), list(demo.site.specs), fontsize=6.5)
            place.set_title(name, fontsize=9, loc="left", pad=2)
            place.tick_params(length=0)
        last = np.atleast_1d(axes)[-1]
        last.set(xlabel="seconds")
        present = sorted({int(each) for stream in served.values() for each in np.unique(stream.origin)})
        _legend(
            np.atleast_1d(axes)[0], handles=[Patch(color=ORIGIN_COLORS[ORIGINS[i]], label=ORIGINS[i]) for i in present]
        )
    return svg[0]
