"""What an agent takes of memory: with one, two and three streams of H.264, and over half an hour.

The streams are live-paced, 640x360, with a gate that compares pictures; results are written. The soak reads the memory
every ten seconds, leaves out its first third (at most ten minutes), and says the slope with its upper bound (95 %, by
the means of stretches of two minutes, which are hardly correlated).

python tests/bench/device/bench_memory.py [SOAK_SECONDS]
"""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from agents import agent, find_data, memory, settle, site

_SOAK_S = 1800.0
_SETTLES_S = 600.0
_EVERY_S = 10.0
_STRETCH = 12
_MODELS = ("light_person_detector",)
# Student's t, one-sided 95 %, by degrees of freedom; the normal beyond.
_T = {1: 6.31, 2: 2.92, 3: 2.35, 4: 2.13, 5: 2.02, 6: 1.94, 7: 1.89, 8: 1.86, 9: 1.83, 10: 1.81}


def _streams(clip: Path, folder: Path, count: int) -> dict[str, dict[str, Any]]:
    return {
        f"s{number}": {"source": str(clip), "loop": True, "results": str(folder / f"{number}.sqlite")}
        for number in range(count)
    }


def slope(times_s: list[float], sizes_bytes: list[int]) -> tuple[float, float]:
    """How many bytes more an hour, and the upper bound of that."""
    count = len(sizes_bytes) // _STRETCH
    times_h = np.asarray(times_s[: count * _STRETCH]).reshape(count, _STRETCH).mean(axis=1) / 3600.0
    sizes = np.asarray(sizes_bytes[: count * _STRETCH], float).reshape(count, _STRETCH).mean(axis=1)
    if count < 3:
        return float("nan"), float("nan")
    centred = times_h - times_h.mean()
    found = float(centred @ sizes / (centred @ centred))
    left = sizes - sizes.mean() - found * centred
    error = float(np.sqrt((left @ left) / (count - 2) / (centred @ centred)))
    return found, found + _T.get(count - 2, 1.65) * error


def main(soak_s: float) -> None:
    """Measures."""
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    clip = data / "video" / "table_bottles.mp4"
    top = {"pace": "source", "queue": "latest", "gate": "difference:0.02"}
    print("| streams | processes | proportional set size, MB | if nothing else ran, MB |\n|---|---|---|---|")
    for count in (1, 2, 3):
        with ExitStack() as stack:
            folder, address = stack.enter_context(site(data, _MODELS))
            process = stack.enter_context(agent(folder, address, _streams(clip, folder, count), **top))
            settle(45.0)
            found = memory(process.pid)
        sizes = f"{found.proportional_bytes / 1e6:.0f} | {found.alone_bytes / 1e6:.0f}"
        print(f"| {count} | {found.processes} | {sizes} |", flush=True)
    if soak_s <= 0:
        return
    with site(data, _MODELS) as (folder, address), agent(folder, address, _streams(clip, folder, 1), **top) as process:
        began, times_s, sizes = time.monotonic(), [], []
        while time.monotonic() - began < soak_s:
            time.sleep(_EVERY_S)
            now_s = time.monotonic() - began
            if now_s > min(_SETTLES_S, soak_s / 3):
                times_s.append(now_s)
                # Without pages of libraries: the system reads them in and drops them as others need room.
                sizes.append(memory(process.pid).own_bytes)
    found_slope, bound = slope(times_s, sizes)
    print(
        f"\nsoak of {soak_s:.0f} s: {np.mean(sizes) / 1e6:.1f} MB, {found_slope / 1e6:+.2f} MB an hour, "
        f"at most {bound / 1e6:+.2f}; from {min(sizes) / 1e6:.1f} to {max(sizes) / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else _SOAK_S)
