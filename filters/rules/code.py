"""Rules that are Python code of the user's: they run only where a person names the file in that very command.

A filter's file keeps such a rule's text and the digest of the Python file. It can't make it run: artifacts are data.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InvalidInput
from ...outputs import Array, OutputSpec
from .names import quoted
from .theory import UNKNOWN, Theory

if TYPE_CHECKING:
    from .parser import Rule

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-")


@dataclass(frozen=True)
class FunctionRule:
    """`call(rules.py:quiet)`: redundant if a Python function of the user's returns true for the output array.

    The file is read when outputs are judged: in training and evaluation. A device needs the filter alone.

    Attributes:
        path: the file, as it was written.
        function: the function's name.
        file: the file that a person named, which may run; None: none may.
        digest: that this file must have; "": any.
    """

    path: str
    function: str
    file: Path | None = field(default=None, compare=False)
    digest: str = field(default="", compare=False)

    @property
    def text(self) -> str:
        """The rule as it is written."""
        plain = self.path.endswith(".py") and _PLAIN.issuperset(self.path)
        return f"call({self.path if plain else quoted(self.path, always=True)}:{self.function})"

    @property
    def theory(self) -> Theory:
        """Unknown: the function may be anything."""
        return UNKNOWN

    def check(self, spec: OutputSpec) -> None:
        """Raises InvalidInput if nobody named the file, or there is no such function."""
        assert callable(self._loaded)

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """What the function returns.

        Raises:
            InvalidInput: nobody named the file, or the function fails or returns something other than true or false.
        """
        function = self._loaded
        try:
            found = function(output)
        except Exception as error:
            raise InvalidInput(f"{self.text}: the function failed on {spec.summary(output)}: {error!r}") from error
        if not isinstance(found, bool | np.bool_):
            raise InvalidInput(f"{self.text}: the function must return True (redundant) or False, not {found!r}")
        return bool(found)

    @cached_property
    def source(self) -> bytes:
        """What the file holds: it is read once, so that what is judged by is what has the digest.

        Raises:
            InvalidInput: nobody named it, it is not there, or it is another one.
        """
        if self.file is None:
            raise InvalidInput(
                f"the rule {self.text} is Python code in {self.path}, which runs only where you name that file "
                f"yourself: --rule-file {self.path}"
            )
        try:
            source = self.file.read_bytes()
        except OSError as error:
            raise InvalidInput(f"{self.text}: there is no Python file {self.file} ({error.strerror})") from error
        if self.digest and digest_of(source) != self.digest:
            raise InvalidInput(
                f"{self.file}: is another file than the rule {self.text} was learnt with (digest {digest_of(source)}, "
                f"not {self.digest}): name that one, or train the filter again"
            )
        return source

    @cached_property
    def _loaded(self) -> Callable[[Array], object]:
        source = self.source
        module = ModuleType(f"infilink_rule_{Path(self.path).stem}")
        module.__file__ = str(self.file)
        try:
            exec(compile(source, module.__file__, "exec"), module.__dict__)
        except Exception as error:
            raise InvalidInput(f"{self.text}: {self.file} can't be run: {error!r}") from error
        found = getattr(module, self.function, None)
        if not callable(found):
            raise InvalidInput(f"{self.text}: {self.file} has no function {self.function!r}")
        function: Callable[[Array], object] = found
        return function


def digest_of(source: bytes) -> str:
    """By what a Python file is known again."""
    return hashlib.sha256(source).hexdigest()[:16]


def functions_in(rule: "Rule") -> list[FunctionRule]:
    """The parts of a rule that are Python code."""
    if isinstance(rule, FunctionRule):
        return [rule]
    return [found for each in getattr(rule, "rules", ()) for found in functions_in(each)]


def runs(rule: "Rule") -> bool:
    """Whether outputs can be judged by it here: every part that is code is in a file that a person named."""
    return all(each.file is not None for each in functions_in(rule))


def digests_in(rule: "Rule") -> dict[str, str]:
    """The digests of the Python files that a rule names, by their paths in its text; only those that are known.

    Raises:
        InvalidInput: a file that a person named is not there.
    """
    found = {
        each.path: each.digest or ("" if each.file is None else digest_of(each.source)) for each in functions_in(rule)
    }
    return {path: digest for path, digest in found.items() if digest}


def with_files(rule: "Rule", files: Sequence[Path], digests: Mapping[str, str]) -> "Rule":
    """The same rule, but its code may run: that in the Python files that a person has named.

    Args:
        rule: as a filter's file has it.
        files: what was named; nothing runs that none of them has.
        digests: those that the files must have, by their paths in the rule's text.

    Raises:
        InvalidInput: files were named, and the rule is no code.
    """
    if files and not functions_in(rule):
        raise InvalidInput(f"rule file {files[0]}: the rule {rule.text!r} is no Python code: leave the file out")
    return _replaced(rule, files, digests)


def _file_for(path: str, files: Sequence[Path]) -> Path | None:
    """The named file that is written so; else one of the same name; else the only one that was named."""
    # It may have been written on another system.
    name = path.replace("\\", "/").rpartition("/")[2]
    alike = sorted((file for file in files if file.name == name), key=lambda file: file != Path(path))
    return alike[0] if alike else files[0] if len(files) == 1 else None


def _replaced(rule: "Rule", files: Sequence[Path], digests: Mapping[str, str]) -> "Rule":
    if isinstance(rule, FunctionRule):
        return replace(rule, file=_file_for(rule.path, files), digest=digests.get(rule.path, ""))
    parts = getattr(rule, "rules", None)
    if parts is None:
        return rule
    return replace(rule, rules=tuple(_replaced(each, files, digests) for each in parts))  # type: ignore[type-var]
