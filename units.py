"""Amounts as people write them: memory (`200MiB`), processors (`1.5 cores`), speeds (`10Mbit`), times (`2s`)."""

import os
import re
from collections.abc import Mapping

from .errors import InvalidInput
from .outputs import Kind, OutputSpec

LINK_FORMS = "500kbit, 10Mbit, 1Gbit (bits a second; /s and bps may follow), or 1.25MB/s (bytes a second)"

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%|[KMG]i?B|B)?\s*", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_BITS_A_SECOND = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?)(bit/s|bits/s|bits|bit|bps|b/s)\s*", re.IGNORECASE)
_BYTES_A_SECOND = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KkMmGg]?)(B|B/s|byte/s|bytes/s)\s*")
_CORES = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(?:cores?)?", re.IGNORECASE)
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|min|h)?")
_SECONDS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_PREFIXES = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
_NUMBER_BYTES = 4
# Of the kinds whose outputs have any size: 8 boxes of six numbers, 64 tokens of eight bytes, a mask of 64 by 64 bytes.
_TYPICAL_BYTES: dict[Kind, int] = {"boxes": 8 * 6 * _NUMBER_BYTES, "tokens": 64 * 8, "mask": 64 * 64}


def parse_budget(text: str, sizes: Mapping[str, int]) -> int:
    """A budget in bytes.

    Args:
        text: a number with B, KB, MB, GB, KiB, MiB or GiB, or a percentage of what all the models take together.
        sizes: the bytes that each model takes, measured.

    Raises:
        InvalidInput: not a budget, or smaller than the smallest model.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise InvalidInput(f"budget {text!r}: write a size (200MiB, 1.5GiB) or a share of all the models (40%)")
    number, unit = float(found.group(1)), (found.group(2) or "").upper()
    total = sum(sizes.values())
    size_bytes = int(total * number / 100) if unit == "%" else int(number * _SIZE_UNITS[unit])
    if sizes:
        smallest = min(sizes, key=lambda name: sizes[name])
        least = sizes[smallest]
        if size_bytes < least:
            raise InvalidInput(
                f"budget {text}: {format_bytes(size_bytes)} is less than the smallest model takes ({smallest}: "
                f"{format_bytes(least)}; all {len(sizes)} together: {format_bytes(total)}); give at least "
                f"{least // 2**20 + 1}MiB"
            )
    return size_bytes


def parse_size(text: str) -> int:
    """A size in bytes: `200MiB`, `1.5GiB`, or a number of bytes.

    Raises:
        InvalidInput: it is none.
    """
    found = _SIZE.fullmatch(text)
    if found is None or found.group(2) == "%":
        raise InvalidInput(f"size {text!r}: write a number with B, KB, MB, GB, KiB, MiB or GiB: 200MiB, 1.5GiB")
    return int(float(found.group(1)) * _SIZE_UNITS[(found.group(2) or "").upper()])


def parse_compute(text: str) -> float:
    """The processors that may be used, in cores: `1.5 cores`, `0.5`, or `all` that this process may run on.

    Raises:
        InvalidInput: it is none of these, or is 0; the message lists the forms.
    """
    if text.strip().lower() == "all":
        affinity = getattr(os, "sched_getaffinity", None)
        return float(len(affinity(0)) if affinity is not None else os.cpu_count() or 1)
    found = _CORES.fullmatch(text.strip())
    if found is None or float(found.group(1)) <= 0:
        raise InvalidInput(f'compute {text!r}: write a number of cores above 0 ("1.5 cores", "0.5"), or "all"')
    return float(found.group(1))


def format_bytes(size_bytes: float) -> str:
    """A size for people: "512 B", "3.1 KiB", "51.9 MiB", "1.4 GiB"."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size_bytes) < 1024:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} GiB"


def parse_link(text: str) -> float:
    """A link's speed in bits a second.

    A capital `B` is bytes, as in `MB/s`; everything else is bits. Prefixes are of a thousand each.

    Raises:
        InvalidInput: it is no speed, or is 0; the message lists the forms.
    """
    # Bytes first: only their capital tells MB/s from Mb/s.
    for pattern, bits in ((_BYTES_A_SECOND, 8.0), (_BITS_A_SECOND, 1.0)):
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


def typical_bytes(output: OutputSpec) -> int:
    """The bytes of one output: exact where the kind has one size; else of 8 boxes, 64 tokens, a mask of 64 by 64."""
    if output.kind in _TYPICAL_BYTES:
        return _TYPICAL_BYTES[output.kind]
    (length,) = output.shape
    return length * _NUMBER_BYTES


def parse_seconds(text: str) -> float:
    """`2s`, `500ms`, `1.5min`, `1h`, or a number of seconds.

    Raises:
        InvalidInput: saying what the form is.
    """
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidInput(f"{text!r} is no length of time: give a number and ms, s, min or h: 500ms, 2s, 1.5min")
    return float(found["number"]) * _SECONDS[found["unit"] or "s"]
