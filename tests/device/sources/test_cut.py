"""What a cut asks for, in samples, and what it refuses."""

import pytest
from infilink.device.sources.cut import WHOLE, Cut, Span
from infilink.errors import InvalidInput
from pydantic import ValidationError


def test_seconds_are_samples_at_a_rate_and_windows_follow_each_other_if_no_stride_is_given():
    assert Cut(window_s=2.0).span(32.0, where="w") == Span(64, 64)
    assert Cut(window_s=2.0, stride_s=0.5).span(32.0, where="w") == Span(64, 16)
    assert Cut(window=10, stride=3).span(0.0, where="w") == Span(10, 3)
    assert WHOLE.span(100.0, where="w") == Span(0, 0) and not WHOLE.is_windowed


def test_seconds_need_a_rate():
    with pytest.raises(InvalidInput, match=r"walk\.csv: has no rate.*`window`.*`rate_hz`"):
        Cut(window_s=1.0).span(0.0, where="walk.csv")
    with pytest.raises(InvalidInput, match=r"`stride_s` 0\.001 is less than one sample at 32"):
        Cut(window_s=1.0, stride_s=0.001).span(32.0, where="w")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"window_s": 1.0, "window": 3}, "say the same"),
        ({"stride_s": 1.0}, "needs `window_s`"),
        ({"stride": 1}, "needs `window`"),
        ({"channels": ("x", "x")}, "names one twice"),
        ({"window_s": 0.0}, "window_s"),
        ({"hop": 1}, "hop"),
    ],
)
def test_what_can_not_be_is_refused_by_its_name(fields, message):
    with pytest.raises(ValidationError, match=message):
        Cut(**fields)
