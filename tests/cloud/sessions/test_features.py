"""Features instead of frames: links answer and no model runs, but where the frame is worth being asked for."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput
from infilink.models.stem.stem import Stem
from infilink.protos import edge_pb2
from infilink.protos.features import FeatureRange

from ...filters.stems import write_stem
from ...stem_links import write_stem_links
from ..messages import an_input, grey, hello, origins, values


@pytest.fixture(scope="session")
def models(make_model, tmp_path_factory) -> Path:
    """One model: how bright a frame is."""
    folder = tmp_path_factory.mktemp("models")
    make_model(folder, "bright")
    return folder


@pytest.fixture(scope="session")
def stem(tmp_path_factory) -> Stem:
    return Stem(write_stem(tmp_path_factory.mktemp("stem") / "stem.onnx"))


@pytest.fixture(scope="session")
def links(models, stem, tmp_path_factory) -> Path:
    return write_stem_links(tmp_path_factory.mktemp("links") / "links", models, stem.path, {"bright": 1.0})


class Device:
    """A device that sends features, and keeps its frames for those that ask: some of them, or none."""

    def __init__(self, coordinator: Coordinator, stem: Stem, *, session: str = "1") -> None:
        self.stem = stem
        self.session = coordinator.open_session(hello(stem=stem.digest, session=session))
        self.span = FeatureRange.from_message(coordinator.welcome(self.session).features, stem.spec.length)
        self.stream = coordinator.stream(self.session)
        self.answers: list[edge_pb2.CoordinatorMessage] = []
        self.wanted: list[int] = []
        self.frames: dict[int, bytes] = {}
        self.messages: asyncio.Queue[edge_pb2.DeviceMessage | None] = asyncio.Queue()
        self.answered = asyncio.Event()

    def input(self, sequence: int, level: int, *, kept: bool = True, **fields) -> edge_pb2.DeviceMessage:
        self.frames[sequence] = encode_jpeg(grey(level), quality=100) if kept else b""
        written = self.span.write(self.stem.see(grey(level)).features)
        return an_input(sequence, payload=b"", features=written, frame_kept=True, **fields)

    async def talk(self, *messages: edge_pb2.DeviceMessage) -> list[edge_pb2.CoordinatorMessage]:
        """Sends these one after another, each when the one before it is answered; returns the answers."""
        running = asyncio.create_task(self.stream.run(self._sent(), self._write))
        for message in messages:
            self.answered.clear()
            await self.messages.put(message)
            await self.answered.wait()
        await self.messages.put(None)
        await running
        return self.answers

    async def _sent(self) -> AsyncIterator[edge_pb2.DeviceMessage]:
        while (message := await self.messages.get()) is not None:
            yield message

    async def _write(self, answer: edge_pb2.CoordinatorMessage) -> None:
        if not answer.HasField("want"):
            self.answers.append(answer)
            self.answered.set()
            return
        sequence = answer.want.sequence
        self.wanted.append(sequence)
        frame = edge_pb2.Frame(sequence=sequence, encoding=edge_pb2.ENCODING_JPEG, payload=self.frames[sequence])
        await self.messages.put(edge_pb2.DeviceMessage(frame=edge_pb2.Frame(sequence=999, payload=b"of nobody")))
        await self.messages.put(edge_pb2.DeviceMessage(frame=frame))


def executions(coordinator: Coordinator) -> int:
    return sum(worker.stats().executions for worker in coordinator.workers.values())


def with_links(links: Path, models: Path, **settings) -> dict:
    return {
        "models": models,
        "links": links,
        "answers": "links",
        "budget": "100%",
        "ask_loss": 0.5,
        **settings,
    }


def test_features_are_answered_by_links_and_nothing_runs(
    serve: Callable, models: Path, links: Path, stem: Stem
) -> None:
    async def story(coordinator: Coordinator) -> None:
        device = Device(coordinator, stem)
        sent = [device.input(index, level) for index, level in enumerate((30, 200, 120))]
        for message in sent:
            assert message.ByteSize() < 100
            message.input.frame_kept = False
        answers = await device.talk(*sent)
        assert [values(answer)["bright"] for answer in answers] == pytest.approx([30, 200, 120], abs=8)
        assert all(origins(answer) == {"bright": "linked"} for answer in answers)
        assert executions(coordinator) == 0 and not device.wanted
        assert answers[0].result.outputs[0].sources == ["stem"]

    serve(story, **with_links(links, models))


def test_a_frame_is_asked_for_where_links_are_unsure_and_makes_them_sure(
    serve: Callable, models: Path, links: Path, stem: Stem
) -> None:
    async def story(coordinator: Coordinator) -> None:
        device = Device(coordinator, stem)
        answers = await device.talk(*(device.input(index, 20 * index) for index in range(10)))
        # One a second: nearly sure for some seconds after the model ran.
        assert device.wanted[0] == 0 and 1 < len(device.wanted) < 6
        expected = ["executed" if index in device.wanted else "linked" for index in range(10)]
        assert [origins(answer)["bright"] for answer in answers] == expected
        assert [values(answer)["bright"] for answer in answers] == pytest.approx([20 * i for i in range(10)], abs=8)
        assert executions(coordinator) == len(device.wanted) and coordinator.counts.results == 10
        assert device.session.serving.live.audited == 0, "what was doubtful tells nothing of the rest"

    serve(story, **with_links(links, models))


def test_nothing_is_asked_for_that_is_not_worth_it(serve: Callable, models: Path, links: Path, stem: Stem) -> None:
    async def story(coordinator: Coordinator) -> None:
        device = Device(coordinator, stem)
        await device.talk(device.input(0, 50), device.input(1, 60))
        assert not device.wanted and executions(coordinator) == 0

    serve(story, **with_links(links, models, ask_loss=1e9))


@pytest.mark.parametrize("kept", [False, "damaged"])
def test_a_frame_that_is_gone_leaves_the_answer_from_features(
    serve: Callable, models: Path, links: Path, stem: Stem, kept
) -> None:
    async def story(coordinator: Coordinator) -> None:
        device = Device(coordinator, stem)
        message = device.input(0, 50)
        device.frames[0] = b"no picture" if kept else b""
        told = await device.talk(message)
        answers = [answer for answer in told if answer.HasField("result")]
        assert device.wanted == [0] and len(answers) == 1
        notices = [answer.notice.text for answer in told if answer.HasField("notice")]
        assert notices == (["input 0 is answered from its features alone: the payload is no JPEG"] if kept else [])
        assert origins(answers[0]) == {"bright": "linked"} and values(answers[0])["bright"] == pytest.approx(50, abs=8)
        assert executions(coordinator) == 0

    serve(story, **with_links(links, models))


def test_a_repeat_gets_the_same_answer_and_nothing_is_asked_for_again(
    serve: Callable, models: Path, links: Path, stem: Stem
) -> None:
    async def story(coordinator: Coordinator) -> None:
        device, again = Device(coordinator, stem), Device(coordinator, stem)
        (before,) = await device.talk(device.input(0, 50))
        (answer,) = await again.talk(again.input(0, 200))
        assert answer == before and origins(before) == {"bright": "executed"}
        assert (device.wanted, again.wanted, executions(coordinator)) == ([0], [], 1)

    serve(story, **with_links(links, models))


def test_a_connection_that_another_one_replaces_waits_for_no_frame(
    serve: Callable, models: Path, links: Path, stem: Stem
) -> None:
    async def story(coordinator: Coordinator) -> None:
        device, wanted = Device(coordinator, stem), asyncio.Event()
        answers = []

        async def write(answer: edge_pb2.CoordinatorMessage) -> None:
            wanted.set() if answer.HasField("want") else answers.append(answer)

        await device.messages.put(device.input(0, 50))
        running = asyncio.create_task(device.stream.run(device._sent(), write))
        await wanted.wait()
        device.stream.stop()
        await running
        assert origins(answers[0]) == {"bright": "linked"}

    serve(story, **with_links(links, models))


def test_an_input_that_a_newer_one_replaced_is_not_worth_a_frame(
    serve: Callable, models: Path, links: Path, stem: Stem
) -> None:
    async def story(coordinator: Coordinator) -> None:
        device = Device(coordinator, stem)
        await device.messages.put(device.input(3, 50, policy=edge_pb2.POLICY_LATEST))
        answers = await device.talk(device.input(7, 60, policy=edge_pb2.POLICY_LATEST))
        assert origins(answers[0]) == {"bright": "linked"} and device.wanted == [7]

    serve(story, **with_links(links, models))


def test_bad_features_are_refused_by_themselves(serve: Callable, models: Path, links: Path, stem: Stem) -> None:
    async def story(coordinator: Coordinator) -> None:
        device = Device(coordinator, stem)
        short, other, both = (device.input(index, 50) for index in range(3))
        short.input.features.values = b"\0" * (stem.spec.length - 1)
        other.input.features.range = "00000000"
        both.input.payload = b"a frame"
        answers = await device.talk(short, other, both)
        told = ["15 values, not 16", "the links have changed since", "not both"]
        for answer, text in zip(answers, told, strict=True):
            assert answer.refused.code == edge_pb2.REFUSED_CODE_INVALID and text in answer.refused.message
        plain = coordinator.stream(coordinator.open_session(hello(session="2")))
        answers.clear()

        async def sent() -> AsyncIterator[edge_pb2.DeviceMessage]:
            yield device.input(9, 50)

        async def write(answer: edge_pb2.CoordinatorMessage) -> None:
            answers.append(answer)

        await plain.run(sent(), write)
        assert "no features are taken here: name the stem in Hello" in answers[0].refused.message

    serve(story, **with_links(links, models))


def test_a_device_with_another_stem_is_refused_with_both_digests(
    serve: Callable, models: Path, links: Path, stem: Stem
) -> None:
    async def story(coordinator: Coordinator) -> None:
        with pytest.raises(InvalidInput, match=rf"digest abc, and the links here read that with {stem.digest}: give"):
            coordinator.open_session(hello(stem="abc"))

    serve(story, **with_links(links, models))


@pytest.mark.parametrize("settings", [{}, {"answers": "hold"}])
def test_where_no_link_reads_a_stem_no_features_are_taken(
    serve: Callable, models: Path, links: Path, stem: Stem, settings: dict
) -> None:
    async def story(coordinator: Coordinator) -> None:
        session = coordinator.open_session(hello(stem=stem.digest))
        assert session.features is None and not coordinator.welcome(session).HasField("features")

    serve(story, models=models, **({"links": links} if settings else {}), **settings)
