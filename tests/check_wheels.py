"""Whether everything that a device installs is there as a wheel for each machine: asks the package index, so needs it.

    make check-wheels

Nothing is built, installed or kept; it ends with 1 where something has no wheel.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
# What a system with glibc 2.28 takes: Debian 10, Ubuntu 20.04, Raspberry Pi OS of 2021, RHEL 8 and all after them.
GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")


def wheels(requirements: list[str], *, machine: str, python: str) -> list[str]:
    """The files that pip would install there.

    Raises:
        subprocess.CalledProcessError: something has no wheel that fits.
    """
    platforms = [f"--platform={glibc}_{machine}" for glibc in GLIBC]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms]
        command += [f"--target={folder}", f"--report={report}", "--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*command, *requirements], check=True, capture_output=True, text=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return sorted(unquote(each["download_info"]["url"].rpartition("/")[2]) for each in found)


def main() -> int:
    """Asks for each machine and each version of Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    failed = 0
    for machine in MACHINES:
        for python in PYTHONS:
            try:
                found = wheels(project["dependencies"], machine=machine, python=python)
            except subprocess.CalledProcessError as error:
                failed += 1
                print(f"{machine}, Python {python}: {error.stderr.strip().splitlines()[-1]}")
            else:
                own = sum(f"_{machine}" in name for name in found)
                print(
                    f"{machine}, Python {python}: {len(found)} wheels, {own} of them for this machine, nothing to build"
                )
                if "--list" in sys.argv:
                    print("".join(f"  {name}\n" for name in found), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
