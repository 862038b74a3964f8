"""The coordinator's settings: one TOML file, checked as a whole before anything starts."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..links.scheduling.weights import Weights
from ..models.providers import CPU, HOST, Providers
from ..protos.tracing import TraceEndpoint
from ..settings import ListenAddress, Table, is_loopback, load_settings
from ..units import parse_budget, parse_compute, parse_size
from .endpoint import EndpointConfig
from .ledger.place import check_place
from .model_config import ModelConfig
from .publishing.settings import MqttConfig, WebhookConfig
from .sent.settings import PicturesConfig

_OLD_KEYS = {
    "policy": "is now called `answers`",
    "input_every_s": "is gone: how often inputs come is seen as they come",
    "reselect_s": "is gone: what runs is decided input by input; `compute` says how much, `[weights]` what matters",
    "profile": "is now `audit`: the share of inputs that models run on just to see how good answers are without",
    "groups": "is gone: links know each camera by its name",
    "ledger_rows": "is gone: `keep_days` and `keep_bytes` say how much the ledger keeps",
    "escalate": "is gone: `compute` says how much models may run, and they do where their answers are least sure",
}
_PATHS = (
    *("models", "links", "placement", "ledger", "recordings", "phone_filters", "tokens"),
    *("tls_cert", "tls_key", "tls_client_ca", "tls_client_ca_key"),
)
_PLACE = re.compile(r"host|cuda:\d{1,3}")
_RESERVE = {HOST: "64MiB", "cuda": "1GiB"}


class WeightsConfig(Table):
    """The table `[weights]`; `default_toml.py` explains it."""

    streams: dict[str, float] = Field(default_factory=dict)
    models: dict[str, float] = Field(default_factory=dict)
    classes: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _weights(self) -> Self:
        Weights(**self.model_dump())
        return self


class CloudConfig(EndpointConfig):
    """The coordinator's settings; `default_toml.py` explains each."""

    models: Path
    links: Path | Annotated[tuple[Path, ...], Field(min_length=1)] | None = None
    answers: Literal["full", "links", "hold"] = "full"
    placement: Path | None = None
    watch_models_s: float = Field(default=2.0, ge=0)
    budget: str | dict[str, str] = "none"
    reserve: dict[str, str] = Field(default_factory=lambda: dict(_RESERVE))
    providers: Providers = (CPU,)
    model: dict[str, ModelConfig] = Field(default_factory=dict)
    compute: str = "all"
    answer_within_s: float = Field(default=1.0, gt=0)
    least_every_s: float = Field(default=60.0, ge=0)
    audit: float = Field(default=0.01, ge=0, le=1)
    weights: WeightsConfig = WeightsConfig()
    ask_loss: float = Field(default=1.0, ge=0)
    threads: int = Field(default=1, ge=1, le=256)
    ledger: Path | str = Path("ledger.sqlite")
    keep_days: float = Field(default=30.0, ge=0, le=36_500)
    keep_bytes: int = Field(default=4 * 2**30, ge=0)
    full_disk: Literal["refuse", "answer"] = "refuse"
    max_devices: int = Field(default=32, ge=1, le=10_000)
    max_streams: int = Field(default=16, ge=1, le=1024)
    max_in_flight: int = Field(default=16, ge=1, le=1024)
    max_input_bytes: int = Field(default=8 * 2**20, ge=1024, le=2**28)
    max_input_pixels: int = Field(default=2**25, ge=1024, le=2**30)
    max_waiting_bytes: int = Field(default=2**28, ge=2**20)
    max_model_bytes: int = Field(default=4 * 2**30, ge=1024)
    infer_timeout_s: float = Field(default=30.0, gt=0)
    device_inputs_per_s: float = Field(default=0.0, ge=0)
    device_bytes_per_s: float = Field(default=0.0, ge=0)
    metrics_listen: ListenAddress | None = None
    http_listen: ListenAddress | None = None
    dashboard_listen: ListenAddress | None = None
    recordings: Path | None = None
    phone_filters: Path | None = None
    phone: bool = False
    tls_client_ca_key: Path | None = None
    enroll_listen: ListenAddress | None = None
    enroll_days: int = Field(default=365, ge=1, le=3650)
    trace_to: TraceEndpoint | None = None
    pictures: PicturesConfig = PicturesConfig()
    mqtt: MqttConfig | None = None
    webhook: WebhookConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_old_keys(cls, values: Any) -> Any:
        for key in _OLD_KEYS.keys() & values if isinstance(values, dict) else ():
            raise ValueError(f"`{key}` {_OLD_KEYS[key]}")
        return values

    @field_validator("budget")
    @classmethod
    def _budget(cls, value: str | dict[str, str]) -> str | dict[str, str]:
        for place, text in (value if isinstance(value, dict) else {HOST: value}).items():
            if not _PLACE.fullmatch(place):
                raise ValueError(f"{place!r} is no place: host, or a card as cuda:0")
            if text != "none":
                parse_budget(text, {})
        return value

    @field_validator("reserve")
    @classmethod
    def _reserve(cls, value: dict[str, str]) -> dict[str, str]:
        for place, text in value.items():
            if place != "cuda" and not _PLACE.fullmatch(place):
                raise ValueError(f"{place!r} is no place: host, a card as cuda:0, or cuda for every card")
            parse_size(text)
        return value

    @field_validator("ledger", mode="before")
    @classmethod
    def _place(cls, value: Any) -> Any:
        return check_place(value) if isinstance(value, str) else value

    @field_validator("compute")
    @classmethod
    def _compute(cls, value: str) -> str:
        parse_compute(value)
        return value

    @field_validator("metrics_listen")
    @classmethod
    def _here(cls, value: str | None) -> str | None:
        if value is not None and not is_loopback(value):
            raise ValueError(
                f"{value!r} can be reached from elsewhere, and no token is asked for there: give a loopback address "
                '("127.0.0.1:9420"), or read /metrics at `http_listen`'
            )
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.tls_client_ca_key is not None and (self.tls_client_ca is None or self.enroll_listen is None):
            raise ValueError("`tls_client_ca_key` needs `tls_client_ca`, whose key it is, and `enroll_listen`")
        if self.answers == "links" and self.links is None:
            raise ValueError('`answers = "links"` needs `links`, the folder that `infilink train links` wrote')
        if self.placement is not None:
            if self.links is None:
                raise ValueError("`placement` needs `links`, the folder that it was planned for")
            for key, given in (("answers", self.answers != "full"), ("budget", self.host_budget != "none")):
                if given:
                    raise ValueError(f"`placement` says what runs: leave `{key}` out")
        if self.answers == "full" and self.compute != "all":
            raise ValueError('`compute` needs `answers` to be "links" or "hold": otherwise everything runs')
        if self.answers == "full" and self.weights != WeightsConfig():
            raise ValueError('`weights` need `answers` to be "links" or "hold": otherwise everything runs')
        return self

    @property
    def link_folders(self) -> tuple[Path, ...]:
        """The folders of links; none: there are none."""
        return self.links if isinstance(self.links, tuple) else () if self.links is None else (self.links,)

    @property
    def host_budget(self) -> str:
        """The budget of the machine's own memory, as it is written."""
        return self.budget.get(HOST, "none") if isinstance(self.budget, dict) else self.budget

    def card_budget(self, place: str, total_bytes: int) -> int:
        """A card's budget; where none is given, all that there is of it.

        Args:
            place: "cuda:0".
            total_bytes: the memory that it has.
        """
        text = self.budget.get(place, "none") if isinstance(self.budget, dict) else "none"
        if text.endswith("%"):
            return int(total_bytes * float(text.removesuffix("%")) / 100)
        return total_bytes if text == "none" else parse_size(text)

    def reserve_of(self, place: str) -> int:
        """How much of a place's budget must be free for the first load of a model."""
        kind = place.partition(":")[0]
        return parse_size(self.reserve.get(place) or self.reserve.get(kind) or _RESERVE[kind])

    @property
    def copies(self) -> Path:
        """Where the models' private copies are kept while it runs: beside the ledger."""
        return self._beside("models")

    @property
    def authority(self) -> Path:
        """The folder of this machine's own certificate authority, if there is one: beside the ledger."""
        return self._beside("authority")

    def _beside(self, kind: str) -> Path:
        place = self.ledger if isinstance(self.ledger, Path) else Path("infilink")
        return place.with_name(f"{place.name}.{kind}")

    @cached_property
    def site_weights(self) -> Weights:
        """How much the answers of streams, models and classes matter, and the least rate of each."""
        return Weights(**self.weights.model_dump(), least_every_s=self.least_every_s)


def load_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> CloudConfig:
    """The settings in a TOML file, with those of `overrides` that are not None in their place.

    Raises:
        InvalidInput: naming the file, the key and what is allowed.
    """
    return load_settings(CloudConfig, path, overrides, init="cloud", rebased=_rebased)


def _rebased(key: str, value: Any, folder: Path) -> Any:
    if key in _PATHS and isinstance(value, list):
        return [_rebased(key, each, folder) for each in value]
    is_path = key in _PATHS and isinstance(value, str) and not (key == "ledger" and "://" in value)
    return str(folder / value) if is_path else value
