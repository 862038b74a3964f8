"""The coordinator's settings: one TOML file, checked as a whole before anything starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..links.reselection.context import Groups
from ..settings import load_settings
from ..units import parse_budget
from .endpoint import EndpointConfig

DEFAULT_TOML = """\
# The coordinator: `infilink cloud --config cloud.toml`. Relative paths start at this file's folder.

# Where devices connect; port 0 takes a free one and prints it.
listen = "127.0.0.1:7420"

# The folder with the .onnx models, each with its spec (`infilink init model`).
models = "my_models"

# The folder that `infilink train links` wrote; `answers = "links"` needs it.
# links = "links"

# How inputs are answered. "full": every model runs on every input. "links": the models that fit the budget run, and the
# others are predicted from their outputs. "hold": the models that fit run, and the others repeat their last output.
answers = "full"

# Or a placement decides what runs for which devices (`infilink plan LINKS --devices devices.toml --out
# placement.json`), instead of `answers` and `budget`; it needs `links`.
# placement = "placement.json"

# The memory that all models together may take: "200MiB", "1.5GiB", "40%" of what they all take, or "none".
budget = "none"

# The seconds between two inputs of a device, after its filter. Where it is given, the choice of what runs also counts
# how stale outputs get until the next input.
# input_every_s = 0.5

# With `answers = "links"`, what runs is reviewed every so many seconds, by how well links do now (0: never). For that,
# every model that fits the budget runs on this share of the inputs. The plan changes only where the gain is worth the
# loads. Cameras with similar scenes can be grouped.
reselect_s = 3600.0
profile = 0.01
# groups = { doors = ["door-*"], yard = ["yard-1", "yard-2"] }

# The share of time that may be spent on running a rotating model after all where its predicted output is not trusted
# and the input's deadline allows it.
escalate = 0.0

# A device that sends features first (`send = "ask"`) is asked for the frame once the answers since the last one, some
# twenty, are expected to have lost so much agreement, in the mean over the models: 2.0 is as much as two inputs that
# all models are answered wrongly on. Less means more frames; 0: each.
ask_loss = 2.0

# Threads of one inference.
threads = 1

# Every answer is written to this file before it is sent, so that none is lost and none is made twice.
ledger = "ledger.sqlite"

# How many answers the ledger keeps.
ledger_rows = 100000

# How many devices may be connected at once, and how many inputs of each may wait for an answer.
max_devices = 32
max_in_flight = 16

# The largest input: in bytes as it travels, and in pixels as a picture.
max_input_bytes = 8388608
max_input_pixels = 33554432

# An inference that takes longer is ended, and its model is loaded again.
infer_timeout_s = 30.0

# The token that devices must give, and the certificate and key to use TLS with.
# token = ""
# tls_cert = "cert.pem"
# tls_key = "key.pem"
"""

_PATHS = ("models", "links", "placement", "ledger", "tls_cert", "tls_key")


class CloudConfig(EndpointConfig):
    """The coordinator's settings; `DEFAULT_TOML` explains each."""

    models: Path
    links: Path | None = None
    answers: Literal["full", "links", "hold"] = "full"
    placement: Path | None = None
    budget: str = "none"
    input_every_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    reselect_s: float = Field(default=3600.0, ge=0, allow_inf_nan=False)
    profile: float = Field(default=0.01, ge=0, le=1)
    groups: dict[str, tuple[str, ...]] = Field(default={})
    escalate: float = Field(default=0.0, ge=0, le=1)
    ask_loss: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    threads: int = Field(default=1, ge=1, le=256)
    ledger: Path = Path("ledger.sqlite")
    ledger_rows: int = Field(default=100_000, ge=1000)
    max_devices: int = Field(default=32, ge=1, le=10_000)
    max_in_flight: int = Field(default=16, ge=1, le=1024)
    max_input_bytes: int = Field(default=8 * 2**20, ge=1024, le=2**28)
    max_input_pixels: int = Field(default=2**25, ge=1024, le=2**30)
    infer_timeout_s: float = Field(default=30.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _check_old_keys(cls, values: Any) -> Any:
        if isinstance(values, dict) and "policy" in values:
            raise ValueError("`policy` is now called `answers`")
        return values

    @field_validator("budget")
    @classmethod
    def _budget(cls, value: str) -> str:
        if value != "none":
            parse_budget(value, {})
        return value

    @field_validator("groups")
    @classmethod
    def _groups(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        Groups(value)
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.answers == "links" and self.links is None:
            raise ValueError('`answers = "links"` needs `links`, the folder that `infilink train links` wrote')
        if self.placement is not None:
            if self.links is None:
                raise ValueError("`placement` needs `links`, the folder that it was planned for")
            for key, given in (("answers", self.answers != "full"), ("budget", self.budget != "none")):
                if given:
                    raise ValueError(f"`placement` says what runs: leave `{key}` out")
        return self


def load_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> CloudConfig:
    """The settings in a TOML file, with those of `overrides` that are not None in their place.

    Raises:
        InvalidInput: naming the file, the key and what is allowed.
    """
    return load_settings(CloudConfig, path, overrides, init="cloud", is_path=lambda key, _: key in _PATHS)
