"""What the coordinator is told: one TOML file, checked whole before anything starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..links.reselection.context import Groups
from ..settings import load_settings
from ..units import parse_budget
from .endpoint import Listening

DEFAULT_TOML = """\
# The coordinator: `infilink cloud --config cloud.toml`. Relative paths start at this file's folder.

# Where devices connect; port 0 takes a free one and prints it.
listen = "127.0.0.1:7420"

# The folder with the .onnx models, each with its spec (`infilink init model`).
models = "models"

# What `infilink train links` wrote; needed for policy "links".
# links = "links"

# What runs: "full": every model on every input. "links": what fits the budget, the rest predicted from it.
# "hold": what fits the budget, the rest held from its last output.
policy = "full"

# Or what runs for which devices, as a placement says (`infilink plan LINKS --devices devices.toml --out
# placement.json`): in the place of `policy` and `budget`; needs `links`.
# placement = "placement.json"

# The memory all models together may take: "200MiB", "1.5GiB", "40%" of what they all take, or "none".
budget = "none"

# The seconds between two inputs of a device, behind its filter. Where it is given, what runs is chosen for how stale
# outputs get until the next input, too.
# input_every_s = 0.5

# Policy "links": every so many seconds what runs is chosen anew, from how links do now (0: never). For that this share
# of the inputs is given to every model that fits, one after another. A plan is changed only for a gain that pays for
# the loads. Cameras that see alike can be planned for together.
reselect_s = 3600.0
profile = 0.01
# groups = { doors = ["door-*"], yard = ["yard-1", "yard-2"] }

# This share of the time may go into running a rotating model after all where its predicted output is not trusted, and
# the input's deadline leaves time for it.
escalate = 0.0

# Threads of one inference.
threads = 1

# Every answer is written here before it is sent, so that none is lost or made twice.
ledger = "ledger.sqlite"

# How many answers the ledger keeps.
ledger_rows = 100000

# How many devices may be connected at once, and how many inputs of each may wait for an answer.
max_devices = 32
max_in_flight = 16

# The largest input, as it travels and as a picture.
max_input_bytes = 8388608
max_input_pixels = 33554432

# An inference that takes longer is ended, and its model loaded again.
infer_timeout_s = 30.0

# What devices must know to connect, and the certificate and key to speak TLS with.
# token = ""
# tls_cert = "cert.pem"
# tls_key = "key.pem"
"""

_PATHS = ("models", "links", "placement", "ledger", "tls_cert", "tls_key")


class CloudConfig(Listening):
    """The coordinator's settings; `DEFAULT_TOML` says what each is for."""

    models: Path
    links: Path | None = None
    policy: Literal["full", "links", "hold"] = "full"
    placement: Path | None = None
    budget: str = "none"
    input_every_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    reselect_s: float = Field(default=3600.0, ge=0, allow_inf_nan=False)
    profile: float = Field(default=0.01, ge=0, le=1)
    groups: dict[str, tuple[str, ...]] = Field(default={})
    escalate: float = Field(default=0.0, ge=0, le=1)
    threads: int = Field(default=1, ge=1, le=256)
    ledger: Path = Path("ledger.sqlite")
    ledger_rows: int = Field(default=100_000, ge=1000)
    max_devices: int = Field(default=32, ge=1, le=10_000)
    max_in_flight: int = Field(default=16, ge=1, le=1024)
    max_input_bytes: int = Field(default=8 * 2**20, ge=1024, le=2**28)
    max_input_pixels: int = Field(default=2**25, ge=1024, le=2**30)
    infer_timeout_s: float = Field(default=30.0, gt=0)

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
        if self.policy == "links" and self.links is None:
            raise ValueError('policy "links" needs `links`, the folder that `infilink train links` wrote')
        if self.placement is not None:
            if self.links is None:
                raise ValueError("`placement` needs `links`, the folder that it was planned for")
            for key, given in (("policy", self.policy != "full"), ("budget", self.budget != "none")):
                if given:
                    raise ValueError(f"`placement` says what runs: leave `{key}` out")
        return self


def load_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> CloudConfig:
    """The settings in a TOML file, with those of `overrides` that are not None in their place.

    Raises:
        InvalidInput: naming the file, the key and what is allowed.
    """
    return load_settings(CloudConfig, path, overrides, init="cloud", is_path=lambda key, _: key in _PATHS)
