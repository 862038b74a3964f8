"""What a coordinator's status says to an operator, and to a program."""

import json

import pytest
from infilink.cloud.status_text import as_json, as_tables
from infilink.protos import edge_pb2
from rich.console import Console


def told(status: edge_pb2.StatusReply, before: edge_pb2.StatusReply | None = None, *, width: int = 250) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(as_tables(status, before))
    return capture.get()


def a_site(**fields: object) -> edge_pb2.StatusReply:
    models = [
        edge_pb2.ModelStatus(
            name="boxes[s]", state="loaded", memory_bytes=50 * 2**20, executions=7, cpu_s=3.0, loads=2, why="it tells"
        ),
        edge_pb2.ModelStatus(name="scene", state="unloaded", waiting=1.5, keeping=0.25),
    ]
    values = {"version": "1", "uptime_s": 60.0, "compute_cores": 0.5, "spent_s": 6.0, "models": models, **fields}
    return edge_pb2.StatusReply(**values)


def test_memory_and_compute_stand_beside_their_budgets() -> None:
    text = told(a_site(budget_bytes=100 * 2**20, memory_bytes=50 * 2**20, peak_bytes=90 * 2**20, memory_samples=4))
    assert "50.0 MiB of 100.0 MiB (50%; at most 90.0 MiB so far, never above it in 4 samples)" in text
    assert "0.10 of 0.5 cores (20%) since it began" in text and "there is enough" in text and "overload" not in text
    text = told(a_site(budget_bytes=100 * 2**20, budget_violations=1, memory_samples=4))
    assert "above the budget in 1 of 4 samples" in text
    assert "no limit" in told(a_site()) and "no device has connected yet" in told(a_site())


def test_compute_is_told_since_the_last_look_and_overload_is_said() -> None:
    text = told(a_site(uptime_s=62.0, spent_s=7.0, price=12.0, late=3), a_site())
    assert "0.50 of 0.5 cores (100%) since the last look" in text
    assert "prevents at least 12 losses" in text and "overload" in text and "3 runs were left out" in text


def test_without_a_schedule_everything_runs() -> None:
    text = told(a_site(compute_cores=0.0, spent_s=0.0))
    assert "compute: 0.05 cores since it began; every model runs on every input" in text and "price" not in text


def test_models_and_devices_are_told_one_by_one() -> None:
    answers = {"scene": edge_pb2.AnswerCounts(executed=1, held=3)}
    report = edge_pb2.Report(frames=40, kept=10, audit_error=0.2, audit_blocks=5, audit_broken=True, uncertified=True)
    devices = [
        edge_pb2.DeviceStatus(name="yard", connected=True, inputs=4, answers=answers, report=report),
        edge_pb2.DeviceStatus(name="door", revoked=["scene held"]),
    ]
    text = told(a_site(devices=devices))
    assert "boxes[s]" in text and "it tells" in text and "0.25/s" in text
    yard, gate = (line for line in text.splitlines() if "yard" in line)
    assert "25%" in yard and "75%" in yard and "kept 25% of 40" in gate and "promise broken" in gate
    door = next(line for line in text.splitlines() if "door" in line)
    assert "gone" in door and "scene held" in door


@pytest.mark.parametrize(("rate_far", "said"), [("above", "drops far more"), ("below", "drops far less")])
def test_what_a_gate_says_of_itself_is_told(rate_far: str, said: str) -> None:
    report = edge_pb2.Report(frames=1, dropped=2, rate_far=rate_far, clock_behind_s=-1.5)
    text = told(a_site(devices=[edge_pb2.DeviceStatus(name="yard", report=report)]))
    assert said in text and "2 dropped on the way" in text and "clock 1.5 s ahead" in text


def test_a_narrow_terminal_takes_nothing_from_names() -> None:
    report = edge_pb2.Report(frames=1800, kept=212, audit_error=0.0, audit_blocks=8)
    names = ["hall/lobby_camera", "hall/lobby_microphone"]
    text = told(a_site(devices=[edge_pb2.DeviceStatus(name=name, report=report) for name in names]), width=80)
    assert all(text.count(name) == 2 for name in names) and "…" not in text
    assert text.count("loses 0.000 (8 blocks)") == 2


def test_programs_read_json() -> None:
    read = json.loads(as_json(a_site()))
    assert read["compute_cores"] == 0.5 and read["late"] == "0" and read["models"][0]["name"] == "boxes[s]"


def test_cards_have_a_line_each_and_a_ledger_in_trouble_is_told() -> None:
    card = edge_pb2.PlaceStatus(name="cuda:0", memory_bytes=2**30, budget_bytes=2**31, peak_bytes=2**30)
    text = told(a_site(places=[edge_pb2.PlaceStatus(name="host"), card], ledger_trouble="its disk is full"))
    assert "cuda:0: memory: 1.0 GiB of 2.0 GiB (50%" in text and "host:" not in text
    assert "the ledger can't be written: its disk is full" in text and "ledger" not in told(a_site())


def test_how_much_a_governor_leaves_out_is_told_with_its_reason() -> None:
    report = edge_pb2.Report(frames=10, level="slower", level_reason="81.0 \u00b0C [red]", left_out=4)
    text = told(a_site(devices=[edge_pb2.DeviceStatus(name="yard", connected=True, report=report)]))
    assert "slower: 81.0 \u00b0C [red], 4 left out" in text
