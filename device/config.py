"""The agent's settings: one TOML file, with what its placement adds, checked as a whole before anything starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..errors import InvalidInput
from ..models.placement import PlacementFile
from ..models.providers import CPU, Providers
from ..models.spec import digest, find_models
from ..protos.channel import check_tls
from ..protos.tracing import TraceEndpoint
from ..settings import Address, ListenAddress, load_settings
from ..traces.source_name import source_kind, without_secrets

DEFAULT_TOML = """\
# The agent: `infilink device --config device.toml`. Relative paths start at this file's folder.

# What this device is called: letters, digits, dots, dashes. By its name the coordinator knows how much its answers
# weigh, and filters and links what was learnt of this camera (`infilink record --camera NAME=SOURCE`).
name = "camera-1"

# Where the frames come from: a video file, a stream (rtsp://...), or a camera's number ("0").
source = "0"

# Files: where to start, and how many seconds to take (all of it, if left out); start again at the end?
# start_s = 0.0
# seconds = 60.0
# loop = false

# One of how many of the source's frames is looked at; as in `infilink record --every`, which a filter was learnt with.
# every = 1

# "source": at the source's own frame rate. "max": as fast as possible; with `queue = "all"` a coordinator that is short
# of compute holds a recording back to its own rate.
pace = "source"

# Where the coordinator (`infilink cloud`) listens.
coordinator = "127.0.0.1:7420"

# Which frames are worth sending: "all", "every:K", "random:RATE", "difference:THRESHOLD", or the .onnx of a trained
# filter or reuse file; "filter.onnx@0.95": with another accuracy than it was trained for.
gate = "all"

# Heads, and a filter of kind stem, can go on learning from what the models say of the frames that are sent and audited;
# this file keeps what they have learnt over a restart.
# update = "learnt.npz"

# A filter whose rule is Python code of yours (`call(rules.py:quiet)`): the audit and `update` run it only if its file
# is named here.
# rule_file = "rules.py"

# This file keeps a reuse file's results over a restart.
# cache = "results.cache"

# The live audit of a trained filter: this share of the frames that it would not send is sent all the same, to measure
# how much accuracy it loses. If that is shown to be more than it promised, everything is sent until it keeps its
# promise again.
audit = 0.01

# JPEG quality, 1 to 100.
quality = 90

# Which kept frames are sent when they come faster than they are answered.
# "all": every one; capture waits while `window` frames are unanswered.
# "latest": capture never waits; one frame more is held back, and the newest kept frame replaces it.
queue = "latest"

# The first part of a model (`infilink split`): it runs here, and its feature map travels instead of the frame; the
# coordinator serves the second part. The gate may then be a filter that was trained on these maps.
# head = "model.head.onnx"

# Models that run here, on the frames that are kept: a folder, and which of its models (all, if left out). The
# coordinator must have the same files; it takes their outputs from this device and does not run them.
# local = "my_models"
# local_models = ["person"]

# What runs them, the one that is liked best first, as in cloud.toml: "cpu", "cuda" (needs onnxruntime-gpu), and, never
# tried by us, "tensorrt", "openvino", "coreml", "directml".
# providers = ["cpu"]

# What travels of a kept frame. "frames": the frame, with the outputs of the models here. "features": what a stem makes
# of it, under 1 KB; the coordinator, whose links must read the same stem, answers from that alone. "ask": features, and
# the frame where the coordinator asks for it (its `ask_loss`). "outputs": only the outputs of the models here; then no
# other model can run on the frames, and the coordinator predicts what it can.
# send = "frames"

# The stem, as it lies in the coordinator's `links`; a filter with this stem inside needs none here. Frames that may be
# asked for are kept as JPEGs for so many seconds, in so many bytes.
# stem = "stem.onnx"
# keep_s = 10.0
# keep_bytes = 16777216

# Or a placement decides both (`infilink plan LINKS --devices devices.toml --out placement.json`), for the class of
# devices that this one belongs to: if left out, the class with its name, or the only one. `local` is then the folder.
# placement = "placement.json"
# device_class = "camera"

# The most frames that may be unanswered at once.
window = 8

# Seconds after its capture from when on a frame's answer is of no use (0: always of use). The clocks must agree.
# deadline_s = 0.0

# A SQLite file with every frame's results; a file source starts it anew, a live one goes on with it.
# results = "results.sqlite"

# The token that the coordinator's operator made for this device (`infilink token new`); the certificate to trust, if it
# uses TLS; and this device's own certificate and key, if it wants to see one.
# token = ""
# tls_ca = "ca.pem"
# tls_cert = "device.pem"
# tls_key = "device.key"

# How long the coordinator may take to answer at the start, and to answer the last frames at the end.
connect_timeout_s = 10.0
answer_timeout_s = 30.0

# Where Prometheus reads this agent's figures, at /metrics; no token is asked for there. The coordinator has most of
# them, too, of all its devices.
# metrics_listen = "127.0.0.1:9421"

# Where to send traces of single frames, from capture to result: an OTLP collector, over gRPC; and of which share of the
# frames. The coordinator goes on with them if it has `trace_to`, too. It needs more packages: pip install
# 'infilink[tracing]'.
# trace_to = "http://127.0.0.1:4317"
# trace_share = 0.01
"""

_TLS = ("tls_ca", "tls_cert", "tls_key")
_PATHS = (*_TLS, "results", "head", "cache", "update", "rule_file", "local", "placement", "stem")


class DeviceConfig(BaseModel):
    """The agent's settings; `DEFAULT_TOML` says what each is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    source: str = Field(min_length=1)
    start_s: float = Field(default=0.0, ge=0)
    seconds: float | None = Field(default=None, gt=0)
    loop: bool = False
    every: int = Field(default=1, ge=1)
    pace: Literal["max", "source"] = "source"
    coordinator: Address
    gate: str = "all"
    cache: Path | None = None
    rule_file: Path | None = None
    update: Path | None = None
    audit: float = Field(default=0.01, ge=0, le=1)
    quality: int = Field(default=90, ge=1, le=100)
    queue: Literal["all", "latest"] = "latest"
    head: Path | None = None
    local: Path | None = None
    local_models: tuple[str, ...] | None = Field(default=None, min_length=1)
    providers: Providers = (CPU,)
    send: Literal["frames", "features", "ask", "outputs"] = "frames"
    stem: Path | None = None
    keep_s: float = Field(default=10.0, gt=0)
    keep_bytes: int = Field(default=16 * 2**20, ge=2**16)
    placement: Path | None = None
    device_class: str = ""
    window: int = Field(default=8, ge=1, le=1024)
    deadline_s: float = Field(default=0.0, ge=0)
    results: Path | None = None
    token: str = ""
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    connect_timeout_s: float = Field(default=10.0, gt=0)
    answer_timeout_s: float = Field(default=30.0, gt=0)
    metrics_listen: ListenAddress | None = None
    trace_to: TraceEndpoint | None = None
    trace_share: float = Field(default=0.01, ge=0, le=1)

    @property
    def source_name(self) -> str:
        """The source as it may be shown: without passwords."""
        return without_secrets(self.source)

    @model_validator(mode="before")
    @classmethod
    def _check_old_keys(cls, values: Any) -> Any:
        if isinstance(values, dict) and "policy" in values:
            raise ValueError("`policy` is now called `queue`")
        if isinstance(values, dict) and values.get("send") == "inputs":
            raise ValueError('`send = "inputs"` is now called `send = "frames"`')
        for key in ("update_share", "update_period_s"):
            if isinstance(values, dict) and key in values:
                raise ValueError(
                    f"`{key}` is gone: what is learnt from are the frames that are sent or audited anyway, as they "
                    "come: leave it out"
                )
        return values

    @field_validator("update")
    @classmethod
    def _one_file(cls, value: Path | None) -> Path | None:
        if value is not None and value.suffix != ".npz":
            raise ValueError(f'must be a file that ends in .npz, not {str(value)!r}: update = "learnt.npz"')
        return value

    @field_validator("source", mode="before")
    @classmethod
    def _camera(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        if self.local is not None and self.head is not None:
            raise ValueError("`head` is for one model in two parts, `local` for whole ones: leave one of them out")
        check_tls(self.tls_ca, self.tls_cert, self.tls_key)
        if self.device_class and self.placement is None:
            raise ValueError("`device_class` names a class of a `placement`: give both")
        for key, given, needs in (
            ("local_models", self.local_models is not None, True),
            ("send", self.send != "frames", self.send == "outputs"),
        ):
            if given and self.placement is not None:
                raise ValueError(f"the `placement` decides what runs here and what travels: leave `{key}` out")
            if given and needs and self.local is None:
                raise ValueError(f"`{key}` needs `local`, the folder of models that run here")
        if self.send in ("features", "ask") and self.head is not None:
            raise ValueError(
                '`head` sends maps, `send = "features"` and `"ask"` what a stem makes of frames: leave one out'
            )
        if self.update is not None and not self.audit:
            raise ValueError("`update` goes by what the audit finds: set `audit` above 0, 0.01 for instance")
        return self


def load_config(path: Path | None, overrides: Mapping[str, Any] | None = None) -> DeviceConfig:
    """Reads the settings from a TOML file; those of `overrides` that are not None replace the file's.

    Raises:
        InvalidInput: a setting is wrong; the message names the file, the key and what is allowed.
    """
    return load_settings(DeviceConfig, path, overrides, init="device", is_path=_is_path)


def apply_placement(config: DeviceConfig) -> DeviceConfig:
    """The settings completed by their placement: the models that run here, what travels, and the device's class.

    Raises:
        InvalidInput: the file is not a placement or has no such class, or `local` does not hold the models that it was
            planned with.
    """
    if config.placement is None:
        return config
    placement = PlacementFile.load(config.placement)
    name = config.device_class or _class_of(placement, config)
    placed = placement.device(name)
    models = placed.running("device")
    if models and config.local is None:
        raise InvalidInput(f"{config.placement}: class {name!r} runs {', '.join(models)}: give their folder as `local`")
    if not models and placed.send == "outputs":
        raise InvalidInput(f"{config.placement}: class {name!r} runs nothing and sends nothing: it needs no agent")
    if config.local is not None and models:
        found = find_models(config.local)
        for model in models:
            if model in found and digest(found[model]) != placement.digests[model]:
                raise InvalidInput(
                    f"{found[model]}: has digest {digest(found[model])}, but {config.placement} was planned for "
                    f"{placement.digests[model]}: put the same file there"
                )
    local = config.local if models else None
    send = "frames" if placed.send == "inputs" else placed.send
    update = {"local": local, "local_models": models, "send": send, "device_class": name}
    return config.model_copy(update=update)


def _is_path(key: str, value: str) -> bool:
    if key == "source":
        return source_kind(value) == "file" and "://" not in value
    return key in _PATHS or (key == "gate" and ".onnx" in value)


def _class_of(placement: PlacementFile, config: DeviceConfig) -> str:
    """The class with the device's own name, or the only one."""
    if config.name in placement.devices or len(placement.devices) > 1:
        return config.name
    return next(iter(placement.devices))
