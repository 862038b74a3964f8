from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from infilink.codec import pack
from infilink.errors import InvalidInput
from infilink.models.cost import ModelCost
from infilink.traces.site import Site, camera_paths
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

from .test_trace import INFO, spec, write


def test_a_folder_a_trace_and_named_ones_make_a_site(tmp_path: Path) -> None:
    for name in ("yard", "door"):
        write(tmp_path / f"{name}.trace", range(4))
    folder = {"door": tmp_path / "door.trace", "yard": tmp_path / "yard.trace"}
    assert camera_paths([tmp_path]) == folder
    assert camera_paths([tmp_path / "yard.trace"]) == {"yard": tmp_path / "yard.trace"}
    assert camera_paths([], ["back=x/y.trace", "front=a=b.trace"]) == {
        "back": Path("x/y.trace"),
        "front": Path("a=b.trace"),
    }
    with Site.open([tmp_path]) as site:
        assert (list(site), site.inputs, len(site), site.models) == (["door", "yard"], 8, 2, INFO.models)
        assert Site.of(site) is site
        assert Site.of(dict(site)).keys() == site.keys()
    with Trace(folder["yard"]) as trace:
        assert dict(Site.of(trace)) == {"yard": trace}


@pytest.mark.parametrize(
    ("cameras", "complaint"),
    [
        ([], "give a trace, a folder"),
        (["yard"], "must be NAME=TRACE"),
        (["=yard.trace"], "must be NAME=TRACE"),
        (["yard=a.trace", "yard=b.trace"], "camera 'yard' has two traces, a.trace and b.trace"),
        (["ya/rd=a.trace", "b=b.trace"], "can't be a camera's name"),
        (["../up=a.trace", "b=b.trace"], "can't be a camera's name"),
    ],
)
def test_cameras_that_can_not_be_meant_are_refused(cameras: list[str], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        camera_paths([], cameras)


def test_an_empty_folder_holds_no_cameras(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"holds no \.trace"):
        camera_paths([tmp_path])


def other(**changed: object) -> TraceInfo:
    return replace(INFO, **changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("info", "complaint"),
    [
        (other(digests={"cars": "aa", "light": "cc"}), "b.trace: model 'light' has digest cc here and bb in .*a.trace"),
        (other(models={**INFO.models, "cars": spec("cars", kind="count")}), "b.trace: model 'cars' says other outputs"),
        (
            other(**{part: {"light": getattr(INFO, part)["light"]} for part in ("models", "digests", "costs")}),
            "model 'cars' is in .*a.trace alone",
        ),
        (other(input="array"), "b.trace: its inputs are arrays, those of .*a.trace pictures"),
    ],
)
def test_traces_that_do_not_belong_together_are_refused(tmp_path: Path, info: TraceInfo, complaint: str) -> None:
    write(tmp_path / "a.trace", range(3))
    if info.input == "image":
        write(tmp_path / "b.trace", range(3), info)
    else:
        with TraceWriter(tmp_path / "b.trace", info) as writer:
            row = {"light": np.asarray([1.0], np.float32), "cars": np.zeros((0, 6), np.float32)}
            writer.append(0, 0.0, pack(np.zeros(3, np.float32)), row)
    with pytest.raises(InvalidInput, match=complaint):
        Site.open([tmp_path])


def test_costs_are_the_most_memory_and_mean_times(tmp_path: Path) -> None:
    write(tmp_path / "a.trace", range(3))
    slower = {name: ModelCost(memory_bytes=7 << 20, infer_s=0.03, load_s=0.3) for name in INFO.models}
    write(tmp_path / "b.trace", range(3), other(costs=slower, times="invented"))
    with Site.open([tmp_path]) as site:
        cost = site.costs["cars"]
        assert (cost.memory_bytes, cost.infer_s, cost.load_s) == (7 << 20, pytest.approx(0.02), pytest.approx(0.2))
        assert "b.trace" in site.unproven
