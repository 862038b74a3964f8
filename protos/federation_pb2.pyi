from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SiteMessage(_message.Message):
    __slots__ = ("join", "change")
    JOIN_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    join: Join
    change: Change
    def __init__(self, join: _Optional[_Union[Join, _Mapping]] = ..., change: _Optional[_Union[Change, _Mapping]] = ...) -> None: ...

class Join(_message.Message):
    __slots__ = ("site", "version", "task", "task_hash", "moments", "central_bytes")
    SITE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    TASK_HASH_FIELD_NUMBER: _ClassVar[int]
    MOMENTS_FIELD_NUMBER: _ClassVar[int]
    CENTRAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    site: str
    version: str
    task: str
    task_hash: str
    moments: Moments
    central_bytes: int
    def __init__(self, site: _Optional[str] = ..., version: _Optional[str] = ..., task: _Optional[str] = ..., task_hash: _Optional[str] = ..., moments: _Optional[_Union[Moments, _Mapping]] = ..., central_bytes: _Optional[int] = ...) -> None: ...

class Moments(_message.Message):
    __slots__ = ("count", "mean", "squares")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    SQUARES_FIELD_NUMBER: _ClassVar[int]
    count: int
    mean: bytes
    squares: bytes
    def __init__(self, count: _Optional[int] = ..., mean: _Optional[bytes] = ..., squares: _Optional[bytes] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("round", "change", "samples")
    ROUND_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    round: int
    change: bytes
    samples: int
    def __init__(self, round: _Optional[int] = ..., change: _Optional[bytes] = ..., samples: _Optional[int] = ...) -> None: ...

class AggregatorMessage(_message.Message):
    __slots__ = ("begin", "round", "done")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    begin: Begin
    round: Round
    done: Done
    def __init__(self, begin: _Optional[_Union[Begin, _Mapping]] = ..., round: _Optional[_Union[Round, _Mapping]] = ..., done: _Optional[_Union[Done, _Mapping]] = ...) -> None: ...

class Begin(_message.Message):
    __slots__ = ("moments", "rounds")
    MOMENTS_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    moments: Moments
    rounds: int
    def __init__(self, moments: _Optional[_Union[Moments, _Mapping]] = ..., rounds: _Optional[int] = ...) -> None: ...

class Round(_message.Message):
    __slots__ = ("index", "weights")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    index: int
    weights: bytes
    def __init__(self, index: _Optional[int] = ..., weights: _Optional[bytes] = ...) -> None: ...

class Done(_message.Message):
    __slots__ = ("weights",)
    WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    weights: bytes
    def __init__(self, weights: _Optional[bytes] = ...) -> None: ...

class Outputs(_message.Message):
    __slots__ = ("inputs", "targets")
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    inputs: bytes
    targets: bytes
    def __init__(self, inputs: _Optional[bytes] = ..., targets: _Optional[bytes] = ...) -> None: ...
