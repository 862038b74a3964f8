"""A link that keeps learning from a few exact outputs of a drifting stream (TPAMI 2023, "Online training")."""

from dataclasses import dataclass

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array
from .fit import FitSettings, fit, fit_loss_head
from .form import Form, softmax, target_form
from .losses import loss_of
from .moments import Moments, Standard
from .network import DomainNetwork, Passed
from .policies import Policy
from .replay import ReplayBuffer
from .shape import Shape

_SHARPNESS = 3.0
_FORGET = 0.3
_LEAST_LOSS = 1e-3
UPDATE_FIT = FitSettings(steps=60, batch=32, rate=2e-2)
FIRST_FIT = FitSettings(steps=400, batch=32, rate=1e-2)


@dataclass(frozen=True)
class OnlineSettings:
    """How an online link learns.

    Attributes:
        half_lives_labels: of each network of its ensemble: how many labels ago is half as much learnt from. On a stream
            that drifts fast a short memory is right, on a slow one a long one; whichever predicted the latest labels
            best counts most. Of one network alone, how far they differ is not known.
        update_labels: it learns whenever so many labels have come.
        memory_labels: how many labels are remembered.
        fit: of each update.
        first_fit: of the first one, and of a link that has one only.
        seed: of weights, lots and batches.
    """

    half_lives_labels: tuple[float, ...] = (8.0, 24.0, 96.0)
    update_labels: int = 12
    memory_labels: int = 108
    fit: FitSettings = UPDATE_FIT
    first_fit: FitSettings = FIRST_FIT
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.half_lives_labels or min(self.half_lives_labels) <= 0.0:
            raise InvalidInput(
                f"half_lives_labels must hold numbers above 0, at least one; it is {self.half_lives_labels}"
            )
        for name, least in (("update_labels", 1), ("memory_labels", 2)):
            if getattr(self, name) < least:
                raise InvalidInput(f"{name} must be at least {least}; it is {getattr(self, name)}")


DEFAULTS = OnlineSettings()


class OnlineLink:
    """Predicts a target from sources on one stream, says which inputs to run it on, and learns from these.

    `predict` a stretch of inputs as they come (one or many); run the target on the rows that it wants; tell `learn`.
    What was predicted is never changed by what is learnt later, so its agreement counts ("prequential"). Memory is
    bounded: the network and `memory_labels` labels. The same seed, inputs and labels give the same predictions.

    Args:
        inputs: how many numbers the sources are together (see `Form`).
        target: the type of the target's output.
        policy: which inputs it asks for.
        settings: how it learns.

    Raises:
        InvalidInput: the target's kind can't be predicted.
    """

    def __init__(self, inputs: int, target: Form, policy: Policy, settings: OnlineSettings = DEFAULTS) -> None:
        self.target = target_form(target.output)
        self.policy = policy
        self.settings = settings
        self.inputs = 0
        self._random = np.random.default_rng(settings.seed)
        self._loss = loss_of(target)
        shape = Shape(
            inputs,
            target.length,
            members=len(settings.half_lives_labels),
            variance=target.is_number,
            loss_head=policy.needs == "loss",
        )
        self._network = DomainNetwork.initial(shape, self._random)
        self._memory = ReplayBuffer(settings.memory_labels, inputs, target.length)
        self._recent = np.ones(shape.members)
        self._standards: tuple[Standard, Standard] | None = None
        self._new: list[tuple[Array, Array]] = []

    @property
    def has_learnt(self) -> bool:
        """Whether it has learnt anything; before, it predicts what says nothing."""
        return self._standards is not None

    def predict(self, inputs: Array) -> tuple[Array, Array]:
        """The next inputs of the stream.

        Args:
            inputs: the sources' numbers (n, inputs).

        Returns:
            The target's numbers (n, length), and the rows on which the exact output is wanted.
        """
        at = self.inputs + np.arange(len(inputs))
        self.inputs += len(inputs)
        if self._standards is None:
            numbers = self.target.numbers(self.target.output.empty()[None])
            return np.repeat(numbers, len(inputs), axis=0), self._pick(at, np.full(len(inputs), np.nan))
        of_inputs, of_targets = self._standards
        passed = self._network.forward(of_inputs.apply(inputs))
        return of_targets.undo(np.tensordot(self._shares, passed.mean, 1)), self._pick(at, self._scores(passed))

    def learn(self, inputs: Array, targets: Array) -> bool:
        """Takes exact outputs, and updates the link if enough have come.

        Args:
            inputs: the sources' numbers (n, inputs) of the rows that were wanted.
            targets: the exact outputs' numbers (n, length).

        Returns:
            Whether it was updated.

        Raises:
            InvalidInput: they are not as many, or not finite.
        """
        if len(inputs) != len(targets) or not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
            raise InvalidInput(
                f"targets: give one finite row for each of the {len(inputs)} inputs; these are {len(targets)}"
            )
        if len(inputs):
            self._new.append((inputs, targets))
        if sum(len(part) for part, _ in self._new) < self.settings.update_labels:
            return False
        self._update()
        return True

    @property
    def _shares(self) -> Array:
        """How much each network counts: the better it predicted the latest labels, the more."""
        shares = (self._recent / self._recent.min()) ** -_SHARPNESS
        return np.asarray(shares / shares.sum())

    def _pick(self, at: Array, scores: Array) -> Array:
        return self.policy.pick(at, scores, self._random)

    def _scores(self, passed: Passed) -> Array:
        if self.policy.needs == "nothing":
            return np.zeros(passed.mean.shape[1])
        if self.policy.needs == "loss":
            return np.asarray(self._network.predicted_loss(passed).mean(axis=0))
        if passed.log_variance is not None:
            return np.asarray((passed.mean.var(axis=0) + np.exp(passed.log_variance).mean(axis=0)).mean(axis=1))
        if self.target.output.kind == "multilabel":
            p = 0.5 * (1.0 + np.tanh(0.5 * passed.mean)).mean(axis=0)
            return np.asarray((_entropy(p) + _entropy(1.0 - p)).sum(axis=1))
        return np.asarray(_entropy(softmax(passed.mean).mean(axis=0)).sum(axis=1))

    def _update(self) -> None:
        inputs, targets = (np.concatenate(parts) for parts in zip(*self._new, strict=True))
        self._new = []
        lost = self._lost(inputs, targets)
        self._memory.add(inputs, targets, lost)
        first, before = self._standards is None, self._standards
        self._standards = before = before or self._standard()
        known, wanted = before[0].apply(self._memory.inputs), before[1].apply(self._memory.targets)
        settings = self.settings.first_fit if first else self.settings.fit
        chances = self._memory.chances(self.settings.half_lives_labels)
        fit(self._network, known, wanted, self._loss, settings, self._random, chances=chances)
        if self._network.shape.loss_head:
            judged = np.isfinite(self._memory.losses)
            fit_loss_head(self._network, known[judged], self._memory.losses[judged], settings, self._random)

    def _lost(self, inputs: Array, targets: Array) -> Array:
        """The loss on labels that nothing was learnt from yet, NaN if there is no link; notes who did best."""
        if self._standards is None:
            return np.full(len(inputs), np.nan)
        of_inputs, of_targets = self._standards
        passed = self._network.forward(of_inputs.apply(inputs))
        wanted = of_targets.apply(targets)[None]
        each = self._loss(passed.mean, passed.log_variance, wanted).each.mean(axis=1)
        self._recent = (1.0 - _FORGET) * self._recent + _FORGET * np.maximum(each, _LEAST_LOSS)
        fused = np.tensordot(self._shares, passed.mean, 1)[None]
        return np.asarray(self._loss(fused, None, wanted).each[0])

    def _standard(self) -> tuple[Standard, Standard]:
        """From the first labels. Kept from then on, or every update would shift what the network means."""
        of_targets = Standard.plain(self.target.length)
        if self.target.is_number:
            of_targets = Moments.of(self._memory.targets).standard
        return Moments.of(self._memory.inputs).standard, of_targets


def _entropy(p: Array) -> Array:
    return np.asarray(-p * np.log(np.maximum(p, 1e-12)))
