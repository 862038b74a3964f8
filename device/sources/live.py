"""Reading a live source in the decoder's process: a stream or a camera, each frame with the time of its arrival."""

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import cv2

from ...errors import InfilinkError, InvalidInput, Unavailable
from ...filters.packets.at_work import AtWork
from ...filters.packets.gate import Choice
from ...outputs import Array
from .complaints import Complaints
from .container import Video, decoded
from .gated import GatedDecoder
from .lateness import Lateness
from .reader import FALLBACK_FPS, MAX_PIXELS, Opened, Opening, Taken

_WAITING_BYTES = 2**26
_WAITING_PACKETS = 2048
_REMEMBERED = 64
_KEY_WITHIN_S = 10.0
"""Some streams have no key frames, and refresh their pictures bit by bit: then what comes is taken as it is."""
_PICTURE_WITHIN_S = 20.0
_IDLE_S = 0.5
"""Whoever takes no frame of a camera for so long finds old ones in its driver."""
_BUFFERS = 4
_AT_ONCE_S = 0.004


class StreamReader:
    """Gives the frames of a network stream; a thread reads it, so that nothing waits in a socket while it works.

    What waited there all the same, as nobody ran or the line stood still, keeps the time at which it came (`Lateness`).

    It begins at a key frame, and goes on at the next one after something damaged: what is decoded between them is made
    of pictures that nobody has.

    Args:
        video: the opened stream; this closes it.
        opening: its `seconds` say how long to take frames.
        told: called with what the user should know.
        at_work: the packet gate; None: everything is decoded.
        clock: the time in seconds.
    """

    def __init__(
        self,
        video: Video,
        opening: Opening,
        told: Callable[[str], None] = lambda _: None,
        *,
        at_work: AtWork | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        rate = video.stream.average_rate or video.stream.guessed_rate
        self.opened = Opened(float(rate) if rate and 0 < rate <= 1000 else FALLBACK_FPS, None, True, "read")
        self._video = video
        self._seconds = opening.seconds
        self._complaints = Complaints(told)
        self._waiting = Packets()
        self._gated = None if at_work is None else GatedDecoder(video, at_work, told)
        # By the stamps of their packets, as frames come in another order.
        self._arrivals: dict[int, float] = {}
        self._lateness = Lateness()
        self._clock = clock
        threading.Thread(target=self._read, name="stream", daemon=True).start()

    def __iter__(self) -> Iterator[Taken]:
        """Every frame until `seconds` are over.

        Raises:
            Unavailable: the stream ended, fell silent, or nothing of it can be decoded.
        """
        first_s, last_s, count = None, 0.0, 0
        key_due_s: float | None = None
        waits, picture_due_s = True, None
        for packet, arrived_s in self._waiting:
            picture_due_s = arrived_s + _PICTURE_WITHIN_S if picture_due_s is None else picture_due_s
            if arrived_s > picture_due_s:
                what = f"nothing of it could be decoded for {_PICTURE_WITHIN_S:.0f} s"
                raise Unavailable(f"{self._video.name}: {what}, after {count} frames")
            key_due_s = arrived_s + _KEY_WITHIN_S if waits and key_due_s is None else key_due_s
            waits = waits and not packet.is_keyframe and key_due_s is not None and arrived_s < key_due_s
            if waits and packet.size:
                continue
            key_due_s = None
            shown, damaged = self._decode(packet, arrived_s)
            if damaged:
                waits = True
                self._complaints.add("damaged", "is damaged; it goes on with the next key frame")
            for frame, came_s, choice in shown:
                picture_due_s = None
                last_s = max(last_s, came_s)
                first_s = last_s if first_s is None else first_s
                if self._seconds is not None and last_s - first_s >= self._seconds:
                    return
                yield Taken(frame, last_s, choice=choice)
                count += 1
        raise Unavailable(f"{self._video.name}: the stream ended after {count} frames{self._waiting.why}")

    def value(self, taken: Taken) -> Array:
        """The frame as uint8 BGR."""
        return self._video.picture(taken.frame)

    def _decode(self, packet: Any, arrived_s: float) -> tuple[list[tuple[Any, float, Choice | None]], bool]:
        """What is shown now: frames (None: not decoded), when they arrived, why; and whether something is damaged."""
        if self._gated is not None:
            found = self._gated.feed(packet, arrived_s)
            return [(each.frame, each.arrived_s, each.choice) for each in found], self._gated.damaged
        if packet.pts is not None:
            self._arrivals[packet.pts] = arrived_s
            if len(self._arrivals) > _REMEMBERED:
                del self._arrivals[next(iter(self._arrivals))]
        frames, damaged = decoded(packet)
        whole = [frame for frame in frames if not frame.is_corrupt]
        return [(frame, self._arrivals.pop(frame.pts, arrived_s), None) for frame in whole], damaged

    def _read(self) -> None:
        """Takes every packet as soon as it is there; the thread's whole life."""
        why = ""
        unit_s = self._video.stream.time_base
        try:
            for packet in self._video.packets():
                stamp = packet.pts if packet.dts is None else packet.dts
                stamp_s = None if stamp is None or unit_s is None else float(stamp * unit_s)
                self._waiting.put(packet, self._lateness.arrived(stamp_s, self._clock()))
        except InfilinkError as error:
            why = f" ({str(error).removeprefix(f'{self._video.name}: ')})"
        self._waiting.end(why)


class Packets:
    """Packets that wait to be decoded, with the time of their arrival; too many go, up to the next key frame."""

    def __init__(self) -> None:
        self.why = ""
        self._packets: deque[tuple[Any, float]] = deque()
        self._bytes = 0
        self._ended = False
        self._skipping = False
        self._changed = threading.Condition()

    def put(self, packet: Any, arrived_s: float) -> None:
        """Adds a packet."""
        with self._changed:
            if self._bytes > _WAITING_BYTES or len(self._packets) >= _WAITING_PACKETS:
                self._packets.clear()
                self._bytes, self._skipping = 0, True
            self._skipping = self._skipping and not packet.is_keyframe
            if not self._skipping:
                self._packets.append((packet, arrived_s))
                self._bytes += packet.size
            self._changed.notify()

    def end(self, why: str) -> None:
        """Says that no more will come."""
        with self._changed:
            self.why, self._ended = why, True
            self._changed.notify()

    def __iter__(self) -> Iterator[tuple[Any, float]]:
        """Every packet as it comes."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._packets or self._ended)
                if not self._packets:
                    return
                packet, arrived_s = self._packets.popleft()
                self._bytes -= packet.size
            yield packet, arrived_s


class CameraReader:
    """Gives the frames of a camera of this machine, through OpenCV.

    Args:
        opening: the camera's number or device, with what it is asked for (`/dev/video0?size=1280x720&fps=15`), and how
            long to take frames.

    Raises:
        InvalidInput: it is asked for what is no size or rate.
        Unavailable: it can't be opened.
    """

    def __init__(self, opening: Opening) -> None:
        self.opening = opening
        where, _, asked = opening.text.partition("?")
        self._camera = cv2.VideoCapture(int(where)) if where.isdecimal() else cv2.VideoCapture(where, cv2.CAP_V4L2)
        if not self._camera.isOpened():
            raise Unavailable(
                f"camera {opening.name}: can't be opened; check that it is there and that nobody else uses it"
            )
        _ask(self._camera, opening.name, asked)
        fps = float(self._camera.get(cv2.CAP_PROP_FPS))
        self.opened = Opened(fps if 0 < fps <= 1000 else FALLBACK_FPS, None, True, "read")

    def __iter__(self) -> Iterator[Taken]:
        """Every frame until `seconds` are over.

        Raises:
            Unavailable: the camera gave no more.
        """
        first_s, count, last_s = None, 0, time.monotonic()
        while True:
            if time.monotonic() - last_s > _IDLE_S:
                self._pass_over_old()
            done, image = self._camera.read()
            now_s = last_s = time.monotonic()
            if not done:
                raise Unavailable(f"camera {self.opening.name}: gave no more after {count} frames")
            height, width = image.shape[:2]
            if height * width > MAX_PIXELS:
                raise InvalidInput(
                    f"camera {self.opening.name}: its pictures are {width}x{height}, more than {MAX_PIXELS} pixels: "
                    "ask it for smaller ones (/dev/video0?size=1920x1080)"
                )
            first_s = now_s if first_s is None else first_s
            if self.opening.seconds is not None and now_s - first_s >= self.opening.seconds:
                return
            yield Taken(image, now_s)
            count += 1

    def _pass_over_old(self) -> None:
        """Leaves out what has lain in the driver's buffers since nobody took it: that comes at once."""
        for _ in range(_BUFFERS):
            asked_s = time.monotonic()
            if not self._camera.grab() or time.monotonic() - asked_s > _AT_ONCE_S:
                return

    def value(self, taken: Taken) -> Array:
        """The frame as uint8 BGR."""
        image: Array = taken.frame
        return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)


def _ask(camera: cv2.VideoCapture, name: str, asked: str) -> None:
    """Asks a camera for a size, a rate, a format; it may give what is next to them.

    Raises:
        InvalidInput: they are not written so.
    """
    wanted: dict[int, float] = {}
    for key, value in parse_qsl(asked, keep_blank_values=True):
        if key == "format" and len(value) == 4 and value.isascii():
            wanted[cv2.CAP_PROP_FOURCC] = cv2.VideoWriter.fourcc(*value.upper())
        elif key == "size" and (found := re.fullmatch(r"(\d{2,5})x(\d{2,5})", value)):
            wanted[cv2.CAP_PROP_FRAME_WIDTH], wanted[cv2.CAP_PROP_FRAME_HEIGHT] = float(found[1]), float(found[2])
        elif key == "fps" and re.fullmatch(r"\d{1,3}(\.\d+)?", value) and float(value):
            wanted[cv2.CAP_PROP_FPS] = float(value)
        else:
            raise InvalidInput(
                f"{name}: {key}={value}: write size=WIDTHxHEIGHT, fps=NUMBER, format=MJPG, with & between"
            )
    for each, number in wanted.items():
        camera.set(each, number)
