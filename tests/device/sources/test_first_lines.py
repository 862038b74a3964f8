"""What comes before the first line that shows what a live source's lines are."""

import pytest
from infilink.device.sources.complaints import Complaints
from infilink.device.sources.cut import WHOLE
from infilink.device.sources.feeds import ThreadFeed
from infilink.device.sources.json_lines import JsonFormat
from infilink.device.sources.records import RecordSource
from infilink.device.sources.table import TableFormat
from infilink.errors import InvalidInput


def opened(kind: type[JsonFormat] | type[TableFormat], lines: list[bytes]) -> RecordSource:
    """A live source whose lines came one by one, before anybody looked."""
    complaints = Complaints(lambda _: None)
    feed = ThreadFeed("port", complaints, loses=False)
    for number, line in enumerate(lines):
        feed.put([line], float(number))
    feed.end()
    options = {} if kind is JsonFormat else {"per_line": True}
    return RecordSource("port", feed, lambda _: kind(WHOLE, complaints, **options), WHOLE, complaints)


@pytest.mark.parametrize(
    ("kind", "before"),
    [
        (JsonFormat, [b"", b"booting", b"{}", b'{"event": null}']),
        (TableFormat, [b"", b"# a logger", b"  "]),
        (TableFormat, [b"booting", b"ready to go"]),
    ],
)
def test_a_live_source_may_say_something_before_its_first_row(
    kind: type[JsonFormat] | type[TableFormat], before: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    rows = [b'{"x": 1}', b'{"x": 2}'] if kind is JsonFormat else [b"x,y", b"1,1", b"2,2"]
    with opened(kind, [*before, *rows]) as source:
        found = [(each.value.tolist(), each.captured_s) for each in source]
    assert source.form.channels[0] == "x" and [value[0][0] for value, _ in found] == [1, 2]
    assert [time_s for _, time_s in found] == [len(before) + len(rows) - 2, len(before) + len(rows) - 1]
    assert "waits for a line that shows what its inputs are" in caplog.text


@pytest.mark.parametrize("count", [3, 100])
def test_what_never_shows_what_it_is_is_refused_with_the_reason(count: int) -> None:
    with pytest.raises(InvalidInput, match=r"port: holds no JSON \(b'0,0'\): for rows write csv:PATH"):
        opened(JsonFormat, [b"%d,%d" % (number, number) for number in range(count)])
