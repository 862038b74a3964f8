"""A placement as devices and their coordinator read it: what runs on each class of devices, what in the cloud."""

import json
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ..errors import InvalidInput
from ..files import check_format, replacing
from ..settings import checked

FORMAT = 1
Send = Literal["inputs", "outputs"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlacedModel(_Part):
    """How one model is answered for on one class of devices.

    Attributes:
        where: it runs on the device or in the cloud; a link in the cloud answers; or a constant or its last output.
        sources: the models it is predicted from.
        expected_agreement: with the exact model, on the block that nothing was chosen on.
    """

    where: Literal["device", "cloud", "linked", "held", "constant"]
    sources: tuple[str, ...] = ()
    expected_agreement: float


class PlacedDevice(_Part):
    """What devices of one class do.

    Attributes:
        send: what travels: "inputs", with the outputs of the device's own models, or these "outputs" alone.
        expected_agreement: the weighted mean over the models.
        models: how each is answered for.
    """

    send: Send
    expected_agreement: float
    models: dict[str, PlacedModel]

    def running(self, where: Literal["device", "cloud"]) -> tuple[str, ...]:
        """The models that run there."""
        return tuple(name for name, model in self.models.items() if model.where == where)


class PlacementFile(_Part):
    """The whole file, as `infilink plan --devices --out` writes it.

    Attributes:
        digests: each model file's digest, as the links were learnt with it.
        virtual: the models that have no file, as only links answer for them.
        cloud_memory_bytes: what the cloud's models may take together; None: no limit.
        expected_agreement: the weighted mean over models and devices.
        devices: by class.
    """

    digests: dict[str, str]
    virtual: tuple[str, ...] = ()
    cloud_memory_bytes: int | None
    expected_agreement: float
    devices: dict[str, PlacedDevice] = Field(min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name, device in self.devices.items():
            if set(device.models) != {*self.digests, *self.virtual}:
                raise ValueError(f"devices.{name}: models: must be {', '.join(self.digests)}, as in `digests`")
            running = set(self.virtual) & {*device.running("device"), *device.running("cloud")}
            if running:
                raise ValueError(f"devices.{name}: models.{min(running)}: is virtual and can't run")
        return self

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads and checks it.

        Raises:
            InvalidInput: no such file, or no placement.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InvalidInput(
                f"{path}: there is no such file (write one: `infilink plan LINKS --devices devices.toml --out {path}`)"
            ) from error
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{path}: can't be read as JSON: {error}") from error
        if isinstance(data, dict):
            # Files of the first format did not give it.
            check_format(data.pop("format", 1), (FORMAT,), path=path, what="a placement")
        return checked(cls, data, where=str(path))

    def save(self, path: Path) -> None:
        """Writes it, whole or not at all.

        Raises:
            InvalidInput: it can't be written there.
        """
        try:
            with replacing(path) as part:
                data = {"format": FORMAT, **self.model_dump(mode="json", exclude_defaults=True)}
                part.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"{path}: can't be written: {error.strerror}") from error

    def device(self, name: str) -> PlacedDevice:
        """What devices of one class do.

        Raises:
            InvalidInput: there is no such class.
        """
        if name not in self.devices:
            raise InvalidInput(f"no class of devices is called {name!r}; the placement has {', '.join(self.devices)}")
        return self.devices[name]
