"""A memory budget as a user writes it: `200MiB`, `1.5GiB`, `40%` of what all the models would take."""

import re
from collections.abc import Mapping

from .errors import InvalidInput

_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%|[KMG]i?B|B)?\s*", re.IGNORECASE)


def parse_budget(text: str, sizes: Mapping[str, int]) -> int:
    """A budget in bytes.

    Args:
        text: a number with B, KB, MB, GB, KiB, MiB or GiB, or a percentage of what all the models take together.
        sizes: the bytes that each model takes, measured.

    Raises:
        InvalidInput: not a budget, or smaller than the smallest model.
    """
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise InvalidInput(f"budget {text!r}: write a size (200MiB, 1.5GiB) or a share of all the models (40%)")
    number, unit = float(found.group(1)), (found.group(2) or "").upper()
    total = sum(sizes.values())
    size_bytes = int(total * number / 100) if unit == "%" else int(number * _UNITS[unit])
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


def format_bytes(size_bytes: float) -> str:
    """A size for people: "512 B", "3.1 KiB", "51.9 MiB", "1.4 GiB"."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size_bytes) < 1024:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} GiB"
