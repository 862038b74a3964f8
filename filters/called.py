"""A rule that the user wrote: a Python function of one output."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from ..outputs import Array, OutputSpec
from .theory import UNKNOWN, Theory


@dataclass(frozen=True)
class Called:
    """`call(rules.py:quiet)`: redundant if that function of the output (an array, as the model's kind has it) is true.

    The file is read when outputs are judged, so where a trace is learnt from or judged; a device needs only the filter.
    """

    path: str
    function: str

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return f"call({self.path}:{self.function})"

    @property
    def theory(self) -> Theory:
        """None: it may be anything."""
        return UNKNOWN

    def check(self, spec: OutputSpec) -> None:
        """Raises InvalidInput if there is no such function."""
        assert callable(self._called)

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """What the function says.

        Raises:
            InvalidInput: it fails, or says something else than true or false.
        """
        try:
            found = self._called(output)
        except Exception as error:
            raise InvalidInput(f"{self.text}: the function failed on {spec.summary(output)}: {error!r}") from error
        if not isinstance(found, bool | np.bool_):
            raise InvalidInput(f"{self.text}: the function must return True (redundant) or False, not {found!r}")
        return bool(found)

    @cached_property
    def _called(self) -> Callable[[Array], object]:
        path = Path(self.path)
        spec = importlib.util.spec_from_file_location(f"infilink_rule_{path.stem}", path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise InvalidInput(f"{self.text}: there is no Python file {path}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found = getattr(module, self.function, None)
        if not callable(found):
            raise InvalidInput(f"{self.text}: {path} has no function {self.function!r}")
        called: Callable[[Array], object] = found
        return called
