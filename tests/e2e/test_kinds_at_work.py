"""What is no picture at work, over real daemons: events, the live audit, reuse, links, and what is refused."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from infilink.device.record import record
from infilink.device.record_site import record_site
from infilink.device.results_read import Results
from infilink.device.sources.cut import Cut
from infilink.filters.evaluation.evaluate import evaluate_filter
from infilink.filters.learnt_from import LearntFrom
from infilink.filters.modalities.signal import Signal
from infilink.filters.modalities.text import Text
from infilink.filters.rules.parser import parse_rule
from infilink.filters.training.event_selection import EventTarget
from infilink.filters.training.train_events import train_event_filter
from infilink.links.training.train import train_links
from infilink.models.inputs.form import InputForm
from infilink.models.spec import digest, find_models
from infilink.outputs import OutputSpec
from infilink.protos import edge_pb2
from infilink.protos.arrays import read_array
from infilink.traces.trace import Trace
from onnx import TensorProto, helper

from ..certificates import certificate
from ..filters import made
from ..kinds import a_hello, an_input, sound, sounds, write_mean
from ..sounds import tone, write_sound
from .conftest import Agent, Daemon, infilink, wait_until, write_toml
from .test_kinds import converse

RATE_HZ, WINDOW = 8000, 1600
MOVES = Cut(window=8, stride=8, rate_hz=32)
MOVED = InputForm(modality="signal", rate_hz=32, window=8, stride=8, channels=("x", "y"))
UPRIGHT, FALLEN = 1.0, -1.0
WORDS = Text(length=16)


def write_label(path: Path, inputs: tuple[str, int, list[int | str]], spec: str, *, above: float, classes: str) -> None:
    """A model that says the second class where the mean of an input's numbers (of a sound how loud it is) is above."""
    name, kind, shape = inputs
    nodes = [
        helper.make_node("Cast", [name], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Abs" if name == "sound" else "Identity", ["numbers"], ["all"]),
        helper.make_node("ReduceMean", ["all"], ["mean"], axes=list(range(1, len(shape))), keepdims=0),
        helper.make_node("Greater", ["mean", "bar"], ["is"]),
        helper.make_node("Cast", ["is"], ["yes"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["both"], axis=0),
        helper.make_node("Unsqueeze", ["both", "zero"], ["out"]),
    ]
    constants = {"bar": np.float32([above]), "one": np.float32([1]), "zero": np.asarray([0], np.int64)}
    network = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(name, kind, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 2])],
        [onnx.numpy_helper.from_array(value, each) for each, value in constants.items()],
    )
    onnx.save(helper.make_model(network, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    output = f'[output]\nkind = "label"\nclasses = {classes}\n'
    path.with_suffix(".toml").write_text(f'name = "{path.stem}"\n[input]\n{spec}\n{output}')


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models that hear a hum, tell a fall, and know what is spam (much of it in capitals)."""
    folder = tmp_path_factory.mktemp("models")
    hears = ("sound", TensorProto.FLOAT, [1, "samples"])
    heard = f'modality = "audio"\nrate_hz = {RATE_HZ}.0'
    write_label(folder / "hum.onnx", hears, heard, above=0.03, classes='["quiet", "humming"]')
    moved = 'modality = "signal"\nchannels = ["x", "y"]\nsteps = 8\nrate_hz = 32.0'
    felt = ("signal", TensorProto.FLOAT, [1, 2, 8])
    write_label(folder / "fall.onnx", felt, moved, above=0.0, classes='["fallen", "upright"]')
    read = 'modality = "text"\nform = "bytes"'
    write_label(
        folder / "mail.onnx", ("text", TensorProto.INT64, [1, "bytes"]), read, above=90, classes='["spam", "ham"]'
    )
    return find_models(folder)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Iterator[Daemon]:
    values = {"listen": "127.0.0.1:0", "models": str(models["hum"].parent), "ledger": "ledger.sqlite"}
    started = Daemon(write_toml(tmp_path_factory.mktemp("site") / "cloud.toml", values))
    yield started
    started.close()


@pytest.fixture
def agent(site: Daemon, start_agent: Callable[..., Agent]) -> Callable[..., Agent]:
    return lambda **settings: start_agent(site.address, token="", **settings)


def hums(seconds: float, *, seed: int) -> np.ndarray:
    """Noise, in which now and then something hums for some windows."""
    random = np.random.default_rng(seed)
    samples = np.round(random.normal(0, 300, round(seconds * RATE_HZ))).astype(np.int16)
    at = 4 * WINDOW
    while at + 8 * WINDOW < len(samples):
        # Windows are whole ones of it, or none.
        length = int(random.integers(4, 7)) * WINDOW
        samples[at : at + length] += tone(length / RATE_HZ, loud=0.1)
        at += length + int(random.integers(8, 11)) * WINDOW
    return samples


def write_moves(path: Path, levels: np.ndarray) -> Path:
    """A log with a window of each level."""
    rows = [f"{i / 32:.5f},{level},{level}" for i, level in enumerate(np.repeat(levels, 8))]
    path.write_text("\n".join(["time_s,x,y", *rows]) + "\n")
    return path


def moves(windows: int, *, seed: int, fallen: float = FALLEN, share: float = 0.1) -> np.ndarray:
    """A level for each window: that of standing, now and then that of a fall."""
    falls = np.random.default_rng(seed).random(windows) < share
    return np.where(falls, fallen, UPRIGHT).astype(np.float32)


def test_a_sound_event_is_promised_found_and_told(
    models: dict[str, Path], agent: Callable[..., Agent], tmp_path: Path
) -> None:
    cut, gate = Cut(window=WINDOW, stride=WINDOW), tmp_path / "hum.onnx"
    for at, name in enumerate(("learn", "live")):
        write_sound(tmp_path / f"{name}.wav", hums(120, seed=at))
    sources = {name: str(tmp_path / f"{name}.wav") for name in ("learn", "live")}
    assert not record_site(sources, {"hum": models["hum"]}, tmp_path, cut=cut).failures
    with Trace(tmp_path / "learn.trace") as trace:
        asked = EventTarget(0.8, 0.5)
        # Nothing is trained: what sounded alike before says whether something hums.
        done = train_event_filter(
            trace, rule=parse_rule("label in (quiet)"), target=asked, out=gate, candidates=["knn"]
        )
    assert done.spec.events is not None and done.spec.events.certified
    with Trace(tmp_path / "live.trace") as trace:
        judged = evaluate_filter(gate, trace)
    assert judged.events.events > 30 and judged.events.recall > 0.9 and judged.events.delay_p50_s <= 0.5
    assert judged.rate > 0.5 and judged.contract == "kept"
    said = agent(source=sources["live"], cut={"window": WINDOW, "stride": WINDOW}, gate=str(gate), audit=1.0).finish()
    assert said["certified"] and said["alarms"] == 0 and said["answered"] == judged.inputs
    found = said["events"]
    assert (found["recall"], found["within_s"], found["verdict"]) == (0.8, 0.5, "kept")
    # An event that lasts to the very end of the stream has not ended.
    assert judged.events.events - 1 <= found["events"] <= judged.events.events
    assert found["found"] >= 0.9 * found["events"] and found["unknown"] == 0


@pytest.fixture
def stands(models: dict[str, Path], tmp_path: Path) -> Path:
    """A filter that sends windows in which the columns are low: falls, as long as one stands at UPRIGHT."""
    learnt = LearntFrom(source="log", inputs=900, first_s=0, last_s=225, step_s=0.25, form=MOVED)
    # The score is the mean of what is prepared: the levels, upside down.
    seen = Signal(steps=8, mean=(0.0, 0.0), scale=(-1.0, -1.0))
    return made.write_mean(
        tmp_path / "stands.onnx",
        seen,
        rule="label in (upright)",
        models={"fall": digest(models["fall"])},
        answers={"fall": "upright"},
        threshold=0.5,
        accuracy=0.95,
        certificate=certificate(upper_bound=0.003, rate=0.9),
        learnt_from=learnt,
    )


def test_a_fall_is_sent_and_a_signal_that_changes_breaks_the_promise(
    site: Daemon, agent: Callable[..., Agent], stands: Path, tmp_path: Path
) -> None:
    # The sensor comes loose: falls no longer look like falls to the filter, while the model still knows them.
    levels = np.concatenate([moves(100, seed=0), moves(1500, seed=1, fallen=-0.1, share=0.9)])
    log = write_moves(tmp_path / "log.csv", levels)
    said = agent(
        source=f"csv:{log}", cut={"window": 8, "stride": 8, "rate_hz": 32}, gate=str(stands), audit=0.5, window=1
    )
    summary = said.finish()
    assert summary["certified"] and summary["frames"] == len(levels)
    assert summary["alarms"] == 1 and said.said().count("loses more than the 0.050 it promised") == 1
    wait_until(lambda: "loses more than it promised: everything is sent" in site.said(), "the coordinator says so")
    with Results(tmp_path / "results0.sqlite") as results:
        answers, origins = results.served("fall"), results.origins("fall")
        kept = results.kept
    fell = levels < 0
    assert all(kept[i] for i in np.flatnonzero(fell[:100])), "every fall was sent"
    opened = 1 + max(i for i, each in enumerate(kept) if not each)
    assert opened < 1500 and set(origins[opened:]) == {"executed"}
    assert set(origins[:opened]) == {"executed", "skipped"}
    assert all(answer.argmax() == int(not there) for answer, there in zip(answers[opened:], fell[opened:], strict=True))


def test_an_uncertified_filter_of_texts_is_audited_and_never_trusted(
    models: dict[str, Path], agent: Callable[..., Agent], tmp_path: Path
) -> None:
    win, now = (WORDS.prepare(np.frombuffer(word, np.uint8))[0] for word in (b"win", b"now"))
    # A text is worth sending if one of these words is in it.
    table = np.zeros(WORDS.buckets, np.float32)
    table[[win, now]] = 1.0
    nodes = [
        helper.make_node("Gather", ["table", "input"], ["found"], axis=0),
        helper.make_node("ReduceMax", ["found"], ["score"], axes=[1], keepdims=1),
    ]
    network = made.graph(nodes, {"input": ["n", *WORDS.shape]}, constants={"table": table}, dtype=TensorProto.INT64)
    gate = made.write_filter(
        tmp_path / "spam.onnx",
        network,
        made.FRAMES,
        rule="label in (ham)",
        models={"mail": digest(models["mail"])},
        answers={"mail": "ham"},
        modality=WORDS,
        threshold=0.5,
        certificate=certificate(upper_bound=0.4).model_copy(update={"certified": False}),
        learnt_from=LearntFrom(
            source="mails", inputs=900, first_s=0, last_s=899, step_s=1, form=InputForm(modality="text")
        ),
    )
    lines = ["are you home?", "WIN A PRIZE!!! CALL", "see you later", "ACT NOW OR LOSE IT!", "FREE!!! CASH!!!", "äpfel"]
    (tmp_path / "mails.txt").write_text("\n".join(lines * 10) + "\n", encoding="utf-8")
    reading = agent(source=f"text:{tmp_path / 'mails.txt'}", gate=str(gate), audit=1.0)
    said = reading.finish()
    assert not said["certified"] and "spam.onnx is NOT certified" in reading.said()
    assert (said["frames"], said["answered"], said["audited"]) == (60, 60, 40)
    # One spam text of six has none of the words.
    assert said["audit_error"] == pytest.approx(1 / 6) and said["events"] is None
    with Results(tmp_path / "results0.sqlite") as results:
        assert [value.argmax() for value in results.served("mail")] == [1, 0, 1, 0, 0, 1] * 10
        assert results.captured_s[:3] == [0.0, 1.0, 2.0]
    unasked = agent(source=f"text:{tmp_path / 'mails.txt'}", gate=str(gate), audit=0.0).finish()
    assert unasked["kept"] == 20
    with Results(tmp_path / "results1.sqlite") as results:
        assert [value.argmax() for value in results.served("mail")] == [1, 0, 1, 0, 1, 1] * 10
        sent = [line.startswith(("WIN", "ACT")) for line in lines * 10]
        assert results.trust("mail") == ["exact" if each else "uncalibrated" for each in sent]


def test_results_of_a_signal_that_repeats_are_reused_and_outlive_the_agent(
    models: dict[str, Path], agent: Callable[..., Agent], tmp_path: Path
) -> None:
    output = OutputSpec(kind="label", classes=("fallen", "upright"))
    gate = made.write_reuse(
        tmp_path / "reuse.onnx",
        Signal(steps=8, mean=(0.0, 0.0), scale=(1.0, 1.0)),
        output,
        model="fall",
        digest=digest(models["fall"]),
        learnt_from=LearntFrom(source="log", inputs=900, first_s=0, last_s=225, step_s=0.25, form=MOVED),
    )
    levels = np.tile([1.0, -1.0, 3.0, -3.0, 1.0, 1.0], 8)
    log = write_moves(tmp_path / "log.csv", levels)
    settings = {"source": f"csv:{log}", "cut": {"window": 8, "stride": 8, "rate_hz": 32}, "gate": str(gate)}
    settings |= {"cache": str(tmp_path / "known.cache"), "window": 1}
    first = agent(**settings, audit=1.0).finish()
    assert first["audited"] >= len(levels) // 2 and first["audit_error"] == 0.0 and first["certified"]
    again = agent(**settings, audit=0.0).finish()
    assert (again["frames"], again["kept"]) == (len(levels), 0), "all is known by now"
    with Results(tmp_path / "results1.sqlite") as results:
        assert [value.argmax() for value in results.served("fall")] == (levels > 0).astype(int).tolist()
        assert set(results.origins("fall")) == {"reused"}


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """Two models that hear the same: one that there is a hum, one how loud it is."""
    folder = tmp_path / "twins"
    folder.mkdir()
    heard = f'modality = "audio"\nrate_hz = {RATE_HZ}.0'
    hears = ("sound", TensorProto.FLOAT, [1, "samples"])
    write_label(folder / "hum.onnx", hears, heard, above=0.03, classes='["quiet", "humming"]')
    write_mean(folder / "loud.onnx", {"sound": (TensorProto.FLOAT, [1, "samples"])}, f"[input]\n{heard}")
    return folder


def test_links_between_models_that_hear_answer_for_one_that_does_not_run(
    twins: Path, start_daemon: Callable[..., Daemon], start_agent: Callable[..., Agent], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    folder = tmp_path / "calls"
    folder.mkdir()
    for number in range(120):
        level = random.choice([300, 6000]) + random.uniform(0, 200)
        write_sound(folder / f"{number:03d}.wav", sound(level))
    record(str(folder), find_models(twins), tmp_path / "calls.trace")
    with Trace(tmp_path / "calls.trace") as trace:
        train_links(trace, out=tmp_path / "links")
    site = start_daemon(models=str(twins), answers="links", links=str(tmp_path / "links"), audit=0.0, least_every_s=0.0)
    gone = infilink("models", "unload", "hum", "--coordinator", site.address)
    assert gone.returncode == 0, gone.stderr
    said = start_agent(site.address, token="", source=str(folder)).finish()
    assert said["answered"] == 120
    with Results(tmp_path / "results0.sqlite") as results, Trace(tmp_path / "calls.trace") as trace:
        assert set(results.origins("loud")) == {"executed"}
        assert set(results.origins("hum")) == {"linked"}
        exact = [value.argmax() for value in trace.outputs("hum")]
        assert np.mean([value.argmax() for value in results.served("hum")] == np.asarray(exact)) >= 0.95
    for level, label in ((300.0, "quiet"), (6100.0, "humming")):
        (_, answer) = converse(
            site, a_hello("audio", session=label), [an_input(0, payload) for payload in sounds(level)[2:3]]
        )
        hum = {output.model: output for output in answer.result.outputs}["hum"]
        assert hum.origin == edge_pb2.ORIGIN_LINKED and list(hum.sources) == ["loud"] and hum.confidence > 0.8
        assert read_array(hum).argmax() == int(label == "humming")


def test_what_has_a_stem_only_is_refused_for_other_inputs_with_why(
    agent: Callable[..., Agent], stands: Path, tmp_path: Path
) -> None:
    log = write_moves(tmp_path / "log.csv", moves(5, seed=0))
    cut = {"window": 8, "stride": 8, "rate_hz": 32}
    why = agent(source=f"csv:{log}", cut=cut, gate=str(stands), audit=0.5, update=str(tmp_path / "u.npz")).refusal()
    assert "stem" in why, why
