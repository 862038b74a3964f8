"""Reading a recording in the decoder's process: its frames with their numbers and times, from any place on."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from ...errors import InvalidInput
from ...filters.packets.at_work import AtWork
from ...outputs import Array
from .complaints import Complaints
from .container import Video
from .gated import GatedDecoder, Shown
from .reader import FALLBACK_FPS, Opened, Opening, Taken
from .stamps import read_stamps
from .times import RecordingTimes

_NEAR_S = 0.002
"""Some containers keep whole milliseconds: a time that is asked for means a frame that is so near, too."""
_WHOLE_SHARE = 0.9
_WHOLE_SHARE_GUESSED = 0.75
"""Where the container does not count its frames, but says how long it is."""


class RecordingReader:
    """Gives a recording's frames, one after another.

    Args:
        video: the opened recording; this closes it.
        opening: which part of it to give.
        told: called with what the user should know.
        alive: called now and then while no frame is given.
        at_work: the packet gate; None: everything is decoded.

    Raises:
        InvalidInput: no frame can be decoded, or none stands at `start_s`.
    """

    def __init__(
        self,
        video: Video,
        opening: Opening,
        *,
        told: Callable[[str], None],
        alive: Callable[[], None],
        at_work: AtWork | None = None,
    ) -> None:
        self.opening = opening
        self._video = video
        self._told = told
        self._complaints = Complaints(told)
        self._alive = alive
        self._given = 0
        self._passed = 0
        self._reached_s = 0.0
        self._stamps = read_stamps(video)
        read = self._stamps.origin is not None
        self.opened = Opened(self._stamps.fps, self._count(), False, "read" if read else "invented")
        if not read:
            told(
                f"has no times of its own: {FALLBACK_FPS:g} frames a second is a guess, and nothing can be certified "
                "from it; give it its true rate: `ffmpeg -r RATE -i IN -c copy OUT.mp4`"
            )
        # Without stamps nobody knows in which order pictures are shown that were not decoded.
        self._at_work = None if self._stamps.origin is None or self._stamps.by_decoding else at_work
        if at_work is not None and self._at_work is None:
            told("its packets don't say when they are shown: all are decoded, `[packets]` is left aside")
        self._frames = self._laps()
        self._first = next(self._frames, None)
        if self._first is None:
            raise InvalidInput(f"{opening.name}: ends before `start_s` {opening.start_s:g}, at {self._reached_s:.2f} s")

    def __iter__(self) -> Iterator[Taken]:
        """Every frame that was asked for; once."""
        assert self._first is not None
        yield self._first
        yield from self._frames
        self._complaints.finish()
        if not self.opening.loop and self.opening.seconds is None:
            self._warn_if_short()

    def _warn_if_short(self) -> None:
        """Says so if the recording ended long before its container says; what an edit list hides is no loss."""
        video = self._video
        if video.counted:
            passed = self._passed + video.hidden
            if passed < _WHOLE_SHARE * video.counted:
                self._told(f"ended after {passed} frames of {video.counted}; is it whole?")
        elif self._reached_s + 1.0 / self._stamps.fps < _WHOLE_SHARE_GUESSED * (video.duration_s or 0.0):
            self._told(f"ended at {self._reached_s:.2f} s of {video.duration_s:.2f} s; is it whole?")

    def value(self, taken: Taken) -> Array:
        """The frame as uint8 BGR."""
        return self._video.picture(taken.frame)

    def _count(self) -> int | None:
        """About how many frames there will be."""
        opening, fps = self.opening, self._stamps.fps
        if opening.loop:
            return None if opening.seconds is None else max(1, round(opening.seconds * fps))
        frames = self._video.stream.frames or round((self._video.duration_s or 0.0) * fps)
        if not frames or (opening.seconds is None and not opening.start_s):
            return int(frames) or None
        rest_s = max(0.0, frames / fps - opening.start_s)
        return max(1, round(fps * (rest_s if opening.seconds is None else min(rest_s, opening.seconds))))

    def _laps(self) -> Iterator[Taken]:
        """Every frame, again and again if it loops; times rise by the length of what was played."""
        opening, step_s = self.opening, 1.0 / self._stamps.fps
        end_s = float("inf") if opening.seconds is None else opening.start_s + opening.seconds - _NEAR_S
        first, moved_s, playing = 0, 0.0, True
        while playing:
            lap: list[float] = []
            for number, time_s, frame in self._pass():
                if self._given and moved_s + time_s >= end_s:
                    return
                if not self._given:
                    first = number
                elif lap and time_s > lap[-1]:
                    step_s = time_s - lap[-1]
                lap = [lap[0] if lap else time_s, time_s]
                shown = frame.frame if isinstance(frame, Shown) else frame
                choice = frame.choice if isinstance(frame, Shown) else None
                yield Taken(shown, moved_s + time_s, time_s, first + self._given, choice=choice)
                self._given += 1
            if lap:
                moved_s += lap[-1] + step_s - lap[0]
            playing = opening.loop and bool(lap)

    def _pass(self) -> Iterator[tuple[int, float, Any]]:
        """Every frame from `start_s` to the end: its number, its time, itself.

        Each time is decided with a look at the next frame's stamp.
        """
        stamps = self._stamps
        times = RecordingTimes(stamps.origin, stamps.unit_s, 1.0 / stamps.fps, self._told)
        number, frames = self._begin()
        damaged, before = self._video.damaged, next(frames, None)
        while before is not None:
            frame = next(frames, None)
            for _ in range(self._video.damaged - damaged):
                at = f"at about {self._reached_s:.2f} s"
                self._complaints.add("damaged", f"is damaged {at}; what its decoder makes of it is taken")
            damaged = self._video.damaged
            time_s = times.take(stamps.of(before), None if frame is None else stamps.of(frame))
            self._reached_s, self._passed = time_s, number + 1
            if time_s >= self.opening.start_s - _NEAR_S:
                yield number, time_s, before
            else:
                self._alive()
            number, before = number + 1, frame

    def _begin(self) -> tuple[int, Iterator[Any]]:
        """The frames from the key frame before `start_s` on, or from the beginning; and the first one's number."""
        self._video.reopen()
        if self.opening.start_s:
            target = self._stamps.at(self.opening.start_s - _NEAR_S)
            before = self._stamps_before(target)
            if before is not None and self._video.seek(target):
                frames = self._pictures()
                first = next(frames, None)
                if first is not None and first.pts is not None and first.pts <= target:
                    return bisect_left(before, first.pts), chain([first], frames)
            self._video.reopen()
        return 0, self._pictures()

    def _pictures(self) -> Iterator[Any]:
        """What comes from here on: frames; with a packet gate, what is shown, decoded or not."""
        if self._at_work is None:
            return self._video.frames()
        return GatedDecoder(self._video, self._at_work, self._told).frames(self._video.packets())

    def _stamps_before(self, target: int) -> list[int] | None:
        """The stamps of all frames before one, in order, without decoding any; None: they can't be relied on."""
        stamps = self._stamps
        if stamps.origin is None or stamps.by_decoding:
            return None
        found, last = array("q"), stamps.origin - 2**62
        hides = self._video.stream.codec_context.name == "vp8"
        for packet in self._video.packets():
            self._alive()
            if not packet.size:
                continue
            if packet.pts is None or packet.dts is None or packet.dts < last:
                return None
            last = packet.dts
            if last >= target:
                break
            # A picture that others are made of and that is never shown itself.
            if packet.pts < target and not packet.is_discard and not (hides and not bytes(packet)[0] & 0x10):
                found.append(packet.pts)
        return sorted(found)
