"""The `infilink` command: a table of contents whose chapters are loaded when they are opened."""

from . import EXIT_INTERRUPTED, leave_at_once, leave_tidily, was_interrupted

if __name__ == "__main__":
    leave_at_once()

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from . import __version__
from .errors import InfilinkError, InvalidInput, NotCertified

EXIT_USER_ERROR = 2
EXIT_NOT_CERTIFIED = 3


@dataclass(frozen=True)
class Entry:
    """One command: the function that is it, and the line that tells of it before it is loaded."""

    target: str
    help: str
    panel: str = ""


_START, _LEARN, _RUN, _MODELS = "Start here", "Learn from your models", "Run", "Your models"

COMMANDS = {
    "demo": Entry(
        "infilink.examples.demo.cli:demo_command", "A site's whole way: six rendered cameras or your own.", _START
    ),
    "init": Entry("", "Write a commented configuration to start from.", _START),
    "record": Entry(
        "infilink.device.record_cli:record_command", "Run models over a source and keep it all: a trace.", _LEARN
    ),
    "import": Entry("infilink.traces.cli:import_command", "A trace of outputs that another system logged.", _LEARN),
    "assess": Entry(
        "infilink.filters.evaluation.cli:assess_command", "Whether a filter is worth training, and why.", _LEARN
    ),
    "train": Entry("", "Learn an input filter, or the links between models, from a trace.", _LEARN),
    "evaluate": Entry("", "What a filter or links save and lose, beside what costs nothing.", _LEARN),
    "links": Entry("", "Which model's output tells of which other's.", _LEARN),
    "federate": Entry("", "Several sites learn a link together; their outputs stay with them.", _LEARN),
    "plan": Entry("infilink.links.cli:plan_command", "What runs and what is predicted under a budget.", _LEARN),
    "sources": Entry("infilink.device.sources_cli:sources_command", "What inputs can come from.", _LEARN),
    "cloud": Entry("infilink.cloud.cli:cloud_command", "The coordinator: runs what fits, predicts the rest.", _RUN),
    "device": Entry("infilink.device.cli:device_command", "The agent: filters, sends, receives.", _RUN),
    "results": Entry("", "What the ledger holds: shown, exported, deleted; and why it came to be.", _RUN),
    "backup": Entry("infilink.cloud.results_cli:backup_command", "A copy of a ledger that is in use.", _RUN),
    "status": Entry("infilink.cloud.status_cli:status_command", "What a running coordinator does, and why.", _RUN),
    "health": Entry("infilink.cloud.status_cli:health_command", "Whether a coordinator serves: the exit code.", _RUN),
    "top": Entry("infilink.cloud.status_cli:top_command", "The same, live: rates, latencies, what runs now.", _RUN),
    "doctor": Entry("infilink.models.doctor_cli:doctor_command", "What is here to run with, and what is wrong.", _RUN),
    "enroll": Entry("infilink.cloud.fleet_cli:enroll_command", "A code by which a new device becomes known.", _RUN),
    "fleet": Entry("", "The coordinator's devices, and what becomes of them.", _RUN),
    "models": Entry("", "A folder's models, and those that a coordinator serves.", _MODELS),
    "token": Entry("", "Who may call the coordinator, and what for.", _RUN),
    "split": Entry("infilink.device.split_cli:split_command", "Cut a model in two: device and cloud.", _MODELS),
    "upgrade": Entry("infilink.cli:upgrade_command", "Files of an older infilink, as this one reads them.", _MODELS),
    "export": Entry("infilink.models.cli:export_command", "A torch module as an ONNX file with its spec.", _MODELS),
}
GROUPS = {
    "init": {
        "sources": Entry("infilink.device.sources_cli:sources_command", "What inputs can come from.", _LEARN),
        "authority": Entry("infilink.cloud.fleet_cli:init_authority_command", "Who signs devices' certificates."),
        "cloud": Entry("infilink.cloud.cli:init_command", "The coordinator's cloud.toml."),
        "device": Entry("infilink.device.cli:init_command", "The agent's device.toml."),
        "devices": Entry("infilink.links.placement.cli:init_devices_command", "Devices to place models on."),
        "model": Entry("infilink.models.cli:init_model_command", "A model's spec, guessed from its graph."),
    },
    "device": {
        "status": Entry("infilink.device.status_cli:status_command", "What the agents of this machine do now."),
        "enroll": Entry("infilink.device.enroll_cli:enroll_command", "Make this device known, by a code."),
    },
    "train": {
        "stem": Entry("infilink.traces.stem_cli:train_stem_command", "Your model's first layers: all learn on them."),
        "filter": Entry("infilink.filters.cli:train_filter_command", "Which inputs need no inference."),
        "tasks": Entry("infilink.filters.cli:train_tasks_command", "One filter for several models, a rule for each."),
        "reuse": Entry("infilink.filters.reuse.cli:train_reuse_command", "Which inputs repeat a known result."),
        "exit": Entry("infilink.filters.exits.cli:train_exit_command", "Where a small model stands in for a big one."),
        "heads": Entry("infilink.filters.local.cli:train_heads_command", "What a device can answer by itself."),
        "packets": Entry("infilink.filters.packets.cli:train_packets_command", "Which packets need no decoding."),
        "links": Entry("infilink.links.cli:train_links_command", "Which outputs predict which."),
    },
    "evaluate": {
        "filter": Entry(
            "infilink.filters.evaluation.cli:evaluate_filter_command", "A filter, over any trace of the same models."
        ),
        "reuse": Entry("infilink.filters.reuse.cli:evaluate_reuse_command", "A reuse file, its cache empty at first."),
        "packets": Entry("infilink.filters.packets.cli:evaluate_packets_command", "A packet gate, over a clip."),
        "links": Entry("infilink.links.cli:evaluate_links_command", "Links under a budget, over any such trace."),
    },
    "federate": {
        "serve": Entry("infilink.cloud.federation.cli:serve_command", "The aggregator: leads the rounds."),
        "join": Entry("infilink.cloud.federation.cli:join_command", "A site: learns from its own trace."),
        "adopt": Entry("infilink.cloud.federation.cli:adopt_command", "Another site: links of what these learnt."),
    },
    "models": {
        "ls": Entry("infilink.models.cli:ls_command", "What each model's spec says, and whether it fits."),
        "measure": Entry("infilink.models.cli:measure_command", "The same, with each model's memory and time here."),
        "list": Entry("infilink.cloud.models_cli:list_command", "What a running coordinator serves."),
        "add": Entry("infilink.cloud.models_cli:add_command", "Bring it a model, or a new version of one."),
        "rm": Entry("infilink.cloud.models_cli:remove_command", "Take one out of its folder."),
        "load": Entry("infilink.cloud.models_cli:load_command", "Have it load one now."),
        "unload": Entry("infilink.cloud.models_cli:unload_command", "Have it unload one, and leave it so."),
        "pin": Entry("infilink.cloud.models_cli:pin_command", "Have it keep one loaded."),
        "rollback": Entry("infilink.cloud.models_cli:rollback_command", "Have it serve the version before again."),
        "draw": Entry("infilink.device.draw_cli:draw_command", "What each one says of a clip's frames, as pictures."),
    },
    "fleet": {
        "ls": Entry("infilink.cloud.fleet_cli:list_command", "Which devices there are, and how they are."),
        "pause": Entry("infilink.cloud.fleet_cli:pause_command", "Have one hold its inputs."),
        "drain": Entry("infilink.cloud.fleet_cli:drain_command", "Have one finish, and stay away."),
        "resume": Entry("infilink.cloud.fleet_cli:resume_command", "Let one go on."),
        "revoke": Entry("infilink.cloud.fleet_cli:revoke_command", "Have one proven no more by what it has."),
        "filter": Entry("infilink.cloud.filter_cli:filter_command", "Which filter decides where; another one; back."),
    },
    "token": {
        "new": Entry("infilink.cloud.security.cli:new_command", "A token for a device or a person."),
        "ls": Entry("infilink.cloud.security.cli:list_command", "Whom the coordinator knows."),
        "rm": Entry("infilink.cloud.security.cli:remove_command", "Refuse a token from now on."),
    },
    "results": {
        "query": Entry(
            "infilink.cloud.results_cli:query_command", "The newest results: by device, model, class, time."
        ),
        "export": Entry("infilink.cloud.results_cli:export_command", "As CSV, JSON lines, Parquet, COCO or MOT."),
        "delete": Entry("infilink.cloud.results_cli:delete_command", "Results that shall not be kept."),
        "journal": Entry("infilink.cloud.results_cli:journal_command", "What was decided and happened, and why."),
        "audits": Entry("infilink.cloud.results_cli:audits_command", "How far answers without a model agreed with it."),
    },
    "links": {
        "show": Entry("infilink.links.cli:show_links_command", "Who predicts whom, how well, how sure that is."),
        "adapt": Entry("infilink.links.domains.cli:adapt_command", "A deployed model, adapted to a few human labels."),
    },
}


READERS = {
    "a trace": "infilink.traces.trace:Trace",
    "a stem": "infilink.models.stem.stem:Stem",
    "a filter": "infilink.filters.spec:load_tasks",
    "a reuse file": "infilink.filters.reuse.spec:load_reuse",
    "a file of heads": "infilink.filters.local.spec:load_heads",
    "an exit": "infilink.filters.exits.spec:load_exit",
    "a folder of links": "infilink.links.graph:LinkGraph.load",
    "what sites learnt together": "infilink.links.domains.shared:read_shared",
    "a model": "infilink.models.spec:read_spec",
    "a placement": "infilink.models.placement:PlacementFile.load",
    "a results file": "infilink.device.results_read:Results",
    "a ledger": "infilink.cloud.ledger.format:check_ledger",
}
"""What reads each kind of file, or raises InvalidInput; a reader that drops a format leaves a converter here."""


def build_app(arguments: list[str]) -> typer.Typer:
    """The command line, with only that command really loaded which `arguments` call.

    The others stand there with their line of help, so that `infilink --help` is there at once and a device needs no
    package that only the cloud or the training uses.
    """
    app = typer.Typer(
        name="infilink",
        help="Learned input filters on the device, model links in the cloud, and an accuracy contract on both.\n\n"
        "Try [bold]infilink demo[/bold] first.",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_version_option)
    called = [word for word in arguments if not word.startswith("-")][:2]
    next_word = arguments[arguments.index(called[0]) + 1 :][:1] if called else []
    for name, entry in COMMANDS.items():
        if name in GROUPS:
            group = typer.Typer(no_args_is_help=not entry.target, rich_markup_mode="rich")
            for inner_name, inner in GROUPS[name].items():
                _add(group, inner_name, inner, really=called == [name, inner_name])
            text = entry.help
            # A command with commands of its own: it is the one that is called, unless the next word is one of those.
            if entry.target and called[:1] == [name] and not set(next_word) & set(GROUPS[name]):
                function = _load(name, entry.target)
                group.callback(invoke_without_command=True)(function)
                text = _help_of(function)
            app.add_typer(group, name=name, help=text, short_help=entry.help, rich_help_panel=entry.panel)
        else:
            _add(app, name, entry, really=called[:1] == [name])
    return app


def _add(app: typer.Typer, name: str, entry: Entry, *, really: bool) -> None:
    function = _load(name, entry.target) if really else _described
    text = _help_of(function) if really else entry.help
    app.command(name, help=text, short_help=entry.help, rich_help_panel=entry.panel or None)(function)


def _described() -> None:
    """A command that is only told of."""


def _load(name: str, target: str) -> Callable[..., Any]:
    module_name, _, attribute = target.partition(":")
    try:
        function: Callable[..., Any] = attrgetter(attribute)(importlib.import_module(module_name))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("infilink"):
            raise
        raise InfilinkError(
            f"`infilink {name}` needs the package {error.name!r}: pip install 'infilink[cloud,train]'"
        ) from error
    return function


def _help_of(function: Callable[..., Any]) -> str:
    """The docstring up to its `Args:`; the options describe themselves."""
    text = inspect.cleandoc(function.__doc__ or "")
    for section in ("\nArgs:", "\nRaises:", "\nReturns:"):
        text = text.split(section)[0]
    return text.strip()


def upgrade_command(path: Annotated[Path, typer.Argument(help="A file or a folder that infilink wrote.")]) -> None:
    """Convert what an older infilink wrote into what this one reads; what opens as it is stays as it is.

    So far all formats that there ever were open as they are.
    """
    if not path.exists():
        raise InvalidInput(f"{path}: there is no such file or folder")
    newer = ""
    for what, target in READERS.items():
        try:
            _load("upgrade", target)(path)
        except InvalidInput as error:
            newer = newer or (str(error) if "a newer infilink" in str(error) else "")
        else:
            print(f"{path}: is {what} that infilink {__version__} reads as it is; nothing to do")
            return
    raise InvalidInput(newer or f"{path}: is nothing that infilink knows ({', '.join(READERS)})")


def _print_version(value: bool) -> None:
    if value:
        print(f"infilink {__version__}")
        raise typer.Exit


def _version_option(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Takes the options of `infilink` itself."""


def main() -> None:
    """Runs the command line; what goes wrong is one line on stderr.

    A user's mistake is exit code 2, a training without a certificate 3, Ctrl-C 130.
    """
    if sys.platform == "win32":
        _print_error("infilink runs on Linux and macOS; on Windows, in the Windows Subsystem for Linux (WSL)")
        sys.exit(EXIT_USER_ERROR)
    try:
        app = build_app(sys.argv[1:])
        leave_tidily()
        app(prog_name="infilink")
    except InfilinkError as error:
        _print_error(str(error))
        sys.exit(EXIT_NOT_CERTIFIED if isinstance(error, NotCertified) else EXIT_USER_ERROR)
    except KeyboardInterrupt:
        _print_error("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as error:
        if error.code == EXIT_INTERRUPTED:
            _print_error("interrupted")
        raise
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if was_interrupted():
            _print_error("interrupted")
            sys.exit(EXIT_INTERRUPTED)
        if not isinstance(error, OSError):
            raise
        _print_error(f"{error.filename or 'system'}: {error.strerror or error}")
        sys.exit(EXIT_USER_ERROR)


def _print_error(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print("[bold red]error:[/bold red] ", end="")
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(" ".join(text.split()))


if __name__ == "__main__":
    main()
