"""Whether a filter can be trained further on this device."""

from importlib.util import find_spec
from pathlib import Path

from ...errors import InvalidInput
from ..rules.code import functions_in, runs
from ..rules.parser import Rule, Unchanged
from ..rules.predicates import Predicate
from ..spec import FilterSpec

_TRAINED_BY = ("torch", "onnx")


def check_installed() -> None:
    """Raises InvalidInput if what trains is not installed; loads none of it."""
    missing = [name for name in _TRAINED_BY if find_spec(name) is None]
    if missing:
        raise InvalidInput(
            f"`update` trains the filter on this device, and {' and '.join(missing)} is not installed: "
            'pip install "infilink[train]", or leave `update` out'
        )


def trained_rule(path: Path, spec: FilterSpec, rule: Rule) -> Predicate:
    """The rule of a filter that can be trained further.

    Args:
        path: the filter.
        spec: what it says of itself.
        rule: its rule; what is code in it may run, or not.

    Raises:
        InvalidInput: it is of another kind.
    """
    if spec.kind != "network" or spec.modality is not None or isinstance(rule, Unchanged) or spec.events is not None:
        raise InvalidInput(
            f"{path}: `update` takes a filter of kind network on frames with a rule on one output and an accuracy "
            f"(train it with --candidate network); this one is of kind {spec.kind} with the rule {spec.rule!r}"
            f"{' and promises events' if spec.events is not None else ''}"
        )
    return rule


def check_runs(path: Path, rule: Predicate) -> None:
    """Raises InvalidInput if answers can't be judged, as the rule is Python code and nobody has named its file."""
    if not runs(rule):
        files = ", ".join(each.path for each in functions_in(rule))
        raise InvalidInput(
            f"{path}: `update` judges answers by its rule {rule.text!r}, which is Python code and runs only where you "
            f"name the file yourself: rule_file = {files!r}"
        )
