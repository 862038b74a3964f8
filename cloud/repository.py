"""The coordinator's models on disk: their files, specs and digests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InvalidInput
from ..models.spec import ModelSpec, digest, find_models, read_spec
from ..models.split.spec import PartitionSpec, is_part, read_partition


@dataclass(frozen=True)
class Repository:
    """A folder of models.

    Attributes:
        paths: each model's file, by name.
        specs: each model's spec, also those of virtual models, which have no file.
        digests: each file's digest, which is the version of the model's outputs.
        tail: the cut whose feature maps are its inputs, where the only model is a partitioned model's second part.
    """

    paths: dict[str, Path]
    specs: dict[str, ModelSpec]
    digests: dict[str, str]
    tail: PartitionSpec | None = None

    @classmethod
    def open(cls, folder: Path) -> "Repository":
        """Reads every spec.

        Raises:
            InvalidInput: there is no folder or no model in it, a spec is missing or invalid, or a second part stands
                beside other models.
        """
        paths = find_models(folder)
        specs = {name: read_spec(path) for name, path in paths.items()}
        parts = [name for name, spec in specs.items() if spec.input is None and is_part(paths[name])]
        tails = {name: read_partition(paths[name], "tail") for name in parts}
        if tails and len(paths) > 1:
            raise InvalidInput(
                f"{folder}: holds the second part of {', '.join(tails)} beside other models, and no input is both a "
                "map and a picture: give each second part a folder, and a coordinator, of its own"
            )
        digests = {name: digest(path) for name, path in paths.items()}
        return cls(paths, specs, digests, next(iter(tails.values()), None))

    def with_virtual(self, specs: Mapping[str, ModelSpec]) -> "Repository":
        """The same with models that nothing runs for: links answer for them."""
        return replace(self, specs={**self.specs, **specs})
