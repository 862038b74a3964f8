"""One stream's runs: tried again when they fail, ended by whoever stops it, whatever it does then."""

import threading
from collections.abc import Callable

import pytest
from infilink.device.config import DeviceConfig
from infilink.device.stream_keeper import StreamKeeper
from infilink.device.stream_run import StreamRun
from infilink.device.summary import Summary
from infilink.errors import InfilinkError, InvalidInput

from .coordinator import TIMEOUT_S

CONFIG = DeviceConfig(name="d", source="0", coordinator="h:1")
DONE = Summary(
    **dict.fromkeys((each for each in Summary.__dataclass_fields__ if each not in ("local", "travelled")), 0)
)


class Run(StreamRun):
    """A run that does what the test says."""

    def __init__(self, what: Callable[["Run"], Summary]) -> None:
        super().__init__(CONFIG)
        self.what = what

    def run(self) -> Summary:
        return self.what(self)


def fails(error: Exception) -> Callable[[Run], Summary]:
    def run(_: Run) -> Summary:
        raise error

    return run


def waits(run: Run) -> Summary:
    """Until it is stopped."""
    assert run.stopped.wait(TIMEOUT_S)
    return DONE


def keep(*runs: Callable[[Run], Summary], tries_again: bool = True) -> StreamKeeper:
    """A keeper whose runs do this, one after another."""
    left = list(runs)
    ended = threading.Event()
    keeper = StreamKeeper(
        "door", CONFIG, lambda config, name: Run(left.pop(0)), tries_again=tries_again, on_end=ended.set
    )
    # What waits for the next run need not wait long here.
    keeper.again_s = (0.001, 0.002)
    keeper.start()
    return keeper


def end(keeper: StreamKeeper) -> None:
    keeper.join(TIMEOUT_S)
    assert keeper.state == "ended"


def test_a_run_that_ends_is_the_last(caplog: pytest.LogCaptureFixture) -> None:
    keeper = keep(lambda run: DONE)
    end(keeper)
    assert keeper.end.summary is DONE and keeper.end.failure is None and not caplog.messages


def test_a_run_that_fails_is_tried_again_and_told_until_it_fails_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    wrong, other = InvalidInput("no such file"), InvalidInput("no such gate")
    keeper = keep(fails(wrong), fails(wrong), fails(other), fails(wrong), lambda run: DONE)
    end(keeper)
    assert keeper.end.summary is DONE
    assert [text.partition(";")[0] for text in caplog.messages] == [
        f"stream door: {error}" for error in (wrong, other, wrong)
    ]


def test_what_failed_once_it_was_connected_is_told_each_time(caplog: pytest.LogCaptureFixture) -> None:
    def breaks(run: Run) -> Summary:
        run.connected = True
        raise InvalidInput("gone")

    end(keep(breaks, breaks, lambda run: DONE))
    assert len(caplog.messages) == 2


def test_the_only_stream_is_not_tried_again() -> None:
    keeper = keep(fails(InvalidInput("no such file")), tries_again=False)
    end(keeper)
    assert str(keeper.end.failure) == "no such file" and keeper.end.as_dict() == {"failure": "no such file"}


def test_a_bug_in_a_run_is_logged_and_ends_that_run_only(caplog: pytest.LogCaptureFixture) -> None:
    keeper = keep(fails(ZeroDivisionError("oh")), lambda run: DONE)
    end(keeper)
    assert keeper.end.summary is DONE and "ZeroDivisionError" in caplog.text


def test_a_run_is_stopped_and_so_is_the_wait_for_the_next() -> None:
    keeper = keep(waits)
    keeper.stop()
    end(keeper)
    assert keeper.end.summary is DONE
    away = keep(*[fails(InfilinkError("away"))] * 100_000)
    away.again_s = (TIMEOUT_S, TIMEOUT_S)
    away.stop()
    end(away)
    assert str(away.end.failure) == "away"
