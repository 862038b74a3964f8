"""A file of heads that is learnt in a moment: a head that tells where the square of drawn frames is."""

import functools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from infilink.filters.local.gate import LocalGate
from infilink.filters.local.spec import METADATA_KEY as HEADS_KEY
from infilink.filters.local.train import train_heads
from infilink.filters.rules.parser import parse_rule
from infilink.filters.spec import METADATA_KEY as FILTER_KEY
from infilink.filters.spec import load_filter
from infilink.filters.training.train import train_filter
from infilink.models.stem.stem import Stem
from infilink.traces.trace import Trace
from onnx import helper
from pydantic import BaseModel

from ..conftest import draw
from ..stems import write_stem
from .mixed import write_mixed


@functools.cache
def heads_bytes() -> bytes:
    """The file of `write_heads`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with Trace(write_mixed(folder / "mixed.trace", inputs=200, lot=False)) as trace:
            stem = Stem(write_stem(folder / "stem.onnx"))
            train_heads(trace, stem=stem, accuracy=0.9, out=folder / "heads.onnx", models=["scene"])
        return (folder / "heads.onnx").read_bytes()


def doubting(path: Path) -> None:
    """Makes a head answer for half of the inputs that gates are checked on."""
    gate = LocalGate(path)
    decisions = [gate.decide(frame, i / 10) for i, frame in enumerate(draw(40, seed=5)[0])]
    doubts = [1.0 - answer.confidence for decision in decisions for answer in decision.answers.values()]
    head = gate.spec.heads[0].model_copy(update={"threshold": float(np.median(doubts))})
    respecify(path, HEADS_KEY, gate.spec.model_copy(update={"heads": (head,)}))


def respecify(path: Path, key: str, spec: BaseModel) -> None:
    """Gives a file another spec."""
    model = onnx.load(str(path))
    props = {prop.key: prop.value for prop in model.metadata_props}
    helper.set_model_props(model, {**props, key: spec.model_dump_json()})
    onnx.save(model, str(path))


def write_heads(path: Path) -> Path:
    """A file with the head of one model, which is sure of about half of the inputs."""
    path.write_bytes(heads_bytes())
    doubting(path)
    return path


@functools.cache
def presence_bytes() -> bytes:
    """The file of `write_presence`."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_mixed(folder / "mixed.trace", inputs=300)
        with Trace(folder / "mixed.trace") as trace:
            train_filter(
                trace,
                models=["squares"],
                rule=parse_rule("value < 1"),
                accuracy=0.8,
                out=folder / "filter.onnx",
                candidates=["stem"],
                stem=Stem(write_stem(folder / "stem.onnx")),
            )
        return (folder / "filter.onnx").read_bytes()


def write_presence(path: Path, **changes: Any) -> Path:
    """A filter of kind stem: an input is needed where there is a square."""
    path.write_bytes(presence_bytes())
    if changes:
        respecify(path, FILTER_KEY, load_filter(path)[0].model_copy(update=changes))
    return path
