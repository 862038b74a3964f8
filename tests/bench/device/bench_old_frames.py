"""How old frames are said to be that waited in a socket: a live stream's decoder is stopped for a while, and let go.

python tests/bench/device/bench_old_frames.py [SECONDS]
"""

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import av
import numpy as np
from infilink.device.sources.decoded import DecodedSource
from infilink.device.sources.reader import Opening

FPS = 25
BITS = 12
BAR = 16
BEFORE_S, AFTER_S = 5.0, 5.0


def write_numbered(path: Path, frames: int) -> None:
    """A clip whose pictures show their number, as black and white bars."""
    options = {"g": str(FPS), "bf": "0", "sc_threshold": "0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = BITS * BAR, 48, "yuv420p"
        for number in range(frames):
            bits = (number >> np.arange(BITS)) & 1
            picture = np.tile(np.repeat(bits * 255, BAR)[None, :, None], (48, 1, 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))


def number_of(picture: np.ndarray) -> int:
    """The number that a picture shows."""
    bits = picture[:, BAR // 2 :: BAR].mean(axis=(0, 2)) > 128
    return int((bits << np.arange(BITS)).sum())


def serve(clip: Path, sent_s: list[float]) -> str:
    """Sends a clip's packets at their own pace, with the time of each; returns the address."""
    server = socket.create_server(("127.0.0.1", 0))

    def send() -> None:
        connection, _ = server.accept()
        content, sizes = clip.read_bytes(), []
        with av.open(str(clip)) as container:
            sizes = [packet.pos for packet in container.demux(video=0) if packet.size]
        begun_s = time.monotonic()
        for number, position in enumerate(sizes):
            until = sizes[number + 1] if number + 1 < len(sizes) else len(content)
            time.sleep(max(0.0, begun_s + number / FPS - time.monotonic()))
            sent_s.append(time.monotonic())
            connection.sendall(content[position if number else 0 : until])

    threading.Thread(target=send, daemon=True).start()
    return f"tcp://127.0.0.1:{server.getsockname()[1]}"


def main(stopped_s: float) -> None:
    """Prints how far the times of frames are from when these were sent."""
    seconds = BEFORE_S + stopped_s + AFTER_S
    clip = Path(tempfile.mkdtemp()) / "live.ts"
    write_numbered(clip, round(seconds * FPS))
    sent_s: list[float] = []
    off, waited = [], 0
    with DecodedSource(Opening(serve(clip, sent_s))) as source:
        begun_s, stopped = time.monotonic(), False
        for taken in source:
            off.append(taken.captured_s - sent_s[number_of(taken.value)])
            waited += time.monotonic() - taken.captured_s > 1.0
            if not stopped and time.monotonic() - begun_s > BEFORE_S:
                stopped = True
                assert source.pid is not None
                os.kill(source.pid, signal.SIGSTOP)
                time.sleep(stopped_s)
                os.kill(source.pid, signal.SIGCONT)
                resumed_s = time.monotonic()
            if stopped and time.monotonic() - resumed_s > AFTER_S - 1.0:
                break
    print(
        f"stopped for {stopped_s:.0f} s: {len(off)} frames given, {waited} of them more than 1 s old when taken; "
        f"said to have come {min(off):+.3f} to {max(off):+.3f} s from when they were sent"
    )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
