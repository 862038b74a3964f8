"""Early exit on real clips: what a small model may answer for a big one, beside what costs nothing.

    python tests/bench/filters/bench_exits.py [--traces FOLDER]

An exit is learnt from and certified on the first .65 of each clip and judged on the rest. Nothing was chosen by these
figures: the cues and how doubt is calibrated are as they were first written.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[2]))

from infilink.errors import InfilinkError
from infilink.filters.exits.evaluate import evaluate_exit
from infilink.filters.exits.gate import ExitGate
from infilink.filters.exits.train import train_exit
from infilink.traces.trace import Trace
from real.data import find_data, link_models

MODELS = ("yolox_nano_416x416", "nanodet_m_416", "FastestDet", "light_person_detector")
_RUN = "from infilink.cli import main; main()"
EVERY = {
    **{"lobby_person": 2, "shop_produce": 5, "campus_pedestrians": 1, "mall_floor": 2, "shop_aisle": 5},
    **{"traffic_road": 5, "highway_dense": 5},
}
"""One of how many frames of a clip is an input."""
PAIRS = {
    "lobby_person": ("yolox_nano", "light_person_detector", ("person",)),
    "shop_produce": ("yolox_nano", "light_person_detector", ("person",)),
    "campus_pedestrians": ("yolox_nano", "light_person_detector", ("person",)),
    "mall_floor": ("yolox_nano", "light_person_detector", ("person",)),
    "shop_aisle": ("yolox_nano", "light_person_detector", ("person",)),
    "traffic_road": ("nanodet", "FastestDet", ("car", "truck", "bus")),
    "highway_dense": ("nanodet", "FastestDet", ("car", "truck", "bus")),
}
LEARNT = 0.65


def main() -> None:
    """Prints a line for each clip and accuracy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, help="where the clips' traces are kept; they are made if they are not")
    asked = parser.parse_args()
    data = find_data()
    if data is None:
        print("the real clips are not here")
        return
    with TemporaryDirectory() as name:
        folder = Path(name)
        models = link_models(data, folder / "models", MODELS)
        print("clip | asked | certified | answered here | agrees | small alone | small, random up | held, every K-th")
        for clip, (big, small, classes) in PAIRS.items():
            path = recorded(data, clip, models, asked.traces or folder)
            for accuracy in (0.9, 0.95):
                try:
                    print(line(path, big, models / f"{small}.onnx", classes, accuracy, folder), flush=True)
                except InfilinkError as error:
                    print(f"{clip} | {accuracy} | {error}", flush=True)


def recorded(data: Path, clip: str, models: Path, folder: Path) -> Path:
    """The clip's trace, made now if it is not there."""
    path = folder / f"{clip}.trace"
    if not path.is_file():
        source = next((data / "video").glob(f"{clip}.*"))
        told = ("record", "--source", str(source), "--models", str(models), "--out", str(path))
        subprocess.run([sys.executable, "-c", _RUN, *told, "--every", str(EVERY[clip])], check=True)
    return path


def line(path: Path, big: str, small: Path, classes: tuple[str, ...], accuracy: float, folder: Path) -> str:
    """What an exit does on the later part of a clip."""
    with Trace(path) as whole:
        stop = round(LEARNT * len(whole))
        names = list(whole.models)
    model = next(name for name in names if name.startswith(big))
    out = folder / "exit.onnx"
    with Trace(path, stop=stop) as first:
        done = train_exit(
            first, model=model, small=small, accuracy=accuracy, out=out, classes=classes, uncertified=True
        )
    found = evaluate_exit(ExitGate(out), path, start=stop)
    others = {each.name: each.accuracy for each in found.baselines}
    shown = (others["small model alone"], others["small model, random goes up"], others["every K-th"])
    certified = "yes" if done.spec.certificate.certified else "no"
    told = " | ".join(f"{each:.3f}" for each in (found.rate, found.accuracy, *shown))
    return f"{path.stem} | {accuracy} | {certified} | {told}"


if __name__ == "__main__":
    main()
