"""Rules made of rules: `a and b`, `a or b`."""

from dataclasses import dataclass

from ..outputs import Array, OutputSpec
from .predicates import Predicate
from .theory import Theory, joined


@dataclass(frozen=True)
class Both:
    """`a and b`: redundant by every one of its rules."""

    rules: tuple[Predicate, ...]

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return " and ".join(_operand(rule) for rule in self.rules)

    @property
    def theory(self) -> Theory:
        """The least promising of its rules' cases."""
        return joined(tuple(rule.theory for rule in self.rules))

    def check(self, spec: OutputSpec) -> None:
        """Fits what every one of its rules fits."""
        for rule in self.rules:
            rule.check(spec)

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether every rule says so."""
        return all(rule.redundant(output, spec) for rule in self.rules)


@dataclass(frozen=True)
class Either:
    """`a or b`: redundant by at least one of its rules."""

    rules: tuple[Predicate, ...]

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return " or ".join(_operand(rule) for rule in self.rules)

    @property
    def theory(self) -> Theory:
        """The least promising of its rules' cases."""
        return joined(tuple(rule.theory for rule in self.rules))

    def check(self, spec: OutputSpec) -> None:
        """Fits what every one of its rules fits."""
        for rule in self.rules:
            rule.check(spec)

    def redundant(self, output: Array, spec: OutputSpec) -> bool:
        """Whether at least one rule says so."""
        return any(rule.redundant(output, spec) for rule in self.rules)


def _operand(rule: Predicate) -> str:
    return f"({rule.text})" if isinstance(rule, Both | Either) else rule.text
