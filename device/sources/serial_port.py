"""Lines from a serial port, read straight from the terminal device: a sensor at a microcontroller."""

import errno
import os
import re
import termios
import time

from ...errors import InvalidInput, Unavailable
from .complaints import Complaints
from .feeds import Splitter, ThreadFeed

DEFAULT_BAUD = 115_200
_READ_BYTES = 2**14
_BAUDS = {int(name[1:]): value for name, value in vars(termios).items() if re.fullmatch(r"B[1-9]\d*", name)}


class SerialFeed(ThreadFeed):
    """Gives the lines that come over a serial port, each with the time of its arrival; eight bits, no parity.

    Args:
        where: the device, and its speed (`/dev/ttyUSB0?baud=9600`).
        complaints: told of lines that are lost.

    Raises:
        InvalidInput: it is no serial port, or has no such speed.
        Unavailable: it can't be opened: nothing is plugged in, or somebody else has it.
    """

    def __init__(self, where: str, complaints: Complaints) -> None:
        path, _, asked = where.partition("?")
        super().__init__(f"serial:{path}", complaints, loses=True)
        baud = _baud(self.name, asked)
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            raise Unavailable(f"{self.name}: can't be opened ({error.strerror}); is it plugged in?") from error
        try:
            _set_raw(self._file, _BAUDS[baud])
        except termios.error as error:
            os.close(self._file)
            raise InvalidInput(f"{self.name}: is no serial port") from error
        self.start(self._read)

    def _read(self) -> None:
        splitter = Splitter(self._complaints)
        whole = False
        try:
            for data in self.bytes_of(self._file, _READ_BYTES):
                if not data:
                    raise OSError(errno.EIO, "unplugged")
                lines = splitter.take(data)
                if lines and not whole:
                    # Its beginning may have gone before we listened, and half a number is a number; words are a header.
                    whole, lines = True, lines if re.search(rb"[A-Za-z]", lines[0]) else lines[1:]
                self.put(lines, time.monotonic())
        except OSError as error:
            self.end(Unavailable(f"{self.name}: is gone ({error.strerror})"))
        finally:
            os.close(self._file)


def _baud(name: str, asked: str) -> int:
    if not asked:
        return DEFAULT_BAUD
    key, _, value = asked.partition("=")
    if key != "baud" or not value.isdecimal() or int(value) not in _BAUDS:
        raise InvalidInput(f"{name}: {asked!r}: write baud=NUMBER, one of {', '.join(map(str, sorted(_BAUDS)))}")
    return int(value)


def _set_raw(file: int, speed: int) -> None:
    """Bytes as they come: nothing is echoed, changed or waited for."""
    iflag, oflag, cflag, lflag, _, _, control = termios.tcgetattr(file)
    iflag &= ~(
        termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR | termios.ISTRIP | termios.BRKINT
    )
    oflag &= ~termios.OPOST
    lflag &= ~(termios.ICANON | termios.ECHO | termios.ECHONL | termios.ISIG | termios.IEXTEN)
    cflag = cflag & ~(termios.CSIZE | termios.PARENB | termios.CSTOPB) | termios.CS8 | termios.CREAD | termios.CLOCAL
    control[termios.VMIN], control[termios.VTIME] = 1, 0
    termios.tcsetattr(file, termios.TCSANOW, [iflag, oflag, cflag, lflag, speed, speed, control])
