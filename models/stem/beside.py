"""Where a command finds its stem: where a user says, or beside the trace."""

from pathlib import Path

from ...errors import InvalidInput
from .stem import Stem

STEM_FILE = "stem.onnx"
NONE = "none"
"""What a user says who wants no stem."""


def stem_beside(trace: Path, named: str) -> Stem | None:
    """The stem that a user names, else the one in the folder of the trace; None: there is none, or none is wanted.

    Args:
        trace: the trace's file.
        named: the stem's file, `NONE`, or nothing.

    Raises:
        InvalidInput: what was named is not there, or is no stem.
    """
    if named == NONE:
        return None
    path = Path(named) if named else trace.parent / STEM_FILE
    if not named and not path.is_file():
        return None
    if path.is_dir():
        raise InvalidInput(f"--stem {path}: is a folder; name the stem's .onnx file, or {NONE}")
    return Stem(path)
