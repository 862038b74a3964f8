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

import grpc


class InfilinkError(Exception):
    """Base of every error infilink raises on purpose."""

    code: grpc.StatusCode = grpc.StatusCode.INTERNAL


class InvalidInput(InfilinkError, ValueError):
    """The caller's data or configuration is wrong; *not* a failure of ours."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotCertified(InvalidInput):
    """What was learnt is not proven to keep what was asked for, so that nothing was written."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class NotAllowed(InfilinkError):
    """Who asks is known, and may not do that."""

    code = grpc.StatusCode.PERMISSION_DENIED


class NotKnown(NotAllowed):
    """Who asks gave no token or certificate that is known here."""

    code = grpc.StatusCode.UNAUTHENTICATED


class UnknownModel(InfilinkError):
    """No model of that name is known here."""

    code = grpc.StatusCode.NOT_FOUND

    def __init__(self, name: str, known: tuple[str, ...] | list[str] = ()) -> None:
        self.name = name
        self.known = tuple(known)
        listed = f"; known models: {', '.join(sorted(self.known))}" if self.known else ""
        super().__init__(f"no model is called {name!r}{listed}")


class OutOfMemory(InfilinkError):
    """The memory budget has no room; carries how much was asked and how much was free."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, what: str, *, needed_bytes: int, free_bytes: int) -> None:
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes
        super().__init__(
            f"{what} needs {needed_bytes / 2**20:.1f} MiB and the budget has {free_bytes / 2**20:.1f} MiB free"
        )


class Overloaded(InfilinkError):
    """A queue is full: the request was refused, not lost; try again later."""

    code = grpc.StatusCode.UNAVAILABLE


class QueueFull(Overloaded):
    """Too much waits already, or it would be answered too late; says when to try again."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED

    def __init__(self, what: str, *, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"{what}; try again in {retry_after_s:.2g} s")

    @property
    def retry_after_ms(self) -> int:
        """The same in whole milliseconds, at least one."""
        return max(1, math.ceil(1000 * self.retry_after_s))


class ModelFailed(InfilinkError):
    """A model was loaded and failed on an input, or its process ended."""

    code = grpc.StatusCode.INTERNAL


class BadOutput(ModelFailed):
    """What a model gave for one input can't be used (NaN, a class there is not); its process runs on.

    Any other `ModelFailed` says that the model can't run, or that its spec does not fit.
    """

    code = grpc.StatusCode.INTERNAL


class Incompatible(InfilinkError):
    """The two sides speak no common version of the wire: another attempt would not help."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Unavailable(InfilinkError):
    """The other side can't be reached: nobody answered (a full queue is `Overloaded`)."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(InfilinkError):
    """The answer would come too late to be of use, so the work was dropped."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
