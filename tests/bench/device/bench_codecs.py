"""Whether another codec than H.264 and JPEG would be ahead for kept pictures: bytes and time at the same PSNR.

python tests/bench/device/bench_codecs.py [--pictures 40] [CLIP ...]

Needs the data folder of tests/real. A clip's pictures are one a second, encoded in order by one thread, each at once
(as a kept picture has to be). Beside x264 as the agent runs it (`video.crf`, veryfast) stand HEVC (x265) and AV1
(SVT-AV1); beside JPEGs of quality 90 WebP and AVIF. Bytes at the same PSNR are interpolated between four qualities.
PSNR is not what models see; it is enough to tell what is not ahead.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[2]))

from infilink.device.uplink.video_settings import VideoSettings
from real.data import find_data

CLIPS = ("shop_produce", "night_billboards", "parking_cars")
Pictures = list[npt.NDArray[np.uint8]]
Point = tuple[float, float, float]
"""Bytes a picture, PSNR in dB, milliseconds of a processor a picture."""

_X265 = {"tune": "zerolatency", "x265-params": "log-level=none:pools=none:frame-threads=1"}
# Per codec: its decoder, its options but for the quality, and what is added to x264's crf.
_VIDEO: dict[str, tuple[str, str, dict[str, str], int]] = {
    "HEVC, x265 ultrafast": ("libx265", "hevc", {"preset": "ultrafast", **_X265}, 0),
    "HEVC, x265 veryfast": ("libx265", "hevc", {"preset": "veryfast", **_X265}, 0),
    "AV1, SVT preset 10": ("libsvtav1", "libdav1d", {"preset": "10", "svtav1-params": "pred-struct=1:lp=1"}, 8),
}
_STILL = {
    "WebP": (".webp", cv2.IMWRITE_WEBP_QUALITY, (60, 75, 85, 92, 97)),
    "AVIF": (".avif", cv2.IMWRITE_AVIF_QUALITY, (50, 65, 80, 90)),
}


def _pictures(clip: Path, count: int) -> Pictures:
    found: Pictures = []
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        step = max(1, round(float(stream.average_rate or 25)))
        for number, frame in enumerate(container.decode(stream)):
            if number % step == 0:
                picture = frame.to_ndarray(format="bgr24")
                found.append(np.ascontiguousarray(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]))
            if len(found) == count:
                break
    return found


def _psnr(pictures: Iterable[Any], arrived: Iterable[Any]) -> float:
    errors = [np.mean((one.astype(np.float32) - other) ** 2) for one, other in zip(pictures, arrived, strict=True)]
    return float(np.mean(10.0 * np.log10(255.0**2 / np.maximum(errors, 1e-6))))


def _as_video(pictures: Pictures, encoder: str, decoder: str, options: dict[str, str]) -> Point:
    context: Any = av.CodecContext.create(encoder, "w")
    context.height, context.width = pictures[0].shape[:2]
    context.pix_fmt, context.time_base, context.framerate = "yuv420p", Fraction(1, 25), Fraction(25, 1)
    context.gop_size, context.thread_count, context.options = 1000, 1, options
    began, packets = time.process_time(), []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    spent_ms = 1000.0 * (time.process_time() - began) / len(pictures)
    reader: Any = av.CodecContext.create(decoder, "r")
    arrived = [frame.to_ndarray(format="bgr24") for packet in [*packets, None] for frame in reader.decode(packet)]
    return sum(packet.size for packet in packets) / len(pictures), _psnr(pictures, arrived), spent_ms


def _as_stills(pictures: Pictures, ending: str, flag: int, quality: int) -> Point:
    began = time.process_time()
    encoded = [cv2.imencode(ending, picture, [flag, quality])[1] for picture in pictures]
    spent_ms = 1000.0 * (time.process_time() - began) / len(pictures)
    arrived = [cv2.imdecode(each, cv2.IMREAD_COLOR) for each in encoded]
    return float(np.mean([len(each) for each in encoded])), _psnr(pictures, arrived), spent_ms


def _beside(reference: Point, measure: Callable[[int], Point], qualities: Iterable[int]) -> tuple[float, float]:
    """The share of the reference's bytes at its PSNR, and milliseconds."""
    points = sorted(map(measure, qualities), key=lambda point: point[1])
    sizes, psnrs, times = (np.asarray(each) for each in zip(*points, strict=True))
    return float(np.exp(np.interp(reference[1], psnrs, np.log(sizes)))) / reference[0], float(np.mean(times))


def main(clips: list[str], count: int) -> None:
    """Measures."""
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    table = Table("clip", "codec", "of", "share of its bytes", "ms a picture", "beside", title="At the same PSNR")
    for name in clips:
        pictures = _pictures(data / "video" / f"{name}.mp4", count)
        options = {"crf": str(VideoSettings().crf), "preset": "veryfast", "tune": "zerolatency"}
        x264 = _as_video(pictures, "libx264", "h264", options)
        for codec, (encoder, decoder, fixed, added) in _VIDEO.items():
            if encoder not in av.codecs_available:
                continue

            def measure(crf: int, codec: tuple[str, str] = (encoder, decoder), fixed: Any = fixed) -> Point:
                return _as_video(pictures, *codec, {**fixed, "crf": str(crf)})  # noqa: B023 (used at once)

            share, spent_ms = _beside(x264, measure, [crf + added for crf in (16, 20, 24, 28)])
            table.add_row(name, codec, "x264", f"{share:.2f}", f"{spent_ms:.1f}", f"{x264[2]:.1f}")
        jpeg = _as_stills(pictures, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 90)
        table.add_row(name, "x264", "JPEG 90", f"{x264[0] / jpeg[0]:.2f}", f"{x264[2]:.1f}", f"{jpeg[2]:.1f}")
        for codec, (ending, flag, qualities) in _STILL.items():

            def measured(quality: int, ending: str = ending, flag: int = flag) -> Point:
                return _as_stills(pictures, ending, flag, quality)  # noqa: B023 (used at once)

            share, spent_ms = _beside(jpeg, measured, qualities)
            table.add_row(name, codec, "JPEG 90", f"{share:.2f}", f"{spent_ms:.1f}", f"{jpeg[2]:.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="*", default=[*CLIPS])
    parser.add_argument("--pictures", type=int, default=40)
    arguments = parser.parse_args()
    main(arguments.clips, arguments.pictures)
