"""Several modalities at once: neither part alone tells, both together do."""

import numpy as np
import pytest
import torch
from infilink.codec import pack, unpack
from infilink.errors import InvalidInput
from infilink.filters.modalities import fit_modality
from infilink.filters.modalities.joint import Joint
from infilink.filters.training.fit_loop import one_thread
from infilink.filters.training.replay import Singles
from infilink.filters.training.single_input import fit_encoder, scores_of
from infilink.filters.training.train import train_filter
from infilink.models.inputs.joint import join
from infilink.outputs import Array

from ..arrays import RULE, make, write_labelled


def drawn(random: np.random.Generator) -> tuple[Array, int]:
    """News if the tone is high and the words are of the second kind."""
    heard, said = int(random.random() < 0.7), int(random.random() < 0.7)
    return join(heard=make("signal", heard, random), said=make("text", said, random)), heard & said


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    random = np.random.default_rng(1)
    with write_labelled(tmp_path_factory.mktemp("joint") / "t", [drawn(random) for _ in range(240)]) as opened:
        yield opened


def test_an_input_of_several_parts_travels_like_any():
    value, _ = drawn(np.random.default_rng(0))
    back = unpack(pack(value))
    assert back.dtype.names == ("heard", "said")
    assert all(np.array_equal(back[name], value[name]) for name in back.dtype.names)


def test_a_network_learns_from_both_parts_together(trace):
    fitted = fit_modality("signal+text", list(trace.part(0, 160).inputs()))
    singles = Singles(trace, fitted)
    labels = np.asarray([output.argmax() for output in trace.outputs("h")], np.float64)
    with one_thread():
        network, _ = fit_encoder(singles, labels, fitted, start=0, stop=160, seed=0)
    right = (scores_of(network, singles, np.arange(160, 240))[:, 0] > 0.5) == labels[160:]
    # By one part alone 7 of 10 that could be news are, and 3 of 10 others: at most 0.79 can be right.
    assert right.mean() > 0.9


def test_a_filter_s_file_says_of_which_parts_its_inputs_are(trace, tmp_path):
    done = train_filter(
        trace.part(0, 120),
        rule=RULE,
        accuracy=0.6,
        out=tmp_path / "f.onnx",
        modality="signal+text",
        candidates=["network"],
        uncertified=True,
    )
    assert isinstance(done.spec.modality, Joint) and list(done.spec.modality.parts) == ["heard", "said"]


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
