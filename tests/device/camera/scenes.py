"""A drawn scene and what may happen to its camera; not a test."""

from typing import Any

import av
import cv2
import numpy as np

SIZE = (180, 320)


def scene(seed=0):
    """A larger picture that stands still: edges everywhere, in colours."""
    rng = np.random.default_rng(seed)
    picture = np.full((260, 460, 3), 120, np.uint8)
    for _ in range(150):
        x, y = (int(each) for each in rng.integers(0, (440, 240)))
        wide, high = (int(each) for each in rng.integers(8, 50, 2))
        colour = tuple(int(each) for each in rng.integers(30, 230, 3))
        cv2.rectangle(picture, (x, y), (x + wide, y + high), colour, -1)
    return picture


def seen(picture, dx=0, dy=0, noise=1.0, seed=0):
    """What a camera sees of it, from a place; with a sensor's noise."""
    top, left = 40 + dy, 70 + dx
    part = picture[top : top + SIZE[0], left : left + SIZE[1]].astype(np.float32)
    grain = np.random.default_rng(seed).normal(0.0, noise, (*SIZE, 1))
    return np.clip(part + grain, 0, 255).astype(np.uint8)


def crowd(picture, count, share=0.6):
    """Things that move before it, everywhere, over so much of it."""
    rng = np.random.default_rng(1000 + count)
    shown = picture.copy()
    for _ in range(round(share * 60)):
        x, y = (int(each) for each in rng.integers(0, (SIZE[1] - 30, SIZE[0] - 30)))
        colour = tuple(int(each) for each in rng.integers(0, 255, 3))
        cv2.rectangle(shown, (x, y), (x + 24, y + 30), colour, -1)
    return shown


def truck(picture, at):
    """Something large passes, at a place from 0 (not yet there) to 2 (gone)."""
    shown, width = picture.copy(), SIZE[1]
    left = round((at - 1.0) * 1.2 * width)
    cv2.rectangle(shown, (left, 10), (left + width, SIZE[0]), (60, 90, 160), -1)
    for x in range(left, left + width, 40):
        cv2.rectangle(shown, (x, 20), (x + 20, 90), (200, 200, 210), -1)
    return shown


def infrared(picture):
    """Grey, of another contrast."""
    grey = 255.0 * (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) / 255.0) ** 0.8
    return cv2.cvtColor(np.clip(grey, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2BGR)


def sent(picture):
    """As it comes from a camera that sends H.264: yuv420p, and back to BGR."""
    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
    encoder.options = {"crf": "28", "tune": "zerolatency", "preset": "veryfast"}
    packets = [*encoder.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")), *encoder.encode(None)]
    decoder: Any = av.CodecContext.create("h264", "r")
    (frame,) = [each for packet in [*packets, None] for each in decoder.decode(packet)]
    return frame.to_ndarray(format="bgr24")


def dim(picture, gain):
    """With so much of the light."""
    return np.clip(picture * gain, 0, 255).astype(np.uint8)


def blurred(picture, sigma):
    """Out of focus."""
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def web(picture, count):
    """Threads near the lens: bright, out of focus, swaying."""
    rng, veil = np.random.default_rng(3), np.zeros(SIZE, np.float32)
    for _ in range(30):
        x, y, to_x, to_y = rng.uniform(0, 1, 4)
        sway = 0.01 * np.sin(count)
        ends = [(round((each + sway) * SIZE[1]), round(other * SIZE[0])) for each, other in ((x, y), (to_x, to_y))]
        cv2.line(veil, *ends, 1.0, 5)
    veil = 0.8 * np.clip(1.6 * blurred(veil, 5), 0, 1)[..., None]
    return np.clip(picture * (1 - veil) + 220 * veil, 0, 255).astype(np.uint8)
