"""Inputs and results as the sinks are given them."""

from pathlib import Path
from typing import Any

import numpy as np
from infilink.device.sinks.delivered import Delivered, EventPicture, Said
from infilink.device.sinks.picture import KeptPicture
from infilink.outputs import OutputSpec

BOXES = OutputSpec(kind="boxes", classes=("car", "person"))
LABEL = OutputSpec(kind="label", classes=("day", "night"))
PERSON = (0.2, 0.2, 0.6, 0.9, 0.8, 1.0)
CAR = (0.5, 0.5, 0.9, 0.8, 0.7, 0.0)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.asarray(rows, np.float32).reshape(-1, 6)


def said(value: np.ndarray | None, *, model: str = "yolo", output: OutputSpec = BOXES, **others: Any) -> Said:
    given = {"origin": "executed", "confidence": 1.0, "trusted": True, "trust": "exact", **others}
    return Said(model, output, value=value, **given)


def delivered(sequence: int = 0, *results: Said, picture: np.ndarray | None = None, **others: Any) -> Delivered:
    given = {"device": "cam", "stream": "door", "captured_s": sequence / 10, "unix_s": 1.8e9 + sequence / 10, **others}
    kept = None if picture is None else KeptPicture(picture)
    return Delivered(sequence=sequence, kept=True, results=results, picture=kept, **given)


def event(best: Delivered, path: Path = Path("best.jpg")) -> EventPicture:
    return EventPicture("cam", "door", "yolo", "person", 0.0, 1.0, 3, best, 0.5, PERSON, path)


def picture(level: int = 90, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), level, np.uint8)
