import pytest
from infilink.outputs import OutputSpec
from infilink.units import typical_bytes


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (OutputSpec(kind="count"), 4),
        (OutputSpec(kind="label", classes=("a", "b", "c")), 12),
        (OutputSpec(kind="vector", length=128), 512),
        (OutputSpec(kind="boxes", classes=("car",)), 8 * 6 * 4),
        (OutputSpec(kind="tokens", length=5000), 64 * 8),
        (OutputSpec(kind="mask"), 64 * 64),
    ],
)
def test_an_output_takes_what_its_kind_takes(output: OutputSpec, expected: int) -> None:
    assert typical_bytes(output) == expected
