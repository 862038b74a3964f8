"""Every kind of input over the wire: each stream's inputs are answered by the model that looks at them, and kept."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from infilink.models.cost import ModelCost
from infilink.protos import edge_pb2, edge_pb2_grpc
from infilink.protos.arrays import read_array

from ..kinds import ARRAY, FLAC, KINDS, UTF8, a_hello, all_inputs, an_input, sound, write_models, write_twins
from ..kinds import write_array_payload as an_array
from .conftest import TIMEOUT_S, Daemon, infilink, wait_until, write_toml
from .links import write_links


@pytest.fixture(scope="module")
def all_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("kinds") / "models")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, all_models: Path) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("site")
    values = {"listen": "127.0.0.1:0", "models": str(all_models), "ledger": "ledger.sqlite", "threads": 1}
    started = Daemon(write_toml(folder / "cloud.toml", values))
    yield started
    started.close()


def converse(
    daemon: Daemon, hello: edge_pb2.Hello, inputs: Iterable[edge_pb2.Input]
) -> list[edge_pb2.CoordinatorMessage]:
    """What is said to a stream, without notices."""
    messages = [edge_pb2.DeviceMessage(hello=hello), *(edge_pb2.DeviceMessage(input=each) for each in inputs)]
    with grpc.insecure_channel(daemon.address) as channel:
        said = list(edge_pb2_grpc.EdgeStub(channel).Connect(iter(messages), timeout=TIMEOUT_S))
    return [message for message in said if not message.HasField("notice")]


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_stream_of_any_kind_is_answered_by_the_model_that_looks_at_it(site: Daemon, kind: str) -> None:
    inputs = all_inputs(kind)
    welcome, *answers = converse(site, a_hello(kind), [message for message, _ in inputs])
    assert set(welcome.welcome.modalities) == set(KINDS)
    assert list(welcome.welcome.specs) == [KINDS[kind].model], "of no models that look at something else"
    assert [answer.result.sequence for answer in answers] == list(range(len(inputs)))
    for answer, (_, said) in zip(answers, inputs, strict=True):
        (output,) = answer.result.outputs
        assert output.model == KINDS[kind].model and output.origin == edge_pb2.ORIGIN_EXECUTED
        np.testing.assert_allclose(read_array(output), said, atol=KINDS[kind].tolerance)


@pytest.mark.parametrize("kind", list(KINDS))
def test_an_input_that_is_none_of_the_kind_is_refused_alone_and_says_why(site: Daemon, kind: str) -> None:
    good = KINDS[kind].ways(KINDS[kind].inputs[0])[0]
    bad = [(good[0], b"nothing of the kind \xff"), (99, good[1]), (edge_pb2.ENCODING_OPUS, b"OggS")]
    inputs = [an_input(at, payload) for at, payload in enumerate([*bad, good])]
    _, *refused, last = converse(site, a_hello(kind, session="bad"), inputs)
    assert last.HasField("result")
    for answer in refused:
        assert answer.refused.code == edge_pb2.REFUSED_CODE_INVALID
        assert any(word in answer.refused.message for word in ("payload", "encoding", "JPEG")), answer.refused.message


def test_a_text_may_be_empty_and_a_sound_may_not(site: Daemon) -> None:
    _, text = converse(site, a_hello("text", session="empty"), [an_input(0, (UTF8, b""))])
    assert text.HasField("result") or text.refused.message
    empty = [an_input(0, (ARRAY, an_array(sound(1)[:0]))), an_input(1, (FLAC, b""))]
    for answer in converse(site, a_hello("audio", session="empty"), empty)[1:]:
        assert answer.refused.code == edge_pb2.REFUSED_CODE_INVALID


def test_an_input_names_models_that_look_at_its_stream(site: Daemon) -> None:
    message, said = all_inputs("text")[0]
    inputs = [edge_pb2.Input(), edge_pb2.Input()]
    for at, (each, name) in enumerate(zip(inputs, ("bright", "letters"), strict=True)):
        each.CopyFrom(message)
        each.sequence, each.models[:] = at, [name]
    _, refused, answer = converse(site, a_hello("text", session="named"), inputs)
    assert "'bright'; known models: letters" in refused.refused.message
    np.testing.assert_allclose(read_array(answer.result.outputs[0]), said)


def test_one_device_has_all_of_its_streams_told_apart_everywhere(site: Daemon, tmp_path: Path) -> None:
    for kind in KINDS:
        converse(site, a_hello(kind, device="robot"), [message for message, _ in all_inputs(kind)[:1]])
    names = {f"robot/{kind.replace('+', '-')}" for kind in KINDS}
    status = {device.name: device for device in site.status().devices}
    assert names <= set(status) and status["robot/audio-text"].modality == "audio+text"
    ledger = site.log.parent / "ledger.sqlite"
    every = infilink("results", "query", "--ledger", ledger, "--device", "robot", "--json")
    rows = [json.loads(line) for line in every.stdout.splitlines()]
    assert {row["device"] for row in rows} == names, every.stderr
    one = infilink("results", "query", "--ledger", ledger, "--device", "robot/text", "--json")
    (row,) = [json.loads(line) for line in one.stdout.splitlines()]
    assert row["device"] == "robot/text" and row["model"] == "letters"


def test_a_stream_keeps_its_form_within_a_run(site: Daemon) -> None:
    converse(site, a_hello("audio", device="mic", stream="one"), [])
    again = edge_pb2.Hello(device="mic", session="1", stream="one", form=KINDS["text"].form.model_dump_json())
    with pytest.raises(grpc.RpcError) as caught:
        converse(site, again, [])
    assert '`form`: mic/one said another one before in this run: {"modality":"audio"' in caught.value.details()


@pytest.fixture
def linked(all_models: Path, tmp_path: Path, start_daemon: Callable[..., Daemon]) -> Callable[..., Daemon]:
    """Starts a site with models of all kinds, and links for pictures and for sounds."""
    whole = shutil.copytree(all_models, tmp_path / "whole")
    write_twins(whole)
    folders = []
    for kind, model in (("image", "bright"), ("audio", "loud")):
        twin, part = f"{model}2", tmp_path / f"{kind}-models"
        part.mkdir()
        for name in (model, twin):
            for suffix in (".onnx", ".toml"):
                shutil.copy(whole / f"{name}{suffix}", part)
        scales, costs = {model: 1.0, twin: 2.0}, dict.fromkeys((model, twin), ModelCost(2**25, 0.001, 0.1))
        promise = {twin: {(model,): 0.99}, model: {(twin,): 0.99}}
        form = KINDS[kind].form
        folders.append(
            write_links(tmp_path / f"{kind}-links", part, scales, costs, agreements=promise, held=0.3, form=form)
        )

    def start(**settings: object) -> Daemon:
        chosen = {"answers": "links", "links": [str(folder) for folder in folders], "audit": 0.0, "least_every_s": 0.0}
        return start_daemon(models=str(whole), **{**chosen, **settings})

    return start


def test_each_stream_has_the_links_of_its_kind_and_others_are_held(linked: Callable[..., Daemon]) -> None:
    site = linked()
    for name in ("bright2", "loud2"):
        gone = infilink("models", "unload", name, "--coordinator", site.address)
        assert gone.returncode == 0, gone.stderr
    for kind, model in (("image", "bright"), ("audio", "loud")):
        inputs = all_inputs(kind)
        _, *answers = converse(site, a_hello(kind), [message for message, _ in inputs])
        for answer, (_, said) in zip(answers, inputs, strict=True):
            exact, twin = answer.result.outputs
            assert (exact.model, twin.model) == (model, f"{model}2")
            assert exact.origin == edge_pb2.ORIGIN_EXECUTED
            assert twin.origin == edge_pb2.ORIGIN_LINKED and list(twin.sources) == [model]
            np.testing.assert_allclose(read_array(twin), 2 * said, atol=2 * KINDS[kind].tolerance)
    (_, text) = converse(site, a_hello("text"), [all_inputs("text")[0][0]])
    assert [output.model for output in text.result.outputs] == ["letters"]
    status = site.status()
    runs = {model.name: model.executions for model in status.models}
    assert runs["clip"] == runs["cut"] == 0, "no stream is of these kinds"


def test_links_of_other_inputs_do_not_answer_which_is_said(linked: Callable[..., Daemon]) -> None:
    site = linked()
    form = KINDS["audio"].form.model_copy(update={"window": 1600, "stride": 1600})
    hello = edge_pb2.Hello(device="arm", session="1", stream="windows", form=form.model_dump_json())
    messages = [edge_pb2.DeviceMessage(hello=hello), edge_pb2.DeviceMessage(input=all_inputs("audio")[0][0])]
    with grpc.insecure_channel(site.address) as channel:
        said = list(edge_pb2_grpc.EdgeStub(channel).Connect(iter(messages), timeout=TIMEOUT_S))
    notices = [message.notice.text for message in said if message.HasField("notice")]
    assert any("it is answered without links" in text and "window" in text for text in notices), notices
    (result,) = [message.result for message in said if message.HasField("result")]
    assert edge_pb2.ORIGIN_LINKED not in {output.origin for output in result.outputs}


def test_a_model_of_another_kind_may_come_while_streams_are_served(
    all_models: Path, tmp_path: Path, start_daemon: Callable[..., Daemon]
) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    for name in ("loud.onnx", "loud.toml"):
        shutil.copy(all_models / name, folder)
    site = start_daemon(models=str(folder), watch_models_s=0.05)
    with pytest.raises(grpc.RpcError) as caught:
        converse(site, a_hello("text"), [])
    assert "no model here looks at this stream's inputs (text)" in caught.value.details()
    sounds = all_inputs("audio")
    welcome, *answers = converse(site, a_hello("audio"), [message for message, _ in sounds])
    assert list(welcome.welcome.modalities) == ["audio"] and len(answers) == len(sounds)
    for name in ("letters.toml", "letters.onnx"):
        shutil.copy(all_models / name, folder)

    def taken() -> list[str]:
        return list(converse(site, a_hello("audio", session="look"), [])[0].welcome.modalities)

    wait_until(lambda: "text" in taken(), "the model for texts")
    welcome, text = converse(site, a_hello("text"), [all_inputs("text")[0][0]])
    assert list(welcome.welcome.modalities) == ["audio", "text"] and text.HasField("result")
    welcome, again = converse(site, a_hello("audio"), [sounds[0][0]])
    assert [output.model for output in again.result.outputs] == ["loud"], "asked for once more: from the ledger"


@pytest.mark.parametrize("answers", ["hold", "full"])
def test_costs_of_models_of_all_kinds_are_measured_at_the_start(
    all_models: Path, start_daemon: Callable[..., Daemon], answers: str
) -> None:
    site = start_daemon(models=str(all_models), answers=answers, budget="2GiB")
    for kind in KINDS:
        inputs = all_inputs(kind)
        _, *found = converse(site, a_hello(kind), [message for message, _ in inputs])
        assert [len(answer.result.outputs) for answer in found] == [1] * len(inputs)
