"""One-time codes by which new devices enroll: short-lived, kept as hashes, and not to be found by guessing."""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import NotKnown, Overloaded
from ..security.quotas import Rate

DEFAULT_MINUTES, MOST_MINUTES = 15, 24 * 60
_MOST = 256
# No letters that are read for others; 80 random bits.
_LETTERS, _LENGTH = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 16
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
# Wrong codes: of an address five at once and then one in 20 s, of all together sixty and five a second.
_OF_ONE_PER_S, _OF_ONE_AT_ONCE = 0.05, 5
_OF_ALL_PER_S, _OF_ALL_AT_ONCE = 5.0, 60
_MOST_ADDRESSES = 1000


@dataclass(frozen=True)
class Code:
    """What a code is for.

    Attributes:
        device: the device that enrolls by it.
        by: who made it.
        expires_s: Unix time.
    """

    device: str
    by: str
    expires_s: float


class Codes:
    """The codes that hold now, in memory: who starts the coordinator anew makes new ones.

    Args:
        unix_s: Unix time.
        clock: seconds that never go back.
    """

    def __init__(self, *, unix_s: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic) -> None:
        self.unix_s = unix_s
        self.clock = clock
        self._codes: OrderedDict[str, Code] = OrderedDict()
        self._wrong = self._rate(_OF_ALL_PER_S, _OF_ALL_AT_ONCE)
        self._wrong_of: OrderedDict[str, Rate] = OrderedDict()

    def new(self, device: str, by: str, minutes: int) -> tuple[str, Code]:
        """A code, which is kept nowhere, and what it is for; an earlier one for the same device holds no more.

        Raises:
            Overloaded: too many wait to be used.
        """
        self._forget_old()
        self._codes = OrderedDict((key, code) for key, code in self._codes.items() if code.device != device)
        if len(self._codes) >= _MOST:
            raise Overloaded(f"{_MOST} codes wait to be used already: they end by themselves")
        text = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        code = self._codes[_digest(text)] = Code(device, by, self.unix_s() + 60.0 * minutes)
        return "-".join(text[at : at + 4] for at in range(0, _LENGTH, 4)), code

    def find(self, text: str, address: str) -> Code:
        """What a code is for; it still holds.

        Args:
            text: as a device gives it.
            address: who asks; after some wrong codes it has to wait.

        Raises:
            NotKnown: there is no such code, or its time is over.
            Overloaded: too many wrong ones came lately.
        """
        self._forget_old()
        rate = self._wrong_of.get(address)
        wait_s = max(self._wrong.owed_s, 0.0 if rate is None else rate.owed_s)
        if wait_s:
            raise Overloaded("too many wrong codes came lately: wait a minute", retry_after_s=max(1.0, wait_s))
        code = self._codes.get(_digest(text))
        if code is None:
            self._take_wrong(address)
            raise NotKnown("the code is wrong, was used already, or its time is over: ask for another one")
        return code

    def use(self, text: str) -> None:
        """A code holds no more."""
        self._codes.pop(_digest(text), None)

    def cancel(self, device: str) -> None:
        """No code for a device holds any more."""
        self._codes = OrderedDict((key, code) for key, code in self._codes.items() if code.device != device)

    def _forget_old(self) -> None:
        now_s = self.unix_s()
        self._codes = OrderedDict((key, code) for key, code in self._codes.items() if code.expires_s > now_s)

    def _take_wrong(self, address: str) -> None:
        self._wrong.take(1)
        rate = self._wrong_of.setdefault(address, self._rate(_OF_ONE_PER_S, _OF_ONE_AT_ONCE))
        self._wrong_of.move_to_end(address)
        rate.take(1)
        while len(self._wrong_of) > _MOST_ADDRESSES:
            self._wrong_of.popitem(last=False)

    def _rate(self, per_s: float, at_once: int) -> Rate:
        return Rate(per_s, burst_s=at_once / per_s, clock=self.clock)


def is_code(text: str) -> bool:
    """Whether a text could be a code, as a person types it."""
    plain = _plain(text)
    return len(plain) == _LENGTH and set(plain) <= set(_LETTERS)


def _plain(text: str) -> str:
    return text.upper().translate(_READ_AS)


def _digest(text: str) -> str:
    plain = _plain(text)
    return hashlib.sha256(plain.encode(errors="replace")).hexdigest()
