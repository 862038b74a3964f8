"""`infilink models list`, `add`, `rm`, `load`, `unload`, `pin` and `rollback`: what a running coordinator serves."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import InvalidInput
from ..models.spec import files_beside, spec_beside
from ..protos import models_pb2, models_pb2_grpc
from ..units import format_bytes
from .asking_cli import HERE, AddressOption, Caller, JsonOption, plain
from .status_cli import TlsCaOption, TlsCertOption, TlsKeyOption, TokenOption

_PIECE_BYTES = 2**19
# A model is loaded and tried before it is answered.
_CHANGES_WITHIN_S = 600.0

_Name = Annotated[str, typer.Argument(help="The model.")]


def list_command(
    address: AddressOption = HERE,
    token: TokenOption = "",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a running coordinator serves: versions, digests, what is loaded, and what it can't serve."""
    reply = Caller(address, token, tls_ca, tls_cert, tls_key).ask(
        models_pb2_grpc.ModelsStub, "List", models_pb2.ListModels()
    )
    if as_json:
        print(json.dumps(plain(reply)))
        return
    table = Table(
        title=f"{address}: {len(reply.models)} models", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False
    )
    for column in ("model", "version", "digest", "state", "why"):
        table.add_column(column, overflow="fold")
    for column in ("takes", "on disk"):
        table.add_column(column, justify="right", no_wrap=True)
    for model in reply.models:
        others = [str(version) for version in model.versions if str(version) != model.version]
        state = model.state + (", pinned" if model.pinned else ", stays so" if model.parked else "")
        where = "" if model.place == "host" else f" on {model.place}"
        table.add_row(
            escape(model.name),
            model.version + (f" (also {', '.join(others)})" if others else ""),
            model.digest,
            state,
            escape(model.reason),
            (format_bytes(model.memory_bytes) if model.memory_bytes else "?") + where,
            format_bytes(model.size_bytes),
        )
    console = Console()
    console.print(table)
    for name, why in sorted(reply.refused.items()):
        console.print(f"[red]{escape(name)}[/red]: can't be served: {escape(why)}")


def add_command(
    path: Annotated[Path, typer.Argument(help="The .onnx file; its spec is inside or beside it.")],
    name: Annotated[str | None, typer.Option(help="What it is called; without it, as its spec or file is.")] = None,
    version: Annotated[int, typer.Option(help="Its number; without it, one more than the highest.", min=0)] = 0,
    address: AddressOption = HERE,
    token: TokenOption = "",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a model, or a new version of one: it is loaded and tried before inputs go to it, else all stays."""
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    spec = spec_beside(path)
    called = name or (spec.name if spec is not None else path.stem)
    caller = Caller(address, token, tls_ca, tls_cert, tls_key)
    _report(
        caller.ask(models_pb2_grpc.ModelsStub, "Add", _pieces(path, called, version), within_s=_CHANGES_WITHIN_S),
        as_json,
    )


def remove_command(
    name: _Name,
    version: Annotated[int, typer.Option(help="An older version alone; without it, the model.", min=0)] = 0,
    address: AddressOption = HERE,
    token: TokenOption = "",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a model out of the coordinator's folder; what runs on it is still answered."""
    _change(
        models_pb2.MODEL_ACTION_REMOVE,
        name,
        Caller(address, token, tls_ca, tls_cert, tls_key),
        as_json,
        version=version,
    )


def _changes(action: "models_pb2.ModelAction", told: str) -> Callable[..., None]:
    """A command that says one thing of a model; `told` is its help."""

    def command(
        name: _Name,
        address: AddressOption = HERE,
        token: TokenOption = "",
        tls_ca: TlsCaOption = None,
        tls_cert: TlsCertOption = None,
        tls_key: TlsKeyOption = None,
        as_json: JsonOption = False,
    ) -> None:
        _change(action, name, Caller(address, token, tls_ca, tls_cert, tls_key), as_json)

    command.__doc__ = told
    return command


load_command = _changes(
    models_pb2.MODEL_ACTION_LOAD,
    "Load a model now; the schedule may unload it when others are worth more (`pin` keeps it).",
)
unload_command = _changes(
    models_pb2.MODEL_ACTION_UNLOAD, "Unload a model, and leave it so until it is loaded or pinned again."
)
rollback_command = _changes(
    models_pb2.MODEL_ACTION_ROLLBACK, "Serve the version before again; once more, and the newer one is back."
)


def pin_command(
    name: _Name,
    off: Annotated[bool, typer.Option("--off", help="Keep it loaded no longer.")] = False,
    address: AddressOption = HERE,
    token: TokenOption = "",
    tls_ca: TlsCaOption = None,
    tls_cert: TlsCertOption = None,
    tls_key: TlsKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load a model and keep it loaded, whatever it is worth, until the coordinator ends (cloud.toml has `pinned`)."""
    action = models_pb2.MODEL_ACTION_UNPIN if off else models_pb2.MODEL_ACTION_PIN
    _change(action, name, Caller(address, token, tls_ca, tls_cert, tls_key), as_json)


def _change(action: "models_pb2.ModelAction", name: str, caller: Caller, as_json: bool, *, version: int = 0) -> None:
    request = models_pb2.ChangeModel(name=name, action=action, version=version)
    _report(caller.ask(models_pb2_grpc.ModelsStub, "Change", request, within_s=_CHANGES_WITHIN_S), as_json)


def _pieces(path: Path, name: str, version: int) -> Iterator[models_pb2.ModelPiece]:
    beside = path.with_suffix(".toml")
    files = [path, *files_beside(path, beside)]
    yield models_pb2.ModelPiece(
        new=models_pb2.NewModel(
            name=name,
            version=version,
            spec=beside.read_text(encoding="utf-8-sig") if beside.is_file() else "",
            files=[
                models_pb2.ModelFile(path=file.relative_to(path.parent).as_posix(), size_bytes=file.stat().st_size)
                for file in files
            ],
        )
    )
    for file in files:
        with file.open("rb") as content:
            while piece := content.read(_PIECE_BYTES):
                yield models_pb2.ModelPiece(content=piece)


def _report(model: models_pb2.ServedModel, as_json: bool) -> None:
    if as_json:
        print(json.dumps(plain(model)))
    elif model.state == "removed":
        print(f"{model.name}: removed")
    else:
        pinned = ", pinned" if model.pinned else ""
        print(f"{model.name}: version {model.version} ({model.digest}), {model.state}{pinned}")
