"""`make bench`: runs every benchmark in a process of its own, one after the other, and prints their tables.

Name parts of file names to run only those: `make bench ARGS="decide planner"`.
"""

import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent


def main(wanted: list[str]) -> int:
    failed = []
    for path in sorted(FOLDER.rglob("bench_*.py")):
        name = str(path.relative_to(FOLDER))
        if wanted and not any(part in name for part in wanted):
            continue
        print(f"\n## {name}\n", flush=True)
        started = time.perf_counter()
        if subprocess.run([sys.executable, str(path)], check=False).returncode != 0:
            failed.append(name)
        print(f"\n({time.perf_counter() - started:.0f} s)", flush=True)
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
