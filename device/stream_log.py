"""Which stream a line of the agent's log is of: the name of the thread that wrote it says so."""

import logging


def thread_name(what: str, stream: str) -> str:
    """What a thread of a stream is called; that of a device's only stream has no more than its task's name."""
    return f"{what} {stream}" if stream else what


def called(stream: str) -> str:
    """What a stream is called in the log: a device's only one has no name."""
    return f"stream {stream}" if stream else "the stream"


class NameStream(logging.Filter):
    """Begins lines that threads of named streams write with the stream's name."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every line passes."""
        what, _, stream = (record.threadName or "").partition(" ")
        told = record.getMessage().startswith("stream ")
        if stream and not told and what in ("stream", "uplink", "handoff", "gate", "models"):
            record.msg = f"stream {stream}: {record.msg}"
        return True
