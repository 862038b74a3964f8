"""Opening an ONNX file with onnxruntime: the same options everywhere, and a user's mistake told in one line."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import onnxruntime as ort

from ..errors import InvalidInput
from ..files import replacing
from .external_data import external_files

logger = logging.getLogger(__name__)

SessionProviders = Sequence[tuple[str, Mapping[str, str]]]
"""What onnxruntime is to run a session on, the one that is liked best first, each with its options."""
_TOLD: set[tuple[str, str]] = set()
"""Which models this process has said of that they get no card."""
CPU_ONLY: SessionProviders = (("CPUExecutionProvider", {}),)


def open_session(
    path: Path, *, threads: int = 1, optimized: Path | None = None, providers: SessionProviders = CPU_ONLY
) -> ort.InferenceSession:
    """An onnxruntime session. Its arena is on: what it holds is there after the first inference and stays.

    Where a card was asked for and can't be had, the processors run it, which is logged as a warning.

    Args:
        path: the model.
        threads: how many threads of the processors one inference may use.
        optimized: it is written if it is not there, and read instead of `path` if it is; of the processors alone.
        providers: what runs it (`Execution.for_session`).

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
        if list(providers) != list(CPU_ONLY):
            # Else the weights lie in the arena, and what a model leaves there is not given back with it.
            options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
            return _open_elsewhere(path, options, providers)
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
    line = str(error).strip().split("\n")[0]
    # What is wrong stands first or last; between them, where in their code.
    return line if len(line) <= 400 else f"{line[:150]} ... {line[-245:]}"


def _open(path: Path, options: ort.SessionOptions, providers: SessionProviders = CPU_ONLY) -> ort.InferenceSession:
    return ort.InferenceSession(str(path), options, providers=[(name, dict(given)) for name, given in providers])


def _open_elsewhere(path: Path, options: ort.SessionOptions, providers: SessionProviders) -> ort.InferenceSession:
    wanted, there = providers[0][0], ort.get_available_providers()
    session = _open(path, options, [each for each in providers if each[0] in there] or CPU_ONLY)
    if wanted not in session.get_providers() and (path.stem, wanted) not in _TOLD:
        _TOLD.add((path.stem, wanted))
        logger.warning(
            "%s: %s can't be had here (its libraries or its driver are missing, or other versions of them): the "
            "processors run this model; `infilink doctor` says more",
            path.stem,
            wanted,
        )
    return session


def shrink_arenas(session: ort.InferenceSession) -> ort.RunOptions | None:
    """How to run a session so that it gives back what one inference took beyond what it holds; None: on no card.

    For the first inference alone, which tries out algorithms in workspaces that no later one needs: to give back after
    every one costs each of them its allocations.
    """
    cards = [options["device_id"] for options in session.get_provider_options().values() if "device_id" in options]
    if not cards:
        return None
    run = ort.RunOptions()
    run.add_run_config_entry("memory.enable_memory_arena_shrinkage", f"gpu:{cards[0]}")
    return run
