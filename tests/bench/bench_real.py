"""The demo's table on real clips with real pretrained models (needs the data folder that tests/real uses).

python tests/bench/bench_real.py [CLIP ...]
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.bench_demo import COLUMNS, line
from real.data import DEMO_CLIPS, DEMO_MODELS, find_data, link_models


def main(clips: list[str]) -> None:
    data = find_data()
    if data is None:
        print("skipped: no data folder (set INFILINK_DATA)")
        return
    print(COLUMNS.replace("seed", "clip"))
    print("|" + "---|" * (COLUMNS.count("|") - 1))
    for clip in clips:
        folder = Path(tempfile.mkdtemp())
        models = link_models(data, folder / "models", DEMO_MODELS)
        source = next((data / "video").glob(f"{clip}.*"))
        command = [sys.executable, "-m", "infilink.cli", "demo", "--source", str(source), "--models", str(models)]
        subprocess.run([*command, "--out", str(folder / "out"), "--json"], check=True, stdout=subprocess.DEVNULL)
        report = json.loads((folder / "out" / "report.json").read_text())
        for name, score in (("full run", report["full"]), ("infilink", report), *report["baselines"].items()):
            print(line(clip, name, score, report["stream_bytes"]), flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:] or list(DEMO_CLIPS))
