"""A reuse file as a gate: it answers for its model from the cache, and remembers what the model says of the rest."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from ...models.session import open_session
from ...models.spec import digest
from ...outputs import Array, OutputSpec
from ..gates.base import Decision, ModelOutput, Substitute
from .cache import CacheStats, Hit
from .cache_file import load_cache, save_cache
from .spec import METADATA_KEY, load_reuse

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ticket:
    """What an input is remembered by until its result is there."""

    embedding: Array
    version: str


@dataclass(frozen=True)
class ReuseDecision:
    """What is said of one input.

    Attributes:
        keep: whether the model should look at it; then there is no answer.
        answer: what the model is taken to say; not to be written to.
        origin: "reused" from the cache, "skipped" by the rule; None if it is kept.
        confidence: the agreement that such answers had when the gates were calibrated, from 0 to 1; 0 if it is kept.
        trusted: whether the contract that it falls under is certified for this version of the model.
        hit: how near and how homogeneous, if it is reused.
        score: how needed the input is by the SKIP head; None without one.
        ticket: give it to `learn` with the result; None if it is not kept, or the filter failed on it.
    """

    keep: bool
    answer: Array | None = None
    origin: Literal["reused", "skipped"] | None = None
    confidence: float = 0.0
    trusted: bool = False
    hit: Hit | None = None
    score: float | None = None
    ticket: Ticket | None = None


@dataclass(frozen=True)
class ReuseStats:
    """What it did: inputs seen, answered from the cache, skipped by the rule, kept as it failed on them."""

    seen: int
    reused: int
    skipped: int
    failed: int
    cache: CacheStats


class ReuseRuntime:
    """Answers inputs whose result the cache holds. Safe to use from many threads.

    It fails open: an input on which it fails itself is kept, and what can't be learnt from is left out.

    Args:
        path: the `.onnx` file that `train_reuse` wrote.
        cache_path: where the cache outlives a restart: read now if it is there, written by `save` and `close`. The
            clock must then go on across restarts too (the wall's, not the machine's uptime).

    Raises:
        InvalidInput: either file is damaged, or the cache is of another embedding.
    """

    def __init__(self, path: Path | str, cache_path: Path | str | None = None) -> None:
        self.path = Path(path)
        self.cache_path = None if cache_path is None else Path(cache_path)
        self.spec, self._session = load_reuse(self.path)
        self._digest = digest(self.path)
        self.cache = self.spec.open_cache()
        if self.cache_path is not None and self.cache_path.exists():
            load_cache(self.cache_path, self.cache, embedding=self._digest)
        self._skipped_answer = self.spec.skipped()
        self._skipped_answer.flags.writeable = False
        self._lock = threading.Lock()
        self._seen = self._reused = self._skipped = self._failed = 0

    def use_model(self, model_digest: str) -> None:
        """The model's digest from now on: results of another version are dropped, and not learnt from any more.

        What the file was not certified for is answered all the same, as not trusted.
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
        """Takes what the model said of an input that was kept; False if it could not be taken.

        Args:
            learnt: the decision's ticket, or the input itself, which costs another forward pass.
            output: what the model returned.
            now_s: the caller's clock, in seconds.
        """
        try:
            ticket = learnt if isinstance(learnt, Ticket) else Ticket(self._embed(learnt)[0], self.cache.version)
            return self.cache.insert(ticket.embedding, output, ticket.version, now_s)
        except Exception:  # a result that is not learnt costs an inference later, nothing else
            logger.warning("%s can't learn from a result", self.path, exc_info=True)
            return False

    def stats(self) -> ReuseStats:
        """What it did since it was opened."""
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
        embedding, score = self._embed(value)
        certified = self.spec.certificate.certified and version == self.spec.digest
        confidence = self.spec.answered_agreement
        threshold = self.spec.skip_threshold
        if score is not None and threshold is not None and score <= threshold:
            return ReuseDecision(False, self._skipped_answer, "skipped", confidence, certified, score=score)
        hit = self.cache.lookup(embedding, now_s)
        if hit is None:
            return ReuseDecision(keep=True, score=score, ticket=Ticket(embedding, version))
        return ReuseDecision(False, hit.output, "reused", confidence, certified, hit, score)

    def _embed(self, value: Array) -> tuple[Array, float | None]:
        found = self._session.run(None, {"input": self.spec.modality.prepare(value)[None]})
        return found[0][0], float(found[1][0, 0]) if len(found) > 1 else None


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

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """As the certificate says; a model that it was not learnt from is reused on trust."""
        spec = self.runtime.spec
        if model != spec.model:
            return Substitute()
        return Substitute("reused", None, spec.answered_agreement, spec.certificate.certified)

    def _answers(self, found: ReuseDecision) -> Mapping[str, Substitute | None]:
        assert found.origin is not None, "what is not kept is answered"
        return {self.runtime.spec.model: Substitute(found.origin, found.answer, found.confidence, found.trusted)}

    def _learn(self, ticket: Ticket, now_s: float, ran: Mapping[str, ModelOutput]) -> None:
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
