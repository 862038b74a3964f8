"""The labelled inputs of one period of a live filter, in memory and in a file. NumPy only."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput
from ...files import check_format, replacing
from ...outputs import Array
from ..training.replay import Examples
from .inputs import Seen
from .memory import ReplayMemory
from .threshold import Judged, provable

_FORMAT = 1
_MOST_ROWS = 100_000
_LEAST_ROWS = 32


class Labels:
    """What the models said of a period's inputs, judged by the rule.

    Of every label it holds the score, the loss and the probability; of at most `capacity` also the input itself.

    Args:
        capacity: how many examples it holds, needed and redundant ones alike; 38 KB each.

    Attributes:
        inputs: how many inputs the period had, labelled or not.
        certain: how many of them were to be labelled with certainty.
        elapsed_s: how long the period lasted so far, in seconds of capture.
    """

    def __init__(self, capacity: int) -> None:
        self.memory = ReplayMemory(capacity)
        self.inputs = self.certain = 0
        self.elapsed_s = 0.0
        self._rows: list[tuple[float, float, float]] = []
        self._came = 0
        self._lost = 0.0

    def __len__(self) -> int:
        """How many labels there are."""
        return len(self._rows)

    def add(
        self, seen: Seen, *, score: float, skipped: bool, needed: float, probability: float, random: np.random.Generator
    ) -> None:
        """Takes the label of one input.

        Args:
            seen: the input.
            score: what the filter in force gave it.
            skipped: whether that would skip it.
            needed: the loss if it is skipped, 0 (redundant) to 1.
            probability: with which it was to be labelled.
            random: decides which examples stay, when there are more than it holds.
        """
        if len(self._rows) < _MOST_ROWS:
            self._rows.append((score, needed, probability))
            self._came += probability == 1.0
            self._lost += skipped * needed / probability
        self.memory.add(Examples(seen.images, seen.scalars, np.asarray([needed], np.float32)), random)

    def tells(self, target: float) -> bool:
        """Whether it is time to learn from it: it could prove that no more than `target` is lost, or much more is."""
        inputs = self._answered()
        if len(self) < _LEAST_ROWS:
            return False
        return self._lost > target * inputs or provable(self._came, len(self) - self._came, inputs, target=target)

    def judged(self) -> Judged:
        """The period's labels, for the threshold."""
        scores, needed, probabilities = np.asarray(self._rows, np.float64).reshape(-1, 3).T
        return Judged(scores, needed, probabilities, self._answered())

    def _answered(self) -> int:
        """How many inputs the labels stand for.

        Where an answer did not come, the period is taken for shorter: by as much as what was to be labelled with
        certainty is short of labels, for that stands for itself alone.
        """
        share = self._came / self.certain if self.certain else 1.0
        return max(len(self), round(share * self.inputs))

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Writes it with some facts (JSON), whole or not at all."""
        numbers = {
            "format": _FORMAT,
            "capacity": self.memory.capacity,
            "inputs": self.inputs,
            "certain": self.certain,
            "elapsed_s": self.elapsed_s,
            "came": self._came,
            "lost": self._lost,
            **facts,
        }
        arrays: dict[str, Any] = {f"memory {name}": value for name, value in self.memory.state().items()}
        arrays |= {"numbers": json.dumps(numbers), "rows": np.asarray(self._rows, np.float64)}
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, **arrays)


def load_labels(path: Path) -> tuple[Labels, dict[str, Any]]:
    """Labels that were saved, and the facts beside them.

    Raises:
        InvalidInput: no such file, or it holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            facts = json.loads(str(found["numbers"]))
            # Files of the first format did not give it.
            check_format(facts.pop("format", 1), (_FORMAT,), path=path, what="a file of labels")
            labels = Labels(facts.pop("capacity"))
            arrays: dict[str, Array] = {name: found[name] for name in found.files if name.startswith("memory ")}
            labels.memory.restore({name.removeprefix("memory "): value for name, value in arrays.items()})
            labels._rows = [tuple(row) for row in found["rows"].reshape(-1, 3).tolist()]
            labels.inputs, labels.certain = facts.pop("inputs"), facts.pop("certain")
            labels.elapsed_s, labels._came, labels._lost = (facts.pop(name) for name in ("elapsed_s", "came", "lost"))
    except InvalidInput:
        raise
    except Exception as error:  # NumPy's reader raises whatever a foreign file makes it stumble over
        raise InvalidInput(f"{path}: holds no labels of a live filter; delete it ({error})") from error
    return labels, facts
