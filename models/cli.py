"""`infilink models ls`, `infilink models measure`, `infilink export` and `infilink init model`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..errors import InfilinkError, InvalidInput
from ..files import replacing
from ..outputs import OutputSpec
from ..reporting import show_progress
from ..units import format_bytes
from .cost import ModelCost, measure_cost
from .init_spec import guessed_spec
from .onnx_model import OnnxModel, try_out
from .session import open_session
from .spec import METADATA_KEY, ModelSpec, read_spec, spec_beside
from .split.parts import ServedTail, TailProcess
from .split.spec import is_part, read_partition
from .tensor_model import TensorModel
from .tensors import TensorSpec, read_signature

EXIT_WRONG_SPEC = 2
_NOISE_FRAMES = 5
_SHOWN_CLASSES = 3


_Folder = Annotated[Path, typer.Argument(help="The folder with the .onnx models.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def ls_command(folder: _Folder, as_json: _AsJson = False) -> None:
    """List a folder's models and what their specs say; exit code 2 if one has no spec or a wrong one.

    Every model runs once on what it is tried with, a grey frame for one: only that shows that its spec fits.
    """
    _list(folder, measure=False, as_json=as_json)


def measure_command(folder: _Folder, as_json: _AsJson = False) -> None:
    """List a folder's models with the memory and the time that each takes on this machine; exit code 2 as for `ls`.

    Each one is loaded into a process of its own and runs on a few inputs of noise.
    """
    _list(folder, measure=True, as_json=as_json)


def _list(folder: Path, *, measure: bool, as_json: bool) -> None:
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: there is no such folder of models")
    paths = sorted(folder.glob("*.onnx"))
    if not paths:
        raise InvalidInput(f"{folder}: holds no .onnx file")
    rows: list[dict[str, Any]] = []
    with show_progress("measuring" if measure else "reading", quiet=as_json) as progress:
        for i, path in enumerate(paths):
            progress(i / len(paths), path.stem)
            rows.append(_row(path, {row["name"]: row["file"] for row in rows if "name" in row}, measure=measure))
    if as_json:
        print(json.dumps({"folder": str(folder), "models": rows}))
    else:
        Console().print(_table(folder, rows, measure=measure))
    if any("error" in row for row in rows):
        raise typer.Exit(EXIT_WRONG_SPEC)


def export_command(
    target: Annotated[str, typer.Argument(help="PATH.py:function that returns (module, spec, sample inputs).")],
    out: Annotated[Path, typer.Argument(help="The .onnx file to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="Make it int8, calibrated on the sample inputs.")] = False,
    as_json: _AsJson = False,
) -> None:
    """Export a torch module as an ONNX file with its spec inside, checked against torch.

    The function returns the module, its spec (a ModelSpec or a dict with the keys of docs/MODELS.md), and a list of
    sample inputs: arrays or tensors, each one batch as the module takes it.
    """
    from .export import export

    done = export(target, out, int8=int8)
    if as_json:
        quantized = None if done.int8 is None else vars(done.int8)
        result = {"file": str(out), "name": done.spec.name, "size_bytes": done.size_bytes, "samples": done.samples}
        print(json.dumps({**result, "difference": done.difference, "int8": quantized}))
        return
    print(f"wrote {out}: {done.spec.name}, {format_bytes(done.size_bytes)}, its spec inside")
    print(f"onnxruntime differs from torch by at most {done.difference:.2g} on {done.samples} sample inputs")
    if done.int8 is not None:
        print(
            f"int8 ({done.int8.method}) differs from float by at most {done.int8.largest:.2g}, on average "
            f"{done.int8.mean:.2g}; the float file was {format_bytes(done.int8.float_bytes)}"
        )
    if out.with_suffix(".toml").exists():
        print(f"note: {out.with_suffix('.toml')} lies beside it and counts before the spec inside")


def init_model_command(
    path: Annotated[Path, typer.Argument(help="The .onnx file to write a spec for.")],
) -> None:
    """Write NAME.toml beside a model, guessed from its graph and what was written into it: to be checked.

    Where a value can't be told, "?" stands for it with what to write; the spec is not valid before.
    """
    beside = path.with_suffix(".toml")
    if beside.exists():
        raise InvalidInput(f"{beside}: is there already; edit it, or move it away first")
    if METADATA_KEY in open_session(path).get_modelmeta().custom_metadata_map:
        raise InvalidInput(f"{path}: has its spec inside already; see it with `infilink models ls {path.parent}`")
    text, guessed = guessed_spec(path)
    with replacing(beside) as part:
        part.write_text(text, encoding="utf-8")
    print(f"wrote {beside}: kind {guessed.output['kind']}, decoder {guessed.decoder['name']} ({guessed.why})")
    for key, how in guessed.unknown.items():
        print(f"it can't be told from the file; write it there: {key}: {how}")
    print(f"check it, then: infilink models ls {path.parent}")


def _row(path: Path, known: dict[str, str], *, measure: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"file": path.name, "size_bytes": path.stat().st_size}
    try:
        spec = _answering_spec(path, row)
        if spec.name in known:
            raise InvalidInput(f"{path.name} and {known[spec.name]} are both called {spec.name!r}; rename one")
        row |= {"name": spec.name, **spec.model_dump(mode="json", exclude={"name"})}
        row["classes"] = short_output(spec.output)
        row["looks_at"] = "" if spec.input is None else spec.input.told()
        if measure and spec.serve == "site":
            cost = _measured(path, part="map" in row)
            row |= {"memory_bytes": cost.memory_bytes, "infer_s": cost.infer_s, "load_s": cost.load_s}
    except InfilinkError as error:
        row["error"] = str(error)
    return row


def _answering_spec(path: Path, row: dict[str, Any]) -> ModelSpec:
    """The spec of a model that was seen to answer: only that shows that its decoder fits too."""
    beside = spec_beside(path)
    if beside is not None and beside.serve == "tensors":
        TensorModel(path, beside)
        signature = read_signature(path)
        row["takes"], row["gives"] = (_tensors(specs) for specs in (signature.inputs, signature.outputs))
        return beside
    if not is_part(path) or read_spec(path).input is not None:
        model = OnnxModel(path)
        try_out(model.infer, model.spec.fed.samples())
        return model.spec
    served = ServedTail(path)
    served.infer(np.zeros(1, np.uint8))
    cut = read_partition(path, "tail")
    row["map"] = f"map {'x'.join(map(str, cut.shape[1:]))} of {cut.model} at {cut.tensor}"
    return served.spec


def _measured(path: Path, *, part: bool) -> ModelCost:
    if part:
        return measure_cost(path, [np.zeros(1, np.uint8)] * _NOISE_FRAMES, kind=TailProcess)
    return measure_cost(path, read_spec(path).fed.trials())


def _tensors(specs: Sequence[TensorSpec]) -> list[str]:
    return [f"{spec.name} {spec.dtype or '?'} {list(spec.shape or ())}" for spec in specs]


def short_output(output: OutputSpec) -> str:
    """What a model answers with, in short: "car, bus, truck ... (80)"."""
    if output.classes:
        more = f" ... ({len(output.classes)})" if len(output.classes) > _SHOWN_CLASSES else ""
        return ", ".join(output.classes[:_SHOWN_CLASSES]) + more
    return f"length {output.length}" if output.length else ""


def _table(folder: Path, rows: list[dict[str, Any]], *, measure: bool) -> Table:
    table = Table(title=f"{folder}: {len(rows)} models", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for column in ("model", "version", "input", "output", "decoder"):
        table.add_column(column, overflow="fold")
    for column in ("on disk", *(("memory", "ms per input") if measure else ())):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        if "error" in row:
            said = ["", "", f"[red]{escape(row['error'])}[/red]", ""]
        elif "takes" in row:
            said = [row["version"], ", ".join(row["takes"]), ", ".join(row["gives"]), "none: tensors"]
        else:
            output = f"{row['output']['kind']}: {row['classes']}".removesuffix(": ")
            said = [row["version"], row.get("map") or row["looks_at"], output, row["decoder"]["name"]]
        cells = [row.get("name", row["file"]), *map(str, said[:2]), said[2], said[3], format_bytes(row["size_bytes"])]
        if measure:
            known = "memory_bytes" in row
            cells += [format_bytes(row["memory_bytes"]), f"{row['infer_s'] * 1000:.1f}"] if known else ["", ""]
        table.add_row(*cells)
    return table
