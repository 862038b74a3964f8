"""The packets of a clip that was recorded, side by side with its trace: what a packet gate is learnt and judged on."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from ...traces.trace import Trace
from .packet import Packet, References
from .policy import PacketCosts

_NEAR = 0.5
"""A picture is an input's if it is shown within so large a part of a step of it."""
_KNOWN = 0.9
"""So many of a trace's inputs must be found in its clip, at least."""


@dataclass(frozen=True)
class PacketRecording:
    """A clip's packets in the order in which they are decoded.

    Attributes:
        packets: one a picture.
        inputs: which input of the trace each is, int64 (packets,); -1: none.
        starts: at which of the packets groups begin, int64.
        decode_s: the processor's time that decoding each took here, with one thread, float64 (packets,).
        codec: FFmpeg's name of it.
    """

    packets: tuple[Packet, ...]
    inputs: Array
    starts: Array
    decode_s: Array
    codec: str

    @property
    def costs(self) -> PacketCosts:
        """What a packet of each type usually takes to decode: the median, as another program may come in between."""
        key = np.asarray([packet.key for packet in self.packets])
        reference = np.asarray([packet.reference for packet in self.packets]) & ~key
        kinds = {"key": key, "reference": reference, "free": ~key & ~reference}
        took_s = {name: float(np.median(self.decode_s[where])) for name, where in kinds.items() if where.any()}
        mean_s = sum(took_s[name] * float(kinds[name].mean()) for name in took_s)
        return PacketCosts(**{name: took_s.get(name, mean_s) / mean_s for name in kinds}, mean_s=mean_s)

    @property
    def group(self) -> float:
        """How many packets a group has, on average."""
        return len(self.packets) / max(1, len(self.starts))


def read_packets(clip: Path, trace: Trace) -> PacketRecording:
    """Reads a clip's packets, decodes each once to see what it takes, and finds the trace's inputs among them.

    Args:
        clip: the video that the trace was recorded from.
        trace: its inputs are found by their times.

    Raises:
        InvalidInput: it is no video, has no times, or is not what the trace was recorded from.
    """
    found: list[Packet] = []
    took: list[float] = []
    try:
        with av.open(f"file:{clip}", metadata_errors="replace") as container:
            stream: Any = container.streams.video[0]
            stream.codec_context.thread_count = 1
            references = References(stream.codec_context.name, stream.codec_context.extradata)
            codec = str(stream.codec_context.name)
            for packet in container.demux(stream):
                stamp = packet.pts if packet.pts is not None else packet.dts
                if not packet.size or stamp is None:
                    continue
                began_s = time.thread_time()
                with suppress(av.FFmpegError):  # a damaged one takes its time, too
                    packet.decode()
                took.append(time.thread_time() - began_s)
                shown_s = float(stamp * stream.time_base)
                found.append(Packet(packet.size, packet.is_keyframe, references.has(packet), shown_s))
    except (av.FFmpegError, OSError, IndexError) as error:
        raise InvalidInput(f"{clip}: not a video whose packets can be read") from error
    if not found or not any(packet.key for packet in found):
        raise InvalidInput(f"{clip}: has no packets with times, or no key pictures: its packets can't be chosen from")
    inputs = _match(np.asarray([packet.time_s for packet in found]), trace)
    if (inputs >= 0).sum() < _KNOWN * len(trace):
        raise InvalidInput(
            f"{clip}: {(inputs >= 0).sum()} of the {len(trace)} inputs of {trace.path} are shown in it: give the clip "
            "that the trace was recorded from (--source)"
        )
    starts = np.flatnonzero([packet.key for packet in found])
    return PacketRecording(tuple(found), inputs, starts, np.asarray(took), codec)


def _match(shown_s: Array, trace: Trace) -> Array:
    """Which input each packet is; times of a trace begin at the first picture."""
    order = np.argsort(shown_s, kind="stable")
    times = shown_s[order] - shown_s.min()
    step_s = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    wanted = np.asarray(trace.captured_s, np.float64)
    at = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
    at = np.where(np.abs(times[at - 1] - wanted) <= np.abs(times[np.minimum(at, len(times) - 1)] - wanted), at - 1, at)
    near = np.abs(times[at] - wanted) <= _NEAR * step_s
    inputs = np.full(len(times), -1, np.int64)
    inputs[order[at[near]]] = np.flatnonzero(near)
    return inputs
