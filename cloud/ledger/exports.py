"""Results as files for other programs: a row each, as CSV, JSON lines or Parquet."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ...errors import InfilinkError
from .query import Found
from .viewer_time import iso_utc

_AT_ONCE = 2000
_COLUMNS = (
    *(
        "answered",
        "device",
        "session",
        "sequence",
        "captured_s",
        "width",
        "height",
        "model",
        "digest",
        "kind",
        "origin",
    ),
    *("confidence", "trusted", "trust", "sources", "why", "classes", "value", "shape"),
)


def record_of(found: Found) -> dict[str, Any]:
    """What a file has of one result, by the names of its columns."""
    return {
        "answered": iso_utc(found.answered_us),
        "device": found.device,
        "session": found.session,
        "sequence": found.sequence,
        "captured_s": None if found.captured_ns is None else found.captured_ns / 1e9,
        "width": found.width,
        "height": found.height,
        "model": found.model,
        "digest": found.output.digest,
        "kind": found.output.kind,
        "origin": found.origin,
        "confidence": found.confidence,
        "trusted": found.trusted,
        "trust": found.output.trust,
        "sources": list(found.output.sources),
        "why": found.why,
        "classes": list(found.classes),
        "value": found.value.tolist(),
    }


def write_csv(results: Iterable[Found], path: Path) -> int:
    """Writes results as CSV in UTF-8; lists are JSON in their column.

    Returns:
        How many there were.
    """
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = None
        for record in map(record_of, results):
            count += 1
            if writer is None:
                writer = csv.DictWriter(file, list(record))
                writer.writeheader()
            writer.writerow({name: _cell(value) for name, value in record.items()})
    return count


def write_jsonl(results: Iterable[Found], path: Path) -> int:
    """Writes results as JSON, one object a line.

    Returns:
        How many there were.
    """
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for record in map(record_of, results):
            count += 1
            file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
    return count


def write_parquet(results: Iterable[Found], path: Path) -> int:
    """Writes results as Parquet: times as such, each value as a list of numbers with its shape.

    Returns:
        How many there were.

    Raises:
        InfilinkError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise InfilinkError(
            "Parquet needs the package pyarrow: pip install pyarrow; CSV and JSON lines do not"
        ) from error
    kinds = {"sequence": pa.int64(), "width": pa.int32(), "height": pa.int32(), "confidence": pa.float32()}
    kinds |= {"captured_s": pa.float64(), "trusted": pa.bool_(), "answered": pa.timestamp("us", tz="UTC")}
    kinds |= {"sources": pa.list_(pa.string()), "classes": pa.list_(pa.string())}
    kinds |= {"value": pa.list_(pa.float64()), "shape": pa.list_(pa.int32())}
    schema, count, rest = pa.schema([(name, kinds.get(name, pa.string())) for name in _COLUMNS]), 0, iter(results)
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(rest, _AT_ONCE)):
            writer.write_table(pa.Table.from_pylist(list(_flat(group)), schema))
            count += len(group)
    return count


def _flat(group: Iterable[Found]) -> Iterator[Mapping[str, Any]]:
    for found in group:
        flat = {"value": found.value.ravel().tolist(), "shape": list(found.value.shape)}
        yield record_of(found) | flat | {"answered": found.answered_us}


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
