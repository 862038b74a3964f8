from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_ACTION_UNSPECIFIED: _ClassVar[ModelAction]
    MODEL_ACTION_LOAD: _ClassVar[ModelAction]
    MODEL_ACTION_UNLOAD: _ClassVar[ModelAction]
    MODEL_ACTION_PIN: _ClassVar[ModelAction]
    MODEL_ACTION_UNPIN: _ClassVar[ModelAction]
    MODEL_ACTION_ROLLBACK: _ClassVar[ModelAction]
    MODEL_ACTION_REMOVE: _ClassVar[ModelAction]
MODEL_ACTION_UNSPECIFIED: ModelAction
MODEL_ACTION_LOAD: ModelAction
MODEL_ACTION_UNLOAD: ModelAction
MODEL_ACTION_PIN: ModelAction
MODEL_ACTION_UNPIN: ModelAction
MODEL_ACTION_ROLLBACK: ModelAction
MODEL_ACTION_REMOVE: ModelAction

class ListModels(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ModelList(_message.Message):
    __slots__ = ("models", "refused")
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODELS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ServedModel]
    refused: _containers.ScalarMap[str, str]
    def __init__(self, models: _Optional[_Iterable[_Union[ServedModel, _Mapping]]] = ..., refused: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ServedModel(_message.Message):
    __slots__ = ("name", "version", "digest", "state", "reason", "place", "size_bytes", "memory_bytes", "pinned", "parked", "versions", "before", "refused")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    PARKED_FIELD_NUMBER: _ClassVar[int]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    digest: str
    state: str
    reason: str
    place: str
    size_bytes: int
    memory_bytes: int
    pinned: bool
    parked: bool
    versions: _containers.RepeatedScalarFieldContainer[int]
    before: str
    refused: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., digest: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., place: _Optional[str] = ..., size_bytes: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., pinned: bool = ..., parked: bool = ..., versions: _Optional[_Iterable[int]] = ..., before: _Optional[str] = ..., refused: _Optional[str] = ...) -> None: ...

class ModelPiece(_message.Message):
    __slots__ = ("new", "content")
    NEW_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    new: NewModel
    content: bytes
    def __init__(self, new: _Optional[_Union[NewModel, _Mapping]] = ..., content: _Optional[bytes] = ...) -> None: ...

class NewModel(_message.Message):
    __slots__ = ("name", "version", "spec", "files")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    spec: str
    files: _containers.RepeatedCompositeFieldContainer[ModelFile]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., spec: _Optional[str] = ..., files: _Optional[_Iterable[_Union[ModelFile, _Mapping]]] = ...) -> None: ...

class ModelFile(_message.Message):
    __slots__ = ("path", "size_bytes")
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    path: str
    size_bytes: int
    def __init__(self, path: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ChangeModel(_message.Message):
    __slots__ = ("name", "action", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    action: ModelAction
    version: int
    def __init__(self, name: _Optional[str] = ..., action: _Optional[_Union[ModelAction, str]] = ..., version: _Optional[int] = ...) -> None: ...
