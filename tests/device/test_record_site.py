"""Several cameras recorded at once: each as if alone, with one process a model for all of them."""

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from infilink.codec import pack
from infilink.device.record import record
from infilink.device.record_cli import record_command
from infilink.device.record_site import record_site
from infilink.errors import InvalidInput, Unavailable
from infilink.models.process import ModelProcess
from infilink.models.spec import find_models
from infilink.traces.trace import Trace

from ..clips import Stream, write_clip

FRAMES = 12


@pytest.fixture(scope="module")
def models(tiny_models: Path) -> dict[str, Path]:
    return find_models(tiny_models)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Cameras with pictures of different sizes and rates."""
    folder = tmp_path_factory.mktemp("clips")
    return {
        "lobby": str(write_clip(folder / "a.mp4", frames=FRAMES)),
        "yard": str(write_clip(folder / "b.mp4", frames=2 * FRAMES, fps=20, size=(96, 64))),
    }


def content(path: Path) -> list[object]:
    with Trace(path) as trace:
        values = {name: [pack(value) for value in trace.outputs(name)] for name in trace.models}
        return [trace.info.source, trace.sequences.tolist(), trace.captured_s.tolist(), list(trace.payloads()), values]


def costs(path: Path) -> dict[str, object]:
    with Trace(path) as trace:
        return dict(trace.info.costs)


def test_each_camera_is_recorded_as_if_alone_and_the_models_are_started_once(
    tmp_path: Path, clips: dict[str, str], models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    load = ModelProcess.load
    monkeypatch.setattr(
        ModelProcess, "load", lambda self, **how: (started.append(self.path.stem), load(self, **how))[1]
    )
    told: list[tuple[float, str]] = []
    done = record_site(clips, models, tmp_path / "site", progress=lambda share, text: told.append((share, text)))
    assert sorted(started) == sorted(2 * list(models)), "once to measure what it costs, once to record"
    assert not done.failures and {name: each.inputs for name, each in done.recorded.items()} == {
        "lobby": FRAMES,
        "yard": 2 * FRAMES,
    }
    assert [share for share, _ in told] == sorted(share for share, _ in told) and told[-1][0] == 1.0
    assert {text.partition(":")[0] for _, text in told} == set(clips)
    assert costs(tmp_path / "site" / "lobby.trace") == costs(tmp_path / "site" / "yard.trace")
    for name, source in clips.items():
        record(source, models, tmp_path / f"{name}.trace")
        assert content(tmp_path / f"{name}.trace") == content(tmp_path / "site" / f"{name}.trace")


def test_a_recording_goes_on_and_another_camera_joins_it(
    tmp_path: Path, clips: dict[str, str], models: dict[str, Path]
) -> None:
    told: list[str] = []
    record_site({"lobby": clips["lobby"]}, models, tmp_path, seconds=0.5)
    done = record_site(clips, models, tmp_path, progress=lambda _share, text: told.append(text))
    assert {name: (each.inputs, each.added) for name, each in done.recorded.items()} == {
        "lobby": (FRAMES, FRAMES - 5),
        "yard": (2 * FRAMES, 2 * FRAMES),
    }
    assert not any("measuring" in text for text in told), "what the models cost is known"
    record(clips["lobby"], models, tmp_path / "alone")
    assert content(tmp_path / "lobby.trace") == content(tmp_path / "alone")


def test_what_other_models_of_the_same_names_cost_is_not_taken_over(
    tmp_path: Path, clips: dict[str, str], models: dict[str, Path]
) -> None:
    told: list[str] = []
    one = {"bright": models["bright"]}
    record_site({"lobby": clips["lobby"]}, one, tmp_path)
    other = {"bright": models["light"]}
    done = record_site(clips, other, tmp_path, progress=lambda _share, text: told.append(text))
    assert any("measuring" in text for text in told)
    assert list(done.recorded) == ["yard"] and "recorded with digests" in str(done.failures["lobby"])


def test_a_camera_that_fails_leaves_the_others_alone_and_says_so(
    tmp_path: Path, clips: dict[str, str], models: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    sent = write_clip(tmp_path / "s.ts", frames=FRAMES, bf="0").read_bytes()
    with Stream(sent) as stream:
        done = record_site({"gate": stream.address, **clips}, models, tmp_path / "site")
    assert set(done.recorded) == set(clips) and isinstance(done.failures["gate"], Unavailable)
    assert "camera gate: " in caplog.text and "the stream ended" in caplog.text
    with Trace(tmp_path / "site" / "gate.trace") as trace:
        assert len(trace) == FRAMES, "what it gave is recorded"
    with pytest.raises(Unavailable, match=r"camera gate: .*the stream ended"):
        done.raise_failures()
    done = record_site({"gone": str(tmp_path / "gone.mp4"), "lobby": clips["lobby"]}, models, tmp_path / "site")
    with pytest.raises(InvalidInput, match=r"camera gone: .*gone\.mp4: there is no such file or folder"):
        done.raise_failures()


def test_what_is_wrong_for_all_is_said_once(tmp_path: Path, clips: dict[str, str]) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_text("no model")
    bad.with_suffix(".toml").write_text('[input]\nsize = [16, 16]\n[output]\nkind = "scalar"\n')
    done = record_site(clips, {"bad": bad}, tmp_path / "site")
    assert not done.recorded and not (tmp_path / "site").exists()
    with pytest.raises(InvalidInput) as raised:
        done.raise_failures()
    assert str(raised.value).count("not an ONNX model") == 1


@contextmanager
def silent_after(sent: bytes) -> Iterator[str]:
    """A live source that gives something and then nothing, for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []

        def serve() -> None:
            connection, _ = server.accept()
            connections.append(connection)
            connection.sendall(sent)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        thread.join()
        for each in connections:
            each.close()


def test_ctrl_c_ends_all_and_what_was_recorded_stays(
    tmp_path: Path, clips: dict[str, str], models: dict[str, Path]
) -> None:
    main = threading.main_thread().ident
    assert main is not None
    # As a program begins; a test before may have run a daemon here, which has handlers of its own.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupt = iter([lambda: signal.pthread_kill(main, signal.SIGINT)])

    def watch(_share: float, text: str) -> None:
        # On a busy machine frames are left out, and few are told of.
        if text.startswith("gate: input "):
            next(interrupt, lambda: None)()

    sent = write_clip(tmp_path / "s.ts", frames=30, bf="0").read_bytes()
    with silent_after(sent) as address, pytest.raises(KeyboardInterrupt):
        record_site({"gate": address, "lobby": clips["lobby"]}, models, tmp_path, progress=watch)
    with Trace(tmp_path / "gate.trace") as trace:
        assert trace.sequences.tolist() == list(range(len(trace))) and len(trace) > 0
    done = record_site({"lobby": clips["lobby"]}, models, tmp_path)
    assert done.recorded["lobby"].inputs == FRAMES


def test_the_command_records_them_into_a_folder(
    tmp_path: Path, clips: dict[str, str], tiny_models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cameras = [f"{name}={source}" for name, source in clips.items()]
    record_command(models=tiny_models, out=tmp_path / "site", cameras=cameras, only=["bright"], as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["cameras"]["yard"] == {
        "trace": str(tmp_path / "site" / "yard.trace"),
        "inputs": 2 * FRAMES,
        "added": 2 * FRAMES,
        "left_out": 0,
    }
    assert set(said["models"]) == {"bright"} and said["failed"] == {}
    cameras.append(f"gone={tmp_path / 'gone.mp4'}")
    with pytest.raises(InvalidInput, match="camera gone"):
        record_command(models=tiny_models, out=tmp_path / "site", cameras=cameras, only=["bright"])
    said = capsys.readouterr().out
    assert "2 of 3 cameras" in said and "yard" in said and "ms per input" in said


def test_what_the_command_cannot_do_it_says(tmp_path: Path, clips: dict[str, str], tiny_models: Path) -> None:
    lobby = f"lobby={clips['lobby']}"
    for wrong, message in (
        ({}, "give one --source, or --camera NAME=SOURCE for each of several"),
        ({"source": clips["lobby"], "cameras": [lobby]}, "give one --source, or --camera"),
        ({"cameras": ["lobby"]}, "must be NAME=SOURCE, .* not 'lobby'"),
        ({"cameras": ["../lobby=0"]}, "with a name of letters"),
        ({"cameras": [lobby, lobby]}, "'lobby' is given twice"),
    ):
        with pytest.raises(InvalidInput, match=message):
            record_command(models=tiny_models, out=tmp_path / "site", **wrong)  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="is a file; with --camera, name a folder"):
        record_command(models=tiny_models, out=tmp_path / "file", cameras=[lobby])
    with pytest.raises(InvalidInput, match="is a folder; name a file"):
        record_command(models=tiny_models, out=tmp_path, source=clips["lobby"])
