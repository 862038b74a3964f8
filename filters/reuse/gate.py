"""A reuse file at work: it answers for its model from the cache, and remembers what the model returns for the rest."""

import logging
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from ...models.inputs.pixels import check_frame
from ...models.session import open_session
from ...models.spec import digest
from ...models.stem.stem import FEATURES, PICTURE, shrink
from ...outputs import Array, OutputSpec
from ..gates.base import Decision, ModelOutput, Substitute
from ..rules.code import runs
from ..rules.loss import rule_loss
from ..rules.parser import Unchanged
from .cache import CacheStats, Hit, Miss
from .cache_file import load_cache, save_cache
from .spec import METADATA_KEY, load_reuse

logger = logging.getLogger(__name__)

EMBEDDING, SCORE = "embedding", "score"
"""The graph's outputs, beside a stem's features."""
_LEAST_GATE = 1e-12
# Of what is near, but whose neighbours are not alike.
_ABOVE_GATE = math.nextafter(1.0, 2.0)


@dataclass(frozen=True)
class Ticket:
    """Stands for an input that was kept, until its result is there."""

    embedding: Array
    version: str


@dataclass(frozen=True)
class ReuseDecision:
    """The decision on one input.

    Attributes:
        keep: whether the model should see it; then there is no answer.
        answer: the output that stands in for the model's; not to be written to.
        origin: "reused" from the cache, "skipped" by the rule; None if the input is kept.
        confidence: the agreement that such answers had in calibration, from 0 to 1; 0 if the input is kept.
        trusted: whether that agreement is certified for this version of the model.
        found: what the cache says; None: nobody looked.
        score: how needed the input is by the SKIP head; None without one.
        ticket: for `learn`, together with the result; None if the input is not kept, or the file failed on it.
        features: what the file's stem makes of the input (float32); None without a stem, or if the file failed on it.
    """

    keep: bool
    answer: Array | None = None
    origin: Literal["reused", "skipped"] | None = None
    confidence: float = 0.0
    trusted: bool = False
    found: Hit | Miss | None = None
    score: float | None = None
    ticket: Ticket | None = None
    features: Array | None = None


@dataclass(frozen=True)
class ReuseStats:
    """Counts of inputs: seen, answered from the cache, skipped by the rule, kept because the file failed on them."""

    seen: int
    reused: int
    skipped: int
    failed: int
    cache: CacheStats


class ReuseRuntime:
    """Answers inputs whose result the cache holds. Safe to use from many threads.

    It fails open: an input on which it fails is kept, and a result that does not fit is not remembered.

    Args:
        path: the `.onnx` file that `train_reuse` wrote.
        cache_path: where the cache outlives a restart: read now if it is there, written by `save` and `close`. The
            clock must then go on across restarts (the system's clock, not the machine's uptime).

    Raises:
        InvalidInput: either file is damaged, or the cache is of another embedding.
    """

    def __init__(self, path: Path | str, cache_path: Path | str | None = None) -> None:
        self.path = Path(path)
        self.cache_path = None if cache_path is None else Path(cache_path)
        self.spec, self._session = load_reuse(self.path)
        self._names = [each.name for each in self._session.get_outputs()]
        self._digest = digest(self.path)
        self.cache = self.spec.open_cache()
        if self.cache_path is not None and self.cache_path.exists():
            load_cache(self.cache_path, self.cache, embedding=self._digest)
        self._skipped_answer = self.spec.skipped()
        self._skipped_answer.flags.writeable = False
        self._lock = threading.Lock()
        self._seen = self._reused = self._skipped = self._failed = 0

    def use_model(self, model_digest: str) -> None:
        """Sets the model's digest from now on: results of another version are dropped and no longer taken.

        With a version that the file was not certified for it goes on answering, but the answers are not trusted.
        """
        self.cache.use_version(model_digest)

    def decide(self, value: Array, now_s: float) -> ReuseDecision:
        """The answer for an input, or that it should be kept.

        Args:
            value: what the modality takes.
            now_s: the caller's clock, in seconds.
        """
        try:
            decision = self._decide(value, now_s)
        except Exception:  # whatever it is: an inference too many costs less than one that is lost
            with self._lock:
                self._seen += 1
                self._failed += 1
                first = self._failed == 1
            if first:
                logger.exception("%s failed on an input and keeps it; later failures are only counted", self.path)
            return ReuseDecision(keep=True)
        with self._lock:
            self._seen += 1
            self._reused += decision.origin == "reused"
            self._skipped += decision.origin == "skipped"
        return decision

    def learn(self, learnt: Ticket | Array, output: Array, now_s: float) -> bool:
        """Remembers the model's output for an input that was kept; False if that was not possible.

        Args:
            learnt: the decision's ticket, or the input itself, which costs another forward pass.
            output: what the model returned.
            now_s: the caller's clock, in seconds.
        """
        try:
            ticket = learnt if isinstance(learnt, Ticket) else Ticket(self._run(learnt)[EMBEDDING], self.cache.version)
            return self.cache.insert(ticket.embedding, output, ticket.version, now_s)
        except Exception:  # a result that is not learnt costs an inference later, nothing else
            logger.warning("%s can't learn from a result", self.path, exc_info=True)
            return False

    def stats(self) -> ReuseStats:
        """The counts since it was opened."""
        with self._lock:
            return ReuseStats(self._seen, self._reused, self._skipped, self._failed, self.cache.stats())

    def save(self) -> None:
        """Writes the cache to `cache_path`, if there is one."""
        if self.cache_path is not None:
            save_cache(self.cache_path, self.cache, embedding=self._digest)

    def close(self) -> None:
        """Saves; closing twice is fine."""
        self.save()

    def _decide(self, value: Array, now_s: float) -> ReuseDecision:
        version = self.cache.version
        found = self._run(value)
        embedding, features = found[EMBEDDING], found.get(FEATURES)
        score = float(found[SCORE][0]) if SCORE in found else None
        certified = self.spec.certificate.certified and version == self.spec.digest
        confidence = self.spec.answered_agreement
        threshold = self.spec.skip_threshold
        if score is not None and threshold is not None and score <= threshold:
            return ReuseDecision(
                False, self._skipped_answer, "skipped", confidence, certified, score=score, features=features
            )
        hit = self.cache.lookup(embedding, now_s)
        if isinstance(hit, Miss):
            return ReuseDecision(True, found=hit, score=score, ticket=Ticket(embedding, version), features=features)
        return ReuseDecision(False, hit.output, "reused", confidence, certified, hit, score, features=features)

    def _run(self, value: Array) -> dict[str, Array]:
        """The graph's outputs for one input, by name."""
        if self.spec.stem is None:
            feeds = {"input": self.spec.modality.prepare(value)[None]}
        else:
            check_frame(value)
            feeds = {PICTURE: shrink(value, self.spec.stem.spec.size)[None]}
        return {name: each[0] for name, each in zip(self._names, self._session.run(None, feeds), strict=True)}


class ReuseGate:
    """A reuse file as a gate: it decides for one model; where it answers, other models repeat their last answer.

    When another version of the model has run, the cache is emptied.

    Args:
        path: what `infilink train reuse` wrote.
        rule_files: of a SKIP rule that is Python code: the files that may run, as a person has named them.
        cache: where the cache outlives a restart; its entries then age by the system's clock, not by the source's.

    Attributes:
        rule: its SKIP rule; None: it has none.

    Raises:
        InvalidInput: either file is damaged, or the cache is of another embedding.
    """

    def __init__(self, path: Path | str, *, cache: Path | None = None, rule_files: Sequence[Path] = ()) -> None:
        self.path = Path(path)
        self.name = self.path.stem
        self.runtime = ReuseRuntime(self.path, cache)
        self.accuracy: float | None = self.runtime.spec.accuracy
        self.rule = self.runtime.spec.rule_with(rule_files)

    def decide(self, value: Array, captured_s: float) -> Decision:
        """Whether to keep the next input; its score is the distance to the nearest known result, over the gate.

        It is 0 for one that the rule skips, and above 1 for one that is kept, also if the near results are not alike.

        Args:
            value: a frame (uint8 BGR), or what the file's modality takes.
            captured_s: on the source's clock.
        """
        now_s = self._now_s(captured_s)
        found = self.runtime.decide(value, now_s)
        if not found.keep:
            return Decision(False, self._score(found), 1.0, self._answers(found), features=found.features)
        learn = None if found.ticket is None else partial(self._learn, found.ticket, now_s)
        failed = found.ticket is None
        return Decision(True, self._score(found), 1.0, learn=learn, features=found.features, failed=failed)

    def reset(self) -> None:
        """Starts a new stream; the results stay in the cache."""

    def rebase(self) -> None:
        """The results so far are of what the camera saw before: none is given any more."""
        self.runtime.cache.clear()

    def close(self) -> None:
        """Writes the cache, if it has a file."""
        self.runtime.close()

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """As the certificate says; for a model that it was not learned from, the last answer on trust."""
        spec = self.runtime.spec
        if model != spec.model:
            return Substitute()
        return Substitute("reused", None, spec.answered_agreement, spec.certificate.certified)

    def lost(
        self, answers: Mapping[str, Substitute], exact: Mapping[str, Array], outputs: Mapping[str, OutputSpec]
    ) -> float | None:
        """An answer from the cache loses what it disagrees; a skipped input by the file's rule, as a filter's."""
        spec = self.runtime.spec
        if spec.model not in exact:
            return None
        answer, value = answers.get(spec.model), exact[spec.model]
        if answer is None:
            return 0.0
        rule = self.rule if answer.origin == "skipped" and self.rule is not None else Unchanged()
        if not runs(rule):
            return None
        return rule_loss(rule, {spec.model: answer.value}, {spec.model: value}, outputs)

    def _answers(self, found: ReuseDecision) -> Mapping[str, Substitute | None]:
        assert found.origin is not None, "an input that is not kept is answered"
        return {self.runtime.spec.model: Substitute(found.origin, found.answer, found.confidence, found.trusted)}

    def _learn(self, ticket: Ticket, now_s: float, outputs: Mapping[str, ModelOutput]) -> None:
        output = outputs.get(self.runtime.spec.model)
        if output is not None:
            if output.digest != self.runtime.cache.version:
                self.runtime.use_model(output.digest)
            self.runtime.learn(Ticket(ticket.embedding, output.digest), output.value, now_s)

    def _now_s(self, captured_s: float) -> float:
        return captured_s if self.runtime.cache_path is None else time.time()

    def _score(self, found: ReuseDecision) -> float | None:
        if found.origin == "skipped":
            return 0.0
        if found.found is None or not math.isfinite(found.found.distance):
            return None
        least = _ABOVE_GATE if found.keep else 0.0
        return max(least, found.found.distance / max(self.runtime.spec.gate, _LEAST_GATE))


def is_reuse(path: Path) -> bool:
    """Whether a file is a reuse file.

    Raises:
        InvalidInput: it is no ONNX model.
    """
    return METADATA_KEY in open_session(path).get_modelmeta().custom_metadata_map
