"""The errors infilink raises on purpose; everything else is a bug.

```
InfilinkError
├── InvalidInput        the caller's data or configuration is wrong: says what, where, and what is allowed
│   └── NotCertified    what was learnt is not proven to keep what was asked for: says how much more it takes
├── NotAllowed          who asks may not do that
│   └── NotKnown        who asks gave no token or certificate that is known here
├── UnknownModel        no model of that name is known here
├── OutOfMemory         the memory budget has no room for what was asked
├── Overloaded          there is no place for it now; try again later
│   └── QueueFull       too much waits already, or it would be too late: says when to try again
├── ModelFailed         a model was loaded and then failed on an input
│   └── BadOutput       what it gave for this one input can't be used; the model runs on, the next input may be fine
├── Incompatible        the two sides speak no common version of the wire
├── Unavailable         the other side can't be reached (unlike Overloaded: nobody answered)
└── DeadlineExceeded    the answer would come too late to be of use
```
Each class carries the gRPC status it travels as, so that a service maps any of them by `error.code`.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc


class _Status:
    """A gRPC status by its name, found when it is asked for: most commands and all decoders do without gRPC."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, error: object, kind: type) -> "grpc.StatusCode":
        import grpc

        return grpc.StatusCode[self.name]


class InfilinkError(Exception):
    """Base of every error infilink raises on purpose."""

    code = _Status("INTERNAL")


class InvalidInput(InfilinkError, ValueError):
    """The caller's data or configuration is wrong; *not* a failure of ours."""

    code = _Status("INVALID_ARGUMENT")


class NotCertified(InvalidInput):
    """What was learnt is not proven to keep what was asked for, so that nothing was written."""

    code = _Status("FAILED_PRECONDITION")


class NotAllowed(InfilinkError):
    """Who asks is known, and may not do that."""

    code = _Status("PERMISSION_DENIED")


class NotKnown(NotAllowed):
    """Who asks gave no token or certificate that is known here."""

    code = _Status("UNAUTHENTICATED")


class UnknownModel(InfilinkError):
    """No model of that name is known here."""

    code = _Status("NOT_FOUND")

    def __init__(self, name: str, known: tuple[str, ...] | list[str] = ()) -> None:
        self.name = name
        self.known = tuple(known)
        listed = f"; known models: {', '.join(sorted(self.known))}" if self.known else ""
        super().__init__(f"no model is called {name!r}{listed}")


class OutOfMemory(InfilinkError):
    """The memory budget has no room; carries how much was asked and how much was free."""

    code = _Status("RESOURCE_EXHAUSTED")

    def __init__(self, what: str, *, needed_bytes: int, free_bytes: int) -> None:
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes
        super().__init__(
            f"{what} needs {needed_bytes / 2**20:.1f} MiB and the budget has {free_bytes / 2**20:.1f} MiB free"
        )


class Overloaded(InfilinkError):
    """A queue is full, or all places are taken: the request was refused, not lost; try again later.

    Args:
        what: what is full.
        retry_after_s: when to try again; 0: that is not known.
    """

    code = _Status("UNAVAILABLE")

    def __init__(self, what: str, *, retry_after_s: float = 0.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(what)

    @property
    def retry_after_ms(self) -> int:
        """When to try again, in whole milliseconds; where that is known at least one."""
        return math.ceil(1000 * self.retry_after_s)


class QueueFull(Overloaded):
    """Too much waits already, or it would be answered too late; says when to try again."""

    code = _Status("RESOURCE_EXHAUSTED")

    def __init__(self, what: str, *, retry_after_s: float) -> None:
        super().__init__(f"{what}; try again in {retry_after_s:.2g} s", retry_after_s=max(0.001, retry_after_s))


class ModelFailed(InfilinkError):
    """A model was loaded and failed on an input, or its process ended."""

    code = _Status("INTERNAL")


class BadOutput(ModelFailed):
    """What a model gave for one input can't be used (NaN, a class there is not); its process runs on.

    Any other `ModelFailed` says that the model can't run, or that its spec does not fit.
    """

    code = _Status("INTERNAL")


class Incompatible(InfilinkError):
    """The two sides speak no common version of the wire: another attempt would not help."""

    code = _Status("FAILED_PRECONDITION")


class Unavailable(InfilinkError):
    """The other side can't be reached: nobody answered (a full queue is `Overloaded`)."""

    code = _Status("UNAVAILABLE")


class DeadlineExceeded(InfilinkError):
    """The answer would come too late to be of use, so the work was dropped."""

    code = _Status("DEADLINE_EXCEEDED")
