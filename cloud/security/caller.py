"""Who calls, and what they may do: scopes, and the devices they may send as."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal, get_args

from ...errors import NotAllowed

Scope = Literal["device", "reader", "operator"]
"""device: has models run; reader: sees what goes on and what came of it; operator: both, and changes what runs."""

SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Caller:
    """Who calls.

    Attributes:
        name: the token's name, or the certificate's.
        scopes: what it may do; `operator` includes the others.
        bindings: what is asked for a device's name has to fit each of these: patterns (`*` and `?`), one of which fits.
        expires_s: Unix time from which it may do nothing any more; infinite: never.
        revision: which reading of the file of tokens says so; 0: it does not.
        since_s: Unix time when what it shows was made; 0: not known.
    """

    name: str
    scopes: frozenset[Scope]
    bindings: tuple[tuple[str, ...], ...] = ()
    expires_s: float = float("inf")
    revision: int = 0
    since_s: float = 0.0

    @property
    def only_device(self) -> str | None:
        """The one device that it may send as; None: it may as others, or as none."""
        names = self.bindings[0] if len(self.bindings) == 1 else ()
        return names[0] if len(names) == 1 and not set("*?[") & set(names[0]) else None

    def require(self, scope: Scope) -> None:
        """Makes sure that it may do what needs this scope.

        Raises:
            NotAllowed: it may not.
        """
        if scope not in self.scopes and "operator" not in self.scopes:
            raise NotAllowed(f"{self.name} has the scope {_listed(self.scopes)}, and this needs {scope!r}")

    def check_device(self, device: str) -> None:
        """Makes sure that it may send as a device of this name.

        Raises:
            NotAllowed: it may not.
        """
        for patterns in self.bindings:
            if not any(fnmatchcase(device, pattern) for pattern in patterns):
                raise NotAllowed(f"{self.name} may send as {', '.join(patterns)}, not as {device!r} (`name`)")

    def bound_to(self, devices: Iterable[str]) -> "Caller":
        """The same, which may send as these devices only."""
        return replace(self, bindings=(*self.bindings, tuple(devices)))


ANYONE = Caller("whoever asks", frozenset(SCOPES))
"""Where neither tokens nor certificates are asked for."""

_current: ContextVar[Caller] = ContextVar("caller", default=ANYONE)


def current_caller() -> Caller:
    """Who makes the call that is being answered."""
    return _current.get()


@contextmanager
def called_by(caller: Caller) -> Iterator[None]:
    """Within it, `current_caller` is this one."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)


def _listed(scopes: Iterable[str]) -> str:
    return " and ".join(repr(scope) for scope in SCOPES if scope in scopes) or "of nothing"
