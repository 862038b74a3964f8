"""The agent's settings: one TOML file, with what its placement adds, checked as a whole before anything starts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from ..errors import InvalidInput
from ..filters.rules.zones import Points
from ..models.placement import PlacementFile
from ..models.providers import CPU, Providers
from ..models.spec import digest, find_models
from ..protos.channel import check_tls
from ..protos.tracing import TraceEndpoint
from ..settings import Address, ListenAddress, Table, load_settings, validation_text
from ..traces.source_name import without_secrets
from .camera.watch import CameraSettings
from .event_pictures import EventPicturesConfig
from .filter_settings import FilterSettings
from .governor.settings import OF_STREAM, GovernorSettings
from .mask import check_polygons
from .packet_settings import PacketSettings
from .results import MOST_BYTES
from .sinks.settings import JsonLinesConfig, SinkConfig
from .sources.cut import WHOLE, Cut
from .sources.names import rebased
from .uplink.spool_settings import SpoolSettings
from .uplink.travelling import PictureConfig
from .uplink.video_settings import VideoSettings

_TLS = ("tls_ca", "tls_cert", "tls_key")
_PATHS = (*_TLS, "results", "head", "cache", "update", "rule_file", "local", "placement", "stem", "folder", "path")
_OWN_FILES = ("results", "cache", "update")
"""What is written while a stream runs: nothing else may write there."""
_OF_DEVICE = (
    *("name", "coordinator", "token", *_TLS, "connect_timeout_s", "answer_timeout_s"),
    *("metrics_listen", "trace_to", "trace_share", "filters", "streams"),
)
"""What can't be otherwise in a stream's table."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a device and its streams can be called."""
Name = Annotated[str, StringConstraints(pattern=NAME)]
Encoding = Literal["auto", "jpeg", "h264", "raw", "int8", "int16", "flac", "opus"]


class DeviceConfig(Table):
    """The agent's settings, and those of one of its streams; `DEFAULT_TOML` says what each is for."""

    name: Name
    source: str = ""
    cut: Cut = WHOLE
    mask: tuple[Points, ...] = ()
    start_s: float = Field(default=0.0, ge=0)
    seconds: float | None = Field(default=None, gt=0)
    loop: bool = False
    every: int = Field(default=1, ge=1)
    pace: Literal["max", "source"] = "source"
    coordinator: Address
    packets: PacketSettings | None = None
    gate: str = "all"
    filters: FilterSettings = FilterSettings()
    cache: Path | None = None
    rule_file: Path | None = None
    update: Path | None = None
    audit: float = Field(default=0.01, ge=0, le=1)
    picture: PictureConfig = PictureConfig()
    open_share: float = Field(default=0.5, gt=0, le=1)
    camera: CameraSettings = CameraSettings()
    quality: int = Field(default=90, ge=1, le=100)
    encoding: Encoding = "auto"
    video: VideoSettings = VideoSettings()
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
    results_bytes: int = Field(default=MOST_BYTES, ge=2**20)
    sinks: tuple[SinkConfig, ...] = ()
    event_pictures: EventPicturesConfig | None = None
    spool: SpoolSettings = SpoolSettings()
    token: str = ""
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    connect_timeout_s: float = Field(default=10.0, gt=0)
    answer_timeout_s: float = Field(default=30.0, gt=0)
    governor: GovernorSettings = GovernorSettings()
    metrics_listen: ListenAddress | None = None
    trace_to: TraceEndpoint | None = None
    trace_share: float = Field(default=0.01, ge=0, le=1)
    streams: dict[Name, dict[str, Any]] = Field(default={})

    @property
    def source_name(self) -> str:
        """The source as it may be shown: without passwords."""
        return without_secrets(self.source)

    def by_stream(self) -> dict[str, "DeviceConfig"]:
        """Each stream's settings by its name: what its table says, and else these; without tables the only one's, "".

        Raises:
            ValueError: a table says what can't be; the message names it and the key.
        """
        if not self.streams:
            return {"": self}
        given = self.model_dump(exclude_unset=True, exclude={"streams"})
        found = {}
        for name, table in self.streams.items():
            if of_device := [key for key in table if key in _OF_DEVICE]:
                raise ValueError(f"streams.{name}.{of_device[0]}: is the whole device's: write it above the tables")
            if limits := [key for key in _keys(table.get("governor")) if key not in OF_STREAM]:
                raise ValueError(
                    f"streams.{name}.governor.{limits[0]}: is the whole device's: write it into [governor] above the "
                    f"tables; a stream has only {', '.join(OF_STREAM)} of its own"
                )
            try:
                found[name] = DeviceConfig.model_validate({**given, **table})
            except ValidationError as error:
                raise ValueError(f"streams.{name}: {validation_text(error, DeviceConfig)}") from error
        return found

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

    @field_validator("mask")
    @classmethod
    def _check_mask(cls, value: tuple[Points, ...]) -> tuple[Points, ...]:
        return check_polygons(value)

    @model_validator(mode="after")
    def _check_streams(self) -> Self:
        if not self.streams and not self.source:
            raise ValueError("`source` is missing: where the inputs come from (`infilink sources`)")
        _check_places(self.by_stream())
        return self

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
    config = load_settings(DeviceConfig, path, overrides, init="device", rebased=_rebased)
    if path is not None and config.filters.folder is None:
        # Where the agent writes anyway, as it may not write beside its settings.
        beside = config.spool.folder or path.parent
        filters = config.filters.model_copy(update={"folder": beside / "filters"})
        config = config.model_copy(update={"filters": filters})
    flags = [key for key, value in (overrides or {}).items() if value is not None and key not in _OF_DEVICE]
    if config.streams and flags:
        raise InvalidInput(
            f"{path}: has several streams, so the option {flags[0]!r} does not say which it is for: write it into the "
            "file"
        )
    return config


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


def _rebased(key: str, value: Any, folder: Path) -> Any:
    """A key's value with the paths in it starting at a folder; so those in tables, and in lists of tables."""
    if isinstance(value, dict):
        return {each: _rebased(each, inner, folder) for each, inner in value.items()}
    if isinstance(value, list) and key not in _PATHS:
        return [_rebased(key, inner, folder) if isinstance(inner, dict) else inner for inner in value]
    if not isinstance(value, str):
        return value
    if key == "source":
        return rebased(value, folder)
    if key == "path" and value == "-":
        return value  # Standard output.
    return str(folder / value) if key in _PATHS or (key == "gate" and ".onnx" in value) else value


def _class_of(placement: PlacementFile, config: DeviceConfig) -> str:
    """The class with the device's own name, or the only one."""
    if config.name in placement.devices or len(placement.devices) > 1:
        return config.name
    return next(iter(placement.devices))


def _check_places(streams: Mapping[str, DeviceConfig]) -> None:
    """Makes sure that no file is written by two."""
    written: dict[Path, tuple[str, str]] = {}
    for stream, config in streams.items():
        for key in _OWN_FILES:
            path = getattr(config, key)
            other, its = (stream, key) if path is None else written.setdefault(path.resolve(), (stream, key))
            if (other, its) != (stream, key):
                who = f"`{its}` and `{key}`" if other == stream else f"streams {other} and {stream}"
                raise ValueError(f"{who} both write {path}: give each its own `{key}`")
    for config in streams.values():
        for sink in config.sinks:
            if isinstance(sink, JsonLinesConfig) and sink.path.resolve() in written:
                key = written[sink.path.resolve()][1]
                raise ValueError(f"a sink and `{key}` both write {sink.path}: give the sink another `path`")


def _keys(table: Any) -> list[str]:
    return [*table] if isinstance(table, dict) else []
