"""Answers requests for one model's output: by the model if it runs, else by links, else it is loaded, or refused."""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ... import __version__
from ...errors import (
    BadOutput,
    DeadlineExceeded,
    InvalidInput,
    ModelFailed,
    OutOfMemory,
    Overloaded,
    QueueFull,
    Unavailable,
)
from ...links.answer import Answer
from ...links.graph import LinkGraph
from ...links.planning.plan import Plan
from ...links.serving import Serving
from ...models.inputs.form import PICTURES, InputForm
from ...models.inputs.payload import Limits
from ...models.process_child import Inferred
from ...outputs import Array
from ...protos import edge_pb2, wire
from ...traces.stream_names import split_name
from ..coordinator import Coordinator
from ..runtime.input_pool import Held
from ..security.caller import ANYONE, current_caller
from ..sessions.decoding import decode_payload
from ..sessions.session import REQUESTS, Session
from .catalogue import Catalogue, Model
from .kept import StreamAnswers
from .request import ANSWER, Fallback, InferRequest, InferResponse, Parameter
from .senders import Senders
from .tensors import as_text, check_tensors, is_fed
from .whole import is_whole, open_whole, told_of, whole_of

_EXACT = Answer(np.empty(0, np.float32), 1.0, "executed", (), "exact")
# Of the time that is left, what is kept for links where the model's turn does not come.
_KEPT = 0.1
# How many times the largest input all requests that wait may hold together, beside the memory that models see.
_MOST_HELD = 64
# Where a tensor begins in that memory.
_ALIGNED = 64


class Answering:
    """Answers requests from one coordinator's models.

    Args:
        coordinator: runs them.
        catalogue: knows them.
    """

    def __init__(self, coordinator: Coordinator, catalogue: Catalogue) -> None:
        self.coordinator = coordinator
        self.catalogue = catalogue
        self._kept = StreamAnswers(coordinator)
        self._senders = Senders(coordinator.config.max_devices)
        self._held_bytes = 0

    async def answer(self, request: InferRequest, *, left_s: float = math.inf, host: str = "") -> InferResponse:
        """The response to a request.

        Args:
            request: the request.
            left_s: how long its sender waits for it.
            host: where it comes from.

        Raises:
            UnknownModel: there is no such model, or not in that version.
            InvalidInput: an input is missing, is none of the model's, or is not of the type and shape that it takes.
            NotAllowed: its sender may not use that stream.
            DeadlineExceeded: the model's turn did not come in time.
            Overloaded: too much is waiting already, or its sender sends more than its quota.
            OutOfMemory: the model does not run, and the budget has no room for it.
            Unavailable: it does not run, and nothing else can answer for it.
            ModelFailed: it failed on this input.
        """
        began_s = time.perf_counter()
        model = self.catalogue.find(request.model, request.version)
        counts = self.catalogue.count(model.name)
        limit = self.coordinator.config.max_input_bytes
        size_bytes = request.size_bytes
        try:
            if size_bytes > limit:
                raise InvalidInput(f"the inputs have {size_bytes} bytes; at most {limit} are taken (`max_input_bytes`)")
            request.check_alone()
            self._take_quota(request, size_bytes, host)
            if self._held_bytes + size_bytes > _MOST_HELD * limit:
                raise QueueFull(f"{self._held_bytes} bytes of requests wait already", retry_after_s=1.0)
            self._held_bytes += size_bytes
            try:
                left_s = min(left_s, request.timeout_s or math.inf)
                response = await self._answer(model, request, time.monotonic() + left_s)
            finally:
                self._held_bytes -= size_bytes
        except BaseException:
            counts.fail.add(time.perf_counter() - began_s)
            raise
        counts.answered(time.perf_counter() - began_s, _inputs(model, request))
        self.coordinator.metrics.answered(model.name, str(response.parameters["origin"]))
        return response

    def _take_quota(self, request: InferRequest, size_bytes: int, host: str) -> None:
        """Counts a request as a device's input: as the stream's that it names, or else as its sender's."""
        quotas, stream = self.coordinator.quotas, request.stream
        caller = current_caller()
        device = split_name(stream)[0]
        # No device has a name with a space in it.
        sender = f"caller {caller.name}" if caller is not ANYONE else f"host {host}"
        if device:
            caller.check_device(device)
            self._senders.name(sender, stream)
        if not quotas.limited:
            return
        wait_s = quotas.of(device or sender).take_now(size_bytes)
        if wait_s > 0:
            raise QueueFull("this is more than `device_inputs_per_s` or `device_bytes_per_s`", retry_after_s=wait_s)

    async def _answer(self, model: Model, request: InferRequest, until_s: float) -> InferResponse:
        fallback = request.fallback
        if model.form is not None and any(
            is_whole(model.form, name, tensor) and not is_fed(model, name, tensor)
            for name, tensor in request.tensors.items()
        ):
            return await self._answer_whole(model, model.form, request, fallback, until_s)
        if model.signature is None:
            told = "; ".join(f"{name!r}: {said}" for name, said in told_of(model.form or PICTURES).items())
            raise InvalidInput(f"model {model.name!r} is answered for by links, and has no inputs but {told}")
        check_tensors(model, request)
        return await self._run_tensors(model, request, until_s)

    async def _run_tensors(self, model: Model, request: InferRequest, until_s: float) -> InferResponse:
        """The graph's own outputs: nothing else could give those."""
        counts, began_s = self.catalogue.count(model.name), time.perf_counter()
        outputs = request.outputs or tuple(spec.name for spec in model.outputs)
        tensors = {
            name: as_text(name, each) if each.dtype.hasobject else each for name, each in request.tensors.items()
        }
        queue = self.coordinator.pool.queue
        with queue.admitted((model.name,), until_s, worth=request.worth):
            size_bytes = sum(_ALIGNED + tensor.nbytes for tensor in tensors.values())
            held = await queue.inputs.hold(size_bytes, within_s=_within(until_s))
            held.copy(tensors)
        # What is unloaded before it ran is loaded anew.
        while True:
            await self._load(model, until_s)
            ran = await queue.run_tensors(model.name, held, outputs, worth=request.worth, deadline_s=until_s)
            if ran is not None:
                break
        counts.ran(ran.infer_s, time.perf_counter() - began_s - ran.infer_s)
        self._spend(model, ran.infer_s, ran.cpu_s)
        return self._response(model, request, _EXACT, ran.values)

    async def _answer_whole(
        self, model: Model, form: InputForm, request: InferRequest, fallback: Fallback, until_s: float
    ) -> InferResponse:
        """The answer to an input that is sent as a whole."""
        taken = whole_of(form)
        if unknown := set(request.tensors) - set(taken) or set(request.outputs) - {ANSWER}:
            told = " and ".join(map(repr, taken))
            raise InvalidInput(f"with {told} there is no {min(unknown)[:80]!r}: the one output is {ANSWER!r}")
        counts, began_s = self.catalogue.count(model.name), time.perf_counter()
        session = await self._session(request.stream, model, form) if request.stream else None
        if session is not None:
            self._kept.check()
            form = session.form
        with self.coordinator.pool.queue.admitted((), until_s, worth=request.worth):
            config, inputs = self.coordinator.config, self.coordinator.pool.queue.inputs
            opened = open_whole(request, form, Limits(config.max_input_bytes, config.max_input_pixels))
            held = await decode_payload(opened, inputs, check=form.check, within_s=_within(until_s))
        counts.prepare.add(time.perf_counter() - began_s)
        captured_s = time.time() if request.captured_s is None else request.captured_s
        asked = _Asked(model, held, session, captured_s, until_s, request.worth)
        answer = await self._choose(asked, fallback)
        if session is not None:
            await self._kept.keep(
                session.key.name,
                model.name,
                answer,
                digest=asked.digest,
                age_s=asked.age_s,
                captured_s=captured_s,
                took_s=time.perf_counter() - began_s,
                size=(held.frame.shape[1], held.frame.shape[0]) if form == PICTURES else None,
            )
        return self._response(model, request, answer, {ANSWER: answer.value})

    async def _choose(self, asked: "_Asked", fallback: Fallback) -> Answer:
        """The answer to an input, as the request's fallback says."""
        model = asked.model
        runs = self.catalogue.runs(model.name)
        if not runs and fallback == "any" and (answer := await self._linked(asked)) is not None:
            return answer
        try:
            return await self._run(asked, kept=0.0 if fallback == "exact" else _KEPT)
        except (DeadlineExceeded, OutOfMemory, Unavailable, Overloaded, ModelFailed) as error:
            # An input that the model can't be made to answer may be answered by others.
            if isinstance(error, BadOutput) or fallback == "exact" or (fallback == "any" and not runs):
                raise
            if (answer := await self._linked(asked)) is None:
                raise
            return answer

    async def _run(self, asked: "_Asked", *, kept: float) -> Answer:
        """The model's own answer; `kept` of the time that is left is not waited for its turn."""
        model, counts, began_s = asked.model, self.catalogue.count(asked.model.name), time.perf_counter()
        until_s = asked.until_s
        turn_s = until_s - kept * max(0.0, until_s - time.monotonic()) if math.isfinite(until_s) else until_s
        while True:
            await self._load(model, turn_s)
            ran = await self.coordinator.pool.queue.run(
                model.name, asked.held, worth=asked.worth, within_s=_within(turn_s), deadline_s=until_s
            )
            if ran is not None:
                break
            if time.monotonic() >= turn_s:
                raise DeadlineExceeded(f"the turn of model {model.name!r} did not come in time")
        counts.ran(ran.infer_s, time.perf_counter() - began_s - ran.infer_s)
        self._spend(model, ran.infer_s, ran.cpu_s)
        if asked.session is not None:
            await self._complete(asked, asked.session, {model.name: ran})
        return Answer(ran.value, 1.0, "executed", (), "exact")

    async def _linked(self, asked: "_Asked") -> Answer | None:
        """What links say, or the stream's last output; None: neither tells anything of this input."""
        model, graph = asked.model, self.coordinator.initial.links_of(asked.model.name)
        if asked.session is None and graph is None:
            return None
        serving = self._alone(graph) if asked.session is None else asked.session.serving
        ran = await self._run_sources(asked, serving)
        if asked.session is not None:
            answer = await self._complete(asked, asked.session, ran)
        else:
            exact = {name: each.value for name, each in ran.items()}
            answer = serving.complete(asked.captured_s, exact, features=await self._features(asked))[model.name]
        # A constant says what the model mostly says, and nothing of this input.
        return None if answer.origin == "constant" else answer

    async def _complete(self, asked: "_Asked", session: Session, ran: Mapping[str, Inferred]) -> Answer:
        """The stream's answer for the model that is asked about, by what ran on the input."""
        found = session.complete(
            asked.captured_s,
            {name: each.value for name, each in ran.items()},
            [asked.model.name],
            features=await self._features(asked),
            digests={name: each.digest for name, each in ran.items() if each.digest},
        )
        answer, asked.age_s = found[asked.model.name]
        # Now, as what was held may be another file's output once the stream's next input is answered.
        asked.digest = session.digest_of(asked.model.name, answer, self.coordinator.repository.digests)
        return answer

    async def _run_sources(self, asked: "_Asked", serving: Serving) -> dict[str, Inferred]:
        """The outputs of the models that run now and that the best link to the asked one reads."""
        graph, queue = serving.graph, self.coordinator.pool.queue
        if graph is None or asked.model.name not in graph.models:
            return {}
        route = graph.answering.best_link(asked.model.name, frozenset(queue.loaded), None)
        found: dict[str, Inferred] = {}
        for name in route.sources if route is not None else ():
            try:
                ran = await queue.run(name, asked.held, worth=asked.worth, deadline_s=asked.until_s)
            except (ModelFailed, Overloaded, DeadlineExceeded):
                continue
            if ran is not None:
                found[name] = ran
                self._spend(self.catalogue.find(name), ran.infer_s, ran.cpu_s)
        return found

    async def _features(self, asked: "_Asked") -> Array | None:
        """What the links' stem makes of the input."""
        known = asked.session
        graph = self.coordinator.initial.links_of(asked.model.name) if known is None else known.serving.graph
        if graph is None or graph.stem is None or asked.model.form != PICTURES:
            return None
        if asked.features is None:
            seen = await asyncio.get_running_loop().run_in_executor(None, graph.stem.see, asked.held.frame)
            asked.features = seen.features
        return asked.features

    async def _load(self, model: Model, until_s: float) -> None:
        """Has a model that does not run loaded.

        Raises:
            OutOfMemory: the budget has no room.
            Unavailable: nothing runs for it.
            DeadlineExceeded: it is not loaded in time.
        """
        if self.catalogue.runs(model.name):
            return
        if model.signature is None:
            raise Unavailable(
                f"model {model.name!r} never runs: links answer for it, and they say nothing of this input"
            )
        task = self.catalogue.begin_load(model.name)
        # It goes on where the request does not wait for it any more: the next one will want it.
        await asyncio.wait({task}, timeout=_within(until_s))
        if not task.done():
            raise DeadlineExceeded(f"model {model.name!r} is being loaded, which takes longer than is left")
        task.result()

    async def _session(self, stream: str, model: Model, form: InputForm) -> Session:
        """A stream's session: of the form that links know, where the model can look at that."""
        learnt = self.catalogue.learnt_form(model.name)
        if learnt is not None and not model.spec.fits(learnt):
            form = learnt
        device, name = split_name(stream)
        hello = edge_pb2.Hello(device=device, stream=name, session=REQUESTS, version=__version__, wire=wire.NEWEST)
        if form != PICTURES:
            hello.form = form.model_dump_json()
        await self.coordinator.recall(hello)
        return self.coordinator.open_session(hello)

    def _alone(self, graph: LinkGraph | None) -> Serving:
        """What serves an input that belongs to no stream."""
        return Serving(graph, Plan(None, 0, ()), models=self.coordinator.repository.specs)

    def _spend(self, model: Model, infer_s: float, cpu_s: float) -> None:
        """What ran counts as compute, as a device's inputs do."""
        schedule = self.coordinator.schedule
        if schedule is not None and model.name in schedule.costs:
            schedule.ran((model.name, REQUESTS), model.name, self.coordinator.scheduler.clock(), max(infer_s, cpu_s))

    def _response(
        self, model: Model, request: InferRequest, answer: Answer, outputs: Mapping[str, Array]
    ) -> InferResponse:
        parameters: dict[str, Parameter] = {
            "origin": answer.origin,
            "confidence": answer.confidence if math.isfinite(answer.confidence) else 0.0,
            "trusted": answer.trusted,
            "sources": ",".join(answer.sources),
            "digest": model.digest,
        }
        return InferResponse(model.name, model.version, request.id, parameters, outputs)


@dataclass
class _Asked:
    """An input that one model is asked about.

    Attributes:
        model: the model.
        held: the input.
        session: of the stream that it belongs to; None: it stands for itself.
        captured_s: when it was captured.
        until_s: until when it is waited for, by the monotonic clock.
        worth: how it is placed among those that wait.
        features: what the stem makes of it, once it was looked at.
        age_s: how long ago, in capture time, the model last ran on the stream; -1: never.
        digest: of the file that the stream's answer is from.
    """

    model: Model
    held: Held
    session: Session | None
    captured_s: float
    until_s: float
    worth: float
    features: Array | None = None
    age_s: float = -1.0
    digest: str = ""


def _inputs(model: Model, request: InferRequest) -> int:
    """How many inputs a request has: those of its batch, where the graph has one."""
    if model.signature is None or not model.signature.batched or not request.tensors:
        return 1
    shape = next(iter(request.tensors.values())).shape
    return max(1, shape[0]) if shape else 1


def _within(until_s: float) -> float | None:
    return None if math.isinf(until_s) else max(0.0, until_s - time.monotonic())
