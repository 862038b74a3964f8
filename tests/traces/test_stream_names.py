"""What a stream is called, and which patterns mean it."""

import pytest
from infilink.traces.stream_names import is_meant, split_name, stream_name


def test_a_name_is_put_together_and_taken_apart() -> None:
    for device, stream in (("arm", ""), ("arm", "wrist"), ("a.b-c", "d_e")):
        assert split_name(stream_name(device, stream)) == (device, stream)
    assert stream_name("arm", "wrist") == "arm/wrist" and stream_name("arm", "") == "arm"


@pytest.mark.parametrize(
    ("name", "pattern", "meant"),
    [
        ("arm", "arm", True),
        ("arm/wrist", "arm", True),
        ("arm/wrist", "a?m", True),
        ("arm/wrist", "arm/wrist", True),
        ("arm/wrist", "arm/*", True),
        ("arm/wrist", "*/wrist", True),
        ("arm", "arm/*", False),
        ("arm/wrist", "arm/ankle", False),
        ("arm/wrist", "wrist", False),
        ("army/wrist", "arm", False),
        ("arm/wrist", "*", True),
    ],
)
def test_a_device_means_all_its_streams_and_a_stream_itself(name: str, pattern: str, meant: bool) -> None:
    assert is_meant(name, pattern) is meant
