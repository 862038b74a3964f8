"""Several modalities at once: neither part alone tells, both together do."""

from pathlib import Path

import numpy as np
import pytest
from infilink.codec import pack, unpack
from infilink.errors import InvalidInput
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.modalities import fit_modality
from infilink.filters.modalities.joint import Joint, join
from infilink.filters.training.train import train_filter
from infilink.models.cost import ModelCost
from infilink.outputs import Array
from infilink.traces.trace import Trace, TraceInfo, TraceWriter

from .test_modalities import RULE, SPEC, make


def drawn(random: np.random.Generator) -> tuple[Array, int]:
    """News if the tone is high and the words are of the second kind."""
    heard, said = int(random.random() < 0.7), int(random.random() < 0.7)
    return join(heard=make("signal", heard, random), said=make("text", said, random)), heard & said


def write(path: Path, *, inputs: int, seed: int) -> Trace:
    random = np.random.default_rng(seed)
    info = TraceInfo("made up", 1.0, {"h": SPEC}, {"h": "d"}, {"h": ModelCost(1 << 20, 0.01, 0.1)}, input="array")
    with TraceWriter(path, info) as writer:
        for index in range(inputs):
            value, label = drawn(random)
            writer.append(index, float(index), pack(value), {"h": np.eye(2, dtype="f4")[label]})
    return Trace(path)


def test_an_input_of_several_parts_travels_like_any():
    value, _ = drawn(np.random.default_rng(0))
    back = unpack(pack(value))
    assert back.dtype.names == ("heard", "said")
    assert all(np.array_equal(back[name], value[name]) for name in back.dtype.names)


def test_a_filter_learns_from_both_parts(tmp_path: Path):
    with write(tmp_path / "t", inputs=400, seed=1) as trace:
        done = train_filter(trace, rule=RULE, accuracy=0.9, out=tmp_path / "f.onnx", modality="signal+text")
    assert isinstance(done.spec.modality, Joint) and list(done.spec.modality.parts) == ["heard", "said"]
    with write(tmp_path / "o", inputs=150, seed=2) as other:
        found = evaluate_filter(tmp_path / "f.onnx", other)
    assert found.contract == "kept" and found.skill is not None and found.skill > 0.7


def test_parts_that_are_not_there_are_refused():
    random = np.random.default_rng(0)
    values = [drawn(random)[0] for _ in range(8)]
    with pytest.raises(InvalidInput, match="names 3 parts, but an input has 2"):
        fit_modality("signal+text+audio", values)
    with pytest.raises(InvalidInput, match="there are text, image"):
        fit_modality("signal+smell", values)
    made = fit_modality("signal+text", values)
    for wrong in (np.zeros(3, np.float32), join(said=np.zeros(3, np.uint8), heard=np.zeros((9, 3)))):
        with pytest.raises(InvalidInput, match="must have the fields heard, said"):
            made.prepare(wrong)


def test_pictures_are_seen_alike_alone_and_beside_others():
    import torch

    random = np.random.default_rng(0)
    values = [join(a=make("image", i % 2, random), b=make("signal", i % 2, random)) for i in range(4)]
    made = fit_modality("image+signal", values)
    encoder, _ = made.encoder()
    alone = made.parts["a"]
    prepared = made.prepare(values[0])[None]
    with torch.no_grad():
        both = encoder.eval()(torch.from_numpy(prepared))
        one = encoder.encoders[0](torch.from_numpy(alone.prepare(values[0]["a"])[None].copy()))
    assert torch.allclose(both[:, : one.shape[1]], one, atol=1e-5)
    assert made.augment(np.repeat(prepared, 3, axis=0), random).shape == (3, *made.shape)
