"""What a spec says of a stream's form before it begins holds for every input of it."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from infilink.errors import InvalidInput
from infilink.models.inputs import ModelInput
from infilink.models.inputs.form import InputForm
from infilink.models.inputs.joint import join
from infilink.models.inputs.text import from_text
from infilink.outputs import Array
from pydantic import TypeAdapter

LENGTHS, RATES = st.sampled_from([0, 4, 8]), st.sampled_from([0.0, 8.0, 16.0])
CHANNELS = st.sampled_from([("x",), ("x", "y"), ("y", "x")])


@st.composite
def forms(draw: st.DrawFn) -> InputForm:
    """Of one kind."""
    kind = draw(st.sampled_from(["image", "video", "audio", "signal", "text", "map"]))
    fields: dict[str, Any] = {"modality": kind}
    if kind in ("audio", "signal"):
        fields["rate_hz"] = draw(RATES)
    if kind in ("audio", "signal", "video") and (window := draw(LENGTHS)):
        fields |= {"window": window, "stride": draw(st.sampled_from([1, window]))}
    if kind == "signal":
        fields["channels"] = draw(CHANNELS)
    return InputForm(**fields)


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Any]:
    """An `[input]` of one kind."""
    kind = draw(st.sampled_from(["image", "video", "audio", "signal", "text", "map"]))
    more: dict[str, dict[str, Any]] = {
        "image": {"size": (8, 8)},
        "video": {"size": (8, 8), "frames": draw(LENGTHS)},
        "audio": {"rate_hz": draw(RATES) or 8.0, "length": draw(LENGTHS)},
        "signal": {"channels": draw(CHANNELS), "rate_hz": draw(RATES), "steps": draw(LENGTHS)},
        "text": {},
        "map": {"shape": (2, 3, 3)},
    }
    return {"modality": kind, **more[kind]}


def value_of(form: InputForm, length: int) -> Array:
    """An input of a form."""
    steps = form.window or length
    made: dict[str, Array] = {
        "image": np.zeros((8, 9, 3), np.uint8),
        "video": np.zeros((steps, 8, 9, 3), np.uint8),
        "audio": np.zeros(steps, np.int16),
        "signal": np.zeros((steps, len(form.channels)), np.float32),
        "text": from_text("word " * length),
        "map": np.zeros((2, 3, 3), np.float32),
    }
    return made[form.modality]


ANY: TypeAdapter[ModelInput] = TypeAdapter(ModelInput)


@given(fed=inputs(), form=forms(), length=st.integers(1, 9))
def test_what_fits_is_fed_whatever_comes(fed: dict[str, Any], form: InputForm, length: int) -> None:
    model, value = ANY.validate_python(fed), value_of(form, length)
    form.check(value)
    if not model.fits(form):
        model.check(value)
    elif model.modality != form.modality:
        try:
            model.check(value)
        except InvalidInput:
            return
        raise AssertionError(f"{value.shape} {value.dtype} is taken for {model.modality}")


@given(parts=st.lists(st.tuples(inputs(), forms()), min_size=2, max_size=3), length=st.integers(1, 9))
def test_several_fit_where_each_does(parts: list[tuple[dict[str, Any], InputForm]], length: int) -> None:
    names = [f"part{i}" for i in range(len(parts))]
    fed = {name: each for name, (each, _) in zip(names, parts, strict=True)}
    given = {name: form for name, (_, form) in zip(names, parts, strict=True)}
    model = ANY.validate_python({"modality": "+".join(each["modality"] for each in fed.values()), "parts": fed})
    form = InputForm(modality="+".join(each.modality for each in given.values()), parts=given)
    alone = {name: ANY.validate_python(fed[name]).fits(given[name]) for name in names}
    told = model.fits(form)
    assert bool(told) == any(alone.values())
    if told:
        first = next(name for name in names if alone[name])
        assert told == f"part {first!r}: {alone[first]}"
    else:
        model.check(join(**{name: value_of(each, length) for name, each in given.items()}))


@given(form=forms())
def test_a_form_is_the_same_after_json(form: InputForm) -> None:
    assert InputForm.model_validate_json(form.model_dump_json()) == form
    assert form.differs(form) == ""
