"""Kept pictures as H.264 or as JPEGs, whichever takes less here: what is measured on the stream decides."""

import logging
import time
from typing import Any

from ...protos import edge_pb2
from ...protos.payloads import MOST_VIDEO_PIXELS
from ...units import format_bytes
from ..sources.base import Input
from .chains import ChainStore
from .payload_encoder import Encoded, JpegEncoder
from .video_settings import VideoSettings

logger = logging.getLogger(__name__)

# One of so many kept pictures is made a JPEG, too, only to compare; after so many the two are compared.
_COMPARE_EVERY, _JUDGE_AFTER = 32, 16
# JPEGs that have won are sent for so many pictures, twice as many each time, before H.264 is tried again.
_JPEGS_AT_FIRST, _MOST_JPEGS = 128, 4096
_MOST_CHAIN_BYTES = 2**20
# x264's, the second where the first takes too much time, which is some three times as much.
_PRESETS, _PRESET_FACTOR = ("veryfast", "ultrafast"), 4


class VideoEncoder(JpegEncoder):
    """Pictures travel as H.264 where that takes less than JPEGs, or wherever it can.

    Args:
        settings: of H.264.
        quality: of JPEGs.
        only: whether H.264 is sent whatever it takes; otherwise what is measured decides.
    """

    chains: ChainStore

    def __init__(self, settings: VideoSettings, quality: int, *, only: bool = False) -> None:
        super().__init__(quality)
        self.settings = settings
        self.only = only
        self.chains = ChainStore(quality)
        self.counts = {"h264": 0, "jpeg": 0}
        self.sizes_bytes = {"h264": 0, "jpeg": 0}
        self.encode_s = 0.0
        self._writer: Any = None
        self._chain = 0
        self._preset = 0
        self._jpegs_left, self._jpegs_next = 0, _JPEGS_AT_FIRST
        self._trial = _Trial()
        # How many pictures the chain may have, and has in the end, if it goes on as it did.
        self._most = self._usual = settings.chain

    @property
    def takes_long(self) -> bool:
        """Of H.264, some ten milliseconds."""
        return self.chains.is_taken

    def encode(self, taken: Input) -> Encoded:
        """What travels of a picture."""
        height, width = taken.value.shape[:2]
        if not self.chains.is_taken or self._jpegs_left or width * height > MOST_VIDEO_PIXELS:
            self._jpegs_left = max(0, self._jpegs_left - 1)
            return self._count("jpeg", super().encode(taken))
        if self._is_over(width, height):
            self._begin(width, height, taken.sequence)
        began_s = time.thread_time()
        packet = self._writer.write(taken.value)
        took_s = time.thread_time() - began_s
        place = self.chains.add(taken.sequence, self._chain, packet)
        chunk = edge_pb2.Chunk(chain=self._chain, place=place, packets=[packet], width=width, height=height)
        self.encode_s += took_s
        self._trial.add(taken.captured_s, len(packet), took_s)
        if not self.only:
            if place % _COMPARE_EVERY == 0:
                self._trial.jpegs_bytes.append(len(self.encode_alone(taken.value)))
            self._judge()
        return self._count("h264", Encoded(edge_pb2.ENCODING_H264, chunk.SerializeToString()))

    def log_summary(self) -> None:
        """Logs what travelled as what."""
        if self.counts["h264"]:
            told = " and ".join(
                f"{count} as {name} of {format_bytes(self.sizes_bytes[name] / count)} on average"
                for name, count in self.counts.items()
                if count
            )
            logger.info("sent %s; encoding took %.1f ms each", told, 1000 * self.encode_s / self.counts["h264"])

    def _is_over(self, width: int, height: int) -> bool:
        """Whether the chain ends before a picture of this size."""
        writer, trial = self._writer, self._trial
        if writer is None or self.chains.is_broken or (width, height) != (writer.width, writer.height):
            return True
        return trial.count >= self._most or trial.size_bytes >= _MOST_CHAIN_BYTES

    def _begin(self, width: int, height: int, sequence: int) -> None:
        # Late: FFmpeg takes memory that agents of other inputs need not hold.
        from ...protos.video import PictureWriter, most_packets

        self._most = min(self.settings.chain, most_packets(width, height))
        self._usual = self._trial.count if self.chains.is_broken and self._trial.count else self._most
        self.chains.is_broken = False
        if self._trial.cpu_share < self.settings.cpu_share / _PRESET_FACTOR:
            self._preset = 0
        self._writer = PictureWriter(width, height, crf=self.settings.crf, preset=_PRESETS[self._preset])
        self._chain, self._trial = sequence, _Trial()

    def _judge(self) -> None:
        """Turns to JPEGs for a while where they take less, or where encoding takes more time than it may."""
        trial = self._trial
        if trial.count % _JUDGE_AFTER:
            return
        why = ""
        mean_bytes = trial.mean_bytes(self._usual)
        if mean_bytes > trial.mean_jpeg_bytes:
            why = f"{format_bytes(mean_bytes)} a picture, and a JPEG {format_bytes(trial.mean_jpeg_bytes)}"
        elif trial.cpu_share > self.settings.cpu_share and self._preset < len(_PRESETS) - 1:
            # Far fewer bytes than JPEGs take, for hardly more time.
            self._preset, self._writer = self._preset + 1, None
        elif trial.cpu_share > self.settings.cpu_share:
            why = f"{trial.cpu_share:.0%} of a core, more than `video.cpu_share`"
        if why:
            self._writer = None
            self._jpegs_left, self._jpegs_next = self._jpegs_next, min(2 * self._jpegs_next, _MOST_JPEGS)
            logger.info("H.264 takes %s: the next %d kept pictures are sent as JPEGs", why, self._jpegs_left)
        else:
            self._jpegs_next = _JPEGS_AT_FIRST

    def _count(self, name: str, encoded: Encoded) -> Encoded:
        self.counts[name] += 1
        self.sizes_bytes[name] += len(encoded.payload)
        return encoded


class _Trial:
    """What one chain has taken."""

    def __init__(self) -> None:
        self.count = self.size_bytes = self._first_bytes = 0
        self.jpegs_bytes: list[int] = []
        self._took_s = 0.0
        self._from_s = self._to_s = 0.0

    def add(self, captured_s: float, size_bytes: int, took_s: float) -> None:
        if not self.count:
            self._from_s, self._first_bytes = captured_s, size_bytes
        self._to_s = captured_s
        self.count += 1
        self.size_bytes += size_bytes
        self._took_s += took_s

    def mean_bytes(self, usual: int) -> float:
        """Of a picture, once the chain has as many as is usual: the first one takes more than the others."""
        count = max(usual, self.count)
        rest = (self.size_bytes - self._first_bytes) / max(1, self.count - 1)
        return (self._first_bytes + rest * (count - 1)) / count

    @property
    def mean_jpeg_bytes(self) -> float:
        return sum(self.jpegs_bytes) / len(self.jpegs_bytes)

    @property
    def cpu_share(self) -> float:
        """Of the time between the first picture and the last; 0 where they have no times."""
        span_s = (self._to_s - self._from_s) * self.count / max(1, self.count - 1)
        return self._took_s / span_s if span_s > 0 else 0.0
