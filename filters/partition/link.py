"""The speed of a link as a user writes it: `10Mbit`, `500kbit/s`, `1.25MB/s`."""

import re

from ...errors import InvalidInput

LINK_FORMS = "500kbit, 10Mbit, 1Gbit (bits a second; /s and bps may follow), or 1.25MB/s (bytes a second)"
_PREFIXES = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
_BANDWIDTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?)(bit/s|bits/s|bits|bit|bps|b/s)\s*", re.IGNORECASE)
_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KkMmGg]?)(B|B/s|byte/s|bytes/s)\s*")


def parse_link(text: str) -> float:
    """A link's speed in bits a second.

    A capital `B` is bytes, as in `MB/s`; everything else is bits. Prefixes are of a thousand each.

    Raises:
        InvalidInput: it is no speed, or is 0; the message lists the forms.
    """
    # Bytes first: only their capital tells MB/s from Mb/s.
    for pattern, bits in ((_BYTES, 8.0), (_BANDWIDTH, 1.0)):
        found = pattern.fullmatch(text)
        if found is not None and float(found.group(1)) > 0:
            return float(found.group(1)) * _PREFIXES[found.group(2).upper()] * bits
    raise InvalidInput(f"link {text!r}: write a speed above 0: {LINK_FORMS}")


def format_link(link_bps: float) -> str:
    """A link's speed for people: "10 Mbit/s"."""
    for prefix in ("", "k", "M"):
        if link_bps < 1000:
            return f"{link_bps:g} {prefix}bit/s"
        link_bps /= 1000
    return f"{link_bps:g} Gbit/s"
