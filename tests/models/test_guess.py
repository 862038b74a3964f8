"""What `infilink init model` makes of the usual families: the right spec, or a word on what can't be told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.models.cli import init_model_command
from infilink.models.onnx_model import OnnxModel
from infilink.models.spec import CLASS_LISTS, ModelSpec, read_spec
from infilink.outputs import Array
from onnx import TensorProto

from .made import write_constant, write_mean

FRAME = np.full((64, 64, 3), 120, np.uint8)
CELLS = 64 + 16 + 4  # of 64 x 64 pixels at strides 8, 16, 32
HELMETS = ("helmet", "head", "vest")
ULTRALYTICS = {
    "task": "detect",
    "imgsz": "[64, 64]",
    "stride": "32",
    "names": str(dict(enumerate(HELMETS))),
}


def guessed(path: Path, outputs: dict[str, Any], **options: Any) -> tuple[ModelSpec, Array]:
    """The guessed spec of a model with these outputs, and what it says with it of a frame."""
    made = write_constant(path / "net.onnx", {k: np.asarray(v) for k, v in outputs.items()}, **options)
    init_model_command(made)
    return read_spec(made), OnnxModel(made).infer(FRAME)


def floats(*shape: int, **at: Any) -> Array:
    return np.zeros(shape, np.float32)


def put(table: Array, place: Any, values: Any) -> Array:
    """A table with these values at a place."""
    table[place] = values
    return table


def test_finished_rows_in_pixels_with_names_from_the_file(tmp_path: Path) -> None:
    rows = put(floats(1, 300, 6), (0, slice(0, 2)), [[8, 16, 32, 48, 0.9, 2], [0, 0, 16, 16, 0.8, 0]])
    spec, said = guessed(tmp_path, {"output0": rows}, metadata={**ULTRALYTICS, "end2end": "True"})
    assert spec.output.classes == HELMETS
    assert (spec.decoder.name, spec.decoder.units, spec.picture.resize) == ("boxes", "pixels", "letterbox_center")
    assert said == pytest.approx(np.asarray([[0.125, 0.25, 0.5, 0.75, 0.9, 2], [0, 0, 0.25, 0.25, 0.8, 0]]), abs=1e-6)


def test_rows_that_stay_empty_are_told_by_what_the_exporter_wrote(tmp_path: Path) -> None:
    spec, said = guessed(tmp_path, {"output0": floats(1, 300, 6)}, metadata=ULTRALYTICS)
    assert (spec.decoder.units, spec.output.classes, len(said)) == ("pixels", HELMETS, 0)


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ([2, 0.9, 8, 16, 32, 48], ("class", "score", "x1", "y1", "x2", "y2")),
        ([8, 16, 32, 48, 2, 0.9], ("x1", "y1", "x2", "y2", "class", "score")),
        ([0, 8, 16, 32, 48, 2, 0.9], ("-", "x1", "y1", "x2", "y2", "class", "score")),
        ([0, 2, 0.9, 0.125, 0.25, 0.5, 0.75], ("-", "class", "score", "x1", "y1", "x2", "y2")),
        ([40, 32, 24, 32, 0.9, 2], ("cx", "cy", "w", "h", "score", "class")),
    ],
    ids=["paddle", "class first", "yolov7", "ssd", "centres"],
)
@pytest.mark.parametrize("axes", [2, 3, 4])
def test_the_order_of_a_rows_numbers_is_seen(
    tmp_path: Path, row: list[float], columns: tuple[str, ...], axes: int
) -> None:
    table = np.asarray([row, row], np.float32).reshape((1,) * (axes - 2) + (2, len(row)))
    spec, said = guessed(tmp_path, {"out": table}, metadata={"names": json.dumps(HELMETS)})
    assert spec.decoder.columns == columns
    corners = [0.4375, 0.25, 0.8125, 0.75] if "cx" in columns else [0.125, 0.25, 0.5, 0.75]
    assert said == pytest.approx(np.asarray([[*corners, 0.9, 2]] * 2), abs=1e-6)


def test_rows_whose_classes_reach_the_number_of_names_begin_with_1(tmp_path: Path) -> None:
    rows = np.asarray([[[0, 3, 0.9, 0.125, 0.25, 0.5, 0.75], [0, 1, 0.8, 0, 0, 1, 1]]], np.float32)
    spec, said = guessed(tmp_path, {"out": rows}, metadata={"names": json.dumps(HELMETS)})
    assert spec.decoder.first_class == 1 and said[:, 5].tolist() == [2, 0]


def refused(path: Path, outputs: dict[str, Any], capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    """What is said where not all can be told, of a model whose spec is then not valid."""
    made = write_constant(path / "net.onnx", {k: np.asarray(v) for k, v in outputs.items()}, **options)
    init_model_command(made)
    with pytest.raises(InvalidInput, match=r'still "[?]", which stands for what only you can tell'):
        read_spec(made)
    return capsys.readouterr().out


def test_what_cannot_be_told_is_said_and_the_spec_is_not_valid_before_it_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = put(floats(1, 300, 6), (0, 0), [8, 16, 32, 48, 0.9, 2])
    told = refused(tmp_path, {"out": rows}, capsys)
    assert "output.classes: nothing in the file tells its classes" in told and "units" not in told
    toml = tmp_path / "net.toml"
    assert 'classes = "?"' in toml.read_text() and "# WRITE THIS: nothing in the file" in toml.read_text()
    toml.write_text(toml.read_text().replace('"?"', '["a", "b", "c"]'))
    assert len(OnnxModel(tmp_path / "net.onnx").infer(FRAME)) == 1


def test_an_empty_table_without_a_word_of_its_exporter_leaves_units_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(tmp_path, {"out": floats(1, 300, 6)}, capsys)
    assert 'decoder.units: whether its boxes are "pixels" of the input or "shares"' in told


def test_a_tensor_of_no_known_family_leaves_the_kind_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "output.kind: no decoder is known" in refused(tmp_path, {"out": floats(1, 5, 7) + 0.3}, capsys)


def test_detr_has_a_class_for_nothing(tmp_path: Path) -> None:
    logits = put(floats(1, 100, 92), (..., 91), 5.0)
    logits[0, 3, [17, 91]] = 8.0, 0.0
    boxes = put(floats(1, 100, 4), ..., [0.5, 0.5, 0.25, 0.5])
    spec, said = guessed(tmp_path, {"logits": logits, "pred_boxes": boxes})
    assert (spec.decoder.name, spec.decoder.logits, spec.picture.std[0]) == ("detr", True, 58.395)
    assert spec.output.classes == CLASS_LISTS["coco91"] and spec.output.classes[17] == "cat"
    assert said == pytest.approx(np.asarray([[0.375, 0.25, 0.625, 0.75, 0.9697, 17]]), abs=1e-3)


def test_a_small_detr_is_told_by_what_its_queries_say(tmp_path: Path) -> None:
    logits = put(floats(1, 125, 3), (..., 2), 5.0)
    logits[0, 0] = [7, 0, 0]
    spec, said = guessed(tmp_path, {"logits": logits, "pred_boxes": floats(1, 125, 4) + 0.5})
    assert (len(spec.output.classes), len(said), said[0, 5]) == (2, 1, 0)


@pytest.mark.parametrize("names", [("logits", "pred_boxes"), ("labels", "dets"), ("pred_boxes", "scores")])
def test_rt_detr_scores_each_class_by_itself(tmp_path: Path, names: tuple[str, str]) -> None:
    logits = floats(1, 300, 80) - 5
    logits[0, 7, 2] = 3.0
    boxes = put(floats(1, 300, 4), ..., [0.5, 0.5, 0.25, 0.5])
    outputs = dict(zip(names, (boxes, logits) if "box" in names[0] else (logits, boxes), strict=True))
    spec, said = guessed(tmp_path, outputs)
    assert (spec.decoder.name, spec.decoder.background, spec.output.classes) == ("detr", "none", CLASS_LISTS["coco"])
    assert said == pytest.approx(np.asarray([[0.375, 0.25, 0.625, 0.75, 0.9526, 2]]), abs=1e-3)


def test_scores_that_are_none_of_the_usual_leave_the_background_open(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = {"logits": floats(1, 100, 7), "pred_boxes": floats(1, 100, 4) + 0.5}
    outputs["logits"][..., 3] = 2.0
    assert "decoder.background: whether" in refused(tmp_path, outputs, capsys)


def test_dense_scores_beside_boxes_need_overlaps_removed(tmp_path: Path) -> None:
    scores, boxes = floats(1, 1344, 80), put(floats(1, 1344, 4), ..., [8, 16, 32, 48])
    scores[0, :9, 5] = 0.9
    spec, said = guessed(tmp_path, {"pred_bboxes": boxes, "pred_scores": scores})
    assert (spec.decoder.name, spec.decoder.background, spec.decoder.units) == ("ultraface", "none", "pixels")
    assert said == pytest.approx(np.asarray([[0.125, 0.25, 0.5, 0.75, 0.9, 5]]), abs=1e-6)


TF = {
    "detection_boxes": put(floats(1, 100, 4), (0, slice(0, 2)), [[0.25, 0.125, 0.75, 0.5], [0, 0, 1, 1]]),
    "detection_classes": put(floats(1, 100), (0, slice(0, 2)), [1, 3]),
    "detection_scores": put(floats(1, 100), (0, slice(0, 2)), [0.9, 0.7]),
    "num_detections": np.asarray([1.0], np.float32),
}


def test_tensorflows_lists_begin_with_class_1_and_with_y(tmp_path: Path) -> None:
    spec, said = guessed(
        tmp_path, TF, shape=(1, 64, 64, 3), dtype=TensorProto.UINT8, metadata={"class_names": json.dumps(HELMETS)}
    )
    assert spec.decoder.columns == ("y1", "x1", "y2", "x2") and spec.decoder.first_class == 1
    assert said == pytest.approx(np.asarray([[0.125, 0.25, 0.5, 0.75, 0.9, 0]]), abs=1e-6), "and one counts"


def test_lists_without_names_ask_for_them_and_for_the_first_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(tmp_path, TF, capsys)
    assert "output.classes: nothing" in told and "decoder.first_class: 0, or 1" in told
    text = (tmp_path / "net.toml").read_text().replace('classes = "?"', 'classes = "coco91"')
    (tmp_path / "net.toml").write_text(text.replace('first_class = "?"', "first_class = 0"))
    model = OnnxModel(tmp_path / "net.onnx")
    assert model.spec.output.summary(model.infer(FRAME)) == "1 person"


def test_torchvisions_lists_are_pixels(tmp_path: Path) -> None:
    outputs = {
        "boxes": np.asarray([[8, 16, 32, 48], [0, 0, 64, 64]], np.float32),
        "labels": np.asarray([2, 1], np.int64),
        "scores": np.asarray([0.9, 0.1], np.float32),
    }
    spec, said = guessed(tmp_path, outputs, metadata={"names": json.dumps(["background", "a", "b"])})
    assert (spec.decoder.name, spec.decoder.units, spec.decoder.outputs) == (
        "lists",
        "pixels",
        ("boxes", "scores", "labels"),
    )
    assert said == pytest.approx(np.asarray([[0.125, 0.25, 0.5, 0.75, 0.9, 2]]), abs=1e-6)


def test_lists_are_told_by_their_numbers_where_names_say_nothing(tmp_path: Path) -> None:
    outputs = {
        "1201": np.asarray([[8, 16, 32, 48], [0, 0, 64, 64]], np.float32),
        "1202": np.asarray([0.9, 0.8], np.float32),
        "1203": np.asarray([2, 0], np.int64),
    }
    spec, said = guessed(tmp_path, outputs, metadata={"names": json.dumps(HELMETS)})
    assert spec.decoder.outputs == ("1201", "1202", "1203") and said[:, 5].tolist() == [2, 0]


@pytest.mark.parametrize(("labels", "first"), [([3, 1], 1), ([0, 1], 0)])
def test_the_first_class_is_told_by_one_that_proves_it(tmp_path: Path, labels: list[int], first: int) -> None:
    outputs = {
        "boxes": np.asarray([[8, 16, 32, 48], [0, 0, 64, 64]], np.float32),
        "labels": np.asarray(labels, np.int64),
        "scores": np.asarray([0.9, 0.8], np.float32),
    }
    assert guessed(tmp_path, outputs, metadata={"names": json.dumps(HELMETS)})[0].decoder.first_class == first


def test_the_first_class_is_left_open_where_none_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = {
        "boxes": np.asarray([[8, 16, 32, 48], [0, 0, 64, 64]], np.float32),
        "labels": np.asarray([1, 0], np.int64),
        "scores": np.asarray([0.9, 0.0], np.float32),  # the second fills the table up
    }
    told = refused(tmp_path, outputs, capsys, metadata={"names": json.dumps(HELMETS)})
    assert "decoder.first_class" in told and "output.classes" not in told


def yolo(table: Array, *, pixels: bool = True) -> Array:
    """Rows at all cells, one of which has an object at (20, 32), 24 x 32 pixels."""
    table[0, :, :4] = [40, 40, 8, 8]
    table[0, 5, :4] = [20, 32, 24, 32]
    table[..., :4] /= 1 if pixels else 64
    return table


OBJECT = [8 / 64, 16 / 64, 32 / 64, 48 / 64]


@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize("turned", [True, False])
def test_yolov8_as_columns_or_rows_in_pixels_or_shares(tmp_path: Path, turned: bool, pixels: bool) -> None:
    table = yolo(floats(1, CELLS, 7), pixels=pixels)
    table[0, 5, 5] = 0.9
    spec, said = guessed(tmp_path, {"out": table if turned else table.transpose(0, 2, 1)}, metadata=ULTRALYTICS)
    assert (spec.decoder.name, spec.decoder.unit, spec.output.classes) == (
        "yolov8",
        "pixels" if pixels else "shares",
        HELMETS,
    )
    assert said == pytest.approx(np.asarray([[*OBJECT, 0.9, 1]]), abs=1e-5)


def test_decoded_rows_of_84_are_cocos_without_an_objectness_and_of_85_with(tmp_path: Path) -> None:
    for width, decoder in ((84, "yolov8"), (85, "yolov5")):
        table = yolo(floats(1, 144 + 36 + 9, width))
        table[0, 5, 4], table[0, 5, width - 1] = 0.9, 0.9
        (tmp_path / decoder).mkdir()
        spec, _ = guessed(tmp_path / decoder, {"out": table}, shape=(1, 3, 96, 96))
        assert (spec.decoder.name, len(spec.output.classes)) == (decoder, 80)


def test_decoded_rows_that_may_be_either_are_left_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "decoder.name" in refused(tmp_path, {"out": yolo(floats(1, CELLS, 9))}, capsys)


@pytest.mark.parametrize("named", [True, False])
def test_the_coefficients_of_masks_are_not_taken_for_classes(tmp_path: Path, named: bool) -> None:
    table = yolo(floats(1, CELLS, 4 + 3 + 32))
    table[0, 5, 6], table[..., 7:] = 0.9, 5.0
    outputs = {"output0": table.transpose(0, 2, 1), "output1": floats(1, 32, 16, 16)}
    metadata = {**ULTRALYTICS, "task": "segment"} if named else {}
    spec, said = guessed(tmp_path, outputs, metadata=metadata)
    assert (spec.decoder.output, spec.decoder.extra, len(spec.output.classes)) == ("output0", 32, 3)
    assert said == pytest.approx(np.asarray([[*OBJECT, 0.9, 2]]), abs=1e-5)


@pytest.mark.parametrize(("value", "decoder"), [(0.25, "raw"), (-2.0, "sigmoid"), (3.0, "sigmoid")])
def test_a_map_of_shares_needs_no_sigmoid(tmp_path: Path, value: float, decoder: str) -> None:
    spec, _ = guessed(tmp_path, {"out": floats(1, 1, 64, 64) + value})
    assert (spec.output.kind, spec.decoder.name) == ("mask", decoder)


def test_finished_rows_with_the_coefficients_of_masks(tmp_path: Path) -> None:
    rows = np.concatenate([put(floats(1, 300, 6), (0, 0), [8, 16, 32, 48, 0.9, 2]), floats(1, 300, 32) + 1], axis=2)
    outputs = {"output0": rows, "output1": floats(1, 32, 16, 16)}
    spec, said = guessed(tmp_path, outputs, metadata={**ULTRALYTICS, "task": "segment"})
    assert (spec.decoder.extra, spec.decoder.units) == (32, "pixels")
    assert said == pytest.approx(np.asarray([[0.125, 0.25, 0.5, 0.75, 0.9, 2]]), abs=1e-6)


def test_a_table_is_found_beside_a_count(tmp_path: Path) -> None:
    rows = np.asarray([[2, 0.9, 8, 16, 32, 48], [0, 0.3, 1, 2, 3, 4]], np.float32)
    outputs = {"rows": rows, "count": np.asarray([2], np.int32)}
    spec, said = guessed(tmp_path, outputs, metadata={"names": json.dumps(HELMETS)})
    assert spec.decoder.output == "rows" and said[:, 5].tolist() == [2]


@pytest.mark.parametrize("logits", [True, False])
def test_dense_scores_with_the_background_first(tmp_path: Path, logits: bool) -> None:
    scores = put(floats(1, 1344, 21) + 1e-6, (..., 0), 1 - 20e-6)
    scores[0, 5] = put(floats(21) + 1e-6, 7, 1 - 20e-6)
    boxes = put(floats(1, 1344, 4), ..., [0.1, 0.2, 0.3, 0.4])
    spec, said = guessed(tmp_path, {"scores": np.log(scores) if logits else scores, "boxes": boxes})
    assert (spec.decoder.name, len(spec.output.classes), spec.decoder.logits) == ("ultraface", 20, logits)
    assert said == pytest.approx(np.asarray([[0.1, 0.2, 0.3, 0.4, 1, 6]]), abs=1e-4)


def test_a_detr_of_one_class_that_says_so_by_itself(tmp_path: Path) -> None:
    logits = put(floats(1, 300, 1) - 4, (0, 0), 3.0)
    spec, said = guessed(tmp_path, {"logits": logits, "pred_boxes": floats(1, 300, 4) + 0.5})
    assert (spec.decoder.background, len(spec.output.classes), len(said)) == ("none", 1, 1)


def test_turned_boxes_are_said_to_be_none_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = floats(1, 4 + 3 + 1, CELLS) + 0.5
    made = write_constant(tmp_path / "net.onnx", {"out": table}, metadata={**ULTRALYTICS, "task": "obb"})
    init_model_command(made)
    assert "its boxes are turned" in capsys.readouterr().out


def test_a_classifier_takes_its_names_and_scale_from_its_exporter(tmp_path: Path) -> None:
    spec, _ = guessed(
        tmp_path, {"out": np.asarray([[0.1, 0.2, 0.7]], np.float32)}, metadata={**ULTRALYTICS, "task": "classify"}
    )
    assert (spec.output.classes, spec.decoder.name, spec.picture.mean, spec.picture.std) == (
        HELMETS,
        "raw",
        (0.0,),
        (255.0,),
    )


def test_an_embedding_of_length_one_is_no_classifier(tmp_path: Path) -> None:
    value = np.random.default_rng(0).normal(size=(1, 128)).astype(np.float32)
    spec, _ = guessed(tmp_path, {"out": value / np.linalg.norm(value)})
    assert (spec.output.kind, spec.output.length) == ("vector", 128)


def test_an_embedding_that_begins_at_zero_is_no_classifier_either(tmp_path: Path) -> None:
    value = np.maximum(0, np.random.default_rng(0).normal(size=(1, 128))).astype(np.float32)
    assert guessed(tmp_path, {"out": value})[0].output.kind == "vector"


def test_shares_that_do_not_add_up_are_of_classes_that_may_come_together(tmp_path: Path) -> None:
    spec, said = guessed(tmp_path, {"out": np.asarray([[0.9, 0.8, 0.1]], np.float32)})
    assert (spec.output.kind, spec.decoder.name) == ("multilabel", "raw") and said == pytest.approx([0.9, 0.8, 0.1])


@pytest.mark.parametrize(
    "text", [json.dumps(HELMETS), json.dumps(dict(enumerate(HELMETS))), str(list(HELMETS)), "\n".join(HELMETS)]
)
def test_names_are_read_in_any_usual_form(tmp_path: Path, text: str) -> None:
    spec, _ = guessed(tmp_path, {"out": np.asarray([[0.1, 0.2, 0.7]], np.float32)}, metadata={"labels": text})
    assert spec.output.classes == HELMETS


@pytest.mark.parametrize("text", ["{0: 'a', 2: 'b', 3: 'c'}", "[1, 2, 3]", "__import__('os')", "{" * 5000, "3"])
def test_what_is_no_list_of_names_is_left_alone(tmp_path: Path, text: str) -> None:
    spec, _ = guessed(tmp_path, {"out": np.asarray([[0.1, 0.2, 0.7]], np.float32)}, metadata={"names": text})
    assert spec.output.classes == ("0", "1", "2")


def test_names_of_another_number_of_classes_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refused(tmp_path, {"out": floats(1, 5)}, capsys, metadata={"names": json.dumps(HELMETS)})
    assert "the file names 3 classes, but its shape is that of 5" in told


def test_names_stand_in_the_config_that_lies_beside(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "cat", "1": "dog"}}))
    spec, _ = guessed(tmp_path, {"logits": np.asarray([[4.0, 1.0]], np.float32)})
    assert spec.output.classes == ("cat", "dog")


def test_the_size_of_an_open_graph_is_the_exporters(tmp_path: Path) -> None:
    metadata = {**ULTRALYTICS, "imgsz": "[96, 128]"}
    spec, _ = guessed(tmp_path, {"out": floats(1, 3)}, shape=(1, 3, "height", "width"), metadata=metadata)
    assert spec.picture.size == (128, 96)


@pytest.mark.parametrize(
    ("dtype", "mean", "std", "fed"),
    [
        (TensorProto.FLOAT16, 0.0, 255.0, 120 / 255),
        (TensorProto.DOUBLE, 0.0, 255.0, 120 / 255),
        (TensorProto.UINT8, 0.0, 1.0, 120),
        (TensorProto.INT32, 0.0, 1.0, 120),
        (TensorProto.INT8, 128.0, 1.0, -8),
    ],
)
def test_a_picture_is_fed_as_the_type_that_the_model_takes(
    tmp_path: Path, dtype: int, mean: float, std: float, fed: float
) -> None:
    made = write_mean(tmp_path / "net.onnx", dtype)
    init_model_command(made)
    spec = read_spec(made)
    assert (spec.picture.mean, spec.picture.std) == ((mean,), (std,))
    assert OnnxModel(made).infer(FRAME) == pytest.approx([fed], abs=1e-3)


@pytest.mark.parametrize("dtype", [TensorProto.BFLOAT16, TensorProto.BOOL, TensorProto.INT64])
def test_a_type_that_is_not_fed_is_refused_with_those_that_are(tmp_path: Path, dtype: int) -> None:
    made = write_mean(tmp_path / "net.onnx", dtype)
    with pytest.raises(InvalidInput, match=r"feeds pictures as tensor\(float\), tensor\(float16\)|can load"):
        init_model_command(made)
    made.with_suffix(".toml").write_text("[input]\nsize = [16, 16]\n[output]\nkind = 'scalar'\n")
    with pytest.raises(InvalidInput, match=r"pictures are fed as tensor\(float\)|can load"):
        OnnxModel(made)


@pytest.mark.parametrize(
    ("dtype", "scale", "named"),
    [
        (TensorProto.UINT8, "std = [255.0]", "make 0 to 1 of the pixels; raw pixels are mean = .0., std = .1."),
        (TensorProto.UINT8, "mean = [128]\nstd = [1]", "make -128 to 127"),
        (TensorProto.INT8, "std = [1]", "make 0 to 255 of the pixels; raw pixels are mean = .128., std = .1."),
    ],
)
def test_what_does_not_fit_into_whole_numbers_is_refused(tmp_path: Path, dtype: int, scale: str, named: str) -> None:
    made = write_mean(tmp_path / "net.onnx", dtype)
    made.with_suffix(".toml").write_text(f"[input]\nsize = [16, 16]\n{scale}\n[output]\nkind = 'scalar'\n")
    with pytest.raises(InvalidInput, match=named):
        OnnxModel(made)


def test_outputs_in_half_precision_are_read(tmp_path: Path) -> None:
    rows = put(np.zeros((1, 300, 6), np.float16), (0, 0), [8, 16, 32, 48, 0.9, 2])
    _, said = guessed(tmp_path, {"out": rows}, dtype=TensorProto.FLOAT16, metadata=ULTRALYTICS)
    assert said.dtype == np.float32 and said == pytest.approx(np.asarray([[0.125, 0.25, 0.5, 0.75, 0.9, 2]]), abs=1e-3)
