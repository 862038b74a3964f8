"""Light answers at work: where its doubt is little a head answers on the device, the other models are asked."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ...outputs import Array, OutputSpec
from ..gates.base import Decision, Substitute
from ..gates.stem_feed import StemFeed
from .packed import METADATA_KEY, unpack_heads
from .spec import HeadSpec, load_heads

logger = logging.getLogger(__name__)

_STEM = "stem"
# Of a head that does not answer, whatever it says.
_IN_DOUBT = 1.0


class LocalGate:
    """Answers for the models whose heads are sure enough of an input; for all others it is kept.

    A model in service that has no head in the file is asked on every input. It fails open: an input on which it fails
    is kept, for every model.

    Args:
        path: what `infilink train heads` wrote.

    Raises:
        InvalidInput: it holds no heads, or is damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self.spec, session = load_heads(self.path)
        self.accuracy: float | None = self.spec.accuracy
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "")
        self.heads = unpack_heads(text, path=self.path)
        self._feed = StemFeed(session, self.spec.stem.spec)
        self._linear = next(iter(self.heads.values())).linear
        # Half as many bytes to read for every input; a doubt needs no more digits.
        self._covariance = self._linear.covariance.astype(np.float32)
        self._others = False
        self._failed = False
        # Other thresholds than the heads' own, by model, for as long as fewer inputs are to be kept.
        self._instead: Mapping[str, float] = {}

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Which models need not run on the next frame (uint8 BGR), with the answers of their heads.

        Its score is how far the most doubtful head's doubt is above its threshold.
        """
        try:
            numbers = self._feed.scores(frame, captured_s).astype(np.float64)[None]
            features = self._feed.features
            assert features is not None, "the stem has just seen the frame"
            found = self._answers(numbers, features[None])
        except Exception:  # whatever it is: an input too many costs less than one that is lost
            if not self._failed:
                logger.exception("%s failed on an input and keeps it; later failures are not logged", self.path)
            self._failed = True
            return Decision(True, failed=True)
        answers = {model: answer for model, (_, answer) in found.items() if answer is not None}
        score = max(above for above, _ in found.values())
        return Decision(self._others or len(answers) < len(found), score, 0.0, answers, features=features)

    @property
    def answering(self) -> dict[str, HeadSpec]:
        """The heads that answer at all, by their models."""
        return self.spec.answering

    def _answers(self, numbers: Array, features: Array) -> dict[str, tuple[float, Substitute | None]]:
        """Per model how far its head's doubt is above its threshold, and its answer; None: it is in doubt."""
        z = self._linear.standard(features).astype(np.float32)
        doubt = np.asarray([z[0] @ self._covariance @ z[0]], np.float64)
        return {spec.model: self._answer(spec, numbers, doubt) for spec in self.spec.heads}

    def _answer(self, spec: HeadSpec, numbers: Array, doubt: Array) -> tuple[float, Substitute | None]:
        if spec.threshold is None or self._is_unlike(float(doubt[0])):
            return _IN_DOUBT, None
        head = self.heads[spec.model]
        own = numbers[:, head.columns]
        confidence = self._confidence(spec, own, doubt)
        above = 1.0 - confidence - self._instead.get(spec.model, self._threshold(spec.threshold))
        if above > 0.0:
            return above, None
        answer = head.readout.outputs(own)[0]
        return above, Substitute("local", answer, confidence, self._trusts(spec), sources=(_STEM,))

    def _confidence(self, spec: HeadSpec, own: Array, doubt: Array) -> float:
        """How far a head's answer can be expected to agree with its model's."""
        return float(self.heads[spec.model].readout.confidence(own, doubt)[0])

    def _is_unlike(self, doubt: float) -> bool:
        """Whether an input is unlike all that was learnt and calibrated."""
        return doubt > self.spec.furthest

    def _threshold(self, certified: float) -> float:
        """The doubt up to which a head answers."""
        return certified

    def _trusts(self, spec: HeadSpec) -> bool:
        """Whether a head's answers are certified."""
        return spec.certificate.certified

    def use_thresholds(self, thresholds: Mapping[str, float]) -> None:
        """Answers up to other doubts from now on, by model; of the models that are not named, up to its own."""
        self._instead = thresholds

    def reset(self) -> None:
        """Starts a new stream."""
        self._feed.reset()

    def rebase(self) -> None:
        """As a new stream does: it looks at each input by itself."""
        self.reset()

    def close(self) -> None:
        """Nothing outlives it."""

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """As the head's certificate says; a model without a head that answers has none."""
        self._others |= model not in self.heads
        found = self.spec.answering.get(model)
        if found is None:
            return Substitute()
        return Substitute("local", None, found.agreement, self._trusts(found))

    def lost(
        self, answers: Mapping[str, Substitute], exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
    ) -> float | None:
        """The mean over the models with a head that answers of what its answers disagree with the model's own."""
        known = [model for model in self.spec.answering if model in exact]
        if not known:
            return None
        lost = 0.0
        for model in known:
            answer = answers.get(model)
            if answer is not None:
                lost += 1.0 if answer.value is None else 1.0 - outputs[model].agreement(answer.value, exact[model])
        return lost / len(known)
