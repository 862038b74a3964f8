"""What `infilink top` makes of two looks: rates, shares and times since the last one, on any screen."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.cloud.status_top import Change, as_line, as_screen, quantile
from infilink.protos import edge_pb2
from rich.console import Console

BOUNDS = [0.01, 0.1, 1.0]


def stage(*counts: int, name: str = "total") -> edge_pb2.StageStatus:
    return edge_pb2.StageStatus(stage=name, bounds_s=BOUNDS, counts=counts)


def a_site(uptime_s: float = 100.0, **fields: object) -> edge_pb2.StatusReply:
    return edge_pb2.StatusReply(**{"version": "1", "uptime_s": uptime_s, "compute_cores": 0.5, **fields})


def screen(change: Change, *, height: int = 40, note: str = "") -> list[str]:
    console = Console(width=200, file=io.StringIO(), force_terminal=False)
    console.print(as_screen(change, height=height, note=note))
    return console.file.getvalue().splitlines()


def test_rates_and_times_are_since_the_last_look() -> None:
    before = a_site(
        100.0, inputs=1000, spent_s=50.0, stages=[stage(1000, 0, 0, 0)], refusals={"deadline": 5}, refused=5
    )
    now = a_site(
        102.0,
        inputs=1030,
        spent_s=50.5,
        stages=[stage(1000, 10, 20, 0)],
        refusals={"deadline": 9},
        refused=9,
        price=2.0,
    )
    text = "\n".join(screen(Change(now, before)))
    assert "15.0 inputs/s" in text and "2.0 refused/s (deadline 2.0)" in text
    assert "0.25 of 0.5 cores, a second has to prevent 2 losses" in text
    # 10 of 30 are below .1 s and 20 between that and 1 s.
    assert "total 325 ms / 986 ms" in text
    line = as_line(Change(now, before), clock="12:00:00")
    assert line.startswith("12:00:00 15.0 inputs/s; 2.0 refused/s; 0 waiting; memory 0 B, no limit; ")
    assert "\n" not in line and line.endswith("runs now: nothing")


def test_models_and_streams_that_do_most_come_first_and_the_rest_is_counted() -> None:
    def models(times: int) -> list[edge_pb2.ModelStatus]:
        return [edge_pb2.ModelStatus(name=f"m{i}", state="loaded", executions=i * times) for i in range(40)]

    def devices(times: int) -> list[edge_pb2.DeviceStatus]:
        return [edge_pb2.DeviceStatus(name=f"d{i}", connected=True, inputs=i * times) for i in range(40)]

    before = a_site(10.0, models=models(1), devices=devices(1))
    change = Change(a_site(11.0, models=models(2), devices=devices(2)), before)
    lines = screen(change, height=30)
    assert len(lines) <= 30
    names = [line.split()[0] for line in lines if line.strip() and line.split()[0] in {f"m{i}" for i in range(40)}]
    assert names[:3] == ["m39", "m38", "m37"]
    assert [line for line in lines if "more" in line] == [
        next(line for line in lines if f"and {40 - len(names)} more" in line),
        next(line for line in reversed(lines) if "more" in line),
    ]


def test_a_stream_shows_how_its_last_answers_came_to_be() -> None:
    def device(executed: int, linked: int) -> edge_pb2.DeviceStatus:
        answers = {"scene": edge_pb2.AnswerCounts(executed=executed, linked=linked)}
        report = edge_pb2.Report(frames=100, kept=20, sent_bytes=3 * 2**20, audit_error=0.25)
        fields = {"name": "yard", "connected": True, "inputs": executed + linked, "answers": answers, "report": report}
        return edge_pb2.DeviceStatus(**fields)

    change = Change(a_site(11.0, devices=[device(101, 3)]), a_site(10.0, devices=[device(100, 0)]))
    line = next(line for line in screen(change) if "yard" in line).split()
    assert line[1:] == ["4.0", "0", "25%", "75%", "0%", "0%", "80%", "0", "B", "loses", "0.250"]


def test_what_comes_from_elsewhere_moves_no_cursor() -> None:
    name = "evil\x1b[2J\n[red]x"
    site = a_site(devices=[edge_pb2.DeviceStatus(name=name)], models=[edge_pb2.ModelStatus(name=name, running=True)])
    text = "\n".join(screen(Change(site))) + as_line(Change(site), clock="")
    assert "\x1b" not in text and "evil?[2J?[red]x" in text


def test_a_coordinator_that_was_started_again_counts_from_the_beginning() -> None:
    change = Change(a_site(2.0, inputs=10, stages=[stage(1, 0, 0, 0)]), a_site(500.0, inputs=9000))
    assert change.rate("inputs") == 5.0
    assert "nobody answers" in screen(change, note="nobody answers")[-1]


@given(st.lists(st.integers(0, 20), min_size=4, max_size=4).filter(any), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_value_that_it_stands_for(counts: list[int], share: float) -> None:
    found = quantile(BOUNDS, counts, share)
    values = sorted(upper for upper, count in zip([*BOUNDS, float("inf")], counts, strict=True) for _ in range(count))
    exact = values[max(0, -int(-share * len(values) // 1) - 1)]
    upper = min(exact, BOUNDS[-1])
    lower = max([0.0, *(bound for bound in BOUNDS if bound < upper)])
    assert lower - 1e-9 <= found <= upper + 1e-9


@pytest.mark.parametrize("height", [5, 10, 24, 100])
def test_any_screen_will_do(height: int) -> None:
    models = [edge_pb2.ModelStatus(name=f"m{i}", state="loaded") for i in range(30)]
    assert screen(Change(a_site(models=models)), height=height)


def test_cards_have_a_bar_each_and_a_ledger_in_trouble_is_told() -> None:
    card = edge_pb2.PlaceStatus(name="cuda:0", memory_bytes=2**30, budget_bytes=2**31)
    change = Change(a_site(places=[edge_pb2.PlaceStatus(name="host"), card], ledger_trouble="its disk is full"))
    lines = screen(change)
    assert any(line.startswith("cuda:0") and "1.0 GiB of 2.0 GiB" in line for line in lines)
    assert lines[-1].startswith("the ledger can't be written: its disk is full")
    assert "; cuda:0 1.0 GiB of 2.0 GiB; compute" in as_line(change, clock="")
