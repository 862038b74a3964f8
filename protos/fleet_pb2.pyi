from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FleetAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FLEET_ACTION_UNSPECIFIED: _ClassVar[FleetAction]
    FLEET_ACTION_PAUSE: _ClassVar[FleetAction]
    FLEET_ACTION_DRAIN: _ClassVar[FleetAction]
    FLEET_ACTION_RESUME: _ClassVar[FleetAction]
    FLEET_ACTION_REVOKE: _ClassVar[FleetAction]
FLEET_ACTION_UNSPECIFIED: FleetAction
FLEET_ACTION_PAUSE: FleetAction
FLEET_ACTION_DRAIN: FleetAction
FLEET_ACTION_RESUME: FleetAction
FLEET_ACTION_REVOKE: FleetAction

class ListFleet(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FleetList(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[FleetDevice]
    def __init__(self, devices: _Optional[_Iterable[_Union[FleetDevice, _Mapping]]] = ...) -> None: ...

class FleetDevice(_message.Message):
    __slots__ = ("name", "state", "by", "since_us", "connected", "connected_us", "heard_us", "version", "streams", "faults", "enrolled", "enrolled_us", "expires_us", "filters")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_US_FIELD_NUMBER: _ClassVar[int]
    HEARD_US_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_US_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_US_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    by: str
    since_us: int
    connected: bool
    connected_us: int
    heard_us: int
    version: str
    streams: _containers.RepeatedScalarFieldContainer[str]
    faults: _containers.RepeatedScalarFieldContainer[str]
    enrolled: str
    enrolled_us: int
    expires_us: int
    filters: _containers.RepeatedCompositeFieldContainer[StreamFilter]
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., by: _Optional[str] = ..., since_us: _Optional[int] = ..., connected: bool = ..., connected_us: _Optional[int] = ..., heard_us: _Optional[int] = ..., version: _Optional[str] = ..., streams: _Optional[_Iterable[str]] = ..., faults: _Optional[_Iterable[str]] = ..., enrolled: _Optional[str] = ..., enrolled_us: _Optional[int] = ..., expires_us: _Optional[int] = ..., filters: _Optional[_Iterable[_Union[StreamFilter, _Mapping]]] = ...) -> None: ...

class ChangeDevice(_message.Message):
    __slots__ = ("name", "action")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    action: FleetAction
    def __init__(self, name: _Optional[str] = ..., action: _Optional[_Union[FleetAction, str]] = ...) -> None: ...

class NewCodeRequest(_message.Message):
    __slots__ = ("name", "minutes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MINUTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    minutes: int
    def __init__(self, name: _Optional[str] = ..., minutes: _Optional[int] = ...) -> None: ...

class NewCodeReply(_message.Message):
    __slots__ = ("code", "expires_us", "gives", "port", "phone_page")
    CODE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_US_FIELD_NUMBER: _ClassVar[int]
    GIVES_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    PHONE_PAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    expires_us: int
    gives: str
    port: int
    phone_page: str
    def __init__(self, code: _Optional[str] = ..., expires_us: _Optional[int] = ..., gives: _Optional[str] = ..., port: _Optional[int] = ..., phone_page: _Optional[str] = ...) -> None: ...

class EnrollRequest(_message.Message):
    __slots__ = ("code", "certificate_request", "version")
    CODE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    code: str
    certificate_request: bytes
    version: str
    def __init__(self, code: _Optional[str] = ..., certificate_request: _Optional[bytes] = ..., version: _Optional[str] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("certificate_request", "version")
    CERTIFICATE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    certificate_request: bytes
    version: str
    def __init__(self, certificate_request: _Optional[bytes] = ..., version: _Optional[str] = ...) -> None: ...

class EnrollReply(_message.Message):
    __slots__ = ("name", "certificate", "token", "expires_us", "port", "trusted")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_US_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_FIELD_NUMBER: _ClassVar[int]
    name: str
    certificate: bytes
    token: str
    expires_us: int
    port: int
    trusted: bytes
    def __init__(self, name: _Optional[str] = ..., certificate: _Optional[bytes] = ..., token: _Optional[str] = ..., expires_us: _Optional[int] = ..., port: _Optional[int] = ..., trusted: _Optional[bytes] = ...) -> None: ...

class FilterUpload(_message.Message):
    __slots__ = ("name", "content")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    content: bytes
    def __init__(self, name: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class FilterFile(_message.Message):
    __slots__ = ("name", "digest", "size_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    size_bytes: int
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class SetFilterRequest(_message.Message):
    __slots__ = ("streams", "digest", "back", "all", "anyway")
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BACK_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    ANYWAY_FIELD_NUMBER: _ClassVar[int]
    streams: _containers.RepeatedScalarFieldContainer[str]
    digest: str
    back: bool
    all: bool
    anyway: bool
    def __init__(self, streams: _Optional[_Iterable[str]] = ..., digest: _Optional[str] = ..., back: bool = ..., all: bool = ..., anyway: bool = ...) -> None: ...

class StreamFilters(_message.Message):
    __slots__ = ("filters",)
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    filters: _containers.RepeatedCompositeFieldContainer[StreamFilter]
    def __init__(self, filters: _Optional[_Iterable[_Union[StreamFilter, _Mapping]]] = ...) -> None: ...

class StreamFilter(_message.Message):
    __slots__ = ("stream", "wanted_name", "wanted_digest", "by", "wanted_us", "gate_name", "gate_digest", "since_us", "state", "told", "foreseen")
    STREAM_FIELD_NUMBER: _ClassVar[int]
    WANTED_NAME_FIELD_NUMBER: _ClassVar[int]
    WANTED_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    WANTED_US_FIELD_NUMBER: _ClassVar[int]
    GATE_NAME_FIELD_NUMBER: _ClassVar[int]
    GATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TOLD_FIELD_NUMBER: _ClassVar[int]
    FORESEEN_FIELD_NUMBER: _ClassVar[int]
    stream: str
    wanted_name: str
    wanted_digest: str
    by: str
    wanted_us: int
    gate_name: str
    gate_digest: str
    since_us: int
    state: str
    told: str
    foreseen: str
    def __init__(self, stream: _Optional[str] = ..., wanted_name: _Optional[str] = ..., wanted_digest: _Optional[str] = ..., by: _Optional[str] = ..., wanted_us: _Optional[int] = ..., gate_name: _Optional[str] = ..., gate_digest: _Optional[str] = ..., since_us: _Optional[int] = ..., state: _Optional[str] = ..., told: _Optional[str] = ..., foreseen: _Optional[str] = ...) -> None: ...
