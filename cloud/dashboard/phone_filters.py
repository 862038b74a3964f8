"""The filters that a phone may fetch: by what each decides, and why one can't be had."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnxruntime as ort

from ...errors import InfilinkError, UnknownModel
from ...filters.spec import FilterSpec, load_tasks
from ..security.text import for_outside

MOST_FILTERS = 100
_LARGEST_BYTES = 16 * 2**20
_LICENCE_KEYS = ("license", "licence", "license_name", "rights")
_HANDED_ON = "infilink.hand_on"
"""In a file's metadata: "yes" says that it may be handed on, whatever its licence is."""
_FREE = frozenset(("apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc0-1.0", "isc", "mit", "unlicense"))
"""By the names that SPDX gives them."""
_DECIDES_BY = {
    "kind",
    "modality",
    "reference",
    "threshold",
    "accuracy",
    "keeps",
    "state_weights",
    "budget",
    "step_s",
    "longest_s",
}


@dataclass(frozen=True)
class PhoneFilter:
    """A filter of the folder.

    Attributes:
        path: its file.
        decides_by: what the page has to know of it beside its weights; empty where it can't be had.
        why_not: why a phone can't have it, in words; empty: it can.
    """

    path: Path
    decides_by: dict[str, Any]
    why_not: str = ""


class PhoneFilters:
    """The filters in a folder (`phone_filters`); a file that changes is read again.

    Args:
        folder: where they lie; None: there are none.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._known: dict[str, tuple[tuple[int, int], PhoneFilter]] = {}

    def found(self) -> dict[str, PhoneFilter]:
        """The filters by name, at most `MOST_FILTERS`; reads files."""
        paths = [] if self.folder is None else sorted(self.folder.glob("*.onnx"))[:MOST_FILTERS]
        now = {}
        for path in paths:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            known = self._known.get(path.stem)
            now[path.stem] = known if known is not None and known[0] == stamp else (stamp, _read(path, stat.st_size))
        self._known = now
        return {name: each for name, (_, each) in now.items()}

    def file(self, name: str, digest: str = "") -> bytes:
        """A filter's file, with the stem inside if it has one.

        Args:
            name: the filter's.
            digest: the file's SHA-256, as it was listed; empty: whatever is there now.

        Raises:
            UnknownModel: there is none of this name that a phone can have, or it has changed; the message says why.
        """
        known = self.found()
        found = known.get(name)
        if found is None:
            raise UnknownModel(name, tuple(known))
        if found.why_not:
            raise _NotGiven(name, f"is not given to phones: {found.why_not}")
        data = found.path.read_bytes()
        if digest and digest != sha256(data).hexdigest():
            raise _NotGiven(name, "has changed since it was listed: load the page again")
        return data


class _NotGiven(UnknownModel):
    """A filter that a phone does not get."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name)
        self.args = (f"the filter {name!r} {why}",)


def _read(path: Path, size_bytes: int) -> PhoneFilter:
    if size_bytes > _LARGEST_BYTES:
        return PhoneFilter(path, {}, f"it has {size_bytes} bytes; at most {_LARGEST_BYTES} are sent")
    try:
        found, session = load_tasks(path)
    except InfilinkError as error:
        return PhoneFilter(path, {}, for_outside(str(error)))
    # All of a file's tasks look at the same inputs by the same stem.
    spec = found.tasks[0]
    why_not = next(filter(None, (_kept(task, session) for task in found.tasks)), "") or _unfit(spec)
    if why_not:
        return PhoneFilter(path, {}, why_not)
    told = spec.model_dump(mode="json", include=_DECIDES_BY) | _stem_of(spec)
    told["models"] = [model for task in found.tasks for model in task.models]
    told["tasks"] = [{"model": next(iter(task.models), ""), "threshold": task.threshold} for task in found.tasks]
    traces = [task.learnt_from for task in found.tasks] + [each.learnt_from for each in spec.cameras.values()]
    told["learnt_step_s"] = next((trace.step_s for trace in traces if trace is not None), 0.0)
    told["certified"] = all(task.certificate.certified for task in found.tasks)
    return PhoneFilter(path, told | {"digest": sha256(path.read_bytes()).hexdigest()})


def _stem_of(spec: FilterSpec) -> dict[str, Any]:
    """What the page has to know of the stem inside, and of the answers that are compared with what it sees."""
    if spec.stem is None:
        return {"stem": None}
    stem = spec.stem.spec
    compared = {
        model: {"columns": columns, "kind": spec.outputs[model].kind, "classes": len(spec.outputs[model].classes)}
        for model, columns in spec.compared.items()
    }
    told = {"digest": spec.stem.digest, "model": stem.model, "size": stem.size, "length": stem.length}
    return {"stem": told | {"licence": stem.licence}, "compared": compared}


def _kept(spec: FilterSpec, session: ort.InferenceSession) -> str:
    """Why a filter is not handed on, if its own or its stem's licence does not say that it may be."""
    said = {key.lower(): value for key, value in session.get_modelmeta().custom_metadata_map.items()}
    if said.get(_HANDED_ON, "").lower() == "yes":
        return ""
    allowed = f'if it may be, say so in its metadata ({_HANDED_ON} = "yes")'
    if spec.stem is not None and not _is_free(spec.stem.spec.licence):
        licence = spec.stem.spec.licence
        layers = f"it holds layers of {spec.stem.spec.model!r}, whose licence is"
        if not licence:
            stated = "say it (`infilink train stem --licence`) and train the filter again"
            return f"{layers} not stated: {stated}; or {allowed}"
        return f"{layers} {licence!r}: not known to be free to hand on; {allowed}"
    own = next((said[key] for key in _LICENCE_KEYS if said.get(key)), "")
    # What says nothing was learnt here, from the answers of one's own models.
    return "" if not own or _is_free(own) else f"its licence is {own[:100]!r}; {allowed}"


def _is_free(licence: str) -> bool:
    """Whether a licence is known to let what it is on be handed on; "MIT License" and "Apache 2.0" are known, too."""
    return "-".join(licence.lower().removesuffix("license").split()) in _FREE


def _unfit(spec: FilterSpec) -> str:
    """Why the page can't run a filter, if it can't."""
    if not spec.compared.keys() <= spec.outputs.keys():
        return "is damaged: it compares answers that it does not describe; train it again"
    if spec.modality is not None and spec.modality.kind != "image":
        return f"it looks at inputs of the kind {spec.modality.kind}; a phone takes filters of a camera's pictures"
    return ""
