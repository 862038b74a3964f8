"""A SKIP filter with a stem that goes on learning at work, from every exact output that comes by."""

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import InvalidInput
from ...models.heads.binary import Binary
from ...models.heads.calibration import logistic
from ...models.heads.guard import Guard
from ...models.spec import digest
from ...outputs import Array, OutputSpec
from ..gates.base import Decision, ModelOutput, Substitute
from ..gates.learned import FilterRuntime
from ..gates.stem_feed import BIAS, WEIGHTS, StemFeed
from ..rules.code import functions_in, runs
from ..rules.parser import Unchanged
from ..rules.predicates import Predicate
from ..spec import load_filter
from .packed import METADATA_KEY, unpack_binary
from .sample import FairSample
from .state import Learning, StateFile

logger = logging.getLogger(__name__)

# How far the threshold moves, in log-odds, for an input that is lost; and which share of what may be lost it aims at,
# so that the promise is not broken by every second fluctuation. Chosen on two rendered days (bench_drift.py).
_GAIN = 0.02
_AIM = 0.8
# So many times faster it rises until the first loss is found: a file's threshold may be careful for want of inputs.
_AT_FIRST = 5.0
# One input that was not lost says little, however many passed by before it.
_MOST_RISE = 0.3
_FURTHEST = 4.0
_LEAST = 1e-6


class LearningFilter(Learning, FilterRuntime):
    """Skips as its file says at first, then by what it has learnt, as long as the audit does not show that to be worse.

    The threshold moves by what is really lost: up a little for every input, down for every loss that the audit finds,
    by as much as that stands for. It does not rise on trust: what inputs add counts once the audit has looked at one of
    those that were dropped, or as long as none was. What was certified is the file: from the first output that it
    learns from its answers are not trusted any more; whoever audits it may trust them again.

    Args:
        path: a filter of kind "stem" with a rule on one output.
        state: where what it learns is kept: .npz.
        rule_files: of a rule that is Python code: the files that may run, as a person has named them.
        camera: whose inputs these are, by name; empty: it is not said.

    Raises:
        InvalidInput: the filter is of another kind, its rule is code that nobody has named, or `state` is damaged or
            another file's.
    """

    def __init__(self, path: Path | str, state: Path, *, rule_files: Sequence[Path] = (), camera: str = "") -> None:
        super().__init__(path, rule_files=rule_files, camera=camera)
        text = load_filter(self.path)[1].get_modelmeta().custom_metadata_map.get(METADATA_KEY, "")
        if not text or isinstance(self.rule, Unchanged) or self.spec.events is not None:
            raise InvalidInput(
                f"{self.path}: `update` takes heads, or a filter of kind stem with a rule on one output and an "
                f"accuracy; this one is of kind {self.spec.kind} with the rule {self.spec.rule!r}: train a stem filter "
                "(`infilink train filter --candidate stem`)"
            )
        if not runs(self.rule):
            files = ", ".join(each.path for each in functions_in(self.rule))
            raise InvalidInput(
                f"{self.path}: `update` judges answers by its rule {self.rule.text!r}, which is Python code and runs "
                f"only where you name the file yourself: rule_file = {files!r}"
            )
        self._predicate: Predicate = self.rule
        self._kept_heads = unpack_binary(text, path=self.path)
        self._learning = deepcopy(self._kept_heads)
        self._state = StateFile(state, digest(self.path))
        self._guard, self._sample = Guard(), FairSample()
        self._certified = self.threshold
        self._moved, self._rise, self._lost = 0.0, 0.0, False
        self._outputs: dict[str, OutputSpec] = {}
        self._lock = threading.Lock()
        self._unfit = False
        self._restore()

    def decide(self, frame: Array, captured_s: float) -> Decision:
        """Whether to keep the next frame (uint8 BGR), captured at `captured_s` seconds."""
        with self._lock:
            self._rise += (_GAIN if self._lost else _GAIN * _AT_FIRST) * _AIM * (1.0 - self.spec.accuracy)
        decision = super().decide(frame, captured_s)
        if decision.features is None or decision.score is None:
            return decision
        if not decision.keep:
            self._sample.pass_by()
        with self._lock:
            # What the file's graph makes of the places stands beside what the heads make of the features.
            beside = _odds_of(decision.score) - _odds(self._serving, decision.features)
        answers = {} if decision.keep else {name: self.substitute(name, each) for name, each in self._outputs.items()}
        learn = partial(self._learn, decision.features, beside, decision.keep, captured_s)
        return replace(decision, answers=answers, learn=learn)

    def substitute(self, model: str, output: OutputSpec) -> Substitute:
        """As the filter's certificate says; once it has learnt, not trusted."""
        if model in self.spec.models:
            self._outputs[model] = output
        found = super().substitute(model, output)
        return replace(found, trusted=found.trusted and not self.changed)

    @property
    def _serving(self) -> dict[str, Binary]:
        return self._learning if self._guard.learning_serves else self._kept_heads

    def _serve(self) -> None:
        """Feeds the graph with the weights of the heads that serve, in place of those in the file."""
        assert isinstance(self.feed, StemFeed) and self.spec.stem is not None, "a filter of kind stem has both"
        nothing = np.zeros((self.spec.stem.spec.length, 1), np.float32)
        folded = [(each.folded(), each.curve) for each in self._serving.values()]
        self.feed.weights = {
            WEIGHTS: np.concatenate([nothing if each is None else each.weights for each, _ in folded], axis=1),
            BIAS: np.concatenate(
                [curve[-1:].astype(np.float32) if each is None else each.constant for each, curve in folded]
            ),
        }

    def _learn(
        self, features: Array, beside: float, kept: bool, captured_s: float, ran: Mapping[str, ModelOutput]
    ) -> None:
        """Learns from what the models said of an input; called from the thread that the answers come from."""
        known = {name: each for name, each in ran.items() if each.digest in ("", self.spec.models.get(name, None))}
        if not (self.spec.models.keys() <= known.keys() and self.spec.models.keys() <= self._outputs.keys()):
            return
        try:
            needed = {
                name: not self._predicate.redundant(known[name].value, self._outputs[name]) for name in self.spec.models
            }
        except InvalidInput as error:
            if not self._unfit:
                logger.warning("%s: an output can't be learnt from (told once): %s", self.name, error)
            self._unfit = True
            return
        with self._lock:
            if not kept:
                lost = float(np.mean(list(needed.values())))
                self._lost |= lost > 0.0
                self._move(min(self._rise, _MOST_RISE) - _GAIN * lost * self._sample.drawn())
            elif not self._sample.unknown:
                self._move(self._rise)
            if not kept or self._sample.takes():
                self._judge(features, beside, needed)
            for name, head in self._learning.items():
                head.update(features, needed[name])
            self._serve()
            self._inputs += 1
            state = self._as_arrays() if self._state.due(captured_s) else None
        if state is not None:
            self._state.save(*state)

    def _move(self, by: float) -> None:
        """Moves the threshold in log-odds; what inputs added so far is in it."""
        self._rise = 0.0
        self._moved = min(max(self._moved + by, -_FURTHEST), _FURTHEST)
        self.threshold = float(logistic(np.asarray([_odds_of(self._certified) + self._moved]))[0])

    def _judge(self, features: Array, beside: float, needed: Mapping[str, bool]) -> None:
        """Compares what was learnt with what it came from, before either has learnt from the input."""
        wanted = float(np.mean(list(needed.values())))
        bar = _odds_of(self.threshold) - beside
        versions = (self._kept_heads, self._learning)
        right = [1.0 - abs(float(_odds(heads, features) > bar) - wanted) for heads in versions]
        verdict = self._guard.saw(right[0], right[1], 1.0)
        self._better += verdict == "better"
        self._worse += verdict == "worse"
        if verdict == "better":
            self._kept_heads = deepcopy(self._learning)
        elif verdict == "worse":
            self._learning = deepcopy(self._kept_heads)

    def _as_arrays(self) -> tuple[dict[str, Array], dict[str, float]]:
        arrays = {"guard": self._guard.agreed}
        for version, heads in (("kept", self._kept_heads), ("learning", self._learning)):
            for number, head in enumerate(heads.values()):
                arrays |= {name: each.copy() for name, each in head.as_arrays(f"{version}{number}").items()}
        return arrays, {"inputs": self._learnt_before + self._inputs, "moved": self._moved, "lost": self._lost}

    def _restore(self) -> None:
        found = self._state.load()
        if found is None:
            return
        arrays, plain = found
        try:
            self._guard = Guard(np.asarray(arrays["guard"], np.float64).reshape(-1, 3))
            self._learnt_before, self._moved = int(plain["inputs"]), float(plain["moved"])
            self._lost = bool(plain["lost"])
        except (KeyError, ValueError) as error:
            raise InvalidInput(f"{self._state.path}: is damaged: delete it ({error})") from error
        models = list(enumerate(self._kept_heads))
        self._kept_heads = {name: Binary.from_arrays(arrays, f"kept{number}") for number, name in models}
        self._learning = {name: Binary.from_arrays(arrays, f"learning{number}") for number, name in models}
        self._serve()


def _odds(heads: Mapping[str, Binary], features: Array) -> float:
    """What the features alone add to the log-odds that a model is needed, on average over the models."""
    known = [(each.linear, each.curve[0]) for each in heads.values()]
    found = [0.0 if linear is None else linear.predict(features[None])[0, 0] * slope for linear, slope in known]
    return float(np.mean(found))


def _odds_of(probability: float) -> float:
    inside = min(max(probability, _LEAST), 1.0 - _LEAST)
    return math.log(inside / (1.0 - inside))
