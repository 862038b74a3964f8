"""Where the real clips and models are, and how to lay real models out as infilink reads them.

None of them is part of infilink: set INFILINK_DATA to a folder with `video/` and `models/`, or have one at
`../shared/data` beside the repository.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

SPECS = Path(__file__).parent / "specs"
# What runs fast and fits a street or a shop.
DEMO_MODELS = (
    "yolox_nano_416x416",
    "nanodet_m_416",
    "FastestDet",
    "light_person_detector",
    "mobilenet_v2_quant",
)
DEMO_CLIPS = ("lobby_person", "shop_produce", "highway_dense", "campus_pedestrians", "traffic_road")


def find_data() -> Path | None:
    """The folder of real clips and models, if there is one."""
    named = os.environ.get("INFILINK_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return folder if all((folder / part).is_dir() for part in ("models", "video")) else None


def link_models(data: Path, folder: Path, names: Sequence[str]) -> Path:
    """Makes `folder` a folder of models: links to the real ones, each with its spec beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        link = folder / f"{name}.onnx"
        link.unlink(missing_ok=True)
        link.symlink_to((data / "models" / link.name).resolve(strict=True))
        shutil.copy(SPECS / f"{name}.toml", folder)
    return folder
