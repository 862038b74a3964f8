"""Early exit at work: the small model runs on every input, and answers for the big one where its doubt is little."""

import logging
from collections.abc import Mapping
from pathlib import Path

from ...outputs import Array, OutputSpec
from ..gates.base import Decision, Substitute
from .cues import Cues
from .spec import ExitSpec, load_exit

logger = logging.getLogger(__name__)


class ExitGate:
    """Answers for the big model with what the small one says, where that is sure enough; else the input is kept.

    A model in service that it does not stand in for is asked on every input. It fails open: an input on which the small
    model fails is kept.

    Args:
        path: what `infilink train exit` wrote.

    Raises:
        InvalidInput: it is no exit, or is damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self.spec, self._small, self._doubt = load_exit(self.path)
        self.accuracy: float | None = self.spec.accuracy
        self._cues = Cues(self.spec.classes.small, self.spec.classes.score)
        self._others = False
        self._failed = False

    def decide(self, value: Array, captured_s: float) -> Decision:
        """Whether the big model need not see the next frame (uint8 BGR).

        Its score is how far its doubt is above the threshold.
        """
        try:
            confidence, answer = self.look(value)
        except Exception:  # whatever it is: an input too many costs less than one that is lost
            if not self._failed:
                logger.exception("%s failed on an input and keeps it; later failures are not logged", self.path)
            self._failed = True
            return Decision(True, failed=True)
        above = 1.0 - confidence - self.spec.threshold
        if answer is None or above > 0.0:
            return Decision(True, above)
        said = Substitute("local", answer, confidence, self.spec.certificate.certified, sources=(self.spec.small,))
        return Decision(self._others, above, 0.0, {self.spec.model: said})

    @property
    def answering(self) -> dict[str, ExitSpec]:
        """The model that it answers for."""
        return {self.spec.model: self.spec}

    def look(self, value: Array) -> tuple[float, Array | None]:
        """How far the small model's answer can be expected to agree, and the answer; None: there is none."""
        said = self.spec.classes.relevant(self._small.infer(value))
        cues = self._cues.of(said, (value.shape[1], value.shape[0]))[None]
        if float(self._doubt.unlike(cues)[0]) > self.spec.furthest:
            return 0.0, None
        return float(self._doubt.confidence(cues)[0]), self.spec.classes.answer(said)

    def reset(self) -> None:
        """Starts a new stream."""
        self._cues.reset()

    def rebase(self) -> None:
        """As a new stream does."""
        self.reset()

    def close(self) -> None:
        """Nothing outlives it."""

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """As the certificate says; a model that it does not stand in for has none."""
        self._others |= model != self.spec.model
        if model != self.spec.model:
            return Substitute()
        return Substitute("local", None, self.spec.agreement, self.spec.certificate.certified)

    def lost(
        self, answers: Mapping[str, Substitute], exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
    ) -> float | None:
        """How far its answer disagrees with the big model's own, in the classes that it speaks of."""
        if self.spec.model not in exact:
            return None
        answer = answers.get(self.spec.model)
        if answer is None:
            return 0.0
        return 1.0 if answer.value is None else 1.0 - self.spec.classes.agreement(answer.value, exact[self.spec.model])
