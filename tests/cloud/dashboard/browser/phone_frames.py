"""Frames for the phone's page: the same bytes for the browser and for Python."""

import base64
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from infilink.codec import encode_jpeg

from ....real.data import find_data

BYTES = """
  const bytes = (text) => {
    const plain = atob(text);
    const found = new Uint8Array(plain.length);
    for (let at = 0; at < plain.length; at += 1) found[at] = plain.charCodeAt(at);
    return found;
  };
"""
"""What makes bytes of base64 in the browser, where `Uint8Array.from` takes many times as long for a frame."""

SEES = (
    """
async ({frames, times, pairwise, stepS, kept}) => {
  const { Channels } = await import("/static/phone/channels.js");
"""
    + BYTES
    + """
  const channels = new Channels({ pairwise, stepS });
  return frames.map(([text, width, height], at) => {
    channels.see(bytes(text), 3, width, height, times[at]);
    const pictures = [channels.picture, channels.moved, channels.changed];
    const seen = pictures.map((each) => btoa(String.fromCharCode(...each)));
    const scalars = [...channels.scalars];
    if (kept.includes(at)) channels.kept();
    return [seen, scalars];
  });
}
"""
)
"""What the browser's channels say of frames: picture, moved and changed in base64, and the scalars."""

DECIDES = (
    """
async ({frames, times, spec, scalar}) => {
  const { Filter } = await import("/static/phone/filter.js");
"""
    + BYTES
    + """
  const filter = new Filter(spec, { inputs: {}, run: async ({ scalars }) => ({ score: [scalars.data[scalar]] }) });
  const found = [];
  for (const [at, [text, width, height]] of frames.entries()) {
    const { keep, score } = await filter.decide(bytes(text), 3, width, height, times[at]);
    found.push([keep, score]);
  }
  return found;
}
"""
)
"""What the browser decides with a filter whose graph gives one of the scalars."""


def sent(frames: Sequence[np.ndarray]) -> list[tuple[str, int, int]]:
    """Frames (BGR) as the page takes them: RGB bytes, width, height."""
    found = []
    for frame in frames:
        rgb = np.ascontiguousarray(frame[..., ::-1])
        found.append((base64.b64encode(rgb).decode(), frame.shape[1], frame.shape[0]))
    return found


def made(width: int, height: int, *, count: int = 5, seed: int = 0) -> list[np.ndarray]:
    """A square that moves over a blurred backdrop, with noise."""
    random = np.random.default_rng(seed)
    backdrop = cv2.GaussianBlur(random.integers(0, 256, (height, width, 3)).astype(np.float32), (0, 0), 3)
    frames = []
    for i in range(count):
        image = backdrop + random.normal(0, 4, backdrop.shape)
        left = width * i // (2 * count)
        image[height // 3 : height // 2, left : left + width // 5] = (250, 245, 235)
        frames.append(image.clip(0, 255).astype(np.uint8))
    return frames


def write_camera(path: Path) -> Path:
    """What the browser takes for its camera's pictures, in a circle: a square that moves, and rests."""
    moving = made(320, 180, count=20)
    path.write_bytes(b"".join(encode_jpeg(frame, 90) for frame in moving + [moving[-1]] * 20))
    return path


def clip(name: str, *, count: int = 5, every: int = 6) -> list[np.ndarray]:
    """Frames of a real clip (BGR); skips where there is no data folder."""
    data = find_data()
    if data is None:
        pytest.skip("no data folder (set INFILINK_DATA)")
    with av.open(str(data / "video" / name)) as container:
        frames = islice(container.decode(video=0), 0, count * every, every)
        return [frame.to_ndarray(format="bgr24") for frame in frames]
