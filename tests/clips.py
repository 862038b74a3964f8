"""Clips of every kind, made with PyAV where a test asks for one, and a server that streams one."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import av
import numpy as np

SIZE = (64, 48)
# Milliseconds, as WebM has them; all other containers are as exact.
_TIME_BASE = Fraction(1, 1000)


def brightness(index: int) -> int:
    """Of a clip's frame `index`."""
    return 10 + 7 * index % 240


def write_clip(
    path: Path,
    times_s: Sequence[float] | None = None,
    *,
    frames: int = 30,
    fps: int = 10,
    codec: str = "libx264",
    form: str | None = None,
    size: tuple[int, int] = SIZE,
    rotation: int = 0,
    **options: str,
) -> Path:
    """A clip whose frames differ in brightness (see `brightness`).

    Args:
        path: the file; its ending names the container, if `form` does not.
        times_s: when each frame is shown; None: `frames` of them, evenly.
        frames: how many.
        fps: frames per second.
        codec: FFmpeg's name of the encoder.
        form: FFmpeg's name of the container.
        size: width and height.
        rotation: degrees by which a player is to turn it, counterclockwise.
        options: of the encoder.
    """
    times_s = [index / fps for index in range(frames)] if times_s is None else times_s
    with av.open(str(path), "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=fps, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "bgr24" if codec == "rawvideo" else "yuv420p"
        base = Fraction(1, fps) if codec in ("mjpeg", "rawvideo", "mpeg4", "mpeg2video") else _TIME_BASE
        stream.codec_context.time_base = stream.time_base = base
        if rotation:
            stream.set_display_rotation(rotation)
        for index, time_s in enumerate(times_s):
            picture = np.full((size[1], size[0], 3), brightness(index), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = round(time_s / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Stream:
    """Sends a clip to everybody who connects, at once and to its end; a live source with an address of its own.

    Attributes:
        content: what is sent; None: whoever connects is sent away.
        address: where it is.
    """

    def __init__(self, content: bytes | None) -> None:
        self.content = content
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.sendall(self.content or b"")
                except OSError:
                    continue


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """Serves a folder's files; the address of the folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
