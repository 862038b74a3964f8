"""The cameras of the demo's site: six rendered ones, or the user's own sources, each as a file with a cut in time."""

import re
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...device.sources.base import Source
from ...device.sources.names import KINDS, named
from ...device.sources.open import open_source
from ...errors import InvalidInput
from ...reporting import Progress
from ...traces.source_name import without_secrets
from ..street.video import write_video
from ..street.views import VIEWS
from ..videofile import VideoFileWriter

# The share of each source that is served, at its end; nothing is learnt from it.
SERVED_SHARE = 0.36
# More inputs of a camera than that take minutes: of a longer source one of every n frames is looked at.
MOST_INPUTS = 248
# A filter needs 50 of them to learn from.
LEAST_INPUTS = 84
# It is served as fast as it was filmed, so a longer recording takes minutes: of one only so much is used.
MOST_SECONDS = 180.0
LIVE_SECONDS = 60.0
# The rendered site: inputs a second, and what one is drawn of.
RATE_FPS, DRAWN = 4.0, 3
STREET_SECONDS = 62.0
# What is learnt from is a whole day, with its night; what is served is the end of the next night, and the day.
DAY_S, START = 40.0, 0.72
_CAMERAS = ("video", "stream", "camera")


@dataclass(frozen=True)
class Camera:
    """One camera's source, and where in it what is served begins.

    Attributes:
        name: the camera's, as devices are named.
        path: a video file.
        source: what the user called it, without passwords.
        every: one of how many of its frames is looked at.
        fps: how many that are in a second.
        seconds: how much of it is used.
        cut_s: where what is learnt from ends, and what is served begins; between two frames.
        learnt: how many inputs are learnt from.
        served: how many are served.
    """

    name: str
    path: str
    source: str
    every: int
    fps: float
    seconds: float
    cut_s: float
    learnt: int
    served: int


def rendered_site(folder: Path, pool: Executor, *, seconds: float, seed: int, progress: Progress) -> list[Camera]:
    """Renders the site's six cameras, some at a time, over the same moments of one street."""
    folder.mkdir(parents=True, exist_ok=True)
    progress(0.0, f"{len(VIEWS)} cameras")
    waiting = {name: pool.submit(_render, folder / f"{name}.mp4", name, seconds, seed) for name in VIEWS}
    for done, (name, future) in enumerate(waiting.items(), start=1):
        future.result()
        progress(done / len(VIEWS), name)
    return [_camera(name, str(folder / f"{name}.mp4"), f"rendered: {name}", seconds=None) for name in VIEWS]


def _render(path: Path, name: str, seconds: float, seed: int) -> None:
    write_video(
        path,
        seconds,
        seed,
        RATE_FPS * DRAWN,
        day_s=DAY_S,
        start=START,
        camera=VIEWS[name],
        busy=True,
        every=DRAWN,
    )


def own_site(sources: Sequence[str], folder: Path, *, seconds: float | None, progress: Progress) -> list[Camera]:
    """The user's sources; of live ones as much is recorded first, all at once, so that every policy sees the same.

    Raises:
        InvalidInput: a source is no camera, can't be read, or is too short.
    """
    for source in sources:
        _check_camera(source)
    names = _names(sources)
    with ThreadPoolExecutor(len(sources)) as pool:
        paths = pool.map(
            lambda pair: _as_file(pair[1], folder / f"{pair[0]}.mp4", seconds, progress),
            zip(names, sources, strict=True),
        )
        found = list(paths)
    return [
        _camera(name, path, without_secrets(source), seconds=seconds)
        for name, path, source in zip(names, found, sources, strict=True)
    ]


def _check_camera(source: str) -> None:
    """Says what to do with a source that is no camera: the demo draws pictures, and rules on texts a person must say.

    Raises:
        InvalidInput: it is none.
    """
    kind = named(source).kind
    if kind in _CAMERAS:
        return
    what = next(each.what for each in KINDS if each.name == kind)
    text = without_secrets(source)
    raise InvalidInput(
        f"source {text}: {what}: the demo shows cameras. The same way step by step (docs/MODALITIES.md): "
        f"infilink record --source {text} --models MODELS --out x.trace; "
        "infilink assess x.trace --model NAME --rule RULE; "
        "infilink train filter x.trace --model NAME --rule RULE --out x.onnx; infilink cloud --models MODELS; "
        f"infilink device --name x --source {text} --gate x.onnx"
    )


def _names(sources: Sequence[str]) -> list[str]:
    names: list[str] = []
    for source in sources:
        stem = Path(source).stem if Path(source).is_file() else without_secrets(source)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:40] or "camera"
        name = f"camera-{name}" if name.isdigit() else name
        taken = sum(each == name or each.startswith(f"{name}-") for each in names)
        names.append(f"{name}-{taken + 1}" if taken else name)
    return names


def _as_file(source: str, path: Path, seconds: float | None, progress: Progress) -> str:
    if Path(source).is_file():
        return source
    with open_source(source, seconds=seconds or LIVE_SECONDS) as opened:
        if opened.input_count is not None:
            return source
        return _save_live(opened, path, seconds or LIVE_SECONDS, progress)


def _save_live(opened: Source, path: Path, seconds: float, progress: Progress) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = int(seconds * opened.inputs_per_s)
    begun_s: float | None = None
    with VideoFileWriter(path, fps=opened.inputs_per_s) as video:
        for i, frame in enumerate(islice(opened, frames)):
            begun_s = frame.captured_s if begun_s is None else begun_s
            video.write(frame.value, frame.captured_s - begun_s)
            progress((i + 1) / frames, "saving the live sources, so that every policy sees the same frames")
    return str(path)


def _camera(name: str, path: str, source: str, *, seconds: float | None) -> Camera:
    with open_source(path, seconds=seconds or MOST_SECONDS) as opened:
        fps, times_s = opened.inputs_per_s, [frame.captured_s for frame in opened]
    every = max(1, -(-len(times_s) // MOST_INPUTS))
    looked_at = times_s[::every]
    if len(looked_at) < LEAST_INPUTS:
        raise InvalidInput(
            f"source {source}: {len(times_s)} frames are too few to learn from and to serve; give at least "
            f"{LEAST_INPUTS} ({LEAST_INPUTS / fps:.0f} s of this source)"
        )
    served = round(len(looked_at) * SERVED_SHARE)
    learnt = len(looked_at) - served
    # Between two frames, so that no rounding puts one on the wrong side.
    first = learnt * every
    cut_s = (times_s[first - 1] + times_s[first]) / 2
    return Camera(name, path, source, every, fps / every, times_s[-1] + 0.5 / fps, cut_s, learnt, served)
