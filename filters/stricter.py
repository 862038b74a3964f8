"""A gate that is to keep fewer inputs for a while: the threshold of a lower accuracy, and what is said of that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .gates.base import Gate
from .gates.free import DifferenceGate, EveryGate, RandomGate
from .gates.learned import FilterRuntime
from .gates.tasks import TasksRuntime
from .local.gate import LocalGate
from .local.learning_filter import LearningFilter
from .local.learning_heads import LearningHeads
from .spec import Level

_MORE_LOSS = 2.0


@dataclass(frozen=True)
class Stricter:
    """How a gate keeps fewer.

    Attributes:
        text: what it does then, in words.
        certified: whether what it promises then is proven.
        apply: begins it (true) and ends it (false); from the thread that asks the gate.
    """

    text: str
    certified: bool
    apply: Callable[[bool], None]


def stricter_of(gate: Gate, accuracy: float | None = None) -> Stricter | None:
    """How a gate keeps fewer inputs; None: it can't, as its file states no threshold that would.

    Free gates keep about half of what they kept. A trained one takes the threshold that its file proves for the lower
    accuracy; where none is proven, the one that was measured to keep it, and nothing is promised.

    Args:
        gate: as `open_gate` opens it.
        accuracy: the accuracy that is asked for then; None: twice the loss of the one that it promises.
    """
    if isinstance(gate, EveryGate):
        step = gate.step
        return Stricter(
            f"every {2 * step:g}th input", False, lambda on: setattr(gate, "step", 2 * step if on else step)
        )
    if isinstance(gate, RandomGate):
        share = gate.share
        return Stricter(
            f"a share of {share / 2:g}", False, lambda on: setattr(gate, "share", share / 2 if on else share)
        )
    if isinstance(gate, DifferenceGate):
        least = gate.threshold
        return Stricter(
            f"a difference of {2 * least:g}", False, lambda on: setattr(gate, "threshold", 2 * least if on else least)
        )
    # What goes on learning moves its thresholds itself.
    if isinstance(gate, LearningFilter | LearningHeads):
        return None
    if isinstance(gate, FilterRuntime):
        return _of_filter(gate, accuracy)
    if isinstance(gate, TasksRuntime):
        return _of_tasks(gate, accuracy)
    if isinstance(gate, LocalGate):
        return _of_heads(gate, accuracy)
    return None


def _of_filter(gate: FilterRuntime, accuracy: float | None) -> Stricter | None:
    promised = gate.accuracy if gate.spec.events is None else gate.spec.events.recall
    lower = _lower(promised, accuracy)
    found = _looser(gate.spec.table, gate.threshold, lower)
    if found is None:
        return None
    level, proven = found
    # A threshold of the whole table says nothing of one camera, of classes or slices, or of events.
    certified = proven and gate.certified and not gate.spec.floors and gate.spec.events is None
    return Stricter(_text(lower, certified), certified, lambda on: gate.use_level(level if on else None, certified))


def _of_tasks(gate: TasksRuntime, accuracy: float | None) -> Stricter | None:
    lower = _lower(gate.accuracy, accuracy)
    found = [_looser(task.table, task.threshold, lower) for task in gate.spec.tasks]
    if not any(found):
        return None
    thresholds = [
        task.threshold if each is None else each[0].threshold for task, each in zip(gate.spec.tasks, found, strict=True)
    ]
    return Stricter(_text(lower, False), False, lambda on: gate.use_thresholds(thresholds if on else None))


def _of_heads(gate: LocalGate, accuracy: float | None) -> Stricter | None:
    lower = _lower(gate.accuracy, accuracy)
    found = {
        head.model: _looser(head.table, head.threshold, lower) for head in gate.spec.heads if head.threshold is not None
    }
    thresholds = {model: each[0].threshold for model, each in found.items() if each is not None}
    if not thresholds:
        return None
    return Stricter(_text(lower, False), False, lambda on: gate.use_thresholds(thresholds if on else {}))


def _lower(promised: float | None, asked: float | None) -> float:
    if asked is not None:
        return asked
    return max(0.0, 1.0 - _MORE_LOSS * (1.0 - (0.9 if promised is None else promised)))


def _looser(table: Sequence[Level], threshold: float, accuracy: float) -> tuple[Level, bool] | None:
    """The threshold above the present one that keeps the fewest inputs at an accuracy, and whether that is proven."""
    proven: list[Level] = []
    for level in table:
        # As `FilterSpec.level` does: tested from the most careful on, up to the first that fails.
        if level.upper_bound > 1.0 - accuracy:
            break
        proven.append(level)
    measured = [level for level in table if level.error <= 1.0 - accuracy]
    for levels, is_proven in ((proven, True), (measured, False)):
        above = [level for level in levels if level.threshold > threshold]
        if above:
            return max(above, key=lambda level: level.rate), is_proven
    return None


def _text(accuracy: float, certified: bool) -> str:
    return f"the threshold for an accuracy of {accuracy:.3g}{'' if certified else ' (not certified)'}"
