"""What a network learns by each modality, and what single modalities do with their inputs."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.filters.modalities import MODALITIES, fit_modality
from infilink.filters.modalities.text import Text
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.fit_loop import one_thread
from infilink.filters.training.replay import Singles
from infilink.filters.training.single_input import fit_encoder, scores_of
from infilink.filters.training.train import train_filter
from infilink.outputs import Array

from ..arrays import RULE, make, write, write_labelled

WORDS = st.lists(st.from_regex(r"[a-zA-Z]{1,8}", fullmatch=True), max_size=40)


@pytest.mark.parametrize("kind", MODALITIES)
def test_a_network_learns_what_its_modality_shows(kind: str, tmp_path: Path) -> None:
    with write(tmp_path / "t", kind, inputs=160, seed=1) as trace:
        labels = np.asarray([output.argmax() for output in trace.outputs("h")], np.float64)
        fitted = fit_modality(kind, list(trace.part(0, 80).inputs()))
        if "side" in type(fitted).model_fields:
            fitted = fitted.model_copy(update={"side": 32})
        singles = Singles(trace, fitted)
    with one_thread():
        network, _ = fit_encoder(singles, labels, fitted, start=0, stop=80, seed=1)
    right = (scores_of(network, singles, np.arange(80, 160))[:, 0] > 0.5) == labels[80:]
    # Half is chance, and all is what every seed reaches.
    assert right.mean() > 0.9


def test_what_is_learned_but_drops_less_than_a_random_draw_is_written_only_at_the_users_wish(tmp_path: Path) -> None:
    random, out = np.random.default_rng(1), tmp_path / "f.onnx"
    # One in five shows that it is dull. The others are one and the same, too often news to drop them all.
    other = make("signal", 1, random)
    drawn = [(make("signal", 0, random), 0) if i % 5 == 0 else (other, int(i % 5 > 1)) for i in range(120)]
    with write_labelled(tmp_path / "t", drawn) as trace:
        with pytest.raises(InvalidInput, match=r"what was learnt is useless: .* for nothing; .* --candidate network"):
            train_filter(trace, rule=RULE, accuracy=0.6, out=out, modality="signal", uncertified=True)
        assert not out.exists()
        train_filter(
            trace, rule=RULE, accuracy=0.6, out=out, modality="signal", candidates=["network"], uncertified=True
        )
    assert out.exists()


@given(WORDS, st.integers(2, 64))
def test_a_text_is_its_words_in_any_case_and_its_pairs_in_their_order(words: list[str], length: int) -> None:
    modality = Text(length=length, buckets=100)

    def prepared(given: list[str]) -> Array:
        return modality.prepare(np.frombuffer(" ".join(given).encode(), np.uint8))

    found = prepared(words)
    assert np.array_equal(found, prepared([word.upper() for word in words]))
    assert np.array_equal(found, prepared([word.lower() for word in words]))
    held = min(length, 2 * len(words) - 1) if words else 0
    assert (found[:held] > 0).all() and (found[held:] == 0).all()
    # Words first, then pairs: another order has the same words, and each word is where it is in the text.
    singles = min(len(words), length)
    backwards = prepared(words[::-1])
    if len(words) <= length:
        assert np.array_equal(backwards[:singles], found[:singles][::-1])


@given(st.binary(max_size=400))
def test_any_bytes_become_buckets_that_there_are(data: bytes) -> None:
    prepared = Text(length=16, buckets=100).prepare(np.frombuffer(data, np.uint8))
    assert prepared.min() >= 0 and prepared.max() < 100


def test_windows_of_another_length_are_stretched() -> None:
    fitted = fit_modality("signal", [np.linspace(0, 1, 32)[:, None] * np.ones((1, 2)) for _ in range(3)])
    assert np.allclose(
        fitted.prepare(np.linspace(0, 1, 95)[:, None] * np.ones((1, 2)))[0],
        fitted.prepare(np.linspace(0, 1, 32)[:, None] * np.ones((1, 2)))[0],
        atol=1e-3,
    )


def test_a_wrong_modality_or_rule_is_refused(tmp_path: Path) -> None:
    with write(tmp_path / "t", "signal", inputs=80, seed=1) as trace:
        with pytest.raises(InvalidInput, match="there are text, image, video, audio, signal, map"):
            train_filter(trace, rule=RULE, accuracy=0.9, out=tmp_path / "f.onnx", modality="smell")
        with pytest.raises(InvalidInput, match="unchanged"):
            train_filter(trace, rule=parse_rule("unchanged"), accuracy=0.9, out=tmp_path / "f.onnx", modality="signal")
        with pytest.raises(InvalidInput, match="a text must"):
            train_filter(trace, rule=RULE, accuracy=0.9, out=tmp_path / "f.onnx", modality="text")
        with pytest.raises(InvalidInput, match="not pictures"):
            next(trace.frames())
    assert not (tmp_path / "f.onnx").exists()
