"""What lies in the folder of recordings: traces to learn from and judge on, filters, a stem; and what is none of it."""

import hashlib
import re
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InfilinkError, InvalidInput
from ...filters.rules.names import quoted
from ...filters.spec import FilterSpec, load_filter
from ...models.stem.beside import STEM_FILE
from ...outputs import OutputSpec
from ...traces.events import presence
from ...traces.stored import restore
from ...traces.trace import Trace
from .tuner_drawn import zones_drawn

MOST_FILES = 500
"""Of a folder with more the first by name are listed."""
TRACE, FILTER = ".trace", ".onnx"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ -]{0,120}")
_MOST_KNOWN = 1000
_MOST_SUGGESTED = 2000
"""Of so many of the first outputs a rule is suggested."""


@dataclass(frozen=True)
class Shelf:
    """What the folder holds.

    Attributes:
        recordings: each as plain values.
        filters: likewise.
        bad: name and reason of what can't be used.
        stem: whether there is one beside the recordings.
    """

    recordings: tuple[dict[str, Any], ...]
    filters: tuple[dict[str, Any], ...]
    bad: tuple[tuple[str, str], ...]
    stem: bool


class Recordings:
    """The folder of recordings, read as it is each time; what a file says is kept for as long as the file stays.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: OrderedDict[tuple[str, int, int], dict[str, Any] | str] = OrderedDict()

    def shelf(self) -> Shelf:
        """Everything that is there.

        Raises:
            InvalidInput: there is no such folder.
        """
        if not self.folder.is_dir():
            raise InvalidInput(f"there is no folder {self.folder.name!r} (`recordings` in cloud.toml): make it")
        recordings, filters, bad = [], [], []
        files = sorted(path for path in self.folder.iterdir() if path.suffix in (TRACE, FILTER))
        for path in files[:MOST_FILES]:
            if path.name == STEM_FILE:
                continue
            found = self._told(path)
            if isinstance(found, str):
                bad.append((path.name, found))
            elif path.suffix == TRACE:
                recordings.append(found)
            else:
                filters.append(found)
        if len(files) > MOST_FILES:
            bad.append(("…", f"{len(files) - MOST_FILES} more files: the first {MOST_FILES} by name are listed"))
        return Shelf(tuple(recordings), tuple(filters), tuple(bad), (self.folder / STEM_FILE).is_file())

    def path_of(self, name: str, suffix: str) -> Path:
        """A file of the folder by its name.

        Raises:
            InvalidInput: there is none.
        """
        path = self.folder / name
        if not _NAME.fullmatch(name) or not name.endswith(suffix) or not path.is_file():
            raise InvalidInput(f"there is no {name!r} in the folder of recordings")
        return path

    def free_name(self, stem: str) -> str:
        """A name for a new filter that no file has."""
        count = 1
        while (self.folder / f"{stem}-{count}{FILTER}").exists():
            count += 1
        return f"{stem}-{count}{FILTER}"

    def suggestions(self, name: str) -> dict[str, list[str]]:
        """Rules that would fit a recording, by model, the likeliest first."""
        path = self.path_of(name, TRACE)
        zones = tuple(zones_drawn(path))
        with Trace(path, stop=_MOST_SUGGESTED) as trace:
            return {model: _rules_for(spec.output, trace, model, zones) for model, spec in trace.models.items()}

    def picture(self, name: str, index: int) -> bytes:
        """An input of a recording of pictures, as the JPEG that it is.

        Raises:
            InvalidInput: there is no such recording or input, or it is no picture.
        """
        with Trace(self.path_of(name, TRACE), start=index, stop=index + 1) as trace:
            if trace.info.input != "image":
                raise InvalidInput("the inputs of this recording are no pictures")
            payload = next(trace.payloads())
            restore(payload, "image")  # What can't be decoded is told as that.
            return payload

    def _told(self, path: Path) -> dict[str, Any] | str:
        stat = path.stat()
        key = (path.name, stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            try:
                if not _NAME.fullmatch(path.name):
                    raise InvalidInput(
                        "its name is too long, or has other signs than letters, digits, . _ - and spaces"
                    )
                self._known[key] = _recording(path) if path.suffix == TRACE else _filter(path)
            except InfilinkError as error:
                self._known[key] = str(error).removeprefix(f"{path}: ").replace(f"{self.folder}/", "")
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        return self._known[key]


def _recording(path: Path) -> dict[str, Any]:
    with Trace(path) as trace:
        info = trace.info
        return {
            "name": path.name,
            "size_bytes": path.stat().st_size,
            "inputs": len(trace),
            "seconds": float(trace.captured_s[-1] - trace.captured_s[0]),
            "source": info.source,
            "input": info.told_input,
            "pictures": info.input == "image",
            "timed": info.times != "order",
            "unproven": trace.unproven,
            "models": {
                name: {"kind": spec.output.kind, "classes": list(spec.output.classes[:200])}
                for name, spec in info.models.items()
            },
            "usable": "" if info.input != "none" else "it holds outputs only: filters need the inputs, too",
        }


def _filter(path: Path) -> dict[str, Any]:
    spec = load_filter(path)[0]
    return {
        "name": path.name,
        "size_bytes": path.stat().st_size,
        "digest": file_digest(path),
        "kind": spec.kind,
        "rule": spec.rule,
        "models": list(spec.models),
        "asked": list(spec.asked),
        "aim": "accuracy" if spec.events is None else "events",
        "certified": spec.certificate.certified,
        "proof": proof_text(spec),
    }


def proof_text(spec: FilterSpec) -> str:
    """What is proven of a filter, in words."""
    if not spec.certificate.certified:
        return spec.certificate.method if spec.certificate.method.startswith("none") else "not certified"
    return spec.certificate.proof


def file_digest(path: Path) -> str:
    """A file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rules_for(output: OutputSpec, trace: Trace, model: str, zones: Sequence[str]) -> list[str]:
    """Rules that fit outputs of a kind: on what comes and goes most."""
    if output.kind in ("boxes", "multilabel", "label"):
        there = presence(trace.outputs(model), output)
        # What is always there, or next to never, leaves nothing to find.
        telling = Counter(
            {name: float(seen.mean() * (1.0 - seen.mean())) for name, seen in there.items() if seen.any()}
        )
        names = [quoted(name) for name, _ in telling.most_common(4)]
        if output.kind == "label":
            return [f"label in ({name})" for name in names] + ["unchanged"]
        zoned = [f"count({name}, zone={quoted(zone)}) == 0" for zone in zones for name in names[:2]]
        return [f"count({name}) == 0" for name in names] + zoned * (output.kind == "boxes") + ["empty", "unchanged"]
    if output.kind == "count":
        return ["value < 1", "unchanged"]
    if output.kind == "scalar":
        return ["value <= 0", "unchanged"]
    return ["unchanged"] if output.kind == "vector" else ["empty", "unchanged"]
