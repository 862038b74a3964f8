"""What a person writes on the command line of how a source is cut."""

import pytest
from infilink.device.sources.cut import WHOLE, Cut
from infilink.device.sources.cut_options import cut_of
from infilink.errors import InvalidInput


def test_windows_are_lengths_of_time_or_numbers_of_samples():
    assert cut_of() == WHOLE
    assert cut_of(window="1s", stride="500ms", rate_hz=8000) == Cut(window_s=1.0, stride_s=0.5, rate_hz=8000)
    assert cut_of(window="64", stride="32") == Cut(window=64, stride=32)
    assert cut_of(channels="x, y,z", modality="signal", time_column="-", time_unit="ms").channels == ("x", "y", "z")
    assert cut_of(text_column="1", watch=True) == Cut(text_column="1", watch=True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"window": "soon"}, "'soon' is no length of time"),
        ({"window": "0"}, "window: .*greater than or equal to 1"),
        ({"stride": "1s"}, "`stride_s` needs `window_s`"),
        ({"window": "64", "stride": "1s"}, "`stride_s` needs `window_s`"),
        ({"channels": "x,x"}, "`channels` names one twice"),
    ],
)
def test_what_does_not_go_together_is_told(given, says):
    with pytest.raises(InvalidInput, match=says):
        cut_of(**given)
