from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_JPEG: _ClassVar[Encoding]
    ENCODING_MAP: _ClassVar[Encoding]
    ENCODING_UTF8: _ClassVar[Encoding]
    ENCODING_ARRAY: _ClassVar[Encoding]
    ENCODING_FLAC: _ClassVar[Encoding]
    ENCODING_OPUS: _ClassVar[Encoding]
    ENCODING_PARTS: _ClassVar[Encoding]
    ENCODING_H264: _ClassVar[Encoding]

class Policy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_UNSPECIFIED: _ClassVar[Policy]
    POLICY_ALL: _ClassVar[Policy]
    POLICY_LATEST: _ClassVar[Policy]

class Origin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORIGIN_UNSPECIFIED: _ClassVar[Origin]
    ORIGIN_EXECUTED: _ClassVar[Origin]
    ORIGIN_LINKED: _ClassVar[Origin]
    ORIGIN_HELD: _ClassVar[Origin]
    ORIGIN_CONSTANT: _ClassVar[Origin]
    ORIGIN_LOCAL: _ClassVar[Origin]

class RefusedCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSED_CODE_UNSPECIFIED: _ClassVar[RefusedCode]
    REFUSED_CODE_INVALID: _ClassVar[RefusedCode]
    REFUSED_CODE_DEADLINE: _ClassVar[RefusedCode]
    REFUSED_CODE_SUPERSEDED: _ClassVar[RefusedCode]
    REFUSED_CODE_FAILED: _ClassVar[RefusedCode]
    REFUSED_CODE_OVERLOADED: _ClassVar[RefusedCode]
    REFUSED_CODE_BROKEN_CHAIN: _ClassVar[RefusedCode]
ENCODING_UNSPECIFIED: Encoding
ENCODING_JPEG: Encoding
ENCODING_MAP: Encoding
ENCODING_UTF8: Encoding
ENCODING_ARRAY: Encoding
ENCODING_FLAC: Encoding
ENCODING_OPUS: Encoding
ENCODING_PARTS: Encoding
ENCODING_H264: Encoding
POLICY_UNSPECIFIED: Policy
POLICY_ALL: Policy
POLICY_LATEST: Policy
ORIGIN_UNSPECIFIED: Origin
ORIGIN_EXECUTED: Origin
ORIGIN_LINKED: Origin
ORIGIN_HELD: Origin
ORIGIN_CONSTANT: Origin
ORIGIN_LOCAL: Origin
REFUSED_CODE_UNSPECIFIED: RefusedCode
REFUSED_CODE_INVALID: RefusedCode
REFUSED_CODE_DEADLINE: RefusedCode
REFUSED_CODE_SUPERSEDED: RefusedCode
REFUSED_CODE_FAILED: RefusedCode
REFUSED_CODE_OVERLOADED: RefusedCode
REFUSED_CODE_BROKEN_CHAIN: RefusedCode

class DeviceMessage(_message.Message):
    __slots__ = ("hello", "input", "report", "frame")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    input: Input
    report: Report
    frame: Frame
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., input: _Optional[_Union[Input, _Mapping]] = ..., report: _Optional[_Union[Report, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class CoordinatorMessage(_message.Message):
    __slots__ = ("welcome", "result", "refused", "notice", "want", "pause", "filter")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    WANT_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    result: Result
    refused: Refused
    notice: Notice
    want: Want
    pause: Pause
    filter: WantedFilter
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., result: _Optional[_Union[Result, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ..., want: _Optional[_Union[Want, _Mapping]] = ..., pause: _Optional[_Union[Pause, _Mapping]] = ..., filter: _Optional[_Union[WantedFilter, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("device", "version", "session", "models", "local", "device_class", "stem", "stream", "form", "wire", "wire_oldest")
    class LocalEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CLASS_FIELD_NUMBER: _ClassVar[int]
    STEM_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    FORM_FIELD_NUMBER: _ClassVar[int]
    WIRE_FIELD_NUMBER: _ClassVar[int]
    WIRE_OLDEST_FIELD_NUMBER: _ClassVar[int]
    device: str
    version: str
    session: str
    models: _containers.RepeatedScalarFieldContainer[str]
    local: _containers.ScalarMap[str, str]
    device_class: str
    stem: str
    stream: str
    form: str
    wire: int
    wire_oldest: int
    def __init__(self, device: _Optional[str] = ..., version: _Optional[str] = ..., session: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., local: _Optional[_Mapping[str, str]] = ..., device_class: _Optional[str] = ..., stem: _Optional[str] = ..., stream: _Optional[str] = ..., form: _Optional[str] = ..., wire: _Optional[int] = ..., wire_oldest: _Optional[int] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("version", "specs", "plan", "max_in_flight", "local", "now_ns", "digests", "features", "modalities", "wire", "encodings")
    class SpecsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class DigestsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SPECS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    NOW_NS_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    MODALITIES_FIELD_NUMBER: _ClassVar[int]
    WIRE_FIELD_NUMBER: _ClassVar[int]
    ENCODINGS_FIELD_NUMBER: _ClassVar[int]
    version: str
    specs: _containers.ScalarMap[str, str]
    plan: str
    max_in_flight: int
    local: _containers.RepeatedScalarFieldContainer[str]
    now_ns: int
    digests: _containers.ScalarMap[str, str]
    features: FeatureRange
    modalities: _containers.RepeatedScalarFieldContainer[str]
    wire: int
    encodings: _containers.RepeatedScalarFieldContainer[Encoding]
    def __init__(self, version: _Optional[str] = ..., specs: _Optional[_Mapping[str, str]] = ..., plan: _Optional[str] = ..., max_in_flight: _Optional[int] = ..., local: _Optional[_Iterable[str]] = ..., now_ns: _Optional[int] = ..., digests: _Optional[_Mapping[str, str]] = ..., features: _Optional[_Union[FeatureRange, _Mapping]] = ..., modalities: _Optional[_Iterable[str]] = ..., wire: _Optional[int] = ..., encodings: _Optional[_Iterable[_Union[Encoding, str]]] = ...) -> None: ...

class FeatureRange(_message.Message):
    __slots__ = ("mean", "step")
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    mean: bytes
    step: bytes
    def __init__(self, mean: _Optional[bytes] = ..., step: _Optional[bytes] = ...) -> None: ...

class Features(_message.Message):
    __slots__ = ("values", "range")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    values: bytes
    range: str
    def __init__(self, values: _Optional[bytes] = ..., range: _Optional[str] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("chain", "place", "first", "packets", "width", "height")
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    chain: int
    place: int
    first: int
    packets: _containers.RepeatedScalarFieldContainer[bytes]
    width: int
    height: int
    def __init__(self, chain: _Optional[int] = ..., place: _Optional[int] = ..., first: _Optional[int] = ..., packets: _Optional[_Iterable[bytes]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class ArrayPayload(_message.Message):
    __slots__ = ("shape", "dtype", "value", "scale", "offset")
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    shape: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    value: bytes
    scale: float
    offset: float
    def __init__(self, shape: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ..., value: _Optional[bytes] = ..., scale: _Optional[float] = ..., offset: _Optional[float] = ...) -> None: ...

class Parts(_message.Message):
    __slots__ = ("parts",)
    PARTS_FIELD_NUMBER: _ClassVar[int]
    parts: _containers.RepeatedCompositeFieldContainer[Part]
    def __init__(self, parts: _Optional[_Iterable[_Union[Part, _Mapping]]] = ...) -> None: ...

class Part(_message.Message):
    __slots__ = ("name", "encoding", "payload")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    name: str
    encoding: Encoding
    payload: bytes
    def __init__(self, name: _Optional[str] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., payload: _Optional[bytes] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("sequence", "captured_ns", "deadline_ns", "encoding", "payload", "policy", "audit", "models", "outputs", "features", "frame_kept", "score", "captured_unix_ns", "stream", "traceparent")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_NS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_NS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    FRAME_KEPT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_UNIX_NS_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    captured_ns: int
    deadline_ns: int
    encoding: Encoding
    payload: bytes
    policy: Policy
    audit: bool
    models: _containers.RepeatedScalarFieldContainer[str]
    outputs: _containers.RepeatedCompositeFieldContainer[Output]
    features: Features
    frame_kept: bool
    score: float
    captured_unix_ns: int
    stream: str
    traceparent: str
    def __init__(self, sequence: _Optional[int] = ..., captured_ns: _Optional[int] = ..., deadline_ns: _Optional[int] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., payload: _Optional[bytes] = ..., policy: _Optional[_Union[Policy, str]] = ..., audit: bool = ..., models: _Optional[_Iterable[str]] = ..., outputs: _Optional[_Iterable[_Union[Output, _Mapping]]] = ..., features: _Optional[_Union[Features, _Mapping]] = ..., frame_kept: bool = ..., score: _Optional[float] = ..., captured_unix_ns: _Optional[int] = ..., stream: _Optional[str] = ..., traceparent: _Optional[str] = ...) -> None: ...

class Want(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("sequence", "encoding", "payload")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    encoding: Encoding
    payload: bytes
    def __init__(self, sequence: _Optional[int] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., payload: _Optional[bytes] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("model", "digest", "kind", "shape", "dtype", "value", "origin", "confidence", "trusted", "sources", "age_s", "trust", "alpha", "calibration_count", "calibration_age_s", "region")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DTYPE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_AGE_S_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    model: str
    digest: str
    kind: str
    shape: _containers.RepeatedScalarFieldContainer[int]
    dtype: str
    value: bytes
    origin: Origin
    confidence: float
    trusted: bool
    sources: _containers.RepeatedScalarFieldContainer[str]
    age_s: float
    trust: str
    alpha: float
    calibration_count: int
    calibration_age_s: float
    region: Region
    def __init__(self, model: _Optional[str] = ..., digest: _Optional[str] = ..., kind: _Optional[str] = ..., shape: _Optional[_Iterable[int]] = ..., dtype: _Optional[str] = ..., value: _Optional[bytes] = ..., origin: _Optional[_Union[Origin, str]] = ..., confidence: _Optional[float] = ..., trusted: bool = ..., sources: _Optional[_Iterable[str]] = ..., age_s: _Optional[float] = ..., trust: _Optional[str] = ..., alpha: _Optional[float] = ..., calibration_count: _Optional[int] = ..., calibration_age_s: _Optional[float] = ..., region: _Optional[_Union[Region, _Mapping]] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("form", "bounds")
    FORM_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    form: str
    bounds: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, form: _Optional[str] = ..., bounds: _Optional[_Iterable[float]] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("sequence", "outputs", "executed_s")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_S_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    outputs: _containers.RepeatedCompositeFieldContainer[Output]
    executed_s: float
    def __init__(self, sequence: _Optional[int] = ..., outputs: _Optional[_Iterable[_Union[Output, _Mapping]]] = ..., executed_s: _Optional[float] = ...) -> None: ...

class Pause(_message.Message):
    __slots__ = ("retry_after_s",)
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    retry_after_s: float
    def __init__(self, retry_after_s: _Optional[float] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("sequence", "code", "message", "retry_after_s")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    code: RefusedCode
    message: str
    retry_after_s: float
    def __init__(self, sequence: _Optional[int] = ..., code: _Optional[_Union[RefusedCode, str]] = ..., message: _Optional[str] = ..., retry_after_s: _Optional[float] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("frames", "kept", "dropped", "sent_bytes", "received_bytes", "memory_bytes", "uncertified", "audited", "audit_blocks", "audit_error", "audit_broken", "rate_far", "clock_behind_s", "features", "features_bytes", "wanted", "gone", "wanted_bytes", "spooled", "spooled_bytes", "spool_oldest_s", "spool_dropped", "spool_state", "video", "video_bytes", "late", "taken", "level", "level_reason", "left_out", "temperature_c", "promised", "audit_bound", "undecoded", "decode_saved", "packets_error", "packets_broken", "camera", "camera_changes", "gate_failed", "gate_failing", "disk_free_bytes", "memory_free_share", "cpu_share", "throttled", "lost_share", "round_trip_s", "gate_name", "gate_digest", "filter")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNCERTIFIED_FIELD_NUMBER: _ClassVar[int]
    AUDITED_FIELD_NUMBER: _ClassVar[int]
    AUDIT_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    AUDIT_ERROR_FIELD_NUMBER: _ClassVar[int]
    AUDIT_BROKEN_FIELD_NUMBER: _ClassVar[int]
    RATE_FAR_FIELD_NUMBER: _ClassVar[int]
    CLOCK_BEHIND_S_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_BYTES_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    WANTED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPOOLED_FIELD_NUMBER: _ClassVar[int]
    SPOOLED_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPOOL_OLDEST_S_FIELD_NUMBER: _ClassVar[int]
    SPOOL_DROPPED_FIELD_NUMBER: _ClassVar[int]
    SPOOL_STATE_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    VIDEO_BYTES_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LEVEL_REASON_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_C_FIELD_NUMBER: _ClassVar[int]
    PROMISED_FIELD_NUMBER: _ClassVar[int]
    AUDIT_BOUND_FIELD_NUMBER: _ClassVar[int]
    UNDECODED_FIELD_NUMBER: _ClassVar[int]
    DECODE_SAVED_FIELD_NUMBER: _ClassVar[int]
    PACKETS_ERROR_FIELD_NUMBER: _ClassVar[int]
    PACKETS_BROKEN_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    CAMERA_CHANGES_FIELD_NUMBER: _ClassVar[int]
    GATE_FAILED_FIELD_NUMBER: _ClassVar[int]
    GATE_FAILING_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FREE_SHARE_FIELD_NUMBER: _ClassVar[int]
    CPU_SHARE_FIELD_NUMBER: _ClassVar[int]
    THROTTLED_FIELD_NUMBER: _ClassVar[int]
    LOST_SHARE_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_S_FIELD_NUMBER: _ClassVar[int]
    GATE_NAME_FIELD_NUMBER: _ClassVar[int]
    GATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    frames: int
    kept: int
    dropped: int
    sent_bytes: int
    received_bytes: int
    memory_bytes: int
    uncertified: bool
    audited: int
    audit_blocks: int
    audit_error: float
    audit_broken: bool
    rate_far: str
    clock_behind_s: float
    features: int
    features_bytes: int
    wanted: int
    gone: int
    wanted_bytes: int
    spooled: int
    spooled_bytes: int
    spool_oldest_s: float
    spool_dropped: int
    spool_state: str
    video: int
    video_bytes: int
    late: int
    taken: int
    level: str
    level_reason: str
    left_out: int
    temperature_c: float
    promised: float
    audit_bound: float
    undecoded: int
    decode_saved: float
    packets_error: float
    packets_broken: bool
    camera: str
    camera_changes: int
    gate_failed: int
    gate_failing: bool
    disk_free_bytes: int
    memory_free_share: float
    cpu_share: float
    throttled: str
    lost_share: float
    round_trip_s: float
    gate_name: str
    gate_digest: str
    filter: FilterState
    def __init__(self, frames: _Optional[int] = ..., kept: _Optional[int] = ..., dropped: _Optional[int] = ..., sent_bytes: _Optional[int] = ..., received_bytes: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., uncertified: bool = ..., audited: _Optional[int] = ..., audit_blocks: _Optional[int] = ..., audit_error: _Optional[float] = ..., audit_broken: bool = ..., rate_far: _Optional[str] = ..., clock_behind_s: _Optional[float] = ..., features: _Optional[int] = ..., features_bytes: _Optional[int] = ..., wanted: _Optional[int] = ..., gone: _Optional[int] = ..., wanted_bytes: _Optional[int] = ..., spooled: _Optional[int] = ..., spooled_bytes: _Optional[int] = ..., spool_oldest_s: _Optional[float] = ..., spool_dropped: _Optional[int] = ..., spool_state: _Optional[str] = ..., video: _Optional[int] = ..., video_bytes: _Optional[int] = ..., late: _Optional[int] = ..., taken: _Optional[int] = ..., level: _Optional[str] = ..., level_reason: _Optional[str] = ..., left_out: _Optional[int] = ..., temperature_c: _Optional[float] = ..., promised: _Optional[float] = ..., audit_bound: _Optional[float] = ..., undecoded: _Optional[int] = ..., decode_saved: _Optional[float] = ..., packets_error: _Optional[float] = ..., packets_broken: bool = ..., camera: _Optional[str] = ..., camera_changes: _Optional[int] = ..., gate_failed: _Optional[int] = ..., gate_failing: bool = ..., disk_free_bytes: _Optional[int] = ..., memory_free_share: _Optional[float] = ..., cpu_share: _Optional[float] = ..., throttled: _Optional[str] = ..., lost_share: _Optional[float] = ..., round_trip_s: _Optional[float] = ..., gate_name: _Optional[str] = ..., gate_digest: _Optional[str] = ..., filter: _Optional[_Union[FilterState, _Mapping]] = ...) -> None: ...

class WantedFilter(_message.Message):
    __slots__ = ("number", "digest", "size_bytes", "name")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    number: int
    digest: str
    size_bytes: int
    name: str
    def __init__(self, number: _Optional[int] = ..., digest: _Optional[str] = ..., size_bytes: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class FilterState(_message.Message):
    __slots__ = ("allowed", "number", "refused", "doing", "digest", "since_us", "frames", "kept")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    DOING_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    allowed: str
    number: int
    refused: str
    doing: str
    digest: str
    since_us: int
    frames: int
    kept: int
    def __init__(self, allowed: _Optional[str] = ..., number: _Optional[int] = ..., refused: _Optional[str] = ..., doing: _Optional[str] = ..., digest: _Optional[str] = ..., since_us: _Optional[int] = ..., frames: _Optional[int] = ..., kept: _Optional[int] = ...) -> None: ...

class FilterRequest(_message.Message):
    __slots__ = ("device", "stream", "digest", "offset_bytes")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OFFSET_BYTES_FIELD_NUMBER: _ClassVar[int]
    device: str
    stream: str
    digest: str
    offset_bytes: int
    def __init__(self, device: _Optional[str] = ..., stream: _Optional[str] = ..., digest: _Optional[str] = ..., offset_bytes: _Optional[int] = ...) -> None: ...

class FilterPiece(_message.Message):
    __slots__ = ("content",)
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    def __init__(self, content: _Optional[bytes] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("devices", "models", "since_us", "changes")
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    SINCE_US_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedScalarFieldContainer[str]
    models: _containers.RepeatedScalarFieldContainer[str]
    since_us: int
    changes: bool
    def __init__(self, devices: _Optional[_Iterable[str]] = ..., models: _Optional[_Iterable[str]] = ..., since_us: _Optional[int] = ..., changes: bool = ...) -> None: ...

class Published(_message.Message):
    __slots__ = ("device", "session", "sequence", "captured_ns", "answered_us", "width", "height", "outputs", "missed", "specs")
    class SpecsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_NS_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_US_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    SPECS_FIELD_NUMBER: _ClassVar[int]
    device: str
    session: str
    sequence: int
    captured_ns: int
    answered_us: int
    width: int
    height: int
    outputs: _containers.RepeatedCompositeFieldContainer[Output]
    missed: int
    specs: _containers.ScalarMap[str, str]
    def __init__(self, device: _Optional[str] = ..., session: _Optional[str] = ..., sequence: _Optional[int] = ..., captured_ns: _Optional[int] = ..., answered_us: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., outputs: _Optional[_Iterable[_Union[Output, _Mapping]]] = ..., missed: _Optional[int] = ..., specs: _Optional[_Mapping[str, str]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelStatus(_message.Message):
    __slots__ = ("name", "state", "memory_bytes", "executions", "infer_s", "loads", "cpu_s", "why", "running", "waiting", "keeping", "queue", "processes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    INFER_S_FIELD_NUMBER: _ClassVar[int]
    LOADS_FIELD_NUMBER: _ClassVar[int]
    CPU_S_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    KEEPING_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: str
    memory_bytes: int
    executions: int
    infer_s: float
    loads: int
    cpu_s: float
    why: str
    running: bool
    waiting: float
    keeping: float
    queue: int
    processes: int
    def __init__(self, name: _Optional[str] = ..., state: _Optional[str] = ..., memory_bytes: _Optional[int] = ..., executions: _Optional[int] = ..., infer_s: _Optional[float] = ..., loads: _Optional[int] = ..., cpu_s: _Optional[float] = ..., why: _Optional[str] = ..., running: bool = ..., waiting: _Optional[float] = ..., keeping: _Optional[float] = ..., queue: _Optional[int] = ..., processes: _Optional[int] = ...) -> None: ...

class AnswerCounts(_message.Message):
    __slots__ = ("executed", "linked", "held", "constant")
    EXECUTED_FIELD_NUMBER: _ClassVar[int]
    LINKED_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CONSTANT_FIELD_NUMBER: _ClassVar[int]
    executed: int
    linked: int
    held: int
    constant: int
    def __init__(self, executed: _Optional[int] = ..., linked: _Optional[int] = ..., held: _Optional[int] = ..., constant: _Optional[int] = ...) -> None: ...

class DeviceStatus(_message.Message):
    __slots__ = ("name", "connected", "inputs", "report", "revoked", "audited", "local", "answers", "version", "wire", "queue", "modality")
    class AnswersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: AnswerCounts
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[AnswerCounts, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    AUDITED_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WIRE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    connected: bool
    inputs: int
    report: Report
    revoked: _containers.RepeatedScalarFieldContainer[str]
    audited: int
    local: _containers.RepeatedScalarFieldContainer[str]
    answers: _containers.MessageMap[str, AnswerCounts]
    version: str
    wire: int
    queue: int
    modality: str
    def __init__(self, name: _Optional[str] = ..., connected: bool = ..., inputs: _Optional[int] = ..., report: _Optional[_Union[Report, _Mapping]] = ..., revoked: _Optional[_Iterable[str]] = ..., audited: _Optional[int] = ..., local: _Optional[_Iterable[str]] = ..., answers: _Optional[_Mapping[str, AnswerCounts]] = ..., version: _Optional[str] = ..., wire: _Optional[int] = ..., queue: _Optional[int] = ..., modality: _Optional[str] = ...) -> None: ...

class StageStatus(_message.Message):
    __slots__ = ("stage", "bounds_s", "counts", "total_s")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_S_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_S_FIELD_NUMBER: _ClassVar[int]
    stage: str
    bounds_s: _containers.RepeatedScalarFieldContainer[float]
    counts: _containers.RepeatedScalarFieldContainer[int]
    total_s: float
    def __init__(self, stage: _Optional[str] = ..., bounds_s: _Optional[_Iterable[float]] = ..., counts: _Optional[_Iterable[int]] = ..., total_s: _Optional[float] = ...) -> None: ...

class PlaceStatus(_message.Message):
    __slots__ = ("name", "budget_bytes", "memory_bytes", "peak_bytes", "budget_violations", "memory_samples")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BUDGET_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    name: str
    budget_bytes: int
    memory_bytes: int
    peak_bytes: int
    budget_violations: int
    memory_samples: int
    def __init__(self, name: _Optional[str] = ..., budget_bytes: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., peak_bytes: _Optional[int] = ..., budget_violations: _Optional[int] = ..., memory_samples: _Optional[int] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("version", "models", "budget_bytes", "memory_bytes", "peak_bytes", "budget_violations", "memory_samples", "inputs", "refused", "repeated", "resident", "expected_agreement", "devices", "uptime_s", "compute_cores", "spent_s", "price", "late", "stages", "refusals", "ledger_trouble", "places")
    class RefusalsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    BUDGET_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    BUDGET_VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_SAMPLES_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_CORES_FIELD_NUMBER: _ClassVar[int]
    SPENT_S_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    LEDGER_TROUBLE_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    version: str
    models: _containers.RepeatedCompositeFieldContainer[ModelStatus]
    budget_bytes: int
    memory_bytes: int
    peak_bytes: int
    budget_violations: int
    memory_samples: int
    inputs: int
    refused: int
    repeated: int
    resident: _containers.RepeatedScalarFieldContainer[str]
    expected_agreement: float
    devices: _containers.RepeatedCompositeFieldContainer[DeviceStatus]
    uptime_s: float
    compute_cores: float
    spent_s: float
    price: float
    late: int
    stages: _containers.RepeatedCompositeFieldContainer[StageStatus]
    refusals: _containers.ScalarMap[str, int]
    ledger_trouble: str
    places: _containers.RepeatedCompositeFieldContainer[PlaceStatus]
    def __init__(self, version: _Optional[str] = ..., models: _Optional[_Iterable[_Union[ModelStatus, _Mapping]]] = ..., budget_bytes: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., peak_bytes: _Optional[int] = ..., budget_violations: _Optional[int] = ..., memory_samples: _Optional[int] = ..., inputs: _Optional[int] = ..., refused: _Optional[int] = ..., repeated: _Optional[int] = ..., resident: _Optional[_Iterable[str]] = ..., expected_agreement: _Optional[float] = ..., devices: _Optional[_Iterable[_Union[DeviceStatus, _Mapping]]] = ..., uptime_s: _Optional[float] = ..., compute_cores: _Optional[float] = ..., spent_s: _Optional[float] = ..., price: _Optional[float] = ..., late: _Optional[int] = ..., stages: _Optional[_Iterable[_Union[StageStatus, _Mapping]]] = ..., refusals: _Optional[_Mapping[str, int]] = ..., ledger_trouble: _Optional[str] = ..., places: _Optional[_Iterable[_Union[PlaceStatus, _Mapping]]] = ...) -> None: ...
