"""Opening an ONNX file with onnxruntime: the same options everywhere, and a user's mistake told in one line."""

from collections.abc import Collection
from pathlib import Path

import onnxruntime as ort

from ..errors import InvalidInput
from ..files import replacing
from .external_data import external_files


def open_session(path: Path, *, threads: int = 1, optimized: Path | None = None) -> ort.InferenceSession:
    """An onnxruntime session on the CPU. Its arena is on: what it holds is there after the first inference and stays.

    `optimized` is written if it is not there, and read instead of `path` if it is.

    Raises:
        InvalidInput: the file is not there or is no ONNX model, or the weights beside it are missing or elsewhere.
    """
    if not path.is_file():
        raise InvalidInput(f"{path}: there is no such file")
    external_files(path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        if optimized is None:
            return _open(path, options)
        if optimized.is_file():
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            return _open(optimized, options)
        with replacing(optimized) as part:
            options.optimized_model_filepath = str(part)
            return _open(path, options)
    except Exception as error:  # onnxruntime raises many types of its own
        raise InvalidInput(f"{path}: not an ONNX model that onnxruntime can load ({first_line(error)})") from error


def check_out(path: Path, keys: Collection[str], *, what: str) -> None:
    """Whether a file of a kind may be written there: nothing is there yet, or one of that kind.

    Args:
        path: where it shall be.
        keys: in the metadata of that kind of files stands one of these.
        what: what it is called, with its article.

    Raises:
        InvalidInput: something else is there, or the name does not end in .onnx.
    """
    if path.suffix != ".onnx" or path.is_dir():
        raise InvalidInput(f"--out {path}: {what} must be a file that ends in .onnx")
    if not path.exists():
        return
    try:
        found = open_session(path).get_modelmeta().custom_metadata_map
    except InvalidInput:
        found = {}
    if not set(keys) & set(found):
        raise InvalidInput(f"--out {path}: is there already and is not {what}; give another name")


def first_line(error: Exception) -> str:
    """What onnxruntime or OpenCV complains of, in one line: the rest is for their own developers."""
    return str(error).strip().split("\n")[0][:300]


def _open(path: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
