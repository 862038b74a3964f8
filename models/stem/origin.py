"""Which file a model is, where it comes from and under which licence, as far as it says (needs the `onnx` package)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import onnx

from ..spec import METADATA_KEY, digest, read_spec

_LICENCES = ("license", "licence", "license_name", "rights")
_SOURCES = ("source", "url", "homepage", "repository", "author", "docs")
_MOST_LETTERS = 300


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        digest: of its file.
        licence: in its metadata; empty where nobody wrote one.
        source: in its metadata, or else its spec's description; and what wrote the file.
    """

    digest: str
    licence: str
    source: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """What a model's file says."""
        model = onnx.load(str(path), load_external_data=False)
        said = {each.key.lower(): each.value for each in model.metadata_props if each.key != METADATA_KEY}
        licence = next((said[key] for key in _LICENCES if said.get(key)), "")
        source = next((said[key] for key in _SOURCES if said.get(key)), "") or read_spec(path).description
        producer = " ".join(filter(None, (model.producer_name, model.producer_version)))
        parts = (" ".join(part.split()) for part in (source, model.doc_string, producer))
        return cls(digest(path), licence[:_MOST_LETTERS], "; ".join(filter(None, parts))[:_MOST_LETTERS])
