"""The models on disk: their files, specs and digests."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidInput
from ..models.spec import ModelSpec, digest, find_models, read_spec
from ..models.split.spec import PartitionSpec, is_part, read_partition


@dataclass(frozen=True)
class Repository:
    """A folder of models.

    Attributes:
        paths: each model's file, by its name.
        specs: each model's spec.
        digests: each model file's digest, the version of what it makes.
        tail: where the one model is the second part of one: which cut its inputs are maps of.
    """

    paths: dict[str, Path]
    specs: dict[str, ModelSpec]
    digests: dict[str, str]
    tail: PartitionSpec | None = None

    @classmethod
    def open(cls, folder: Path) -> "Repository":
        """Reads every spec.

        Raises:
            InvalidInput: no folder, no model in it, a model without a valid spec, or a second part beside others.
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
