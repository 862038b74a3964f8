"""Inputs of any kind as pictures, for people: a sound's wave, a signal's channels, a text's words."""

import textwrap

import cv2
import numpy as np

from ..outputs import Array
from .draw import color_of, draw_text
from .inputs import ModelInput
from .inputs.form import as_text
from .inputs.joint import JointInput
from .inputs.text import TextInput
from .inputs.video import VideoInput

_WIDTH, _HEIGHT = 640, 160
_GROUND, _INK, _AXIS = 48, (220, 220, 220), (90, 90, 90)
_LINE, _LETTERS, _MOST_LINES = 20, 72, 12


def picture_of(value: Array, fed: ModelInput) -> Array:
    """An input as a picture (uint8 BGR): a frame as it is, of a clip the last one.

    Args:
        value: it.
        fed: how a model is fed such inputs.
    """
    if isinstance(fed, JointInput):
        return _stacked([picture_of(value[name], part) for name, part in fed.parts.items()])
    if isinstance(fed, VideoInput):
        return np.asarray(value[-1])
    if isinstance(fed, TextInput):
        return _words(as_text(value))
    if value.dtype == np.uint8:
        return value
    if value.ndim == 3:
        return _heat(value)
    return _waves(value.astype(np.float32).reshape(len(value), -1))


def _waves(values: Array) -> Array:
    """Lines of (steps, channels) over time, each from its least to its largest in every column of pixels."""
    picture = np.full((_HEIGHT, _WIDTH, 3), _GROUND, np.uint8)
    least, most = float(values.min()), float(values.max())
    rows = (values - least) / (most - least or 1.0)
    at = np.linspace(0, len(rows), _WIDTH + 1).astype(int)
    if least < 0 < most:
        zero = _row(np.array(-least / (most - least)))
        cv2.line(picture, (0, int(zero)), (_WIDTH - 1, int(zero)), _AXIS, 1)
    for channel in range(rows.shape[1]):
        for x in range(_WIDTH):
            part = rows[max(0, at[x] - 1) : max(at[x + 1], at[x] + 1), channel]
            if len(part):
                ends = _row(np.array([part.min(), part.max()]))
                cv2.line(picture, (x, int(ends[0])), (x, int(ends[1])), color_of(channel), 1)
    draw_text(picture, f"{most:.3g}", 2, 12, _INK)
    draw_text(picture, f"{least:.3g}", 2, _HEIGHT - 4, _INK)
    return picture


def _row(share: Array) -> Array:
    return np.asarray(np.rint((1 - share) * (_HEIGHT - 5) + 2), np.int64)


def _heat(value: Array) -> Array:
    """The mean over a map's channels, the largest lightest."""
    mean = value.astype(np.float32).mean(axis=0)
    grey = (mean - mean.min()) / (float(np.ptp(mean)) or 1.0) * 255
    large = cv2.resize(grey.astype(np.uint8), (_WIDTH, _WIDTH * mean.shape[0] // mean.shape[1] or 1), interpolation=0)
    return np.repeat(large[:, :, None], 3, axis=2)


def _words(text: str) -> Array:
    lines = textwrap.wrap(" ".join(text.split()), _LETTERS) or [""]
    lines = lines if len(lines) <= _MOST_LINES else [*lines[: _MOST_LINES - 1], "..."]
    picture = np.full((_LINE * len(lines) + 10, _WIDTH, 3), _GROUND, np.uint8)
    for i, line in enumerate(lines):
        draw_text(picture, line, 4, _LINE * (i + 1) - 2, _INK)
    return picture


def _stacked(pictures: list[Array]) -> Array:
    wide = [cv2.resize(each, (_WIDTH, max(1, _WIDTH * each.shape[0] // each.shape[1]))) for each in pictures]
    return np.concatenate(wide)
