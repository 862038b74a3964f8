"""One device's stream over a real coordinator: every input is answered once and in order, whatever else happens."""

import asyncio
import math
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from infilink.cloud.coordinator import Coordinator
from infilink.cloud.ledger.ledger import Ledger
from infilink.cloud.ledger.rows import InputKey
from infilink.codec import encode_jpeg
from infilink.errors import InvalidInput
from infilink.models.process import ModelProcess
from infilink.models.process_child import FRAME
from infilink.protos import edge_pb2

from ...models.made import write_nan_on_black
from ..messages import an_input, hello, local_output, origins, values

Messages = Iterable[edge_pb2.DeviceMessage]


@pytest.fixture(scope="session")
def models(make_model, tmp_path_factory) -> Path:
    """Two models: how bright a frame is, and whether it is."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("bright", "light"):
        make_model(folder, name)
    return folder


async def each(messages: Messages) -> AsyncIterator[edge_pb2.DeviceMessage]:
    for message in messages:
        yield message


async def talk(coordinator: Coordinator, *messages: edge_pb2.DeviceMessage, **fields) -> list:
    """Everything that is answered to a connection that sends these messages and ends."""
    answers: list[edge_pb2.CoordinatorMessage] = []

    async def write(answer: edge_pb2.CoordinatorMessage) -> None:
        answers.append(answer)

    await coordinator.stream(coordinator.open_session(hello(**fields))).run(each(messages), write)
    return answers


def sequences(answers: Iterable[edge_pb2.CoordinatorMessage]) -> list[int]:
    return [getattr(answer, answer.WhichOneof("message")).sequence for answer in answers]


def executions(coordinator: Coordinator) -> dict[str, int]:
    return {name: worker.stats().executions for name, worker in coordinator.workers.items()}


def test_answers_come_in_order_and_each_is_that_of_its_input(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        levels = [10, 200, 60, 130, 240, 90]
        answers = await talk(coordinator, *(an_input(index, level) for index, level in enumerate(levels)))
        assert sequences(answers) == list(range(6))
        assert [round(values(answer)["bright"]) for answer in answers] == levels
        assert all(origins(answer) == {"bright": "executed", "light": "executed"} for answer in answers)
        assert executions(coordinator) == {"bright": 6, "light": 6}
        assert coordinator.counts.results == 6

    serve(story, models=models)


def test_a_repeated_input_gets_the_same_answer_and_runs_nothing_also_after_a_restart(
    serve: Callable, models: Path
) -> None:
    async def first(coordinator: Coordinator) -> bytes:
        (before,) = await talk(coordinator, an_input(7, 50))
        (again,) = await talk(coordinator, an_input(7, 200))
        assert again == before and executions(coordinator)["bright"] == 1
        (other,) = await talk(coordinator, an_input(7, 200), session="2")
        assert values(other)["bright"] == pytest.approx(200, abs=2), "another run of the device"
        assert coordinator.counts.repeated == 1
        return before.SerializeToString()

    async def second(coordinator: Coordinator) -> bytes:
        (answer,) = await talk(coordinator, an_input(7, 200))
        assert executions(coordinator) == {"bright": 0, "light": 0}
        return answer.SerializeToString()

    assert serve(first, models=models) == serve(second, models=models)


def test_an_answer_is_in_the_ledger_before_it_is_sent(serve: Callable, models: Path, tmp_path: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        found = []

        async def write(answer: edge_pb2.CoordinatorMessage) -> None:
            other = Ledger.open(tmp_path / "ledger.sqlite")
            found.append(await other.find(InputKey("camera", "1", answer.result.sequence)) == answer)
            await other.close()

        stream = coordinator.stream(coordinator.open_session(hello()))
        await stream.run(each(an_input(index, 10 * index) for index in range(5)), write)
        assert found == [True] * 5

    serve(story, models=models)


def test_a_bad_input_is_refused_by_itself_and_the_stream_goes_on(serve: Callable, models: Path) -> None:
    small, wide = edge_pb2.Output(model="bright", digest="0"), encode_jpeg(np.zeros((40, 40, 3), np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    bad = {
        "no JPEG": an_input(0, payload=b"no picture"),
        "cut off or damaged": an_input(0, payload=b"\xff\xd8 no picture"),
        "at most 1024 are taken": an_input(0, payload=encode_jpeg(noise, quality=100)),
        "40x40, more than 1024 pixels": an_input(0, payload=wide),
        "send a JPEG": an_input(0, encoding=edge_pb2.ENCODING_MAP),
        "no model is called 'dark'": an_input(0, models=["dark"]),
        "'bright', which the device did not say it runs": an_input(0, outputs=[small]),
        "the deadline passed": an_input(0, deadline_ns=1),
    }

    async def story(coordinator: Coordinator) -> None:
        for sequence, message in enumerate(bad.values()):
            message.input.sequence = sequence
        *refused, answered = await talk(coordinator, *bad.values(), an_input(99))
        assert sequences(refused) == list(range(len(bad)))
        for text, answer in zip(bad, refused, strict=True):
            assert text in answer.refused.message
        codes = {answer.refused.code for answer in refused[:-1]}
        assert codes == {edge_pb2.REFUSED_CODE_INVALID}
        assert refused[-1].refused.code == edge_pb2.REFUSED_CODE_DEADLINE
        assert answered.result.sequence == 99
        assert (coordinator.counts.refused, coordinator.counts.results) == (len(bad), 1)
        assert executions(coordinator) == {"bright": 1, "light": 1}, "no model ran on what was refused"

    serve(story, models=models, max_input_bytes=1024, max_input_pixels=1024)


@pytest.mark.parametrize("alone", [True, False])
def test_an_output_that_cannot_be_used_is_that_inputs_matter(
    serve: Callable, make_model, tmp_path: Path, alone: bool
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    write_nan_on_black(folder / "night.onnx").with_suffix(".toml").write_text(
        "[input]\nsize = [16, 16]\nstd = [1.0]\n[output]\nkind = 'label'\nclasses = 2\n"
    )
    if not alone:
        make_model(folder, "bright")

    async def story(coordinator: Coordinator) -> None:
        before, black, after = await talk(coordinator, an_input(0), an_input(1, 0), an_input(2))
        assert origins(before)["night"] == origins(after)["night"] == "executed"
        if alone:
            assert black.refused.message == "night: a label output holds NaN or infinity"
        else:
            assert origins(black)["bright"] == "executed" and origins(black).get("night") != "executed"
        assert coordinator.workers["night"].stats().loads == 1

    serve(story, models=folder)


def test_of_inputs_that_must_not_wait_the_newest_is_answered(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        inputs = [an_input(index, policy=edge_pb2.POLICY_LATEST) for index in range(5)]
        *refused, newest = await talk(coordinator, *inputs)
        assert sequences([*refused, newest]) == list(range(5)), "each has an answer, in order"
        assert {answer.refused.code for answer in refused} == {edge_pb2.REFUSED_CODE_SUPERSEDED}
        assert newest.HasField("result")

    serve(story, models=models)


def test_what_ran_on_the_device_runs_no_more_and_is_not_sent_back(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        digest = coordinator.repository.digests["bright"]
        output = local_output("bright", digest, np.asarray([77], np.float32))
        fields = {"local": {"bright": digest}}
        both, alone = await talk(
            coordinator, an_input(0, 200, outputs=[output]), an_input(1, payload=b"", outputs=[output]), **fields
        )
        assert origins(both) == {"light": "executed"}
        assert origins(alone) == {"light": "held"}, "without a picture nothing can run here"
        assert executions(coordinator) == {"bright": 0, "light": 1}

    serve(story, models=models)


def test_an_input_may_ask_for_some_models_of_those_that_the_device_wants(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        every, some = await talk(coordinator, an_input(0), an_input(1, models=["light"]))
        assert set(origins(every)) == {"bright", "light"} and set(origins(some)) == {"light"}
        (wanted,) = await talk(coordinator, an_input(0), session="2", models=["bright"])
        assert set(origins(wanted)) == {"bright"}
        assert executions(coordinator) == {"bright": 2, "light": 3}

    serve(story, models=models)


def test_a_model_that_died_is_started_again_for_the_next_input(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        await talk(coordinator, an_input(0))
        os.kill(coordinator.workers["bright"].pid, signal.SIGKILL)
        (answer,) = await talk(coordinator, an_input(1, 200))
        assert origins(answer) == {"bright": "executed", "light": "executed"}
        assert values(answer)["bright"] == pytest.approx(200, abs=2)
        assert [worker.stats().loads for worker in coordinator.workers.values()] == [2, 1]

    serve(story, models=models)


def test_a_model_that_fails_is_answered_for_and_an_input_is_refused_only_if_all_fail(
    serve: Callable, models: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(models, tmp_path / "models")

    def lose(coordinator: Coordinator, name: str) -> None:
        coordinator.repository.paths[name].unlink()
        coordinator.repository.models[name].optimized.unlink(missing_ok=True)
        os.kill(coordinator.workers[name].pid, signal.SIGKILL)

    async def story(coordinator: Coordinator) -> None:
        await talk(coordinator, an_input(0, 50))
        lose(coordinator, "bright")
        (held,) = await talk(coordinator, an_input(1, 200))
        assert origins(held) == {"bright": "held", "light": "executed"}
        assert values(held)["bright"] == pytest.approx(50, abs=2)
        lose(coordinator, "light")
        (refused,) = await talk(coordinator, an_input(2, 200))
        assert refused.refused.code == edge_pb2.REFUSED_CODE_FAILED
        assert "bright" in refused.refused.message and "light" in refused.refused.message

    serve(story, models=own)


def test_a_stream_that_is_stopped_answers_what_it_has_read(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        read, answers = asyncio.Event(), []

        async def open_ended() -> AsyncIterator[edge_pb2.DeviceMessage]:
            for index in range(3):
                yield an_input(index)
            read.set()
            await asyncio.Event().wait()

        async def write(answer: edge_pb2.CoordinatorMessage) -> None:
            answers.append(answer)

        stream = coordinator.stream(coordinator.open_session(hello()))
        running = asyncio.create_task(stream.run(open_ended(), write))
        await read.wait()
        stream.stop()
        await running
        assert sequences(answers) == [0, 1, 2] and all(answer.HasField("result") for answer in answers)
        assert stream.stopped and stream.finished.is_set()

    serve(story, models=models)


def test_a_stream_that_was_stopped_before_it_began_reads_nothing(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        stream = coordinator.stream(coordinator.open_session(hello()))
        stream.stop()

        async def write(answer: edge_pb2.CoordinatorMessage) -> None:
            raise AssertionError(answer)

        await stream.run(each([an_input(0)]), write)
        assert stream.finished.is_set()

    serve(story, models=models)


def test_what_a_broken_connection_left_unanswered_is_answered_on_the_next(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        answering = asyncio.Event()

        async def stuck(answer: edge_pb2.CoordinatorMessage) -> None:
            answering.set()
            await asyncio.Event().wait()

        inputs = [an_input(index, 60 * index) for index in range(4)]
        stream = coordinator.stream(coordinator.open_session(hello()))
        broken = asyncio.create_task(stream.run(each(inputs), stuck))
        await answering.wait()
        broken.cancel()
        await asyncio.gather(broken, return_exceptions=True)
        assert stream.finished.is_set()
        answers = await talk(coordinator, *inputs)
        assert [round(values(answer)["bright"]) for answer in answers] == [0, 60, 120, 180]
        assert coordinator.counts.repeated >= 1, "the first was in the ledger already, and others may have been"

    serve(story, models=models)


def test_no_more_is_read_than_may_wait_for_an_answer(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        answered, ahead = 0, []

        async def counted() -> AsyncIterator[edge_pb2.DeviceMessage]:
            for index in range(20):
                ahead.append(index - answered)
                yield an_input(index)

        async def write(answer: edge_pb2.CoordinatorMessage) -> None:
            nonlocal answered
            answered += 1

        await coordinator.stream(coordinator.open_session(hello())).run(counted(), write)
        assert answered == 20 and max(ahead) <= 3, "two wait and one is being answered"

    serve(story, models=models, max_in_flight=2)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (edge_pb2.DeviceMessage(hello=hello()), "after Hello come Input, Frame and Report, not hello"),
        (edge_pb2.DeviceMessage(), "not an empty message"),
    ],
    ids=["hello", "nothing"],
)
def test_what_does_not_belong_in_a_stream_ends_it_after_the_answers_before(
    serve: Callable, models: Path, message: edge_pb2.DeviceMessage, text: str
) -> None:
    async def story(coordinator: Coordinator) -> None:
        answers = []

        async def write(answer: edge_pb2.CoordinatorMessage) -> None:
            answers.append(answer)

        stream = coordinator.stream(coordinator.open_session(hello()))
        with pytest.raises(InvalidInput, match=text):
            await stream.run(each([an_input(0), message, an_input(1)]), write)
        assert sequences(answers) == [0] and stream.finished.is_set()

    serve(story, models=models)


def test_inputs_are_chosen_for_in_their_order_also_where_a_later_one_is_decoded_sooner(
    serve: Callable, links: Path
) -> None:
    async def story(coordinator: Coordinator) -> None:
        large = encode_jpeg(np.zeros((3000, 3000, 3), np.uint8))
        first, *later = await talk(
            coordinator,
            an_input(0, payload=large, captured_ns=1),
            an_input(1, captured_ns=2, models=["bright"]),
            an_input(2, captured_ns=3, models=["light"]),
        )
        assert origins(first) == dict.fromkeys(("bright", "corner", "light"), "executed")
        assert [list(origins(answer)) for answer in later] == [["bright"], ["light"]]

    serve(story, links=links, answers="links", budget="150MiB", audit=1.0)


def test_without_compute_to_spend_an_input_is_answered_from_what_is_known(serve: Callable, links: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        answers = await talk(coordinator, *(an_input(index, captured_ns=index) for index in range(20)))
        assert all(answer.HasField("result") for answer in answers)
        told = Counter(origin for answer in answers for origin in origins(answer).values())
        assert set(told) <= {"executed", "held", "constant"} and told["held"]
        (session,) = coordinator.sessions.values()
        counted = sum(session.answered.values(), Counter())
        assert counted == told and coordinator.counts.results == 20

    serve(story, links=links, answers="links", budget="150MiB", compute="0.001", least_every_s=0.0, audit=0.0)


def test_where_a_schedule_chooses_only_the_newest_is_looked_at_and_the_others_are_answered(
    serve: Callable, links: Path
) -> None:
    async def story(coordinator: Coordinator) -> None:
        before = an_input(0, policy=edge_pb2.POLICY_LATEST)
        first, *older, newest = await talk(
            coordinator, before, *(an_input(index, policy=edge_pb2.POLICY_LATEST) for index in range(1, 6))
        )
        assert sequences([first, *older, newest]) == list(range(6))
        assert all(set(origins(answer).values()) <= {"held", "constant"} for answer in (first, *older))
        assert "executed" in origins(newest).values() and coordinator.counts.refused == 0

    serve(story, links=links, answers="links", budget="150MiB")


def test_a_recording_waits_for_compute_as_long_as_its_camera_would_have(serve: Callable, links: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        now_s, waited = 0.0, []

        def clock() -> float:
            nonlocal now_s
            now_s += 0.25
            return now_s

        coordinator.scheduler.clock = clock
        stream = coordinator.stream(coordinator.open_session(hello()))
        for short in (False, True):
            coordinator.scheduler.is_short = lambda short=short: short
            for sequence in (0, 1, 5, 1000, 1001):
                stream._pace.is_behind(an_input(sequence).input, now_s)
                before_s = now_s
                await stream._pace.wait(an_input(sequence).input)
                waited.append(now_s - before_s)
            await stream._pace.wait(an_input(2000, policy=edge_pb2.POLICY_LATEST).input)
            assert now_s - before_s - waited[-1] < 1.0, "it must not wait"
        assert max(waited[:5]) < 2.0, "there is compute"
        assert waited[5:7] == pytest.approx([0.5, 0.5], abs=0.5) and waited[8] == pytest.approx(10.0, abs=1.0)
        assert waited[9] < 2.0, "a clock that jumped is waited for once"

    serve(story, links=links, answers="links", budget="150MiB")


def test_an_input_that_waited_too_long_for_those_before_it_is_answered_without_a_model(
    serve: Callable, links: Path
) -> None:
    async def story(coordinator: Coordinator) -> None:
        now_s = 100.0
        coordinator.scheduler.clock = lambda: now_s
        stream = coordinator.stream(coordinator.open_session(hello()))
        assert not stream._pace.is_behind(an_input(0).input, now_s)
        now_s = 105.0
        assert stream._pace.is_behind(an_input(1).input, 101.0), "it came in time, 4 s ago"
        assert not stream._pace.is_behind(an_input(2).input, 104.5), "who was slow was its device"
        assert not stream._pace.is_behind(an_input(5).input, 101.0), "it came before its time"

    serve(story, links=links, answers="links", budget="150MiB", answer_within_s=1.0)


def test_a_report_is_kept_in_the_session(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        report = edge_pb2.Report(frames=30, kept=3)
        assert await talk(coordinator, edge_pb2.DeviceMessage(report=report)) == []
        (session,) = coordinator.sessions.values()
        assert session.report == report

    serve(story, models=models)


def test_what_would_be_late_is_refused_at_once_and_says_when_to_come_again(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        queue = coordinator.pool.queue
        await talk(coordinator, an_input(0))
        os.kill(coordinator.workers["bright"].pid, signal.SIGSTOP)
        now_ns, ran = time.time_ns(), executions(coordinator)["light"]
        # As if the model took 100 s: with one before it, the next one would be late.
        queue._took_s["bright"] = queue._apart_s["bright"] = 100.0
        answers: list[edge_pb2.CoordinatorMessage] = []
        come, told = asyncio.Event(), asyncio.Event()

        async def messages():
            yield an_input(1)
            for sequence in (2, 3):
                yield an_input(sequence, deadline_ns=now_ns + 150 * 10**9)
            yield an_input(4, deadline_ns=now_ns + 10000 * 10**9)
            told.set()
            await come.wait()

        async def write(answer: edge_pb2.CoordinatorMessage) -> None:
            answers.append(answer)

        stream = coordinator.stream(coordinator.open_session(hello(session="2")))
        running = asyncio.create_task(stream.run(messages(), write))
        await told.wait()
        os.kill(coordinator.workers["bright"].pid, signal.SIGCONT)
        come.set()
        await running
        pause, first, second, third, fourth = answers
        assert pause.pause.retry_after_s > 1, "told once, and before what waits is answered"
        assert sequences(answers[1:]) == [1, 2, 3, 4]
        assert first.HasField("result") and fourth.HasField("result")
        for late in (second, third):
            assert late.refused.code == edge_pb2.REFUSED_CODE_OVERLOADED and late.refused.retry_after_s > 1
        assert queue.expired == 2 and executions(coordinator)["light"] == ran + 2

    serve(story, models=models)


def test_models_have_less_time_than_the_answer_which_has_to_be_kept_and_to_travel(
    serve: Callable, models: Path
) -> None:
    async def story(coordinator: Coordinator) -> None:
        stream = coordinator.stream(coordinator.open_session(hello()))
        looking, now_s = stream._looking, coordinator.pool.queue.clock()
        late = an_input(1, deadline_ns=time.time_ns() + 1000 * 10**9)
        admitted = looking.let_in(late.input, stream._entry, check=lambda: None)
        assert now_s + 900.0 < admitted.deadline_s <= now_s + 951.0 < looking.deadline_s(late.input)
        admitted.place.close()
        assert looking.let_in(an_input(2).input, stream._entry, check=lambda: None).deadline_s == math.inf

    serve(story, models=models)


def test_a_device_that_does_not_read_makes_the_ledger_no_slower_for_others(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        begun, reads = asyncio.Event(), asyncio.Event()
        took_s: list[float] = []
        coordinator.pool.queue.answered = took_s.append  # type: ignore[method-assign]

        async def write(answer: edge_pb2.CoordinatorMessage) -> None:
            begun.set()
            await reads.wait()

        stream = coordinator.stream(coordinator.open_session(hello()))
        running = asyncio.create_task(stream.run(each([an_input(index) for index in range(5)]), write))
        await begun.wait()
        while coordinator.ledger.stats().kept < 5:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(took_s) == 5, "measured when they are kept, not when they are sent"
        reads.set()
        await running

    serve(story, models=models)


def test_an_input_whose_process_ended_is_given_to_the_next_one(serve: Callable, models: Path) -> None:
    async def story(coordinator: Coordinator) -> None:
        ended = []
        send = ModelProcess.send

        def deadly(process: ModelProcess, works: list) -> None:
            if not ended and any(work.tensors[FRAME][0, 0, 0] > 200 for work in works):
                ended.append(process.path.stem)
                process.kill()
            send(process, works)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ModelProcess, "send", deadly)
            answers = await talk(coordinator, *(an_input(index, level) for index, level in enumerate([10, 250, 90])))
        assert [round(values(answer)["bright"]) for answer in answers] == [10, 250, 90]
        assert all(origins(answer) == {"bright": "executed", "light": "executed"} for answer in answers)
        assert len(ended) == 1 and sum(worker.stats().loads for worker in coordinator.workers.values()) == 3

    serve(story, models=models)
