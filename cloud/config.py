"""The coordinator's settings: one TOML file, checked as a whole before anything starts."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..links.scheduling.weights import Weights
from ..models.providers import CPU, HOST, Providers
from ..protos.tracing import TraceEndpoint
from ..settings import ListenAddress, is_loopback, load_settings
from ..units import parse_budget, parse_compute, parse_size
from .endpoint import EndpointConfig
from .ledger.place import check_place
from .model_config import ModelConfig
from .publishing.settings import MqttConfig, WebhookConfig

DEFAULT_TOML = """\
# The coordinator: `infilink cloud --config cloud.toml`. Relative paths start at this file's folder.

# Where devices connect; port 0 takes a free one and prints it.
listen = "127.0.0.1:7420"

# The folder with the models, each with its spec (`infilink init model`): files NAME.onnx, or folders with versions,
# NAME/1/model.onnx, of which the newest is served. It is looked at every so many seconds (0: only at the start): what
# is new there is loaded and tried before inputs go to it, and what can't be loaded leaves the one before in its place.
models = "my_models"
watch_models_s = 2.0

# The folder that `infilink train links` wrote; `answers = "links"` needs it. Of each kind of inputs there may be one:
# ["links-cameras", "links-microphones"].
# links = "links"

# How inputs are answered. "full": every model runs on every input. "links": the models that fit the budget run, and the
# others are predicted from their outputs. "hold": the models that fit run, and the others repeat their last output.
answers = "full"

# Or a placement decides what runs for which devices (`infilink plan LINKS --devices devices.toml --out
# placement.json`), instead of `answers` and `budget`; it needs `links`.
# placement = "placement.json"

# The memory that all models together may take: "200MiB", "1.5GiB", "40%" of what they all take, or "none". With cards a
# table, a budget each: { host = "4GiB", "cuda:0" = "20GiB" }; a card's percentage is of the card.
budget = "none"

# How much of a budget must be free before a model is loaded that was never measured there.
reserve = { host = "64MiB", cuda = "1GiB" }

# What runs the models, the one that is liked best first: "cpu", "cuda" (needs onnxruntime-gpu in the place of
# onnxruntime), or, handed on but never tried by us, "tensorrt", "openvino", "coreml", "directml"; with options as
# { name = "cuda", gpu_mem_limit = "4GiB" }, which bounds what one model's arena takes. Without its card the processors
# run a model, with a warning. [model.NAME] below says it for one model.
providers = ["cpu"]

# The processors' time that all models together may spend: "1.5 cores", "0.5" of one, or "all" that this process may
# run on. With "links" and "hold" each model runs on the inputs where that is expected to tell most for what it costs,
# as far as this allows, and is loaded while enough inputs wait for it.
compute = "all"

# A model that was chosen for an input but whose turn does not come within so many seconds is answered for without.
answer_within_s = 1.0

# With "links" and "hold" every model runs on every stream at least so often, whatever it is expected to tell (0: no
# such rule), as far as the budgets allow; and on this share of the inputs just to see how good answers are without it
# (a tenth of the compute goes to that at most).
least_every_s = 60.0
audit = 0.01

# A device that sends features first (`send = "ask"`) is asked for the frame where models would run on it and are
# expected to prevent at least so many losses together, on this input and those that follow: 1.0 is as much as one model
# that is answered for wrongly once. Less means more frames; 0: wherever any model would run.
ask_loss = 1.0

# Threads of one inference.
threads = 1

# Every answer is on disk here before it is sent, so that none is lost and none is made twice: a SQLite file, or a
# PostgreSQL database ("postgresql+psycopg://USER@HOST/DATABASE"; the password may stand in ~/.pgpass or PGPASSWORD).
# `infilink results` reads it, `infilink backup` copies it while it is written to.
ledger = "ledger.sqlite"

# How long answers are kept, and how much of them: the oldest go first (0: no such limit).
keep_days = 30.0
keep_bytes = 4294967296

# While the ledger's disk is full, or its database is away: "refuse" inputs, or "answer" without keeping the answers.
full_disk = "refuse"

# How many streams of devices may be connected at once (a camera has one), how many of them one device may have, and how
# many inputs of a stream may wait for an answer.
max_devices = 32
max_streams = 16
max_in_flight = 16

# The largest input: in bytes as it travels, and in pixels as a picture.
max_input_bytes = 8388608
max_input_pixels = 33554432

# What all inputs that wait for models may take together: as they came, and again as they are decoded. While there is no
# room, devices are not read from; an input that has a deadline is refused.
max_waiting_bytes = 268435456

# The largest model, with its data files, that an operator may bring (`infilink models add`).
max_model_bytes = 4294967296

# An inference that takes longer is ended, and its model is loaded again.
infer_timeout_s = 30.0

# Where Prometheus reads figures, at /metrics: an address of this machine, as no token is asked for there.
# metrics_listen = "127.0.0.1:9420"

# Where the Open Inference Protocol (KServe v2) is spoken over HTTP, too, /metrics beside it: with the certificate and
# tokens below. Over gRPC it is spoken at `listen`.
# http_listen = "127.0.0.1:7480"

# Where to send traces of single inputs, as the devices have begun them: an OTLP collector, over gRPC. It needs more
# packages: pip install 'infilink[tracing]'.
# trace_to = "http://127.0.0.1:4317"

# How much one device may send a second, as inputs and as bytes of them; more has to wait on the device (0: any). A
# request of the Open Inference Protocol counts as its stream's, or its sender's; more is refused.
device_inputs_per_s = 0.0
device_bytes_per_s = 0.0

# Who may call: the tokens that `infilink token new` writes, each with what it may do; or one token for everything.
# tokens = "tokens.toml"
# token = ""

# The certificate and key to use TLS with; and who signs the certificates that callers have to show (their name is then
# the device's). What is renewed is taken up without a restart. docs/SECURITY.md says how to make them.
# tls_cert = "cert.pem"
# tls_key = "key.pem"
# tls_client_ca = "devices-ca.pem"

# Listening to other machines needs TLS and tokens; true: let it be without.
insecure = false

# How much answers matter beside each other, where the budgets do not allow everything; what is not named weighs 1.
# Streams by the device's name (`*` and `?` allowed, the first that fits counts), models by name, and classes as
# "model:class": an answer that names the class.
[weights]
# streams = { "door-*" = 2.0 }
# models = { detector = 2.0 }
# classes = { "detector:person" = 3.0 }

# Of single models, what is to be otherwise than above: what runs it, on which card, on how many threads, and whether it
# stays loaded whatever it is worth.
# [model.detector]
# providers = ["cuda"]
# device = 0
# threads = 2
# pinned = true
# processes = 2               # without it: another one while its inputs wait, as far as cores and memory allow
# max_batch = 8               # inputs that share a run, where the graph leaves their number open
# preferred_batches = [4, 8]
# batch_delay_s = 0.002

# Where results are published as they are kept, of `devices` and `models` by name (`*` and `?` allowed): to an MQTT
# broker, where Home Assistant finds them; `classes` get a sensor of their own. docs/RESULTS.md.
# [mqtt]
# host = "127.0.0.1"
# classes = ["person"]

# Or posted to a URL as JSON.
# [webhook]
# url = "https://example.org/infilink"
# token = ""
"""

_OLD_KEYS = {
    "policy": "is now called `answers`",
    "input_every_s": "is gone: how often inputs come is seen as they come",
    "reselect_s": "is gone: what runs is decided input by input; `compute` says how much, `[weights]` what matters",
    "profile": "is now `audit`: the share of inputs that models run on just to see how good answers are without",
    "groups": "is gone: links know each camera by its name",
    "ledger_rows": "is gone: `keep_days` and `keep_bytes` say how much the ledger keeps",
    "escalate": "is gone: `compute` says how much models may run, and they do where their answers are least sure",
}
_PATHS = ("models", "links", "placement", "ledger", "tokens", "tls_cert", "tls_key", "tls_client_ca")
_PLACE = re.compile(r"host|cuda:\d{1,3}")
_RESERVE = {HOST: "64MiB", "cuda": "1GiB"}


class WeightsConfig(BaseModel):
    """The table `[weights]`; `DEFAULT_TOML` explains it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    streams: dict[str, float] = {}
    models: dict[str, float] = {}
    classes: dict[str, float] = {}

    @model_validator(mode="after")
    def _weights(self) -> Self:
        Weights(**self.model_dump())
        return self


class CloudConfig(EndpointConfig):
    """The coordinator's settings; `DEFAULT_TOML` explains each."""

    models: Path
    links: Path | Annotated[tuple[Path, ...], Field(min_length=1)] | None = None
    answers: Literal["full", "links", "hold"] = "full"
    placement: Path | None = None
    watch_models_s: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    budget: str | dict[str, str] = "none"
    reserve: dict[str, str] = Field(default_factory=lambda: dict(_RESERVE))
    providers: Providers = (CPU,)
    model: dict[str, ModelConfig] = Field(default_factory=dict)
    compute: str = "all"
    answer_within_s: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    least_every_s: float = Field(default=60.0, ge=0, allow_inf_nan=False)
    audit: float = Field(default=0.01, ge=0, le=1)
    weights: WeightsConfig = WeightsConfig()
    ask_loss: float = Field(default=1.0, ge=0, allow_inf_nan=False)
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
    device_inputs_per_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    device_bytes_per_s: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    metrics_listen: ListenAddress | None = None
    http_listen: ListenAddress | None = None
    trace_to: TraceEndpoint | None = None
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
        place = self.ledger if isinstance(self.ledger, Path) else Path("infilink")
        return place.with_name(f"{place.name}.models")

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
