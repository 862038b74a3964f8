import json

import numpy as np
from infilink.models.encoding.encoding import Encoding
from infilink.models.encoding.tokens import LONGEST, NOTHING, OTHER, Tokens
from infilink.outputs import Array, OutputSpec


def sequences(*values: list[int]) -> list[Array]:
    return [np.asarray(value, np.int64) for value in values]


def test_unknown_tokens_are_told_apart_from_none() -> None:
    tokens = Tokens.fit(sequences([5, 5, 7], [7]))
    row = tokens.row(np.asarray([7, 99]))
    assert row.tolist() == [3, OTHER, NOTHING]
    assert tokens.value(row).tolist() == [7]
    assert tokens.value(np.asarray([NOTHING, 2, 3])).tolist() == []


def test_the_description_tells_what_comes_first_and_which_are_neighbours() -> None:
    tokens = Tokens.fit(sequences([1, 2, 3], [3, 2, 1], [2], []))
    one, other = tokens.describe(np.asarray([1, 2, 3])), tokens.describe(np.asarray([3, 2, 1]))
    assert one[0] == other[0] == 3
    assert not np.array_equal(one, other)
    assert not tokens.describe(np.zeros(0, np.int64)).any()


def test_a_large_vocabulary_is_hashed_and_a_long_sequence_cut() -> None:
    rng = np.random.default_rng(0)
    values = [rng.integers(0, 3000, 100) for _ in range(40)]
    tokens = Tokens.fit(values)
    assert tokens.longest == LONGEST
    assert len(tokens.describe(values[0])) < 200
    assert tokens.row(values[0]).shape == (LONGEST,)
    assert tokens.describe(values[0])[1:].sum() >= 100


def test_a_sequence_translates_into_another_vocabulary() -> None:
    here, there = Tokens.fit(sequences([4, 4, 6])), Tokens.fit(sequences([6, 6, 8]))
    assert here.translation(there).tolist() == [NOTHING, OTHER, OTHER, 2]


def test_an_encoding_of_tokens_survives_json() -> None:
    values = sequences([1, 2], [2], [3, 1, 1])
    encoding = Encoding.fit(OutputSpec(kind="tokens", length=4), values)
    again = Encoding.from_dict(json.loads(json.dumps(encoding.as_dict())))
    assert again.tokens is not None
    for value in values:
        assert np.allclose(again.encode(value), encoding.encode(value), atol=1e-5)
        assert np.array_equal(again.decode(again.encode(value)[again.length :]), value)


def test_sequences_that_never_change_have_no_columns() -> None:
    encoding = Encoding.fit(OutputSpec(kind="tokens", length=4), sequences(*[[1, 2]] * 5))
    assert encoding.length == 0
