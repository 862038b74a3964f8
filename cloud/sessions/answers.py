"""Messages to the device: a Result with every model's answer, or the reason why an input has none."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import DeadlineExceeded, InfilinkError, InvalidInput, Overloaded, QueueFull, UnknownModel
from ...links.answer import Answer
from ...models.spec import ModelSpec
from ...protos import edge_pb2
from ...protos.arrays import write_array
from ..runtime.video_decoders import BrokenChain
from ..security.text import for_outside

_ORIGINS = {
    "executed": edge_pb2.ORIGIN_EXECUTED,
    "linked": edge_pb2.ORIGIN_LINKED,
    "held": edge_pb2.ORIGIN_HELD,
    "constant": edge_pb2.ORIGIN_CONSTANT,
}


@dataclass
class StreamCounts:
    """The inputs of all streams, by how they were answered; `repeated` ones came from the ledger."""

    results: int = 0
    refused: int = 0
    repeated: int = 0


class Superseded(InfilinkError):
    """A newer input of the stream came before a model ran on this one (POLICY_LATEST)."""


# The first class that fits decides.
_CODES: list[tuple[type[InfilinkError], edge_pb2.RefusedCode]] = [
    (InvalidInput, edge_pb2.REFUSED_CODE_INVALID),
    (UnknownModel, edge_pb2.REFUSED_CODE_INVALID),
    (DeadlineExceeded, edge_pb2.REFUSED_CODE_DEADLINE),
    (Overloaded, edge_pb2.REFUSED_CODE_OVERLOADED),
    (Superseded, edge_pb2.REFUSED_CODE_SUPERSEDED),
    (BrokenChain, edge_pb2.REFUSED_CODE_BROKEN_CHAIN),
    (InfilinkError, edge_pb2.REFUSED_CODE_FAILED),
]


def result_message(
    sequence: int, outputs: Mapping[str, edge_pb2.Output], executed_s: float
) -> edge_pb2.CoordinatorMessage:
    """The message with every model's answer to one input."""
    result = edge_pb2.Result(sequence=sequence, outputs=outputs.values(), executed_s=executed_s)
    return edge_pb2.CoordinatorMessage(result=result)


def refused_message(sequence: int, error: InfilinkError) -> edge_pb2.CoordinatorMessage:
    """The message that an input has no result, and why."""
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    message = for_outside(str(error))
    after_s = error.retry_after_s if isinstance(error, QueueFull) else 0.0
    refused = edge_pb2.Refused(sequence=sequence, code=code, message=message, retry_after_s=after_s)
    return edge_pb2.CoordinatorMessage(refused=refused)


def reason_of(code: edge_pb2.RefusedCode) -> str:
    """The name of a code for those who count them: invalid, deadline, superseded and so on."""
    return str(edge_pb2.RefusedCode.Name(code)).removeprefix("REFUSED_CODE_").lower()


def output_message(spec: ModelSpec, digest: str, answer: Answer, age_s: float) -> edge_pb2.Output:
    """One model's answer.

    Args:
        spec: the model's spec.
        digest: the digest of its file.
        answer: the answer.
        age_s: how long ago, in capture time, the model last ran on the stream; -1: never.
    """
    region = answer.region
    message = edge_pb2.Output(
        model=spec.name,
        digest=digest,
        kind=spec.output.kind,
        origin=_ORIGINS[answer.origin],
        confidence=answer.confidence if math.isfinite(answer.confidence) else 0.0,
        trusted=answer.trusted,
        sources=answer.sources,
        age_s=age_s,
        trust=answer.trust,
        alpha=answer.alpha,
        calibration_count=answer.calibration_count,
        calibration_age_s=max(0.0, time.time() - answer.calibrated_s) if answer.calibrated_s else -1.0,
        region=None if region is None else edge_pb2.Region(form=region.form, bounds=region.bounds),
    )
    write_array(message, answer.value)
    return message
