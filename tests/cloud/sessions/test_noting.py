"""What happens to devices is noted for people: of one that says it all day, and of any number, as much as is read."""

import pytest
from infilink.cloud.metrics import Metrics
from infilink.cloud.sessions.noting import Noting
from infilink.cloud.sessions.session import Session, SessionKey
from infilink.links.planning.plan import Plan
from infilink.links.serving import Serving
from infilink.protos import edge_pb2


class Journal:
    """What a ledger was told to keep."""

    def __init__(self) -> None:
        self.rows = list[tuple[str, str, str]]()

    def journal(self, kind: str, text: str, *, device: str = "") -> None:
        self.rows.append((kind, text, device))


@pytest.fixture
def now() -> list[float]:
    return [1000.0]


@pytest.fixture
def noting(now: list[float]) -> Noting:
    return Noting(Journal(), Metrics(), devices=10, clock=lambda: now[0])


def test_a_flood_of_reports_is_noted_as_often_as_people_read(noting: Noting, now: list[float], caplog) -> None:
    key = SessionKey("yard", "today", "left")
    serving = Serving(None, Plan(100, 0, ()), models={})
    session = Session(key, serving, note=lambda kind, text: noting.note(key.name, kind, text))
    for number in range(2000):
        flag = number % 2 == 0
        rate = "above" if flag else "below"
        session.take_report(edge_pb2.Report(audit_broken=flag, uncertified=flag, clock_behind_s=flag, rate_far=rate))
    rows = noting.ledger.rows
    assert len(rows) == len(caplog.records) and 60 <= len(rows) <= 61
    assert rows[0][0] == "uncertified" and rows[0][2] == "yard/left"
    assert noting.note("door", "connected", "connected"), "others are noted"
    now[0] += 31.0
    session.take_report(edge_pb2.Report(audit_broken=True))
    assert "promise_broken" in rows[-1] and "more were not noted since the last time" in rows[-1][1]


def test_streams_and_devices_that_are_invented_are_no_way_around_it(noting: Noting, now: list[float]) -> None:
    noted = sum(noting.note(f"yard/{number}", "connected", "connected") for number in range(200))
    assert 60 <= noted <= 61
    noted += sum(noting.note(f"device-{number}", "connected", "connected") for number in range(1000))
    assert 80 <= noted <= 81, "of all together as many as may be connected need"
    assert len(noting._devices) <= 20
    now[0] += 10.0
    assert 49 <= sum(noting.note(f"other-{number}", "connected", "connected") for number in range(1000)) <= 51
