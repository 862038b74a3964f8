"""Recording a site: several cameras at once, each into a trace of its own, with one process a model for all of them."""

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from ..errors import InfilinkError, InvalidInput, Unavailable
from ..filters.rules.zones import Points
from ..reporting import Progress
from ..traces.site import SUFFIX
from ..traces.trace import Recording
from .record import CameraRecording, RecordedModels, Stretch
from .sources.cut import WHOLE, Cut

logger = logging.getLogger(__name__)

# Ctrl-C that the system gives to another thread does not wake the one that waits for all cameras.
_TURN_S = 0.5


@dataclass(frozen=True)
class SiteRecording:
    """What was recorded of several cameras.

    Attributes:
        recorded: the traces of the cameras that were recorded to their end.
        failures: what ended the others; what they gave before is in their traces.
    """

    recorded: Mapping[str, Recording]
    failures: Mapping[str, InfilinkError]

    def raise_failures(self) -> None:
        """Raises what ended some cameras, if anything did.

        Raises:
            Unavailable: live sources ended, and nothing else was wrong.
            InvalidInput: anything else was wrong.
        """
        if not self.failures:
            return
        kind = Unavailable if all(isinstance(each, Unavailable) for each in self.failures.values()) else InvalidInput
        texts = {str(error) for error in self.failures.values()}
        if not self.recorded and len(texts) == 1:
            raise kind(texts.pop())
        raise kind("; ".join(f"camera {name}: {error}" for name, error in self.failures.items()))


def record_site(
    sources: Mapping[str, str],
    models: dict[str, Path],
    out: Path,
    *,
    start_s: float = 0.0,
    seconds: float | None = None,
    every: int = 1,
    cut: Cut = WHOLE,
    masks: Mapping[str, tuple[Points, ...]] = MappingProxyType({}),
    named: bool = False,
    progress: Progress | None = None,
) -> SiteRecording:
    """Records several sources at once, each as `record` does, with one process a model for all of them.

    They may be of several kinds: the models of its kind look at each. A camera that fails leaves the others alone.

    Args:
        sources: each camera's source, by its name.
        models: each model's file, by its name.
        out: the folder for the traces, `NAME.trace` each.
        start_s: as for `record`, of each source; so are the others.
        seconds: how much of each source to record; None: all of it.
        every: one of this many inputs is recorded.
        cut: as for `record`, of each source; so is `named`.
        masks: what is black in a camera's pictures, by its name.
        named: whether a person has named these very models.
        progress: called with the share that is done of all cameras, and what is being done.

    Raises:
        InvalidInput: `every` is below 1.
    """
    cameras = {}
    for name, source in sources.items():
        stretch = Stretch(start_s, seconds, every, cut, masks.get(name, ()))
        cameras[name] = CameraRecording(source, out / f"{name}{SUFFIX}", stretch)
    done = _Done(list(cameras), progress or (lambda _share, _text: None))
    with ExitStack() as stack:
        shared = stack.enter_context(RecordedModels(models, [each.out for each in cameras.values()], named=named))
        threads = stack.enter_context(ThreadPoolExecutor(max(1, len(cameras)), "camera"))
        futures = {
            name: threads.submit(done.recording, name, partial(camera.record, shared))
            for name, camera in cameras.items()
        }
        try:
            while wait(futures.values(), timeout=_TURN_S).not_done:
                pass
        except BaseException:
            for camera in cameras.values():
                camera.stop()
            raise
    found = {name: future.result() for name, future in futures.items()}
    return SiteRecording(
        {name: each for name, each in found.items() if isinstance(each, Recording)},
        {name: each for name, each in found.items() if not isinstance(each, Recording)},
    )


class _Done:
    """How far the recordings of several cameras are, as one share.

    Args:
        cameras: their names.
        progress: called with the share that is done of all of them.
    """

    def __init__(self, cameras: list[str], progress: Progress) -> None:
        self.progress = progress
        self._shares = dict.fromkeys(cameras, 0.0)
        self._lock = threading.Lock()

    def recording(self, camera: str, work: Callable[[Progress], Recording]) -> Recording | InfilinkError:
        """Records one camera; what goes wrong there is told and returned."""
        try:
            recording = work(lambda share, text: self._report(camera, share, text))
        except InfilinkError as error:
            logger.warning("camera %s: %s", camera, error)
            self._report(camera, 1.0, "ended")
            return error
        self._report(camera, 1.0, "done")
        return recording

    def _report(self, camera: str, share: float, text: str) -> None:
        with self._lock:
            self._shares[camera] = share
            self.progress(sum(self._shares.values()) / len(self._shares), f"{camera}: {text}")
