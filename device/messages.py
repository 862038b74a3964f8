"""What travels between device and coordinator: kept inputs one way, answers as rows of results the other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ModelFailed
from ..filters.gates.base import Learn, ModelOutput
from ..models.spec import ModelSpec
from ..outputs import Array
from ..protos import edge_pb2
from ..protos.arrays import read_array, write_array
from ..protos.tracing import InputTrace
from .config import DeviceConfig
from .local_models import LocalModels
from .result_rows import InputRow, ResultRow
from .sources.base import Input
from .uplink.features import FeatureEncoder
from .uplink.frame_ring import FrameRing
from .uplink.payload_encoder import PayloadEncoder
from .uplink.travelling import Travelling

_POLICIES = {"all": edge_pb2.POLICY_ALL, "latest": edge_pb2.POLICY_LATEST}


@dataclass(frozen=True)
class KeptInput:
    """An input that the gate kept, with everything that was decided about it.

    Attributes:
        taken: the input.
        row: the decision; its `sent_bytes` is not known yet.
        answers: the results of the models that need not run on it.
        deadline_ns: Unix time after which the answer is of no use; 0: none.
        audited: whether every model is to run on it, for the audit.
        learn: to be called with the models' own outputs for it; None: nobody learns from it.
        features: what the gate's stem made of it; None: nothing.
        trace: measures its way; None: nobody looks at it.
        captured_ns: Unix time at which it was captured; of a recording, when it was read; 0: not known.
    """

    taken: Input
    row: InputRow
    answers: tuple[ResultRow, ...]
    deadline_ns: int
    audited: bool
    learn: Learn | None
    features: Array | None = None
    trace: InputTrace | None = None
    captured_ns: int = 0


class InputBuilder:
    """Builds the inputs that are sent to the coordinator, running the models of this device on the way.

    Args:
        config: what travels of an input.
        encoder: encodes the payloads.
        local: the models that run here.
        models: the names of the coordinator's models; None: they are not known yet, and all of them look at an input.
        virtual: those of them that nothing runs for, there or here.
        features: what travels instead of frames; None: frames do.
        travelling: says what of a picture travels; None: all of it.
        ring: keeps the frames that features travel for, as they may be asked for; None: they may not.

    Attributes:
        frames_stay: whether no frame is kept for that at present.
    """

    def __init__(
        self,
        config: DeviceConfig,
        encoder: PayloadEncoder,
        local: LocalModels,
        models: Iterable[str] | None,
        *,
        virtual: Iterable[str] = (),
        features: FeatureEncoder | None = None,
        ring: FrameRing | None = None,
        travelling: Travelling | None = None,
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.local = local
        self.is_known = models is not None
        self.models = tuple(models or ())
        self.virtual = frozenset(virtual)
        self.features = features
        self.ring = ring
        self.frames_stay = False
        self.travelling = travelling

    def build(self, kept: KeptInput) -> tuple[edge_pb2.Input, dict[str, ModelOutput]]:
        """The message for a kept input, and the outputs of the models here, which it carries.

        Raises:
            ModelFailed: the head failed on it or, where frames do not travel, every model here or the stem did.
        """
        taken, answered = kept.taken, {row.model for row in kept.answers}
        wanted = [name for name in self.models if name not in answered]
        local = self.run_local(kept)
        # Without a model in the cloud that is to run on the input, nobody needs it.
        is_answered = self.is_known and local.keys() >= set(wanted) - self.virtual
        travels = self.config.send != "outputs" and not is_answered
        features = self._features(kept) if travels else None
        encoded = self.encoder.encode(self._sent(taken)) if travels and features is None else None
        message = edge_pb2.Input(
            sequence=taken.sequence,
            captured_ns=round(taken.captured_s * 1e9),
            captured_unix_ns=kept.captured_ns,
            deadline_ns=kept.deadline_ns,
            encoding=None if encoded is None else encoded.encoding,
            payload=b"" if encoded is None else encoded.payload,
            policy=_POLICIES[self.config.queue],
            audit=kept.audited,
            models=wanted if answered and self.is_known else (),
            outputs=[local_output(self.local.models[name].spec, said) for name, said in local.items()],
            features=features,
            frame_kept=features is not None and self._keep(kept),
            score=kept.row.score,
        )
        return message, local

    def _features(self, kept: KeptInput) -> edge_pb2.Features | None:
        """What travels instead of the frame; None: the frame itself, as one to audit does where frames may travel.

        Raises:
            ModelFailed: there are no features, and no frame may travel.
        """
        if self.features is None or (kept.audited and self.ring is not None):
            return None
        found = self.features.encode(kept.taken.value, kept.features)
        if found is None and self.ring is None and self.features.range is not None:
            raise ModelFailed('the stem has no features of a frame, and with `send = "features"` no frame travels')
        return found

    def _keep(self, kept: KeptInput) -> bool:
        """Keeps the frame, where it may be asked for."""
        if self.ring is None or self.frames_stay:
            return False
        return self.ring.put(
            kept.taken.sequence, self.encoder.encode_alone(self._sent(kept.taken).value), kept.deadline_ns
        )

    def _sent(self, taken: Input) -> Input:
        """An input with the picture that travels of it; itself where all of it does."""
        if self.travelling is None or not self.travelling.changes:
            return taken
        return replace(taken, value=self.travelling.apply(taken.value))

    def run_local(self, kept: KeptInput) -> dict[str, ModelOutput]:
        """The outputs of the models here; without frames all of them run, as the cloud's predictions need them.

        Raises:
            ModelFailed: frames do not travel, and every model here failed.
        """
        answered = {row.model for row in kept.answers}
        alone = self.config.send == "outputs"
        try:
            wanted = [name for name in self.local.models if alone or (self._looks(name) and name not in answered)]
            outputs = self.local.run(kept.taken.value, wanted)
        except ModelFailed:
            if alone:
                raise
            return {}
        return {name: ModelOutput(value, self.local.digests[name]) for name, value in outputs.items()}

    def _looks(self, model: str) -> bool:
        """Whether a model looks at such inputs, as far as that is known."""
        return not self.is_known or model in self.models


def local_output(spec: ModelSpec, said: ModelOutput) -> edge_pb2.Output:
    """The output of a model on this device, as an input carries it."""
    message = edge_pb2.Output(model=spec.name, digest=said.digest, kind=spec.output.kind, origin=edge_pb2.ORIGIN_LOCAL)
    write_array(message, said.value)
    return message


def local_row(model: str, taken: Input, value: Array) -> ResultRow:
    """The output of a model on this device, as a row of the results file."""
    return ResultRow(model, taken.sequence, taken.captured_s, "local", 1.0, True, value=value, trust="exact")


def result_row(sequence: int, captured_s: float, output: Any) -> ResultRow:
    """An output that the coordinator sent, as a row of the results file.

    Raises:
        InvalidInput: its bytes do not fit its shape and dtype.
    """
    return ResultRow(
        model=output.model,
        sequence=sequence,
        captured_s=captured_s,
        origin=edge_pb2.Origin.Name(output.origin).removeprefix("ORIGIN_").lower(),
        confidence=output.confidence,
        trusted=output.trusted,
        sources=tuple(output.sources),
        value=read_array(output),
        trust=output.trust,
    )


def executed_outputs(answer: Any, rows: Sequence[ResultRow]) -> dict[str, ModelOutput]:
    """The outputs of the models that ran on an input, from its `Result` and the rows made of it."""
    return {
        output.model: ModelOutput(row.value, output.digest)
        for output, row in zip(answer.outputs, rows, strict=True)
        if output.origin == edge_pb2.ORIGIN_EXECUTED and row.value is not None
    }
