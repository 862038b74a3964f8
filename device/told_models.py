"""The coordinator's models, as it tells a device of them."""

from collections.abc import Mapping

from pydantic import ValidationError

from ..errors import Unavailable
from ..filters.serves import Served
from ..models.inputs.form import InputForm
from ..models.spec import ModelSpec
from ..protos import edge_pb2
from ..settings import validation_text


def read_specs(welcome: edge_pb2.Welcome, form: InputForm, coordinator: str) -> dict[str, ModelSpec]:
    """The models that look at such inputs.

    Args:
        welcome: what the coordinator says.
        form: what the stream's inputs are.
        coordinator: where it is, for the message.

    Raises:
        Unavailable: what it says are no specs of models.
    """
    specs = {}
    for name, text in welcome.specs.items():
        try:
            specs[name] = ModelSpec.model_validate_json(text)
        except ValidationError as error:
            why = validation_text(error, ModelSpec)
            raise Unavailable(f"what {coordinator} says of its model {name[:100]!r} can't be read: {why}") from error
    return {name: spec for name, spec in specs.items() if not spec.fits(form)}


def served(welcome: edge_pb2.Welcome, specs: Mapping[str, ModelSpec]) -> dict[str, Served]:
    """These models, as a gate is compared with them."""
    # A second part's file is not the model that was learnt from: the encoder compares what both parts are of.
    return {
        name: Served(spec.output, "" if spec.input is None else welcome.digests.get(name, ""))
        for name, spec in specs.items()
    }
