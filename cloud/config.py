"""What the coordinator is told: one TOML file, checked whole before anything starts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..budget import parse_budget
from ..config_file import load_settings

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

# The memory all models together may take: "200MiB", "1.5GiB", "40%" of what they all take, or "none".
budget = "none"

# The seconds between two inputs of a device, behind its filter. Where it is given, what runs is chosen for how stale
# outputs get until the next input, too.
# input_every_s = 0.5

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

_PATHS = ("models", "links", "ledger", "tls_cert", "tls_key")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s]+):(\d{1,5})")


class CloudConfig(BaseModel):
    """The coordinator's settings; `DEFAULT_TOML` says what each is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    listen: str = "127.0.0.1:7420"
    models: Path
    links: Path | None = None
    policy: Literal["full", "links", "hold"] = "full"
    budget: str = "none"
    input_every_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    threads: int = Field(default=1, ge=1, le=256)
    ledger: Path = Path("ledger.sqlite")
    ledger_rows: int = Field(default=100_000, ge=1000)
    max_devices: int = Field(default=32, ge=1, le=10_000)
    max_in_flight: int = Field(default=16, ge=1, le=1024)
    max_input_bytes: int = Field(default=8 * 2**20, ge=1024, le=2**28)
    max_input_pixels: int = Field(default=2**25, ge=1024, le=2**30)
    infer_timeout_s: float = Field(default=30.0, gt=0)
    token: str = ""
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        found = _ADDRESS.fullmatch(value)
        if found is None or int(found.group(2)) > 65535:
            raise ValueError(f'must be "HOST:PORT", such as "127.0.0.1:7420", not {value!r}')
        return value

    @field_validator("budget")
    @classmethod
    def _budget(cls, value: str) -> str:
        if value != "none":
            parse_budget(value, {})
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.policy == "links" and self.links is None:
            raise ValueError('policy "links" needs `links`, the folder that `infilink train links` wrote')
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("`tls_cert` and `tls_key` go together")
        return self


def load_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> CloudConfig:
    """The settings in a TOML file, with those of `overrides` that are not None in their place.

    Raises:
        InvalidInput: naming the file, the key and what is allowed.
    """
    return load_settings(CloudConfig, path, overrides, init="cloud", is_path=lambda key, _: key in _PATHS)
