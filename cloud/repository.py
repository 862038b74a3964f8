"""The models on disk: their files, specs and digests."""

from dataclasses import dataclass
from pathlib import Path

from ..models import ModelSpec, digest, find_models, read_spec


@dataclass(frozen=True)
class Repository:
    """A folder of models.

    Attributes:
        paths: each model's file, by its name.
        specs: each model's spec.
        digests: each model file's digest, the version of what it makes.
    """

    paths: dict[str, Path]
    specs: dict[str, ModelSpec]
    digests: dict[str, str]

    @classmethod
    def open(cls, folder: Path) -> "Repository":
        """Reads every spec.

        Raises:
            InvalidInput: no folder, no model in it, or a model without a valid spec.
        """
        paths = find_models(folder)
        specs = {name: read_spec(path) for name, path in paths.items()}
        return cls(paths, specs, {name: digest(path) for name, path in paths.items()})
