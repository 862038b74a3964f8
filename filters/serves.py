"""Whether a gate may stand before the models in service: it was learnt from these, and sees what they see."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..errors import InvalidInput
from ..models.inputs.form import InputForm
from ..outputs import OutputSpec
from .exits.gate import ExitGate
from .gates.base import Gate
from .gates.free import DifferenceGate
from .gates.learned import FilterRuntime
from .gates.tasks import TasksRuntime
from .learnt_from import LearntFrom
from .local.gate import LocalGate
from .modalities import Modality
from .modalities.descriptor import Descriptor
from .modalities.joint import Joint
from .reuse.gate import ReuseGate
from .rules.code import runs
from .rules.parser import Rule, Unchanged
from .rules.zones import Points, zones_in
from .spec import FilterSpec

logger = logging.getLogger(__name__)

_SHOWN = 6


@dataclass(frozen=True)
class Served:
    """A model in service.

    Attributes:
        output: what it returns.
        digest: of its file; "": not known, or it has none.
    """

    output: OutputSpec
    digest: str = ""


@dataclass(frozen=True)
class _Learnt:
    """A model that a gate was learnt from: its digest and output, where they are known, and the rule on it."""

    model: str
    digest: str
    output: OutputSpec | None
    rule: Rule | None
    modality: Modality | None
    form: InputForm | None


def check_form(gate: Gate, form: InputForm) -> None:
    """Makes sure that a gate decides on inputs of this form: of the kind, rate and windows that it was learnt from.

    What was learnt from feature maps may stand before pictures, too: where a device runs a model's first part.

    Raises:
        InvalidInput: it does not; the message says what differs.
    """
    if isinstance(gate, DifferenceGate) and form.modality != "image":
        raise InvalidInput(
            f"gate {gate.name}: compares pictures, and this source gives {form.modality}: use every:K, random:RATE, or "
            "train one (`infilink record`, `infilink train filter`)"
        )
    for each in _learnt(gate):
        if why := _other_form(each, form):
            raise InvalidInput(
                f"gate {gate.name}: was learnt from other inputs than this source gives: {why}; read the source as it "
                "was recorded, or train one on a trace of this source (`infilink record`, `infilink train filter`)"
            )


def check_serves(gate: Gate, models: Mapping[str, Served]) -> None:
    """Makes sure that a gate was learnt from the models in service: the same names, versions and classes.

    A gate that is not learnt fits any. Where a version is not known, that is only warned of.

    Args:
        gate: as `open_gate` opens it.
        models: those in service, by name.

    Raises:
        InvalidInput: it was not; the message says what differs, and what to do.
    """
    advice = "train it again on a trace of the models in service (`infilink record`)"
    for each in _learnt(gate):
        served = models.get(each.model)
        if served is None:
            raise InvalidInput(
                f"gate {gate.name}: was learnt from {each.model}, which is not in service (there: "
                f"{', '.join(models) or 'nothing'}); {advice}, or serve that model too"
            )
        if each.digest and served.digest and each.digest != served.digest:
            raise InvalidInput(
                f"gate {gate.name}: was learnt from another version of {each.model}: from digest {each.digest}, and in "
                f"service is {served.digest}; {advice}, or serve the file that it was learnt from"
            )
        if not each.digest:
            logger.warning(
                "%s: its file does not say from which version of %s it was learnt, so nothing tells whether that is "
                "the one in service",
                gate.name,
                each.model,
            )
        why = _other_output(each, served.output)
        if why:
            raise InvalidInput(f"gate {gate.name}: was learnt from another {each.model}: {why}; {advice}")


def can_judge(gate: Gate) -> bool:
    """Whether outputs can be judged by a gate's rules here: not by Python code in a file that nobody has named."""
    if isinstance(gate, FilterRuntime):
        return runs(gate.rule)
    if isinstance(gate, TasksRuntime):
        return all(map(runs, gate.rules.values()))
    return not isinstance(gate, ReuseGate) or gate.rule is None or runs(gate.rule)


def zones_of_gate(gate: Gate) -> dict[str, Points]:
    """The corners of the zones that a gate's rules name, by name."""
    found: dict[str, Points] = {}
    for each in _learnt(gate):
        if each.rule is not None:
            found |= zones_in(each.rule)
    return found


def learnt_step_s(gate: Gate) -> float:
    """The time from one input to the next that a gate was learnt at, in seconds; 0: not known, or it is not learnt."""
    return next((each.step_s for each in _traces(gate)), 0.0)


def learnt_form(gate: Gate) -> InputForm | None:
    """The form of the inputs that a gate was learnt from; None: not known, or it is not learnt."""
    return next((each.form for each in _traces(gate) if each.form is not None), None)


def _traces(gate: Gate) -> Iterator[LearntFrom]:
    """What is known of the traces that a gate was learnt from."""
    found: list[LearntFrom | None] = []
    if isinstance(gate, FilterRuntime):
        found = [gate.spec.learnt_from, *(each.learnt_from for each in gate.spec.cameras.values())]
    elif isinstance(gate, TasksRuntime):
        found = [task.learnt_from for task in gate.spec.tasks]
    elif isinstance(gate, ReuseGate):
        found = [gate.runtime.spec.learnt_from]
    elif isinstance(gate, LocalGate | ExitGate):
        found = [gate.spec.learnt_from]
    yield from (each for each in found if each is not None)


def _learnt(gate: Gate) -> Iterator[_Learnt]:
    """The models that a gate was learnt from; none of a gate that is not learnt."""
    if isinstance(gate, FilterRuntime):
        yield from _of_filter(gate.spec, gate.rule, learnt_form(gate))
    elif isinstance(gate, TasksRuntime):
        for spec in gate.spec.tasks:
            yield from _of_filter(spec, spec.parsed_rule, learnt_form(gate))
    elif isinstance(gate, ReuseGate):
        reuse = gate.runtime.spec
        yield _Learnt(reuse.model, reuse.digest, reuse.output, reuse.parsed_rule, reuse.modality, learnt_form(gate))
    elif isinstance(gate, ExitGate):
        yield _Learnt(gate.spec.model, gate.spec.digest, gate.spec.classes.big, None, None, learnt_form(gate))
    elif isinstance(gate, LocalGate):
        for head in gate.spec.heads:
            yield _Learnt(head.model, head.digest, head.output, None, None, learnt_form(gate))


def _of_filter(spec: FilterSpec, rule: Rule, form: InputForm | None) -> Iterator[_Learnt]:
    for model, digest in spec.models.items():
        yield _Learnt(model, digest, spec.outputs.get(model), rule, spec.modality, form)


def _other_output(learnt: _Learnt, served: OutputSpec) -> str:
    """In which way what a model returns is not what was learnt from; "": it is the same, as far as is known."""
    known = learnt.output
    if known is not None and known.kind != served.kind:
        return f"it returned {known.kind}, and the one in service {served.kind}"
    if known is not None and known.classes != served.classes:
        return f"other classes, or in another order: {_difference(known.classes, served.classes)}"
    if known is not None and known.length != served.length:
        return f"its outputs had length {known.length}, and those in service have {served.length}"
    if learnt.rule is None or isinstance(learnt.rule, Unchanged) or not runs(learnt.rule):
        return ""
    try:
        learnt.rule.check(served)
    except InvalidInput as error:
        return str(error)
    return ""


def _difference(learnt: tuple[str, ...], served: tuple[str, ...]) -> str:
    """The classes by which two lists differ, in a few words."""
    gone = [repr(name) for name in learnt if name not in served]
    new = [repr(name) for name in served if name not in learnt]
    told = [
        f"{what} {', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
        for what, names in (("it knew", gone), ("in service is", new))
        if names
    ]
    return "; ".join(told) or f"{len(learnt)} of them then, {len(served)} now"


def _other_form(learnt: _Learnt, form: InputForm) -> str:
    """In which way inputs are not what was learnt from; "": they are, as far as is known."""
    of_maps = learnt.form.modality == "map" if learnt.form is not None else _kind(learnt.modality) == "map"
    if of_maps and form.modality == "image":
        return ""
    if learnt.form is not None:
        return form.differs(learnt.form)
    kind = _kind(learnt.modality)
    # A window of frames may have been put together by the filter itself.
    alike = {kind, "image"} if kind == "video" else {kind}
    return "" if form.modality in alike else f"modality is {form.modality} here, and was {kind} in training"


def _kind(modality: Modality | None) -> str:
    """The kind of inputs that a modality takes, as a form names it."""
    if isinstance(modality, Descriptor):
        return _kind(modality.inner)
    if isinstance(modality, Joint):
        return "+".join(part.kind for part in modality.parts.values())
    return "image" if modality is None else modality.kind
