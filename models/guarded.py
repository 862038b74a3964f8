"""Calls of a user's own code."""

from collections.abc import Callable
from typing import Any

from ..errors import InvalidInput


def guarded(call: Callable[[], Any], what: str) -> Any:
    """Calls the user's code; whatever it raises becomes one line."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        raise InvalidInput(f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:300]}") from error
