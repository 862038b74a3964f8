"""A reuse file as a gate: it answers for its model from the cache, and remembers what the model says of the rest."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ...models import open_session
from ...outputs import Array, OutputSpec
from ..gates import Decision, Ran, Unsent
from .runtime import ReuseDecision, ReuseRuntime, Ticket
from .spec import METADATA_KEY


class ReuseGate:
    """Decides for one model; on what it answers itself, others are answered for as on their last kept input.

    When the coordinator says that another version of the model ran, the cache is emptied.

    Args:
        path: what `infilink train reuse` wrote.
        cache: where the cache outlives a restart; its entries then age by the wall's clock, not by the source's.

    Raises:
        InvalidInput: either file is damaged, or the cache is of another embedding.
    """

    def __init__(self, path: Path | str, *, cache: Path | None = None) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self.runtime = ReuseRuntime(self.path, cache)
        self.accuracy: float | None = self.runtime.spec.accuracy

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Whether to keep the next input; its score is the distance to the nearest known result, over the gate's.

        Args:
            frame: uint8 BGR; or what the file's modality takes.
            captured_s: on the source's clock.
        """
        now_s = self._now_s(captured_s)
        found = self.runtime.decide(frame, now_s)
        if not found.keep:
            return Decision(False, self._score(found), 1.0, self._answers(found))
        if found.ticket is None:
            return Decision(True, self._score(found), 1.0)
        return Decision(True, self._score(found), 1.0, learn=partial(self._learn, found.ticket, now_s))

    def reset(self) -> None:
        """Starts a new stream; what the model said stays known."""

    def close(self) -> None:
        """Writes the cache, if it has a file."""
        self.runtime.close()

    def unsent(self, model: str, output: OutputSpec) -> Unsent:
        """As the certificate says; a model that it was not learnt from is reused on trust."""
        spec = self.runtime.spec
        if model != spec.model:
            return Unsent()
        return Unsent("reused", None, spec.answered_agreement, spec.certificate.certified)

    def _answers(self, found: ReuseDecision) -> Mapping[str, Unsent | None]:
        assert found.origin is not None, "what is not kept is answered"
        return {self.runtime.spec.model: Unsent(found.origin, found.answer, found.confidence, found.trusted)}

    def _learn(self, ticket: Ticket, now_s: float, ran: Mapping[str, Ran]) -> None:
        said = ran.get(self.runtime.spec.model)
        if said is not None:
            if said.digest != self.runtime.cache.version:
                self.runtime.use_model(said.digest)
            self.runtime.learn(Ticket(ticket.embedding, said.digest), said.value, now_s)

    def _now_s(self, captured_s: float) -> float:
        return captured_s if self.runtime.cache_path is None else time.time()

    def _score(self, found: ReuseDecision) -> float:
        if found.hit is None:
            return 0.0 if not found.keep else float("inf")
        return found.hit.distance / max(self.runtime.spec.gate, 1e-12)


def is_reuse(path: Path) -> bool:
    """Whether a file is a reuse file.

    Raises:
        InvalidInput: it is no ONNX model.
    """
    return METADATA_KEY in open_session(path).get_modelmeta().custom_metadata_map
