"""`infilink models draw`: what a folder's models say of a few frames of a clip, as pictures: a check of their specs."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import cv2
import typer

from ..errors import BadOutput, InfilinkError, InvalidInput
from ..files import replacing
from ..models.onnx_model import OnnxModel
from ..models.sheet import Seen, draw_sheet
from ..models.spec import read_spec
from ..models.split.spec import is_part
from ..reporting import Progress, show_progress
from ..traces.source_name import without_secrets
from .sources.base import Input
from .sources.open import open_source

EXIT_WRONG_SPEC = 2
_QUALITY = 92
_LIVE_STEP_S = 1.0


def draw_command(
    folder: Annotated[Path, typer.Argument(help="The folder with the .onnx models.")],
    source: Annotated[str, typer.Option(help="A video file, an RTSP address, or a camera's number.")],
    out: Annotated[Path, typer.Option(help="The folder for the pictures; made if it is missing.")],
    count: Annotated[int, typer.Option("--frames", help="How many frames, spread over the clip.", min=1, max=40)] = 6,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw what each model says of a few frames: boxes with names and scores, or its answer in words.

    One picture a model. Look if the boxes lie on the objects: a spec with wrong colours, scale or decoder makes a model
    weak without an error. Exit code 2 if a model can't run.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: there is no such folder of models")
    paths = sorted(folder.glob("*.onnx"))
    if not paths:
        raise InvalidInput(f"{folder}: holds no .onnx file")
    if out.is_file():
        raise InvalidInput(f"--out {out}: is a file; name a folder")
    with show_progress("drawing", quiet=as_json) as progress:
        frames = spread_frames(source, count)
        rows = [_drawn(path, frames, out, progress, i / len(paths)) for i, path in enumerate(paths)]
    if as_json:
        print(json.dumps({"source": without_secrets(source), "frames": [at_s for at_s, _ in frames], "models": rows}))
    else:
        for row in rows:
            print(_line(row, len(frames)))
    if any("error" in row for row in rows):
        raise typer.Exit(EXIT_WRONG_SPEC)


def spread_frames(source: str, count: int) -> list[tuple[float, Any]]:
    """Frames spread evenly over a recording, or one a second of a live source: each with its time from the first on.

    Raises:
        InvalidInput: the source can't be read, or gives no frame.
        Unavailable: it can't be opened.
    """
    with open_source(source) as opened:
        length_s = opened.input_count / opened.inputs_per_s if opened.input_count else 0.0
        frames = [] if length_s else _sampled(opened, count)
    for i in range(count) if length_s else ():
        # A source begins with the first frame that does not come before its start: half a frame sooner.
        middle_s = (i + 0.5) / count * length_s - 0.5 / opened.inputs_per_s
        try:
            with open_source(source, start_s=max(0.0, middle_s)) as opened:
                frames += list(islice(opened, 1))
        except InvalidInput:
            # It ends sooner than it says.
            if not frames:
                raise
    if not frames:
        raise InvalidInput(f"{opened.name}: gave no frame")
    first_s = frames[0].captured_s if not length_s else 0.0
    different = {frame.captured_s: frame for frame in frames}
    return [(at_s - first_s, frame.value) for at_s, frame in sorted(different.items())]


def _sampled(opened: Any, count: int) -> list[Input]:
    """So many frames of a source whose length is not known, the first of each second."""
    frames: list[Input] = []
    for frame in opened:
        if not frames or frame.captured_s >= frames[-1].captured_s + _LIVE_STEP_S:
            frames.append(frame)
        if len(frames) == count:
            break
    return frames


def _drawn(
    path: Path, frames: Sequence[tuple[float, Any]], out: Path, progress: Progress, done: float
) -> dict[str, Any]:
    """Runs one model on the frames and writes its sheet; what became of it."""
    progress(done, path.stem)
    row: dict[str, Any] = {"file": path.name, "name": path.stem}
    try:
        if is_part(path) and read_spec(path).input is None:
            raise InvalidInput(f"{path}: is the second part of a model, which takes no picture; draw the whole one")
        model = OnnxModel(path)
        row["name"] = model.spec.name
        seen = [_seen(model, at_s, frame) for at_s, frame in frames]
    except InfilinkError as error:
        return {**row, "error": str(error)}
    _write(out / f"{model.spec.name}.jpg", draw_sheet(model.spec, seen))
    row |= {"picture": str(out / f"{model.spec.name}.jpg"), "kind": model.spec.output.kind}
    row |= {"bad": [each.failed for each in seen if each.failed]}
    if model.spec.output.kind == "boxes":
        row["boxes"] = [0 if each.value is None else len(each.value) for each in seen]
    return row


def _seen(model: OnnxModel, at_s: float, frame: Any) -> Seen:
    try:
        return Seen(at_s, frame, model.infer(frame))
    except BadOutput as error:
        return Seen(at_s, frame, None, str(error))


def _write(path: Path, sheet: Any) -> None:
    ok, data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert ok, "a picture of this size is a JPEG"
    with replacing(path) as part:
        part.write_bytes(data.tobytes())


def _line(row: dict[str, Any], frames: int) -> str:
    """What became of a model, in a line."""
    if "error" in row:
        return f"{row['name']}: not drawn: {row['error']}"
    said = [f"wrote {row['picture']}"]
    if row["bad"]:
        said.append(f"no usable output for {len(row['bad'])} of {frames} frames ({row['bad'][0]})")
    if "boxes" in row:
        found = sum(n > 0 for n in row["boxes"])
        said.append(f"{sum(row['boxes'])} boxes on {found} of {frames} frames")
        if not found:
            said.append("if there is something to find, check color, resize, mean, std and [decoder] in its spec")
    return ": ".join(said[:2]) + "".join(f"; {each}" for each in said[2:])
