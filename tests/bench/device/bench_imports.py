"""How long imports take, and what an install takes of the disk, package by package.

Each import is timed in processes of their own, the fastest of several: what else runs here only adds to it. The
byte code is written first, as an install does. With --install the base package is installed into a fresh environment.

python tests/bench/device/bench_imports.py [--install]
"""

import compileall
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

_PACKAGE = Path(__file__).parents[3]
_TRIES = 10
_WHAT = {
    "python alone": ["-c", "pass"],
    "import infilink.device": ["-c", "import infilink.device"],
    "infilink device --help": ["-m", "infilink.cli", "device", "--help"],
    "import infilink.device.agent": ["-c", "import infilink.device.agent"],
    "its libraries alone": ["-c", "import numpy, cv2, onnxruntime, grpc, psutil; from pydantic import BaseModel"],
}


def _fastest_s(arguments: list[str]) -> tuple[float, float]:
    """Wall-clock and processor seconds."""
    walls, cpus = [], []
    for _ in range(_TRIES):
        began, before = time.perf_counter(), os.times()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        walls.append(time.perf_counter() - began)
        spent = after.children_user + after.children_system
        cpus.append(spent - before.children_user - before.children_system)
    return min(walls), min(cpus)


def _install() -> None:
    with tempfile.TemporaryDirectory(prefix="infilink-install-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        (packages,) = Path(folder).glob("lib/python*/site-packages")
        before = {path.name for path in packages.iterdir()}
        subprocess.run([python, "-m", "pip", "install", "-q", str(_PACKAGE)], check=True)
        sizes = {
            path.name: sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
            for path in packages.iterdir()
            if path.name not in before and path.is_dir()
        }
        print(f"\ninstalled: {sum(sizes.values()) / 1e6:.0f} MB\n\n| what | MB |\n|---|---|")
        for name, size in sorted(sizes.items(), key=lambda each: -each[1]):
            if size > 1e6:
                print(f"| {name} | {size / 1e6:.0f} |")


def main(install: bool) -> None:
    """Measures."""
    compileall.compile_dir(_PACKAGE, quiet=1, rx=None, maxlevels=6)
    print("| what | s | s of a processor |\n|---|---|---|")
    for name, arguments in _WHAT.items():
        wall_s, cpu_s = _fastest_s(arguments)
        print(f"| {name} | {wall_s:.2f} | {cpu_s:.2f} |", flush=True)
    if install:
        _install()


if __name__ == "__main__":
    main("--install" in sys.argv)
