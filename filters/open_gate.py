"""Opens a gate by its name: one that costs nothing, or a trained file of any kind."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidInput
from .exits.gate import ExitGate
from .exits.spec import is_exit
from .gates.base import Gate
from .gates.free import DifferenceGate, EveryGate, FirstGate, FreeGate, RandomGate
from .gates.learned import FilterRuntime
from .gates.tasks import TasksRuntime, decides_for_several
from .local.gate import LocalGate
from .local.learning_filter import LearningFilter
from .local.learning_heads import LearningHeads
from .local.spec import is_heads
from .reuse.gate import ReuseGate, is_reuse


@dataclass(frozen=True)
class FreeForm:
    """How a gate that is not learned is written.

    Attributes:
        form: its text, with capitals for what a user fills in.
        example: a text of that form.
        make: makes it from what stands behind the colon.
    """

    form: str
    example: str
    make: Callable[[str], Gate]


def open_gate(
    text: str | Path,
    *,
    cache: Path | None = None,
    update: Path | None = None,
    rule_files: Sequence[Path] = (),
    camera: str = "",
) -> Gate:
    """The gate that `text` names.

    Args:
        text: one of `FORMS`.
        cache: for a reuse file: where its results outlive a restart.
        update: for heads or a filter with a stem: where what it goes on learning at work is kept (.npz); None: it stays
            as it is.
        rule_files: Python files that a person has named, so that a rule of this gate which is such code may run.
        camera: whose inputs it will see, by name: a filter of a site has a threshold for each of its cameras.

    Raises:
        InvalidInput: there is no such gate, or the file is no filter; the message lists the forms.
    """
    if update is not None:
        return _learning(str(text), cache, update, rule_files, camera)
    try:
        gate = _free(str(text)) or _trained(str(text), cache, rule_files, camera)
    except ValueError as error:
        raise InvalidInput(f"gate {str(text)!r}: {error}; the forms are: {FORMS}") from error
    if rule_files and isinstance(gate, FreeGate):
        raise InvalidInput(f"gate {str(text)!r}: has no rule: leave the rule file out")
    if cache is not None and not isinstance(gate, ReuseGate):
        raise InvalidInput(f"gate {str(text)!r}: remembers no results: `cache` goes with a reuse file (`train reuse`)")
    return gate


def _learning(text: str, cache: Path | None, update: Path, rule_files: Sequence[Path], camera: str) -> Gate:
    path = Path(text)
    if path.suffix == ".onnx" and not path.is_file():
        raise InvalidInput(f"gate {text!r}: there is no such file")
    if not path.is_file() or cache is not None:
        raise InvalidInput(
            f"gate {text!r}: `update` goes with the path of a filter's .onnx as it was trained, without @ACCURACY, "
            "#MODEL or a cache"
        )
    if is_heads(path) and not rule_files:
        return LearningHeads(path, update)
    if is_exit(path) or is_reuse(path) or decides_for_several(path):
        raise InvalidInput(
            f"gate {text!r}: `update` takes heads (`infilink train heads`) or a filter for one rule: train a stem "
            "filter (`infilink train filter --candidate stem`)"
        )
    return LearningFilter(path, update, rule_files=rule_files, camera=camera)


def _free(text: str) -> Gate | None:
    found = _free_form(text)
    return None if found is None else found.make(text.partition(":")[2])


def _free_form(text: str) -> FreeForm | None:
    name, colon, _ = text.partition(":")
    found = FREE.get(name)
    # A gate without a number is its bare name.
    return None if found is None or (colon and ":" not in found.form) else found


def gate_file(text: str | Path) -> Path | None:
    """The file that a gate's text names, whether or not it is there; None: it is a gate that is not learned."""
    return None if _free_form(str(text)) is not None else Path(_parts(str(text))[0])


def _parts(text: str) -> tuple[str, str, str]:
    """The file that a text names, the accuracy and the task behind it; empty: none is named."""
    path, _, accuracy = text.rpartition("@")
    if not path or Path(text).is_file():
        path, accuracy = text, ""
    file, _, task = path.rpartition("#")
    if file and not Path(path).is_file():
        return file, accuracy, task
    return path, accuracy, ""


def _trained(text: str, cache: Path | None, rule_files: Sequence[Path], camera: str) -> Gate:
    path, accuracy, task = _parts(text)
    if not Path(path).is_file():
        raise ValueError("there is no such gate or file")
    if is_heads(Path(path)):
        if task or accuracy or rule_files:
            raise ValueError("a file of heads is for the accuracy that it was trained for, and has no rule")
        return LocalGate(Path(path))
    if is_exit(Path(path)):
        if task or accuracy or rule_files:
            raise ValueError("an exit is for the accuracy that it was trained for, and has no rule")
        return ExitGate(Path(path))
    if is_reuse(Path(path)):
        if task or accuracy:
            raise ValueError("a reuse file is for one model, and for the accuracy that it was trained for")
        return ReuseGate(Path(path), cache=cache, rule_files=rule_files)
    if not task and decides_for_several(Path(path)):
        return TasksRuntime(Path(path), rule_files=rule_files)
    asked = _accuracy(accuracy) if accuracy else None
    return FilterRuntime(Path(path), accuracy=asked, task=task, rule_files=rule_files, camera=camera)


def _random(rest: str) -> Gate:
    share, _, seed = rest.partition(":")
    return RandomGate(_share(float(share)), seed=int(seed or 0))


def _at_least(least: float, value: float) -> float:
    if not value >= least:
        raise ValueError(f"{value:g} must be at least {least:g}")
    return value


def _accuracy(text: str) -> float:
    value = float(text)
    if not 0.0 < value < 1.0:
        raise ValueError(f"an accuracy must be above 0 and below 1, not {value:g}")
    return value


def _share(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{value} must be from 0 to 1")
    return value


FREE = {
    "all": FreeForm("all", "all", lambda _: EveryGate(1)),
    "first": FreeForm("first (and nothing after it)", "first", lambda _: FirstGate()),
    "every": FreeForm("every:K", "every:3", lambda step: EveryGate(_at_least(1.0, float(step)))),
    "random": FreeForm("random:RATE[:SEED]", "random:0.2:7", _random),
    "difference": FreeForm(
        "difference:THRESHOLD", "difference:0.02", lambda threshold: DifferenceGate(_share(float(threshold)))
    ),
}
"""The gates that are not learned, by name."""

FORMS = (
    ", ".join(each.form for each in FREE.values()) + ", or the path of the .onnx of a filter, a reuse file, heads or "
    "an exit; "
    "PATH@ACCURACY: with another accuracy than it was trained for; PATH#MODEL: one task of a filter for several models"
)
