"""A result cache on disk, so that a restart does not begin with an empty cache."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np

from ...codec import pack, unpack
from ...errors import InvalidInput
from ...files import check_format, replacing
from ...outputs import Array
from .cache import ResultCache
from .store import Entry

FORMAT = 1


def save_cache(path: Path, cache: ResultCache, *, embedding: str) -> None:
    """Writes all results, whole or not at all.

    Args:
        path: the file.
        cache: the cache to write; it may be used meanwhile.
        embedding: the digest of the file that made the embeddings.
    """
    version, entries = cache.snapshot()
    packed = [pack(entry.output) for entry in entries]
    header = {"format": FORMAT, "embedding": embedding, "version": version, "dims": cache.dims}
    with replacing(path) as part, part.open("wb") as file:
        np.savez(
            file,
            header=np.frombuffer(json.dumps(header).encode(), np.uint8),
            embeddings=np.asarray([entry.embedding for entry in entries], np.float32).reshape(-1, cache.dims),
            inserted_s=np.asarray([entry.inserted_s for entry in entries], np.float64),
            uses=np.asarray([entry.uses for entry in entries], np.int64),
            sizes=np.asarray([len(data) for data in packed], np.int64),
            outputs=np.frombuffer(b"".join(packed), np.uint8),
        )
        file.flush()
        os.fsync(file.fileno())


def load_cache(path: Path, cache: ResultCache, *, embedding: str) -> None:
    """Fills a cache from a file; results of another version of the model stay out.

    Args:
        path: the file.
        cache: an empty one.
        embedding: the digest of the file that makes the embeddings now.

    Raises:
        InvalidInput: the file is damaged or no cache, or its embeddings are another file's.
    """
    again = "delete it to start with an empty cache"
    try:
        header, entries = _read(path)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InvalidInput(f"{path}: is damaged or no result cache ({error}); {again}") from error
    check_format(header.get("format"), (FORMAT,), path=path, what="a result cache")
    if header.get("embedding") != embedding or header.get("dims") != cache.dims:
        raise InvalidInput(
            f"{path}: its embeddings were made by the reuse file {header.get('embedding')}, not by {embedding}; "
            f"give another path, or {again}"
        )
    if header.get("version") != cache.version:
        return
    try:
        cache.restore(entries)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: holds what this cache can't: {error}; {again}") from error


def _read(path: Path) -> tuple[dict[str, object], list[Entry]]:
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        if not isinstance(header, dict):
            raise ValueError("its header is none")
        embeddings, inserted_s, uses = file["embeddings"], file["inserted_s"], file["uses"]
        ends = np.cumsum(file["sizes"])
        data = file["outputs"].tobytes()
    if ends.size and ends[-1] != len(data):
        raise ValueError("its outputs are cut off")
    starts = np.append(0, ends)[:-1]
    outputs: list[Array] = [unpack(data[start:end]) for start, end in zip(starts, ends, strict=True)]
    rows = zip(embeddings, outputs, inserted_s, uses, strict=True)
    return header, [Entry(vector, output, float(at_s), int(used)) for vector, output, at_s, used in rows]
