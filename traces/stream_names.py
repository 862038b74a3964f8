"""What streams are called, in tables and settings: DEVICE, or DEVICE/STREAM; and which patterns mean them."""

from fnmatch import fnmatchcase

SLASH = "/"


def stream_name(device: str, stream: str) -> str:
    """What a device's stream is called; one without a name as the device is."""
    return f"{device}{SLASH}{stream}" if stream else device


def split_name(name: str) -> tuple[str, str]:
    """The device and the stream that a name is of; the stream is empty: the device's only one."""
    device, _, stream = name.partition(SLASH)
    return device, stream


def is_meant(name: str, pattern: str) -> bool:
    """Whether a pattern (`*`, `?`) means a stream; one without a slash means a device with all its streams."""
    return fnmatchcase(name, pattern) or (SLASH not in pattern and fnmatchcase(split_name(name)[0], pattern))
