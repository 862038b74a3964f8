import numpy as np
import pytest
from infilink.errors import InvalidInput
from infilink.models.inputs.form import InputForm

GOOD = {
    "image": np.zeros((4, 5, 3), np.uint8),
    "video": np.zeros((3, 4, 5, 3), np.uint8),
    "audio": np.zeros(16, np.int16),
    "signal": np.zeros((8, 2), np.float32),
    "text": np.frombuffer(b"hello", np.uint8),
    "map": np.zeros((2, 3, 3), np.float32),
}


@pytest.mark.parametrize("modality", GOOD)
def test_an_input_is_of_its_own_kind_alone(modality: str) -> None:
    form = InputForm(modality=modality)
    form.check(GOOD[modality])
    for value in GOOD.values():
        if value.ndim != GOOD[modality].ndim or value.dtype.kind != GOOD[modality].dtype.kind:
            with pytest.raises(InvalidInput, match=modality):
                form.check(value)


def test_what_is_in_a_window_is_counted_and_finite() -> None:
    form = InputForm(modality="signal", rate_hz=32, window=8, stride=4, channels=("x", "y"))
    form.check(GOOD["signal"])
    with pytest.raises(InvalidInput, match="8 samples"):
        form.check(GOOD["signal"][:7])
    with pytest.raises(InvalidInput, match="x, y"):
        form.check(np.zeros((8, 3), np.float32))
    with pytest.raises(InvalidInput, match="NaN"):
        form.check(np.full((8, 2), np.nan, np.float32))
    with pytest.raises(InvalidInput, match="must be UTF-8, and byte 2 of 4"):
        InputForm(modality="text").check(np.frombuffer(b"ab\xffc", np.uint8))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"modality": "smell"}, "modality"),
        ({"modality": "text", "rate_hz": 8}, "rate_hz"),
        ({"modality": "audio", "window": 4}, "stride"),
        ({"modality": "image", "window": 4, "stride": 4}, "window"),
        ({"modality": "audio+text", "parts": {"a": {"modality": "audio"}}}, "parts"),
    ],
)
def test_a_form_that_can_not_be_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        InputForm.model_validate(fields)


def test_how_two_forms_differ_is_said() -> None:
    one = InputForm(modality="audio", rate_hz=8000, window=800, stride=400)
    assert not one.differs(one)
    assert one.differs(one.model_copy(update={"rate_hz": 16000.0})) == "rate_hz is 8000 here, and was 16000 in training"
    joint = InputForm(modality="audio+text", parts={"sound": one, "words": InputForm(modality="text")})
    other = joint.model_copy(update={"parts": {**joint.parts, "sound": one.model_copy(update={"stride": 800})}})
    assert "part 'sound': stride is 400 here" in joint.differs(other)


def test_an_input_of_several_kinds_has_a_field_for_each() -> None:
    form = InputForm(
        modality="audio+text", parts={"sound": InputForm(modality="audio"), "words": InputForm(modality="text")}
    )
    value = np.zeros((), [("sound", np.int16, (16,)), ("words", np.uint8, (5,))])
    form.check(value)
    with pytest.raises(InvalidInput, match="sound, words"):
        form.check(GOOD["audio"])
    with pytest.raises(InvalidInput, match="part 'sound'"):
        form.check(np.zeros((), [("sound", np.int16, (0,)), ("words", np.uint8, (5,))]))
