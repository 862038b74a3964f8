"""`infilink split`: the table, the parts, and the mistakes."""

import json

import cv2
import pytest
from infilink.device.split_cli import sample_frames, split_command
from infilink.errors import InvalidInput
from infilink.models.split.cuts import measure_cuts

from ..models.split.models import frames, write_chain, write_model, write_trace


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return write_chain(tmp_path_factory.mktemp("chain") / "chain.onnx")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (160, 120))
    for frame in frames(60):
        writer.write(frame)
    writer.release()
    return path


def split(model, **options):
    """The command with typer's defaults."""
    given = dict.fromkeys(("at", "out", "features", "trace", "source", "link"))
    given |= {"transfer": "uint8+zlib", "inputs": 2, "device_slowdown": 1.0, "as_json": False, "list_cuts": False}
    split_command(model, **{**given, **options})


def test_the_list_says_what_each_cut_costs_and_where_to_cut(chain, clip, capsys):
    options = {"list_cuts": True, "source": str(clip), "link": ["1kbit", "1Gbit"], "device_slowdown": 4.0}
    split(chain, **options, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [cut["tensor"] for cut in found["cuts"]] == ["map", "sum"]
    first = found["cuts"][0]
    assert (first["float_bytes"], first["forms"]["uint8"]["sent_bytes"]) == (4096, 1024 + 32)
    assert first["head_s"] > 0 and first["tail_s"] > 0 and first["agreement"] > 0.98
    assert (found["picture_bytes"], found["input_bytes"], found["seen"]) == (57600, 3072, "noise.avi")
    assert found["links"][0]["latency"]["where"] == "on the device"
    split(chain, **options)
    said = capsys.readouterr().out
    for part in ("map", "4x16x16", "4.0 KiB", "JPEG", "over 1 kbit/s", "least latency", "most throughput"):
        assert part in said


def test_both_parts_are_written_and_compared(chain, clip, tmp_path, capsys):
    split(chain, at="map", out=tmp_path, source=str(clip))
    said = capsys.readouterr().out
    assert "chain.head.onnx" in said and f"--models {tmp_path / 'tail'}" in said and "(chosen)" in said
    split(chain, at="map", out=tmp_path, transfer="float16", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["transfer"], found["measured_on"], found["samples"]) == ("float16", "noise", 2)
    assert sorted(path.name for path in tmp_path.rglob("*.onnx")) == ["chain.head.onnx", "chain.tail.onnx"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "say where to cut"),
        ({"at": "map"}, "--out is missing"),
        ({"list_cuts": True, "at": "map"}, "leave out --at"),
        ({"at": "map", "out": "x", "transfer": "int8"}, "must be one of float32, float16, uint8"),
        ({"list_cuts": True, "link": ["fast"]}, "10Mbit"),
        ({"list_cuts": True, "trace": "a.trace", "source": "b.mp4"}, "give one of them"),
    ],
)
def test_mistakes_are_told(chain, options, said):
    with pytest.raises(InvalidInput, match=said):
        split(chain, **options)


def test_a_model_without_a_cut_says_so(tmp_path):
    from onnx import helper

    nodes = [helper.make_node("ReduceMean", ["image"], ["out"], axes=[1, 2, 3], keepdims=0)]
    path = write_model(tmp_path / "flat.onnx", nodes, [], [1], {"output": {"kind": "scalar"}})
    with pytest.raises(InvalidInput, match="has no valid cut"):
        measure_cuts(path, frames(1), seen="noise")


def test_maps_are_written_as_a_trace(chain, tmp_path, capsys):
    recorded = write_trace(tmp_path / "in.trace", chain, 5)
    split(chain, at="map", features=recorded, out=tmp_path / "maps.trace")
    assert "5 maps (5 new) of 4x16x16" in capsys.readouterr().out
    split(chain, at="map", features=recorded, out=tmp_path / "maps.trace", as_json=True)
    assert json.loads(capsys.readouterr().out)["added"] == 0
    with pytest.raises(InvalidInput, match="is a folder"):
        split(chain, at="map", features=recorded, out=tmp_path)
    found, seen = sample_frames(recorded, None, 3)
    assert (len(found), seen) == (3, "in.trace")


def test_frames_come_from_all_over_a_clip(clip):
    found, seen = sample_frames(None, str(clip), 8)
    assert (len(found), seen) == (3, "noise.avi")
    again, _ = sample_frames(None, None, 2)
    assert len(again) == 2 and (again[0] == sample_frames(None, None, 1)[0][0]).all()
