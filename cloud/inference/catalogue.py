"""The coordinator's models as the Open Inference Protocol sees them: what each takes and gives, which are ready."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import InfilinkError, InvalidInput, UnknownModel
from ...models.inputs.form import PICTURES, InputForm
from ...models.spec import ModelSpec
from ...models.tensors import Signature, TensorSpec, read_signature
from ..coordinator import Coordinator
from ..model_store import ServedModel
from .counts import ModelCounts
from .request import ANSWER
from .whole import form_for, tensor_specs


@dataclass(frozen=True)
class Model:
    """One model.

    Attributes:
        name: what it is called.
        version: the one that is served.
        digest: of its file; empty: there is none.
        spec: what its outputs mean, where it is asked about inputs as they are.
        signature: what its graph takes and gives; None: nothing runs for it, links answer.
        form: of the inputs that can be sent instead of its tensors; None: none can.
    """

    name: str
    version: str
    digest: str
    spec: ModelSpec
    signature: Signature | None
    form: InputForm | None

    @property
    def answer(self) -> TensorSpec:
        """The output for an input as a whole."""
        return TensorSpec(ANSWER, "int64" if self.spec.output.kind == "tokens" else "float32", self.spec.output.shape)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What it takes: its graph's inputs, or an input as a whole where it has none."""
        return self.signature.inputs if self.signature is not None else tensor_specs(self.form or PICTURES)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it gives for these."""
        return (self.answer,) if self.signature is None else self.signature.outputs


class Catalogue:
    """The models, by name."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.counts: dict[str, ModelCounts] = {}
        self._signatures: dict[str, Signature] = {}
        self._loads: dict[str, asyncio.Task[None]] = {}

    def __iter__(self) -> Iterator[Model]:
        """All models, in the order of their names."""
        repository = self.coordinator.repository
        return (self.find(name) for name in sorted({*repository.models, *repository.specs}))

    def find(self, name: str, version: str = "") -> Model:
        """A model.

        Raises:
            UnknownModel: there is none of that name, or not in this version.
            InvalidInput: its file can't be read.
        """
        repository = self.coordinator.repository
        served = repository.models.get(name)
        if served is not None:
            found = Model(
                name, served.version, served.digest, served.spec, self._signature(served), form_for(served.spec)
            )
        elif name in repository.specs:
            spec = repository.specs[name]
            found = Model(name, spec.version, "", spec, None, self.learnt_form(name) or PICTURES)
        else:
            raise UnknownModel(name[:80], tuple(sorted({*repository.models, *repository.specs})))
        if version not in ("", found.version):
            raise UnknownVersion(name, version, found.version)
        return found

    def count(self, name: str) -> ModelCounts:
        """What came of the requests for a model so far."""
        return self.counts.setdefault(name, ModelCounts())

    def runs(self, name: str) -> bool:
        """Whether a model is loaded, so that it can run on a request at once."""
        return name in self.coordinator.pool.queue.loaded

    def learnt_form(self, name: str) -> InputForm | None:
        """The form of the inputs that a model's links were learnt from; None: there are none, or it is not known."""
        links = self.coordinator.initial.links_of(name)
        return None if links is None else links.learnt_form

    def is_linked(self, name: str) -> bool:
        """Whether links can answer for a model."""
        return self.coordinator.initial.links_of(name) is not None

    def is_ready(self, name: str) -> bool:
        """Whether requests for a model are answered without loading it first."""
        return not self.coordinator.stopping and (self.runs(name) or self.is_linked(name))

    def state(self, name: str) -> tuple[str, str]:
        """A model's state in the protocol's words, and why it is in that."""
        if name in self.coordinator.repository.models:
            entry = self.coordinator.deployments.entry(name)
            why = entry.refused or entry.reason
            if self.runs(name):
                return "READY", why
            if entry.state == "loading":
                return "LOADING", why
            if not self.is_linked(name):
                return "UNAVAILABLE", why or "not loaded"
        return "READY", "links answer for it"

    async def load(self, name: str) -> None:
        """Loads a model; one that is loaded stays as it is.

        Raises:
            UnknownModel: there is none of that name.
            InvalidInput: nothing runs for it.
            InfilinkError: what `Deployments.load` raises.
        """
        self._check_runs(name)
        await self.coordinator.deployments.load(name)

    async def unload(self, name: str) -> None:
        """Unloads a model once what runs on it has ended; one that is not loaded is fine.

        Raises:
            UnknownModel: there is none of that name.
            InvalidInput: nothing runs for it.
        """
        self._check_runs(name)
        await self.coordinator.deployments.unload(name)

    def begin_load(self, name: str) -> asyncio.Task[None]:
        """The load of a model that is asked for, begun once however many ask."""
        task = self._loads.get(name)
        if task is None:
            task = self._loads[name] = asyncio.create_task(self.coordinator.deployments.ensure(name))
            task.add_done_callback(lambda task: self._loaded(name, task))
        return task

    def _loaded(self, name: str, task: "asyncio.Task[None]") -> None:
        del self._loads[name]
        if not task.cancelled():
            task.exception()  # Retrieved, or asyncio logs an error where nobody waits for it any more.

    def _check_runs(self, name: str) -> None:
        if self.find(name).signature is None:
            raise InvalidInput(f"model {name!r} is neither loaded nor unloaded: links answer for it")

    def _signature(self, model: ServedModel) -> Signature:
        if model.digest not in self._signatures:
            while len(self._signatures) > 2 * len(self.coordinator.repository.models):
                del self._signatures[next(iter(self._signatures))]
            self._signatures[model.digest] = read_signature(model.path)
        return self._signatures[model.digest]


class UnknownVersion(UnknownModel):
    """There is a model of that name, in another version."""

    def __init__(self, name: str, version: str, served: str) -> None:
        InfilinkError.__init__(self, f"model {name!r} is served in version {served!r}, not {version[:40]!r}")
        self.name = name
        self.known = (name,)
