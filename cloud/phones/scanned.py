"""What a phone scans: the address of its page with a code that counts once."""

from io import StringIO

import segno

# What is seen on a screen needs little to spare; a terminal has little room around it.
_LEVEL = "l"
_QUIET, _QUIET_IN_TERMINAL = 4, 2
_LIGHT_ON_DARK, _AS_BEFORE = "\x1b[97;40m", "\x1b[0m"


def with_code(page: str, code: str) -> str:
    """The address by which a phone enrolls. What follows the `#` stays in the browser: it is in nobody's log.

    Args:
        page: the address of its page.
        code: without what follows its dot, which is for other devices.
    """
    return f"{page}#{code.partition('.')[0]}"


def as_text(address: str, *, colours: bool) -> str:
    """The address to be scanned off a terminal: two rows of it in a line of text.

    Args:
        address: what is to be scanned.
        colours: whether to say which are light and which are dark; else it is taken for granted that text is light.
    """
    drawn = StringIO()
    segno.make_qr(address, error=_LEVEL).terminal(drawn, border=_QUIET_IN_TERMINAL, compact=True)
    lines = drawn.getvalue().rstrip("\n").split("\n")
    return "\n".join(f"{_LIGHT_ON_DARK}{line}{_AS_BEFORE}" for line in lines) if colours else "\n".join(lines)


def as_svg(address: str) -> str:
    """The address to be scanned off a page."""
    return segno.make_qr(address, error=_LEVEL).svg_inline(scale=5, border=_QUIET, light="#fff")
