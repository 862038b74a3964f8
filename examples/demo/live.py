"""What the terminal shows: a bar, and while daemons serve the site a line for each camera and model."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...reporting import Progress, show_progress
from ...units import format_bytes
from .daemons import Watch, Watched, read_streams
from .recorded import Site
from .score import agreements
from .served import ORIGINS, Stream

# How often answers are compared while they come; what is not a terminal gets a line each so often.
_COMPARED_EVERY_S, _LINE_EVERY_S = 1.0, 5.0
_BAR = 24
_STYLES = {
    "executed": "bold cyan",
    "linked": "yellow",
    "held": "white",
    "constant": "red",
    "reused": "blue",
    "skipped": "dim",
}


class Screen:
    """The terminal: a bar or a run, one at a time; plain lines where it is none.

    Args:
        console: where it is shown; a quiet one shows nothing.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar = ExitStack()
        self._say: Progress | None = None
        self._step = ""

    def progress(self, share: float, what: str) -> None:
        """Moves the bar; where there is no terminal, says which step begins."""
        if self.console.is_terminal:
            if self._say is None:
                self._say = self._bar.enter_context(show_progress("demo", quiet=self.console.quiet))
            self._say(share, what)
        elif what.partition(":")[0] != self._step:
            self._step = what.partition(":")[0]
            self.console.print(self._step, highlight=False)

    @contextmanager
    def show(self, site: Site, folder: Path, title: str) -> Iterator[Watch]:
        """Shows a run while the body lasts; yields what is to be told of it."""
        self.close()
        view = _View(site, folder, title)
        if not self.console.is_terminal:
            yield _Lines(view, self.console).watch
            return
        with Live(view.render(Watched()), console=self.console, refresh_per_second=4, transient=True) as live:
            yield lambda watched: live.update(view.render(watched))

    def close(self) -> None:
        """Takes the bar away."""
        self._bar.close()
        self._say = None


class _Lines:
    """A plain line now and then, where nothing can be updated in place."""

    def __init__(self, view: "_View", console: Console) -> None:
        self.view = view
        self.console = console
        self._next_s = _LINE_EVERY_S

    def watch(self, watched: Watched) -> None:
        """Takes note of a status."""
        if watched.seconds >= self._next_s:
            self._next_s += _LINE_EVERY_S
            self.console.print(self.view.line(watched), highlight=False, soft_wrap=True)


class _View:
    """What is known of a run while it lasts."""

    def __init__(self, site: Site, folder: Path, title: str) -> None:
        self.site = site
        self.folder = folder
        self.title = title
        self.streams: dict[str, Stream] = {}
        self.agreement: dict[str, float] = {}
        self._next_s = 0.0

    def line(self, watched: Watched) -> str:
        """All of it in a line."""
        self._compare(watched)
        inputs = sum(len(each.kept) for each in self.streams.values())
        sent = sum(int(each.sent_bytes.sum()) for each in self.streams.values())
        ran = sum(int(model.executions) for model in watched.status.models)
        agreement = sum(self.agreement.values()) / len(self.agreement) if self.agreement else 0.0
        return (
            f"{watched.seconds:4.0f} s  {inputs}/{self.site.inputs} inputs  agreement {agreement:.3f}  {ran} runs  "
            f"{format_bytes(sent)} sent  models: {format_bytes(watched.memory[-1][1])} of "
            f"{format_bytes(self.site.budget_bytes)}, {watched.compute[-1][1]:.1f} CPU s"
        )

    def render(self, watched: Watched) -> Group:
        """All of it as tables."""
        if watched.status is None:
            return Group(Text(self.title))
        self._compare(watched)
        return Group(Text(self.title, style="bold"), self._budgets(watched), self._cameras(), self._models(watched))

    def _compare(self, watched: Watched) -> None:
        if watched.seconds >= self._next_s:
            self._next_s = watched.seconds + _COMPARED_EVERY_S
            self.streams = read_streams(self.folder, self.site)
            self.agreement = {
                name: float(agreements(name, each, self.site).mean()) for name, each in self.streams.items()
            }

    def _budgets(self, watched: Watched) -> Text:
        memory = watched.memory[-1][1] / max(1, self.site.budget_bytes)
        first = next((s for s, spent in watched.compute if spent > 0), watched.seconds)
        there = self.site.compute_cores * max(1e-9, watched.seconds - first)
        compute = min(1.0, watched.compute[-1][1] / there) if there > 0.01 else 0.0
        text = Text("memory  ")
        text.append(_bar(memory)).append(
            f" {format_bytes(watched.memory[-1][1])} of {format_bytes(self.site.budget_bytes)}"
        )
        text.append("\ncompute ").append(_bar(compute))
        return text.append(f" {watched.compute[-1][1]:.1f} s spent, {self.site.compute_cores:.2f} s a second")

    def _cameras(self) -> Table:
        table = Table(
            "camera", "inputs", "not sent", "sent", "agreement", "its models' last answers", box=None, pad_edge=False
        )
        for name, recorded in self.site.cameras.items():
            stream = self.streams.get(name)
            if stream is None:
                table.add_row(name, f"0/{len(recorded)}")
                continue
            last = Text()
            for place, model in enumerate(self.site.specs):
                origin = ORIGINS[stream.origin[place, -1]]
                last.append(f"{self.site.specs[model].output.summary(stream.values[model][-1])[:14]} ", _STYLES[origin])
            table.add_row(
                name,
                f"{len(stream.kept)}/{len(recorded)}",
                f"{1 - stream.kept.mean():.0%}",
                format_bytes(int(stream.sent_bytes.sum())),
                f"{self.agreement[name]:.3f}",
                last,
            )
        return table

    def _models(self, watched: Watched) -> Table:
        table = Table("model", "", "MiB", "ran", *ORIGINS[1:5], "CPU s", box=None, pad_edge=False)
        places = {name: place for place, name in enumerate(self.site.specs)}
        for model in sorted(watched.status.models, key=lambda each: str(each.name)):
            rows = [each.origin[places[model.name]] for each in self.streams.values() if model.name in places]
            counts = [sum(int((row == at).sum()) for row in rows) for at in range(1, 5)]
            state = Text(model.state, "green" if model.state == "loaded" else "dim")
            size = f"{model.memory_bytes / 2**20:.0f}" if model.state == "loaded" else "-"
            table.add_row(model.name, state, size, f"{model.executions}", *map(str, counts), f"{model.cpu_s:.2f}")
        return table


def _bar(share: float) -> Text:
    full = round(min(1.0, share) * _BAR)
    return Text("█" * full, "green" if share <= 1.0 else "red").append("░" * (_BAR - full), "dim")
