"""What is sent of a frame: itself, what this device's own models say of it, or both."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidInput, ModelFailed
from ..filters.gates.base import Learn, ModelOutput
from ..models.spec import ModelSpec
from ..outputs import Array
from ..protos import edge_pb2
from .config import DeviceConfig
from .local_models import LocalModels
from .results import InputRow, ResultRow
from .sources.base import Frame
from .uplink.payloads import Sender

_DTYPES = ("float32", "int64")


def result_row(sequence: int, captured_s: float, output: Any) -> ResultRow:
    """One model's answer as the results file has it.

    Raises:
        InvalidInput: its bytes are not what its shape and dtype say.
    """
    return ResultRow(
        model=output.model,
        sequence=sequence,
        captured_s=captured_s,
        origin=edge_pb2.Origin.Name(output.origin).removeprefix("ORIGIN_").lower(),
        confidence=output.confidence,
        trusted=output.trusted,
        sources=tuple(output.sources),
        value=_array(output),
        trust=output.trust,
    )


def ran(answer: Any, rows: Sequence[ResultRow]) -> dict[str, ModelOutput]:
    """What the models themselves said of an input, of a `Result` and its rows."""
    return {
        output.model: ModelOutput(row.value, output.digest)
        for output, row in zip(answer.outputs, rows, strict=True)
        if output.origin == edge_pb2.ORIGIN_EXECUTED and row.value is not None
    }


def local_output(spec: ModelSpec, said: ModelOutput) -> edge_pb2.Output:
    """What a model on this device said, as it travels."""
    value = np.ascontiguousarray(said.value)
    little: Array = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return edge_pb2.Output(
        model=spec.name,
        digest=said.digest,
        kind=spec.output.kind,
        shape=value.shape,
        dtype=value.dtype.name,
        value=little.tobytes(),
        origin=edge_pb2.ORIGIN_LOCAL,
    )


def local_row(model: str, frame: Frame, value: Array) -> ResultRow:
    """The same as the results file has it."""
    return ResultRow(model, frame.sequence, frame.captured_s, "local", 1.0, True, value=value, trust="exact")


def _array(output: Any) -> Array:
    if output.dtype not in _DTYPES:
        raise InvalidInput(f"{output.model}: sent as {output.dtype!r}; only {', '.join(_DTYPES)} are known")
    try:
        return np.frombuffer(output.value, np.dtype(output.dtype).newbyteorder("<")).reshape(tuple(output.shape))
    except ValueError as error:
        raise InvalidInput(f"{output.model}: {len(output.value)} bytes are no {tuple(output.shape)}") from error


_POLICIES = {"all": edge_pb2.POLICY_ALL, "latest": edge_pb2.POLICY_LATEST}


@dataclass(frozen=True)
class Kept:
    """A frame that is to be sent, as it was decided on.

    Attributes:
        frame: the frame.
        row: how it was decided; what it takes to send it is not known yet.
        answers: of the models that need not look at it.
        deadline_ns: Unix time after which nobody wants the answer; 0: none.
        audited: whether all models are to run on it, for an audit or to learn from.
        learn: to be told what the models said of it.
    """

    frame: Frame
    row: InputRow
    answers: tuple[ResultRow, ...]
    deadline_ns: int
    audited: bool
    learn: Learn | None


class Packer:
    """Makes the inputs that travel.

    Args:
        config: what travels.
        sender: makes payloads of frames.
        local: the models that run here.
        models: the coordinator's.
    """

    def __init__(self, config: DeviceConfig, sender: Sender, local: LocalModels, models: Iterable[str]) -> None:
        self.config = config
        self.sender = sender
        self.local = local
        self.models = tuple(models)

    def pack(self, kept: Kept) -> tuple[edge_pb2.Input, dict[str, ModelOutput]]:
        """A kept frame as it travels, and what the models here said of it.

        Raises:
            ModelFailed: the head, or where frames do not travel every model here, failed on it.
        """
        frame, answered = kept.frame, {row.model for row in kept.answers}
        looked = [name for name in self.models if name not in answered]
        local = self._run(frame.image, looked)
        others = set(looked).difference(local)
        message = edge_pb2.Input(
            sequence=frame.sequence,
            captured_ns=round(frame.captured_s * 1e9),
            deadline_ns=kept.deadline_ns,
            encoding=self.sender.encoding,
            payload=b"" if self.config.send == "outputs" or not others else self.sender.payload(frame.image),
            policy=_POLICIES[self.config.policy],
            audit=kept.audited,
            models=looked if answered else (),
            outputs=[local_output(self.local.models[name].spec, said) for name, said in local.items()],
        )
        return message, local

    def _run(self, image: Array, looked: Iterable[str]) -> dict[str, ModelOutput]:
        """What the models here say; where frames do not travel all of them are asked, as others hang on that."""
        alone = self.config.send == "outputs"
        try:
            outputs = self.local.run(image, [name for name in self.local.models if alone or name in looked])
        except ModelFailed:
            if alone:
                raise
            return {}
        return {name: ModelOutput(value, self.local.digests[name]) for name, value in outputs.items()}
