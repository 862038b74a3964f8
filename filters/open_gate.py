"""A gate by its name: a free one, or a trained file of any kind."""

from pathlib import Path

from ..errors import InvalidInput
from .gates.base import Gate
from .gates.free import DifferenceGate, EveryGate, FirstGate, RandomGate
from .gates.learned import FilterRuntime
from .gates.tasks import TasksRuntime, decides_for_several
from .online.gate import OnlineGate
from .online.live import LiveUpdate
from .reuse.gate import ReuseGate, is_reuse

FORMS = (
    "all, first (and nothing after it), every:K, random:RATE[:SEED], difference:THRESHOLD, or the path of the .onnx of "
    "a filter or a reuse file; PATH@ACCURACY: with another accuracy than it was trained for; PATH#MODEL: one task of a "
    "filter for several models"
)


def open_gate(text: str | Path, *, cache: Path | None = None, update: LiveUpdate | None = None) -> Gate:
    """The gate that `text` names.

    Args:
        text: one of `FORMS`.
        cache: a reuse file's: where its results outlive a restart.
        update: a filter's: how it goes on learning at work; None: it stays as it is.

    Raises:
        InvalidInput: no such gate, or a file that is no filter; the message lists the forms.
    """
    if update is not None:
        return _learning(str(text), cache, update)
    try:
        gate = _free(str(text)) or _trained(str(text), cache)
    except ValueError as error:
        raise InvalidInput(f"gate {str(text)!r}: {error}; the forms are: {FORMS}") from error
    if cache is not None and not isinstance(gate, ReuseGate):
        raise InvalidInput(f"gate {str(text)!r}: remembers no results: `cache` goes with a reuse file (`train reuse`)")
    return gate


def _learning(text: str, cache: Path | None, update: LiveUpdate) -> Gate:
    if not Path(text).is_file() or is_reuse(Path(text)) or decides_for_several(Path(text)) or cache is not None:
        raise InvalidInput(
            f"gate {text!r}: `update` goes with the path of a filter's .onnx as it was trained, without @ACCURACY, "
            "#MODEL or a cache"
        )
    return OnlineGate(Path(text), update)


def _free(text: str) -> Gate | None:
    name, _, rest = text.partition(":")
    if text == "all":
        return EveryGate(1)
    if text == "first":
        return FirstGate()
    if name == "every":
        return EveryGate(_at_least(1.0, float(rest)))
    if name == "random":
        share, _, seed = rest.partition(":")
        return RandomGate(_share(float(share)), seed=int(seed or 0))
    if name == "difference":
        return DifferenceGate(_share(float(rest)))
    return None


def _trained(text: str, cache: Path | None) -> Gate:
    path, _, accuracy = text.rpartition("@")
    if not path or Path(text).is_file():
        path, accuracy = text, ""
    file, _, task = path.rpartition("#")
    if file and not Path(path).is_file():
        path = file
    else:
        task = ""
    if not Path(path).is_file():
        raise ValueError("there is no such gate or file")
    if is_reuse(Path(path)):
        if task or accuracy:
            raise ValueError("a reuse file is for one model, and for the accuracy that it was trained for")
        return ReuseGate(Path(path), cache=cache)
    if not task and decides_for_several(Path(path)):
        return TasksRuntime(Path(path))
    return FilterRuntime(Path(path), accuracy=_accuracy(accuracy) if accuracy else None, task=task)


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
