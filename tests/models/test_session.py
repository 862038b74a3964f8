"""Where a file may be written, and where not: what a user has is never replaced by something else."""

from pathlib import Path

import pytest
from infilink.errors import InvalidInput
from infilink.models.session import check_out, first_line
from infilink.models.stem.spec import METADATA_KEY

from .stem import made
from .stem.test_beside import stem_at


def test_only_one_of_its_kind_is_replaced(tmp_path: Path) -> None:
    model, stem = made.plain(tmp_path / "model.onnx"), stem_at(tmp_path / "stem.onnx")
    (tmp_path / "notes.onnx").write_text("no model at all")
    check_out(tmp_path / "new.onnx", (METADATA_KEY,), what="a stem")
    check_out(stem, (METADATA_KEY,), what="a stem")
    for path in (model, tmp_path / "notes.onnx"):
        with pytest.raises(InvalidInput, match="is there already and is not a stem; give another name"):
            check_out(path, (METADATA_KEY,), what="a stem")
    with pytest.raises(InvalidInput, match="is there already and is not a filter"):
        check_out(stem, ("infilink.filter",), what="a filter")


def test_a_folder_or_another_ending_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "door.trace"):
        with pytest.raises(InvalidInput, match=r"a stem must be a file that ends in \.onnx"):
            check_out(path, (METADATA_KEY,), what="a stem")


def test_a_long_complaint_keeps_its_beginning_and_its_end():
    said = first_line(RuntimeError(f"FAIL : Exception {'x' * 500} locale name not valid: install language packs\nmore"))
    assert said.startswith("FAIL") and said.endswith("install language packs") and len(said) <= 400
