"""Decodes of a video what its packet gate chooses; all pictures come out in the order in which they are shown."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av

from ...filters.packets.at_work import AtWork
from ...filters.packets.gate import Choice
from ...filters.packets.packet import Packet, References
from .container import Video

_GROUP_BYTES = 2**24
_GROUP_PACKETS = 4096
"""What is kept of a group to be decoded late; of a longer one nothing is, until the next key picture."""
_PATIENCE = 4
"""So many packets may be left out before a decoder that keeps back a picture is emptied: the next one that is decoded
would push it out, and what is emptied forgets its group."""
_NEVER = -(2**62)
_WAITING = 64
"""A picture that has not come out after so many others never will."""
_NO_KEYS = 3
"""So many key pictures, one after another, with which a decoder could not begin, are none."""


@dataclass(slots=True)
class Shown:
    """A picture's place in the order in which pictures are shown.

    Attributes:
        pts: its stamp.
        dts: that of its decoding.
        arrived_s: when its packet arrived.
        choice: what the gate said of it.
        frame: as FFmpeg gave it; None: it was not decoded, or has not come out yet.
        due: whether it is to come out of the decoder.
    """

    pts: int
    dts: int | None
    arrived_s: float
    choice: Choice
    frame: Any = None
    due: bool = False


class GatedDecoder:
    """Decodes what a packet gate chooses, with all that it is made of.

    References that were skipped are decoded late, before the first picture that needs them; pictures that no other is
    made of are left out freely. Where a decoder keeps back a picture that is to be shown, and no other packet follows
    for a while, it is emptied; what comes then of its group is decoded from the key picture on.

    Args:
        video: opened anew, with one thread.
        at_work: chooses, and is told what decoding takes.
        told: called with what the user should know.

    Attributes:
        damaged: whether something damaged came last: then nothing of its group is decoded any more.
    """

    def __init__(self, video: Video, at_work: AtWork, told: Callable[[str], None] = lambda text: None) -> None:
        self.video = video
        self.gate, self.meter = at_work.gate, at_work.meter
        self.damaged = False
        context = video.stream.codec_context
        self._references = References(context.name, context.extradata)
        self._unit_s = float(video.stream.time_base or 1)
        self._shown: dict[int, Shown] = {}
        # All since the key picture that others are made of; so many of them are in the decoder.
        self._group: list[tuple[Any, Packet]] = []
        self._group_bytes = self._done = 0
        self._last = self._last_dts = self._key = _NEVER
        self._moved = self._late = 0
        self._told = told
        # After so many key pictures not all came that was to be decoded; from some on everything is decoded.
        self._no_keys, self._came = 0, False
        # Whether the decoder lacks something of the group before.
        self._open = True

    def frames(self, packets: Iterable[Any]) -> Iterator[Shown]:
        """Every picture of some packets, the last of which is empty, as it can be shown."""
        for packet in packets:
            shown = self.feed(packet, 0.0)
            self.video.damaged += self.damaged
            yield from shown

    def feed(self, packet: Any, arrived_s: float) -> list[Shown]:
        """Takes the next packet; returns the pictures that can be shown now."""
        self.damaged = False
        if not packet.size:
            self._drain()
            return self._take(None)
        if packet.pts is None:
            packet.pts = self._last + 1 if packet.dts is None else packet.dts
        before = self._follow(packet)
        is_key = packet.is_keyframe and self._no_keys < _NO_KEYS
        time_s = (packet.pts + self._moved) * self._unit_s
        seen = Packet(packet.size, is_key, self._references.has(packet), time_s)
        self.meter.seen(seen)
        if seen.key:
            self._begin_group(packet)
        choice = self._choose(packet, seen)
        found = Shown(packet.pts, packet.dts, arrived_s, choice, due=choice.decode)
        if not packet.is_discard:
            self._shown[packet.pts] = found
        self._keep(packet, seen)
        if choice.decode:
            self._catch_up()
            if not seen.reference:
                self._decode(packet, seen)
        now = packet.pts if packet.dts is None else packet.dts
        late = not choice.decode and any(each.due and each.frame is None for each in self._upto(now))
        self._late = self._late + 1 if late else 0
        if self._late > _PATIENCE:
            self._empty()
            self._late = 0
        return [*before, *self._take(now)]

    def _follow(self, packet: Any) -> list[Shown]:
        """Where stamps go back (a camera that was started anew, files that were joined) time goes on.

        What is shown before a key picture from which on that is so comes out now, as its stamps may be there again.
        """
        goes_back = packet.dts is not None and packet.dts < self._last_dts
        before: list[Shown] = []
        if goes_back:
            self._moved += self._last_dts - packet.dts
            if packet.is_keyframe:
                self._empty()
                before, self._group = self._take(None), []
        self._last = packet.pts
        self._last_dts = self._last_dts if packet.dts is None else packet.dts
        return before

    def _choose(self, packet: Any, seen: Packet) -> Choice:
        if (self._key == _NEVER and not seen.key) or self._no_keys >= _NO_KEYS:
            # Some streams have no key pictures, and refresh them bit by bit: then there is nothing to choose.
            return Choice(True, 0.0, 0.0, self.gate.threshold)
        if self._open and packet.pts < self._key:
            # It is shown before its key picture, and made of pictures before that, too.
            return Choice(False, 0.0, 0.0, self.gate.threshold)
        return self.gate.take(seen)

    def _begin_group(self, packet: Any) -> None:
        """At a key picture after what was not decoded whole, the decoder begins as if it had been sought."""
        self._open = self._key == _NEVER or self._done < len(self._group)
        if self._open and self._group:
            self._empty()
            is_lost = any(each.due and each.frame is None for each in self._shown.values())
            self._no_keys = self._no_keys + 1 if is_lost else 0 if self._came else self._no_keys
            if self._no_keys == _NO_KEYS:
                self._told("has no pictures to begin at, as it refreshes them bit by bit: all are decoded from now on")
            # What has not come out by now never will.
            self._shown = {pts: each for pts, each in self._shown.items() if each.frame is not None or not each.due}
        self._key, self._came = packet.pts, False
        self._group, self._group_bytes, self._done = [], 0, 0

    def _keep(self, packet: Any, seen: Packet) -> None:
        """Keeps a packet that others may be made of, so that it can be decoded late."""
        if not seen.reference:
            return
        if self._group_bytes > _GROUP_BYTES or len(self._group) >= _GROUP_PACKETS:
            if self._done < len(self._group):
                self.gate.lose()
                return
            # All of it is in the decoder, and could not be decoded again.
            self._group, self._done = [], 0
        self._group.append((packet, seen))
        self._group_bytes += packet.size

    def _catch_up(self) -> None:
        """Decodes all of the group that is not in the decoder."""
        for packet, seen in self._group[self._done :]:
            self._decode(packet, seen)
            if self.damaged:
                return
        self._done = len(self._group)

    def _decode(self, packet: Any, seen: Packet) -> None:
        begun_s = self.meter.begin(seen)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            frames = []
            self.damaged = True
        self.meter.end(seen, begun_s)
        self._come_out(frames)
        if self.damaged:
            self.gate.lose()
            self._shown.pop(packet.pts, None)

    def _come_out(self, frames: Iterable[Any]) -> None:
        for frame in frames:
            shown = self._shown.get(frame.pts)
            if frame.is_corrupt:
                self.damaged = True
                self._shown.pop(frame.pts, None)
            elif shown is not None and shown.due:
                shown.frame, self._came = frame, True

    def _empty(self) -> None:
        """Has the decoder give all that it keeps back; then it knows nothing of the group any more."""
        self._drain()
        self.video.stream.codec_context.flush_buffers()
        self._done = 0
        self.gate.rewind()

    def _drain(self) -> None:
        try:
            self._come_out(self.video.stream.codec_context.decode(None))
        except av.FFmpegError:
            self.damaged = True

    def _upto(self, stamp: int | None) -> list[Shown]:
        """Those that are shown up to a stamp, in their order; None: all."""
        found = [each for pts, each in self._shown.items() if stamp is None or pts <= stamp]
        return sorted(found, key=lambda each: each.pts) if len(found) > 1 else found

    def _take(self, stamp: int | None) -> list[Shown]:
        """Those up to a stamp that nothing before them is awaited for; no later packet is shown before it."""
        found = []
        for each in self._upto(stamp):
            if each.due and each.frame is None:
                if stamp is not None and len(self._shown) < _WAITING:
                    break
                del self._shown[each.pts]
                continue
            del self._shown[each.pts]
            found.append(each)
        return found
