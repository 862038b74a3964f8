"""Lines of the log say which stream they are of."""

import logging

import pytest
from infilink.device.stream_log import NameStream, called, thread_name


@pytest.mark.parametrize(
    ("thread", "line", "said"),
    [
        (thread_name("uplink", "door"), "connected to %s", "stream door: connected to h:1"),
        (thread_name("stream", "door"), "stream door: gone (%s)", "stream door: gone (h:1)"),
        (thread_name("stream", "door"), f"{called('door')}: gone (%s)", "stream door: gone (h:1)"),
        (thread_name("stream", ""), f"{called('')}: gone (%s)", "the stream: gone (h:1)"),
        (thread_name("uplink", ""), "connected to %s", "connected to h:1"),
        ("MainThread", "metrics at %s", "metrics at h:1"),
        ("Thread-1 (serve_forever)", "metrics at %s", "metrics at h:1"),
    ],
)
def test_a_line_of_a_named_stream_begins_with_its_name(thread: str, line: str, said: str) -> None:
    record = logging.LogRecord("infilink", logging.INFO, "", 0, line, ("h:1",), None)
    record.threadName = thread
    assert NameStream().filter(record) and record.getMessage() == said
