"""What is measured of memory: processes by their unique sets, a card as its driver shows it."""

import json
import os
from types import SimpleNamespace

import pytest
from infilink.cloud.runtime.meter import CardMeter, HostMeter
from infilink.cloud.runtime.worker import Worker
from infilink.errors import InvalidInput
from infilink.models.supervisor import Supervisor


def driver(path):
    """A driver whose cards' readings stand in a file."""

    def now():
        return json.loads(path.read_text())

    def by_uuid(uuid):
        return now()["uuids"].index(uuid)

    return SimpleNamespace(
        nvmlDeviceGetHandleByIndex=lambda index: now()["cards"][index] and index,
        nvmlDeviceGetHandleByUUID=by_uuid,
        nvmlDeviceGetMemoryInfo=lambda card: SimpleNamespace(total=1000, used=now()["cards"][card]["used"]),
        nvmlDeviceGetComputeRunningProcesses=lambda card: [
            SimpleNamespace(pid=pid, usedGpuMemory=taken) for pid, taken in now()["cards"][card]["processes"]
        ],
    )


@pytest.fixture
def cards(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    path = tmp_path / "driver.json"

    def write(*used, processes=(), uuids=()):
        shown = [{"used": each, "processes": list(processes)} for each in used]
        path.write_text(json.dumps({"cards": shown, "uuids": uuids}))
        return driver(path)

    return write


def test_a_card_is_read_by_the_process_that_its_models_are_in(cards):
    pids = [None]
    meter = CardMeter(0, lambda: pids[0], nvml=cards(100))
    assert meter.total_bytes == 1000 and meter.read().whole_bytes == 0
    pids[0] = 7
    cards(600, processes=[[6, 200], [7, 300]])
    assert meter.read().whole_bytes == 300 and meter.by_process


@pytest.mark.parametrize("processes", [[], [[99, 300]], [[7, None]]])
def test_where_processes_are_not_visible_it_is_what_the_card_has_less_free(cards, processes):
    pids = [None]
    meter = CardMeter(0, lambda: pids[0], nvml=cards(100))
    cards(150)
    meter.read()
    pids[0] = 7
    cards(450, processes=processes)
    assert meter.read().whole_bytes == 300 and not meter.by_process


@pytest.mark.parametrize(("listed", "device", "used"), [("1,0", 0, 20), ("GPU-b,GPU-a", 1, 10), ("", 1, 20)])
def test_cards_are_counted_as_cuda_counts_them(cards, monkeypatch, listed, device, used):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    meter = CardMeter(device, lambda: 7, nvml=cards(10, 20, uuids=["GPU-a", "GPU-b"]))
    cards(10 + used, 20 + used, uuids=["GPU-a", "GPU-b"])
    assert meter.read().whole_bytes == used


def test_a_card_that_is_not_there_is_an_error(cards):
    with pytest.raises(InvalidInput, match=r"cuda:3: the driver shows no such card .*infilink doctor"):
        CardMeter(3, lambda: None, nvml=cards(10))


def test_the_machines_memory_is_told_by_model_and_what_inputs_take_beside(tiny_models):
    workers = {name: Worker(Supervisor(name, tiny_models / f"{name}.onnx")) for name in ("bright", "light")}
    meter = HostMeter(workers, processes={"cuda:0": lambda: 5}, buffers=lambda: 7)
    assert meter.read().models == {"cuda:0": 5} and meter.read().buffers_bytes == 7
    try:
        workers["bright"].model.load()
        reading = meter.read()
        assert set(reading.models) == {"bright", "cuda:0"} and reading.models["bright"] > 2**20
        assert meter.total_bytes > reading.models["bright"] and os.getpid() != workers["bright"].pid
    finally:
        for worker in workers.values():
            worker.close()
