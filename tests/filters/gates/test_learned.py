import gc
import subprocess
import sys
import tracemalloc

import numpy as np
import onnx
import pytest
from infilink.errors import InvalidInput
from infilink.filters.gates.base import Substitute
from infilink.filters.gates.learned import FilterRuntime
from infilink.filters.open_gate import open_gate
from infilink.filters.spec import METADATA_KEY
from infilink.outputs import OutputSpec
from onnx import numpy_helper

from ..conftest import FPS, draw

FRAME = np.full((90, 160, 3), 90, np.uint8)


def with_weights(source, out, value: float):
    """The filter with all its weights replaced by one value."""
    model = onnx.load(str(source))
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(np.full_like(array, value), tensor.name))
    onnx.save(model, str(out))
    return out


def test_the_first_frame_is_kept_also_after_a_reset(skip_filter, trace):
    gate = open_gate(skip_filter.path)
    frames = list(trace.part(0, 30).frames())
    first = [gate.decide(frame, i / 10) for i, frame in enumerate(frames)]
    gate.reset()
    again = [gate.decide(frame, i / 10) for i, frame in enumerate(frames)]
    assert first[0].keep and again[0].keep
    assert [d.keep for d in first] == [d.keep for d in again]
    assert gate.stats().seen == 60 and gate.stats().failed == 0


def test_what_repeats_the_last_kept_input_is_reused(reuse_filter, trace):
    gate = open_gate(reuse_filter.path)
    decisions = [gate.decide(frame, i / 10) for i, frame in enumerate(trace.part(0, 60).frames())]
    assert 0 < sum(d.keep for d in decisions) < 60


def test_what_is_not_kept_is_answered_as_the_certificate_says(reuse_filter, skip_filter):
    for trained, origin in ((reuse_filter, "reused"), (skip_filter, "skipped")):
        gate = FilterRuntime(trained.path)
        model = next(iter(trained.spec.models))
        output = OutputSpec(kind="boxes", classes=("car", "person"))
        unsent = gate.substitute(model, output)
        assert unsent.origin == origin
        assert unsent.confidence == 1.0 - trained.spec.certificate.error
        assert unsent.trusted == trained.spec.certificate.certified
        assert (unsent.value is None) == (origin == "reused")
        if unsent.value is not None:
            assert unsent.value.shape == (0, 6)
        assert gate.substitute("stranger", output) == Substitute()
    assert open_gate("every:3").substitute("anybody", output) == Substitute("reused", None, 0.0, False)


def test_another_accuracy_needs_no_training_if_the_table_proves_it(reuse_filter, tmp_path):
    spec = reuse_filter.spec
    rows = [level for level in spec.table if level.rate > 0]
    proven = next((level for level in rows if level.upper_bound < 0.9), None)
    assert proven is not None
    accuracy = 1.0 - proven.upper_bound - 1e-6
    gate = open_gate(f"{reuse_filter.path}@{accuracy:.6f}")
    assert gate.accuracy == pytest.approx(accuracy) and gate.certified
    assert gate.threshold in [level.threshold for level in spec.table]
    frames = [np.random.default_rng(i).integers(0, 255, (90, 160, 3), np.uint8) for i in range(20)]
    assert all(gate.decide(frame, i / 10).threshold == gate.threshold for i, frame in enumerate(frames))
    with pytest.raises(InvalidInput, match="the most that one is proven to keep is"):
        open_gate(f"{reuse_filter.path}@0.9999")
    for wrong in ("1.5", "often", "nan"):
        with pytest.raises(InvalidInput, match="PATH@ACCURACY"):
            open_gate(f"{reuse_filter.path}@{wrong}")


def test_a_still_picture_is_kept_again_after_the_longest_time(reuse_filter):
    gate = FilterRuntime(reuse_filter.path)
    times = [i * 0.5 for i in range(60)]
    kept = [t for t in times if gate.decide(FRAME, t).keep]
    assert max(np.diff([*kept, times[-1]])) <= gate.spec.longest_s


def test_a_score_that_is_nan_keeps_the_frame(skip_filter, tmp_path):
    gate = FilterRuntime(with_weights(skip_filter.path, tmp_path / "nan.onnx", float("nan")))
    assert gate.spec.kind == "network"
    assert all(gate.decide(FRAME, i / 10).keep for i in range(4))
    assert gate.stats().failed == 4


def test_a_frame_that_the_filter_fails_on_is_kept(skip_filter, caplog):
    gate = FilterRuntime(skip_filter.path)
    for broken in (np.zeros((0, 0, 3), np.uint8), np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float64)):
        assert gate.decide(broken, 0.0).keep
    assert gate.stats().failed == 3
    assert len(caplog.records) == 1
    assert gate.decide(FRAME, 1.0).score >= 0


def test_the_file_alone_says_what_it_is(reuse_filter):
    spec = FilterRuntime(reuse_filter.path).spec
    assert spec == reuse_filter.spec
    assert spec.rule == "unchanged" and spec.reference == "last kept"
    assert set(spec.models) == {"scene", "squares"}
    assert spec.certificate.inputs == reuse_filter.calibrated
    assert len(spec.table) > 2


def test_a_filter_of_another_format_is_refused(skip_filter, tmp_path):
    model = onnx.load(str(skip_filter.path))
    for key, says in (('"format":1', "has filter format 9"), ('"rule"', "filter spec is not readable")):
        text = skip_filter.spec.model_dump_json()
        assert key in text
        del model.metadata_props[:]
        model.metadata_props.add(key=METADATA_KEY, value=text.replace(key, '"format":9' if "format" in key else '"x"'))
        path = tmp_path / "other.onnx"
        onnx.save(model, str(path))
        with pytest.raises(InvalidInput, match=says):
            open_gate(path)


def test_deciding_needs_no_torch(skip_filter):
    code = (
        "import sys, numpy as np; from infilink.filters.open_gate import open_gate\n"
        f"gate = open_gate({str(skip_filter.path)!r})\n"
        "assert gate.decide(np.zeros((90, 160, 3), np.uint8), 0.0).keep\n"
        "print([name for name in ('torch', 'onnx', 'scipy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("pairwise", [False, True])
def test_deciding_holds_no_more_memory_after_many_frames(pairwise, skip_filter, reuse_filter):
    gate = FilterRuntime((reuse_filter if pairwise else skip_filter).path)
    frames, _ = draw(40, seed=7)
    held = []
    tracemalloc.start()
    for i in range(600):
        gate.decide(frames[i % 40], i / FPS)
        if i % 200 == 199:
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[2] - held[1] < 20_000  # a picture that stays would be 12 KB a frame
