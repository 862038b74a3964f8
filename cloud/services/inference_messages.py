"""Requests, responses and models as messages of the Open Inference Protocol."""

from collections.abc import Mapping

from ...errors import InvalidInput
from ...models.tensors import STRINGS, TensorSpec
from ...outputs import Array
from ...protos import open_inference_pb2 as pb
from ...protos.inference_wire import join_response, split_request
from ...protos.tensors import (
    BYTES,
    DATATYPES,
    check_tensor,
    datatype_of,
    read_contents,
    read_raw,
    write_contents,
    write_raw,
)
from ..inference.catalogue import Model
from ..inference.counts import Duration, ModelCounts
from ..inference.request import ANSWER, InferRequest, InferResponse, Parameter
from ..inference.whole import told_of, whole_of

_MOST_TENSORS = 64
_TYPES = {
    "bool": pb.TYPE_BOOL,
    "uint8": pb.TYPE_UINT8,
    "uint16": pb.TYPE_UINT16,
    "uint32": pb.TYPE_UINT32,
    "uint64": pb.TYPE_UINT64,
    "int8": pb.TYPE_INT8,
    "int16": pb.TYPE_INT16,
    "int32": pb.TYPE_INT32,
    "int64": pb.TYPE_INT64,
    "float16": pb.TYPE_FP16,
    "float32": pb.TYPE_FP32,
    "float64": pb.TYPE_FP64,
    STRINGS: pb.TYPE_STRING,
}


def read_request(data: bytes, *, most_bytes: int) -> tuple[InferRequest, bool]:
    """A request, and whether its tensors are raw bytes: the response's then are, too.

    Args:
        data: the message.
        most_bytes: what its tensors may take; known before memory is taken for them.

    Raises:
        InvalidInput: it is no such message, or a tensor in it is none.
    """
    message, raw = split_request(data)
    if max(len(message.inputs), len(message.outputs), len(raw)) > _MOST_TENSORS:
        raise InvalidInput(f"a request may have at most {_MOST_TENSORS} inputs and as many outputs")
    if raw and len(raw) != len(message.inputs):
        raise InvalidInput(
            f"`raw_input_contents` has {len(raw)} tensors and `inputs` {len(message.inputs)}: one is sent for each"
        )
    sizes = (_size(each) for each in message.inputs if not raw)
    if (size_bytes := len(data) if raw else sum(sizes)) > most_bytes + 2**16:
        raise InvalidInput(f"the inputs have {size_bytes} bytes; at most {most_bytes} are taken (`max_input_bytes`)")
    tensors: dict[str, Array] = {}
    for at, each in enumerate(message.inputs):
        if each.name in tensors:
            raise InvalidInput(f"two inputs are called {each.name[:80]!r}")
        if raw and each.HasField("contents"):
            raise InvalidInput(
                f"input {each.name[:80]!r}: has `contents` beside `raw_input_contents`: send one of them"
            )
        tensors[each.name] = (
            read_raw(each.name[:80], each.datatype, tuple(each.shape), raw[at]) if raw else read_contents(each)
        )
    request = InferRequest(
        message.model_name,
        message.model_version,
        message.id,
        _parameters(message.parameters),
        tensors,
        tuple(each.name for each in message.outputs),
    )
    return request, bool(raw)


def response_message(response: InferResponse, *, raw: bool) -> tuple[pb.ModelInferResponse, list[bytes | memoryview]]:
    """A response; where its tensors are raw, these stand beside it.

    Args:
        response: the response.
        raw: whether tensors travel as raw bytes; they do anyway where one of them has no other form.
    """
    message = pb.ModelInferResponse(model_name=response.model, model_version=response.version, id=response.id)
    write_parameters(message, response.parameters)
    raw = raw or any(datatype_of(value) == "FP16" for value in response.outputs.values())
    contents = []
    for name, value in response.outputs.items():
        tensor = message.outputs.add(name=name, datatype=datatype_of(value), shape=value.shape)
        if raw:
            contents.append(write_raw(value))
        else:
            write_contents(tensor, value)
    return message, contents


def write_response(response: InferResponse, *, raw: bool) -> bytes:
    """A response as it travels."""
    return join_response(*response_message(response, raw=raw))


def write_parameters(message: pb.ModelInferResponse, parameters: Mapping[str, Parameter]) -> None:
    """Puts parameters into a response."""
    for name, value in parameters.items():
        found = message.parameters[name]
        if isinstance(value, bool):
            found.bool_param = value
        elif isinstance(value, int):
            found.int64_param = value
        elif isinstance(value, float):
            found.double_param = value
        else:
            found.string_param = value


def properties(model: Model) -> dict[str, str]:
    """What the protocol has no field for: how an input is sent as a whole, and what the answer to it means."""
    found = {"digest": model.digest}
    if model.spec.serve == "site":
        found["kind"] = model.spec.output.kind
    if model.spec.output.classes:
        found["classes"] = ",".join(model.spec.output.classes)
    if model.form is not None:
        found |= told_of(model.form)
        of, answer = " and ".join(whole_of(model.form)), model.answer
        found[ANSWER] = f"the output for {of}: {DATATYPES[answer.dtype]} {list(answer.shape or ())}"
    return found


def metadata_message(model: Model) -> pb.ModelMetadataResponse:
    """What a model takes and gives."""
    tensor = pb.ModelMetadataResponse.TensorMetadata

    def listed(specs: tuple[TensorSpec, ...]) -> list[pb.ModelMetadataResponse.TensorMetadata]:
        return [
            tensor(name=spec.name, datatype=DATATYPES.get(spec.dtype, ""), shape=spec.shape or ()) for spec in specs
        ]

    return pb.ModelMetadataResponse(
        name=model.name,
        versions=[model.version],
        platform=platform(model),
        inputs=listed(model.inputs),
        outputs=listed(model.outputs),
        properties=properties(model),
    )


def config_message(model: Model) -> pb.ModelConfig:
    """The same as a configuration of Triton's; every axis is in `dims`, as nothing is put in front of it."""
    return pb.ModelConfig(
        name=model.name,
        platform=platform(model),
        backend="" if model.signature is None else "onnxruntime",
        input=[
            pb.ModelInput(name=each.name, data_type=_TYPES.get(each.dtype, pb.TYPE_INVALID), dims=each.shape or ())
            for each in model.inputs
        ],
        output=[
            pb.ModelOutput(name=each.name, data_type=_TYPES.get(each.dtype, pb.TYPE_INVALID), dims=each.shape or ())
            for each in model.outputs
        ],
        parameters={name: pb.ModelParameter(string_value=value) for name, value in properties(model).items()},
    )


def platform(model: Model) -> str:
    """What answers for it."""
    return "infilink_links" if model.signature is None else "onnxruntime_onnx"


def statistics_message(model: Model, counts: ModelCounts, memory_bytes: int) -> pb.ModelStatistics:
    """What came of the requests for a model."""
    return pb.ModelStatistics(
        name=model.name,
        version=model.version,
        last_inference=counts.last_ms,
        inference_count=counts.inputs,
        execution_count=counts.executions,
        inference_stats=pb.InferStatistics(
            success=_duration(counts.success),
            fail=_duration(counts.fail),
            queue=_duration(counts.queue),
            compute_input=_duration(counts.prepare),
            compute_infer=_duration(counts.infer),
            compute_output=_duration(counts.finish),
            cache_hit=pb.StatisticDuration(),
            cache_miss=pb.StatisticDuration(),
        ),
        memory_usage=[pb.MemoryUsage(type="CPU", byte_size=memory_bytes)] if memory_bytes else [],
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)


def _parameters(parameters: Mapping[str, pb.InferParameter]) -> dict[str, Parameter]:
    chosen = ((name, each, each.WhichOneof("parameter_choice")) for name, each in parameters.items())
    return {name: getattr(each, kind) for name, each, kind in chosen if kind is not None}


def _size(tensor: pb.ModelInferRequest.InferInputTensor) -> int:
    """What a tensor that is sent by its elements will take; of what is refused later anything."""
    if tensor.datatype == BYTES:
        return sum(len(each) for each in tensor.contents.bytes_contents)
    return 8 * check_tensor(tensor.name[:80], tensor.datatype, tuple(tensor.shape))
