import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from infilink.links.sequences.agreement import sequence_agreements
from infilink.outputs import OutputSpec

words = st.lists(st.integers(0, 4), max_size=8)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_many_at_once_agree_as_one_by_one(pairs: list[tuple[list[int], list[int]]]) -> None:
    spec = OutputSpec(kind="tokens", length=5)
    a = [np.asarray(first, np.int64) for first, _ in pairs]
    b = [np.asarray(second, np.int64) for _, second in pairs]
    expected = [spec.agreement(first, second) for first, second in zip(a, b, strict=True)]
    assert np.allclose(sequence_agreements(a, b), expected)
