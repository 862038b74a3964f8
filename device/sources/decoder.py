"""The decoder's process from inside: it opens a source and hands its frames over in shared memory, until it ends."""

import os
import queue
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import cv2

from ...errors import InfilinkError, InvalidInput, Unavailable
from ...filters.packets.at_work import AtWork
from ...filters.packets.gate import Choice
from ...models.shared_memory import SharedArray, SharedWriter
from ...traces.source_name import source_kind
from .reader import Opening, Reader, Taken

SLOTS = 16
"""How many inputs lie in shared memory at most: so many of a recording, if they are small."""

_LEAST_SLOTS = 4
_MOST_BYTES = 2**25

_LAG_S = 2.0
"""A live frame that waited this long for a place is left out: whoever comes back wants to see what is there now."""
_ALIVE_EVERY_S = 2.0
_TOLD_EVERY = 8
"""With one of so many inputs it is told what decoding took."""


@dataclass(frozen=True)
class Handed:
    """A frame that lies in shared memory: in which slot, where, and what it is.

    Attributes:
        slot: it is given back once the frame was taken.
        place: None: the packet gate left it out.
        sequence: as in `Input`, like `captured_s`, `source_s` and `choice`.
        begins: as in `Taken`.
        spent_s: with a packet gate: the processor's time that decoding has taken.
        whole_s: what it would have taken without.
    """

    slot: int
    place: SharedArray | None
    sequence: int
    captured_s: float
    source_s: float | None
    begins: bool = False
    choice: Choice | None = None
    spent_s: float = 0.0
    whole_s: float = 0.0


@dataclass(frozen=True)
class Judged:
    """To the packet gate: what was lost, from 0 to 1, had the answer before a chosen input been held for it."""

    loss: float


@dataclass(frozen=True)
class Steered:
    """To the packet gate: its threshold from now on; whether everything is to be decoded all the same."""

    threshold: float
    whole: bool


@dataclass(frozen=True)
class Told:
    """What the user should know of the source; empty: only that the process is at work."""

    text: str = ""


@dataclass(frozen=True)
class Ended:
    """The source's end, and what ended it, if it was an error."""

    error: InfilinkError | None = None


def slots_of(size_bytes: int) -> int:
    """How many inputs of that size of a recording lie in shared memory at most."""
    return max(_LEAST_SLOTS, min(SLOTS, _MOST_BYTES // max(1, size_bytes)))


def serve_source(opening: Opening, pipe: Connection) -> None:
    """The process's whole life: open the source, then one frame after another."""
    # Ctrl-C reaches the whole group, but is for the program that owns this process.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _silence()
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for slot in range(_LEAST_SLOTS):
        free.put(slot)
    at_work = AtWork.of(opening.gating)
    threading.Thread(target=_take_back, args=(pipe, free, at_work), daemon=True).start()
    error: InfilinkError | None = None
    try:
        reader = _open(opening, pipe, at_work)
        pipe.send(reader.opened)
        _hand_over(reader, free, pipe, at_work)
    except InfilinkError as raised:
        error = raised
    except OSError:
        os._exit(0)  # Nobody listens any more.
    except Exception as raised:  # FFmpeg and OpenCV raise many types of their own
        kind = Unavailable if opening.is_live else InvalidInput
        error = kind(f"{opening.name}: can't be read: {type(raised).__name__}")
    pipe.send(Ended(error))
    # What is handed over lies in this process's memory: its owner ends it when it has seen all.
    threading.Event().wait()


def _open(opening: Opening, pipe: Connection, at_work: AtWork | None) -> Reader:
    # Here, so that whoever starts such a process does not load FFmpeg.
    from .container import open_video
    from .live import CameraReader, StreamReader
    from .pictures import PicturesReader
    from .recording import RecordingReader
    from .sound_files import SoundFilesReader
    from .sound_stream import SoundStreamReader

    alive = _Beat(pipe).alive

    def told(text: str) -> None:
        pipe.send(Told(text))

    if opening.kind == "camera":
        return CameraReader(opening)
    if opening.kind == "images":
        return PicturesReader(opening, told=told, alive=alive)
    if opening.kind == "sound" and source_kind(opening.text) == "file":
        return SoundFilesReader(opening, told=told, alive=alive)
    if opening.kind in ("sound", "microphone"):
        return SoundStreamReader(opening, told=told)
    video = open_video(opening)
    if not video.is_recording:
        return StreamReader(video, opening, told, at_work=at_work)
    return RecordingReader(video, opening, told=told, alive=alive, at_work=at_work)


class _Beat:
    """Says now and then that the process is at work, while there is nothing else to say."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last_s = time.monotonic()

    def alive(self) -> None:
        now_s = time.monotonic()
        if now_s - self._last_s > _ALIVE_EVERY_S:
            self._last_s = now_s
            self._pipe.send(Told())


def _hand_over(reader: Reader, free: "queue.SimpleQueue[int]", pipe: Connection, at_work: AtWork | None = None) -> None:
    """Puts one frame after another into a free place; what was not decoded takes one, too, so that it waits alike."""
    slots = [SharedWriter() for _ in range(SLOTS)]
    count, lost, widened = 0, False, False
    spent_s = whole_s = 0.0
    for taken in reader:
        slot = _place(reader, taken, free)
        if slot is None:
            lost = True
            continue
        place = None
        if taken.frame is not None:
            value = reader.value(taken)
            if not widened and not reader.opened.live:
                # Who waits for whom then changes more seldom.
                for more in range(_LEAST_SLOTS, slots_of(value.nbytes)):
                    free.put(more)
            widened = True
            place = slots[slot].write(value)
        sequence = count if taken.sequence is None else taken.sequence
        count += 1
        if at_work is not None and count % _TOLD_EVERY == 1:
            spent_s, whole_s = at_work.meter.spent_s, at_work.meter.whole_s
        begins = taken.begins or lost
        pipe.send(
            Handed(slot, place, sequence, taken.captured_s, taken.source_s, begins, taken.choice, spent_s, whole_s)
        )
        lost = False


def _place(reader: Reader, taken: Taken, free: "queue.SimpleQueue[int]") -> int | None:
    """A free place for a frame; None if a live one waited for it in vain."""
    if not reader.opened.live:
        return free.get()
    try:
        return free.get(timeout=max(0.0, taken.captured_s + _LAG_S - time.monotonic()))
    except queue.Empty:
        return None


def _take_back(pipe: Connection, free: "queue.SimpleQueue[int]", at_work: AtWork | None) -> None:
    """Hears which places are free again, and what the packet gate is told.

    It ends the process when its owner is gone, whatever that does just then.
    """
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        if isinstance(message, list):
            for slot in message:
                free.put(slot)
        elif at_work is not None and isinstance(message, Judged):
            at_work.gate.judged(message.loss)
        elif at_work is not None and isinstance(message, Steered):
            at_work.gate.threshold, at_work.gate.whole = message.threshold, message.whole


def _silence() -> None:
    """Keeps libraries from writing into the user's terminal: what is wrong is told through the pipe, in one line."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
