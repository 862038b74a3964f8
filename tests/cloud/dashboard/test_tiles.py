"""What a tile says of a stream's contract."""

import pytest
from infilink.cloud.dashboard.tiles import contract
from infilink.protos import edge_pb2


@pytest.mark.parametrize(("blocks", "measured", "least"), [(0, None, None), (3, 0.95, 0.8)])
def test_without_an_audit_that_is_over_nothing_is_measured(
    blocks: int, measured: float | None, least: float | None
) -> None:
    report = edge_pb2.Report(promised=0.9, audit_error=0.05, audit_bound=0.2, audit_blocks=blocks)
    found = contract(report)
    assert (found["promised"], found["measured"], found["least"]) == (0.9, measured, least)
