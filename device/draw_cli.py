"""`infilink models draw`: what models say of a few inputs of a source, as pictures: a check of their specs."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import cv2
import typer

from ..errors import BadOutput, InfilinkError, InvalidInput
from ..files import replacing
from ..models.draw_inputs import picture_of
from ..models.inputs.form import PICTURES, InputForm
from ..models.onnx_model import OnnxModel
from ..models.sheet import Seen, draw_sheet
from ..models.spec import read_spec
from ..models.split.spec import is_part
from ..outputs import Array
from ..reporting import Progress, show_progress
from ..traces.source_name import without_secrets
from .sources.base import Input, Source
from .sources.cut import WHOLE, Cut
from .sources.cut_options import (
    ChannelsOption,
    ModalityOption,
    RateOption,
    StrideOption,
    TextColumnOption,
    TimeColumnOption,
    WindowOption,
    cut_of,
)
from .sources.open import open_source

EXIT_WRONG_SPEC = 2
_QUALITY = 92
_LIVE_STEP_S = 1.0
_MOST_READ = 5000


def draw_command(
    folder: Annotated[Path, typer.Argument(help="The folder with the .onnx models.")],
    source: Annotated[str, typer.Option(help="A recording or a live source, as for `infilink record`.")],
    out: Annotated[Path, typer.Option(help="The folder for the pictures; made if it is missing.")],
    count: Annotated[int, typer.Option("--frames", help="How many inputs, spread over it.", min=1, max=40)] = 6,
    window: WindowOption = "",
    stride: StrideOption = "",
    rate: RateOption = None,
    channels: ChannelsOption = "",
    modality: ModalityOption = None,
    time_column: TimeColumnOption = "",
    text_column: TextColumnOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw what each model says of a few inputs: boxes with names and scores, or its answer in words.

    One picture a model. Look if the boxes lie on the objects: a spec with wrong colours, scale or decoder makes a model
    weak without an error. Models that look at something else than the source gives are left out, which is said. Exit
    code 2 if a model can't run.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: there is no such folder of models")
    paths = sorted(folder.glob("*.onnx"))
    if not paths:
        raise InvalidInput(f"{folder}: holds no .onnx file")
    if out.is_file():
        raise InvalidInput(f"--out {out}: is a file; name a folder")
    cut = cut_of(
        window=window,
        stride=stride,
        rate_hz=rate,
        channels=channels,
        modality=modality,
        time_column=time_column,
        text_column=text_column,
    )
    with show_progress("drawing", quiet=as_json) as progress:
        form, inputs = spread_inputs(source, count, cut)
        rows = [_drawn(path, form, inputs, out, progress, i / len(paths)) for i, path in enumerate(paths)]
    if as_json:
        print(json.dumps({"source": without_secrets(source), "frames": [at_s for at_s, _ in inputs], "models": rows}))
    else:
        for row in rows:
            print(_line(row, len(inputs)))
    if any("error" in row for row in rows):
        raise typer.Exit(EXIT_WRONG_SPEC)


def spread_inputs(source: str, count: int, cut: Cut = WHOLE) -> tuple[InputForm, list[tuple[float, Array]]]:
    """Inputs spread evenly over a recording, or one a second of a live source: each with its time from the first on.

    Returns what they are, too.

    Raises:
        InvalidInput: the source can't be read, or gives no input.
        Unavailable: it can't be opened.
    """
    with open_source(source, cut=cut) as opened:
        length_s = opened.input_count / opened.inputs_per_s if opened.input_count else 0.0
        # A video is begun at each place; of other sources all that lies between is read.
        jumps = bool(length_s) and opened.form == PICTURES
        found = [] if jumps else _sampled(opened, count)
    for i in range(count) if jumps else ():
        # A source begins with the first frame that does not come before its start: half a frame sooner.
        middle_s = (i + 0.5) / count * length_s - 0.5 / opened.inputs_per_s
        try:
            with open_source(source, start_s=max(0.0, middle_s)) as again:
                found += list(islice(again, 1))
        except InvalidInput:
            # It ends sooner than it says.
            if not found:
                raise
    if not found:
        raise InvalidInput(f"{opened.name}: gave no input")
    first_s = found[0].captured_s if opened.live else 0.0
    different = {each.captured_s: each for each in found}
    return opened.form, [(at_s - first_s, each.value) for at_s, each in sorted(different.items())]


def _sampled(opened: Source, count: int) -> list[Input]:
    """So many inputs of a source: the first of each second of a live one, else spread over as much as is read."""
    found: list[Input] = []
    step = 1
    for each in opened:
        if opened.live:
            if not found or each.captured_s >= found[-1].captured_s + _LIVE_STEP_S:
                found.append(each)
            if len(found) == count:
                break
            continue
        if each.sequence % step == 0:
            found.append(each)
        if len(found) == 4 * count:
            # How many will come is not always known: every second one goes.
            found, step = found[::2], 2 * step
        if each.sequence >= _MOST_READ:
            break
    return found if len(found) <= count else [found[int((i + 0.5) / count * len(found))] for i in range(count)]


def _drawn(
    path: Path, form: InputForm, inputs: Sequence[tuple[float, Array]], out: Path, progress: Progress, done: float
) -> dict[str, Any]:
    """Runs one model on the inputs and writes its sheet; what became of it."""
    progress(done, path.stem)
    row: dict[str, Any] = {"file": path.name, "name": path.stem}
    try:
        if is_part(path) and read_spec(path).input is None:
            raise InvalidInput(f"{path}: is the second part of a model, which takes no picture; draw the whole one")
        model = OnnxModel(path)
        row["name"] = model.spec.name
        if told := model.spec.fits(form):
            return {**row, "left_out": told}
        seen = [_seen(model, at_s, value) for at_s, value in inputs]
    except InfilinkError as error:
        return {**row, "error": str(error)}
    _write(out / f"{model.spec.name}.jpg", draw_sheet(model.spec, seen))
    row |= {"picture": str(out / f"{model.spec.name}.jpg"), "kind": model.spec.output.kind}
    row |= {"bad": [each.failed for each in seen if each.failed]}
    if model.spec.output.kind == "boxes":
        row["boxes"] = [0 if each.value is None else len(each.value) for each in seen]
    return row


def _seen(model: OnnxModel, at_s: float, value: Array) -> Seen:
    picture = picture_of(value, model.spec.fed)
    try:
        return Seen(at_s, picture, model.infer(value))
    except BadOutput as error:
        return Seen(at_s, picture, None, str(error))


def _write(path: Path, sheet: Any) -> None:
    ok, data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert ok, "a picture of this size is a JPEG"
    with replacing(path) as part:
        part.write_bytes(data.tobytes())


def _line(row: dict[str, Any], inputs: int) -> str:
    """What became of a model, in a line."""
    if told := row.get("error") or row.get("left_out"):
        return f"{row['name']}: not drawn: {told}"
    said = [f"wrote {row['picture']}"]
    if row["bad"]:
        said.append(f"no usable output for {len(row['bad'])} of {inputs} inputs ({row['bad'][0]})")
    if "boxes" in row:
        found = sum(n > 0 for n in row["boxes"])
        said.append(f"{sum(row['boxes'])} boxes on {found} of {inputs} frames")
        if not found:
            said.append("if there is something to find, check color, resize, mean, std and [decoder] in its spec")
    return ": ".join(said[:2]) + "".join(f"; {each}" for each in said[2:])
