from collections.abc import Mapping

import numpy as np
from infilink.links.sequences.search import Decoding, search
from infilink.models.encoding.tokens import NOTHING
from infilink.outputs import Array

GARDEN = {
    (): {2: 0.6, 3: 0.4},
    (2,): {2: 0.35, 3: 0.35, NOTHING: 0.3},
    (3,): {NOTHING: 1.0},
}
"""Greedy takes the path that looks better at first; the other one is more probable as a whole."""


def scripted(fixed: Mapping[str, Array], state: Array, tokens: Array, position: int) -> tuple[Array, Array]:
    """Reads `GARDEN`; the state is what was said so far."""
    after = state.copy()
    if position:
        after[:, position - 1] = tokens
    logits = np.full((len(state), 4), -50.0)
    for row, said in enumerate(after):
        for token, probability in GARDEN.get(tuple(said[:position].astype(int)), {NOTHING: 1.0}).items():
            logits[row, token] = np.log(probability)
    return logits, after


def read(width: int, rows: int = 2) -> tuple[Array, Array]:
    return search(scripted, {"unused": np.zeros((rows, 1))}, np.zeros((rows, 6)), Decoding(4, 3, width=width))


def test_greedy_follows_what_looks_best_and_beam_what_is_best() -> None:
    greedy, beam = read(1), read(3)
    assert greedy[0][0, 0] == 2
    assert beam[0].tolist() == [[3, 0, 0]] * 2
    assert np.allclose(beam[1], (0.4 + 1.0) / 2)


def test_an_endless_decoder_is_stopped() -> None:
    def endless(fixed: Mapping[str, Array], state: Array, tokens: Array, position: int) -> tuple[Array, Array]:
        return np.asarray([[-50.0, -50.0, 0.0, -1.0]] * len(state)), state

    for width in (1, 4):
        ids, _ = search(endless, {}, np.zeros((3, 1)), Decoding(4, 5, width=width))
        assert ids.shape == (3, 5)
        assert (ids == 2).all()


def test_a_width_beyond_the_vocabulary_is_fine() -> None:
    assert read(9)[0].tolist() == read(3)[0].tolist()


def test_confidence_rises_with_the_probability() -> None:
    decoding = Decoding(4, 5, slope=1.5, shift=-0.3)
    confidences = decoding.confidence(np.linspace(0, 1, 11))
    assert (np.diff(confidences) > 0).all()
    assert Decoding.from_dict(decoding.as_dict()) == decoding
