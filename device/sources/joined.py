"""Sources side by side: the first input of each is one input together, then the second, and so on."""

import logging
from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np

from ...errors import InvalidInput
from ...models.inputs.form import InputForm
from ...outputs import Array
from .base import Input, Source, Times

logger = logging.getLogger(__name__)


class JoinedSource:
    """Gives inputs with a part from each of several recordings, in order; the fields are those of `Source`.

    Args:
        name: as it may be shown.
        parts: the sources, by the parts' names; closed by this.

    Raises:
        InvalidInput: one of them is live, or gives joint inputs itself.
    """

    def __init__(self, name: str, parts: Mapping[str, Source]) -> None:
        self.name = name
        self.parts = dict(parts)
        self.live = False
        try:
            for key, part in self.parts.items():
                if part.live:
                    raise InvalidInput(
                        f"{name}: {key} is live, and inputs are joined by their order: record them first"
                    )
                if part.form.parts:
                    raise InvalidInput(f"{name}: {key} has parts itself")
        except InvalidInput:
            self.close()
            raise
        forms = {key: part.form for key, part in self.parts.items()}
        self.form = InputForm(modality="+".join(form.modality for form in forms.values()), parts=forms)
        read = all(part.times == "read" for part in self.parts.values())
        self.times: Times = "read" if read else "order"
        self.inputs_per_s = min(part.inputs_per_s for part in self.parts.values()) if read else 1.0
        counts = [part.input_count for part in self.parts.values()]
        self.input_count = min([count for count in counts if count is not None], default=None)
        self._given = 0

    def __iter__(self) -> Iterator[Input]:
        """Every input, until one of the sources ends."""
        running = {key: iter(part) for key, part in self.parts.items()}
        while True:
            found: dict[str, Input] = {}
            ended = []
            for key, part in running.items():
                taken = next(part, None)
                if taken is None:
                    ended.append(key)
                else:
                    found[key] = taken
            if ended:
                if found:
                    logger.warning(
                        "%s: %s ended after %d inputs, before %s: what is left there is left out",
                        self.name,
                        ", ".join(ended),
                        self._given,
                        ", ".join(found),
                    )
                return
            time_s = max(each.captured_s for each in found.values()) if self.times == "read" else float(self._given)
            yield Input(self._given, time_s, _joint({key: each.value for key, each in found.items()}), time_s)
            self._given += 1

    def close(self) -> None:
        """Closes all of them."""
        for part in self.parts.values():
            part.close()

    def __enter__(self) -> Self:
        """The source itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes all of them."""
        self.close()


def _joint(parts: Mapping[str, Array]) -> Array:
    """One array of no dimensions with a field per part."""
    joined = np.zeros((), np.dtype([(key, part.dtype, part.shape) for key, part in parts.items()]))
    for key, part in parts.items():
        joined[key] = part
    return joined
