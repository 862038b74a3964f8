import grpc
import pytest
from infilink import errors
from infilink.errors import InfilinkError, InvalidInput, NotCertified, OutOfMemory, UnknownModel

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, InfilinkError)]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_each_error_carries_the_status_it_travels_as(error: type[InfilinkError]) -> None:
    assert isinstance(error.code, grpc.StatusCode)
    assert error.code is not grpc.StatusCode.OK
    assert error is InfilinkError or "code" in vars(error), "it says its own, not its base's"


def test_the_tree_in_the_docstring_lists_every_class_and_no_other() -> None:
    tree = errors.__doc__.split("```")[1].split("\n")
    listed = {line.lstrip("├└─│ ").split()[0] for line in tree if line.strip()}
    assert listed == {error.__name__ for error in CLASSES}


def test_every_error_is_caught_as_one_and_a_users_mistake_also_as_a_value_error() -> None:
    assert all(issubclass(error, InfilinkError) for error in CLASSES)
    assert [error for error in CLASSES if issubclass(error, ValueError)] == [InvalidInput, NotCertified]


def test_an_unknown_model_says_which_ones_are_known() -> None:
    error = UnknownModel("faces", ("people", "cars"))
    assert str(error) == "no model is called 'faces'; known models: cars, people"
    assert (error.name, error.known) == ("faces", ("people", "cars"))
    assert str(UnknownModel("faces")) == "no model is called 'faces'"


def test_out_of_memory_says_what_was_asked_and_what_was_free() -> None:
    error = OutOfMemory("people", needed_bytes=3 << 20, free_bytes=1 << 20)
    assert str(error) == "people needs 3.0 MiB and the budget has 1.0 MiB free"
    assert (error.needed_bytes, error.free_bytes) == (3 << 20, 1 << 20)
