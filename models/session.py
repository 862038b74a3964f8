"""A heavy model: `ModelSpec` says how to feed it and read it, `OnnxModel` runs it on one frame.

The spec is a TOML file beside the model (`yolox_nano.toml` for `yolox_nano.onnx`) or JSON inside it, in the ONNX
file's own `metadata_props` under the key `infilink`. The one beside wins. docs/MODELS.md says how to write one.
"""

import os
from pathlib import Path

import onnxruntime as ort

from ..errors import InvalidInput


def open_session(path: Path, *, threads: int = 1, optimized: Path | None = None) -> ort.InferenceSession:
    """An onnxruntime session on the CPU. Its arena is on: what it holds is there after the first inference and stays.

    `optimized` is written if it is not there, and read instead of `path` if it is.

    Raises:
        InvalidInput: the file is not there or is no ONNX model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    part = None
    if optimized is not None and optimized.is_file():
        path = optimized
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    elif optimized is not None:
        part = optimized.with_name(f"{optimized.name}.{os.getpid()}.part")
        options.optimized_model_filepath = str(part)
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        if part is not None and optimized is not None:
            part.replace(optimized)
        return session
    except Exception as error:
        raise InvalidInput(f"{path}: not an ONNX model that onnxruntime can load ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]
