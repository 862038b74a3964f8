"""What a phone scans says the address, off a terminal and off a page."""

import re

import cv2
import numpy as np
from infilink.cloud.phones.scanned import as_svg, as_text, with_code

ADDRESS = with_code("https://192.168.100.200:7480/phone/start", "7K2M-9QXD-V4TB-N8RC.q3f6m2")
HALVES = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}


def scanned(light: np.ndarray) -> str:
    """What a scanner reads of a picture: 1 where it is light."""
    picture = np.kron(np.pad(light, 4, constant_values=1), np.full((8, 8), 255)).astype(np.uint8)
    return cv2.QRCodeDetector().detectAndDecode(picture)[0]


def test_the_code_stands_where_no_log_sees_it() -> None:
    assert ADDRESS == "https://192.168.100.200:7480/phone/start#7K2M-9QXD-V4TB-N8RC"


def test_a_terminal_shows_what_can_be_scanned_whatever_its_colours() -> None:
    lines = as_text(ADDRESS, colours=False).splitlines()
    rows = [[HALVES[letter][half] for letter in line] for line in lines for half in (0, 1)]
    assert scanned(np.asarray(rows)) == ADDRESS
    coloured = as_text(ADDRESS, colours=True)
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured).splitlines() == lines
    assert all(line.startswith("\x1b[97;40m") and line.endswith("\x1b[0m") for line in coloured.splitlines())


def test_a_page_shows_the_same() -> None:
    drawn = as_svg(ADDRESS)
    size = int(re.search(r'width="(\d+)"', drawn).group(1)) // 5
    light, x, y = np.ones((size, size), int), 0, 0
    for kind, first, second in re.findall(
        r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?", re.search(r'd="(M4 .*?)"', drawn).group(1)
    ):
        if kind == "M":
            x, y = int(first), int(float(second))
        elif kind == "m":
            x, y = x + int(first), y + int(second)
        else:
            light[y, x : x + int(first)] = 0
            x += int(first)
    assert scanned(light) == ADDRESS
