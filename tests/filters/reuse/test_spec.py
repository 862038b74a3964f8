"""What a reuse file says of itself, and files that say nothing or something else."""

import json

import onnx
import pytest
from infilink.errors import InvalidInput
from infilink.filters.reuse.spec import METADATA_KEY, ReuseSpec, load_reuse


def changed(path, out, text: str | None):
    model = onnx.load(str(path))
    del model.metadata_props[:]
    if text is not None:
        model.metadata_props.add(key=METADATA_KEY, value=text)
    onnx.save(model, str(out))
    return out


def test_it_is_read_as_it_was_written(learnt):
    spec, session = load_reuse(learnt.path)
    assert spec.model_dump_json() == learnt.spec.model_dump_json()
    assert (spec.model, spec.digest, spec.cache.capacity, spec.cache.neighbours) == ("h", "d0", 1000, 10)
    assert spec.table and spec.gate in {level.threshold for level in spec.table}
    assert [output.name for output in session.get_outputs()] == ["embedding"]
    cache = spec.open_cache()
    assert (cache.gate, cache.theta, cache.version) == (spec.gate, spec.theta, "d0")


def test_what_is_no_reuse_file_is_refused(learnt, tmp_path):
    with pytest.raises(InvalidInput, match="is an ONNX model but no reuse file"):
        load_reuse(changed(learnt.path, tmp_path / "a.onnx", None))
    with pytest.raises(InvalidInput, match=r"its reuse spec is not readable: .*model"):
        load_reuse(changed(learnt.path, tmp_path / "b.onnx", "{}"))
    newer = learnt.spec.model_copy(update={"format": 9})
    with pytest.raises(InvalidInput, match="is a reuse file of format 9, and this version reads 1 to 5"):
        load_reuse(changed(learnt.path, tmp_path / "c.onnx", newer.model_dump_json()))
    small = ReuseSpec.model_validate_json(learnt.spec.model_dump_json()).model_dump(mode="json")
    small["cache"]["capacity"] = 0
    with pytest.raises(InvalidInput, match="capacity must be at least 1"):
        load_reuse(changed(learnt.path, tmp_path / "d.onnx", json.dumps(small)))


def test_a_skipped_input_is_answered_by_the_commonest_class(learnt):
    assert learnt.spec.skipped().tolist() == [0.25] * 4
    answered = learnt.spec.model_copy(update={"skip_answer": "run"})
    assert answered.skipped().tolist() == [0, 1, 0, 0]
