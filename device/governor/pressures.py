"""How far each reading is on its way from ease to its limit, and how high on the ladder it may push."""

from collections.abc import Iterator

from ...units import format_bytes
from .ladder import Level, Pressure
from .sensors import Readings
from .settings import GovernorSettings

_HEAT_MARGIN_C = 5.0
_CPU_MARGIN = 0.12
# So many times its limit what is left of something is at ease.
_BATTERY_EASE = 1.5
_FREE_EASE = 2.0


def pressures(settings: GovernorSettings, readings: Readings) -> list[Pressure]:
    """Every reading that there is and that has a limit.

    Heat and a battery press up to `local`, since radio, processor and encoder all take power. A link presses up to
    `features`: it is of no use to a slow link that nothing is sent. What the processor, memory and disk bear is
    helped by fewer inputs alone.
    """
    return [*_of_device(settings, readings), *_of_link(settings, readings)]


def _of_device(limits: GovernorSettings, now: Readings) -> Iterator[Pressure]:
    if now.temperature_c is not None and limits.temperature_c:
        value = _way(now.temperature_c, limits.temperature_c - _HEAT_MARGIN_C, limits.temperature_c)
        text = f"{now.temperature_c:.1f} °C, `temperature_c` is {limits.temperature_c:g}"
        yield Pressure("temperature", value, Level.LOCAL, text)
    if now.throttled and limits.throttling:
        # It does not say how far: never far beyond a limit.
        yield Pressure("throttling", 1.0, Level.SLOWER, f"the firmware says: {', '.join(now.throttled)}")
    if now.cpu_share is not None and limits.cpu_share:
        value = _way(now.cpu_share, limits.cpu_share - _CPU_MARGIN, limits.cpu_share)
        yield Pressure(
            "processors",
            value,
            Level.SLOWER,
            f"{now.cpu_share:.0%} of the processors, `cpu_share` is {limits.cpu_share:g}",
        )
    if now.memory_free_share is not None and limits.memory_free_share:
        value = _way(now.memory_free_share, _FREE_EASE * limits.memory_free_share, limits.memory_free_share)
        text = f"{now.memory_free_share:.1%} of the memory is free, `memory_free_share` is {limits.memory_free_share:g}"
        yield Pressure("memory", value, Level.SLOWER, text)
    if now.battery_share is not None and limits.battery_share:
        value = _way(now.battery_share, _BATTERY_EASE * limits.battery_share, limits.battery_share)
        text = f"the battery is at {now.battery_share:.0%}, `battery_share` is {limits.battery_share:g}"
        yield Pressure("battery", value, Level.LOCAL, text)
    if now.disk_free_bytes is not None and limits.disk_free_bytes:
        value = _way(now.disk_free_bytes, _FREE_EASE * limits.disk_free_bytes, limits.disk_free_bytes)
        limit = format_bytes(limits.disk_free_bytes)
        yield Pressure(
            "disk",
            value,
            Level.SLOWER,
            f"{format_bytes(now.disk_free_bytes)} of the disk are free, `disk_free_bytes` is {limit}",
        )


def _of_link(limits: GovernorSettings, now: Readings) -> Iterator[Pressure]:
    if now.round_trip_s is not None and limits.round_trip_s:
        value = _way(now.round_trip_s, limits.round_trip_s / 2, limits.round_trip_s)
        text = f"answers take {now.round_trip_s:.1f} s, `round_trip_s` is {limits.round_trip_s:g}"
        yield Pressure("round trip", value, Level.FEATURES, text)
    if now.lost_share is not None and limits.lost_share:
        value = _way(now.lost_share, limits.lost_share / 2, limits.lost_share)
        text = f"{now.lost_share:.0%} of what is kept can't be sent in time, `lost_share` is {limits.lost_share:g}"
        yield Pressure("lost", value, Level.FEATURES, text)
    if now.send_bytes_per_s is not None and limits.send_bytes_per_s:
        value = _way(now.send_bytes_per_s, limits.send_bytes_per_s / 2, limits.send_bytes_per_s)
        limit = format_bytes(limits.send_bytes_per_s)
        yield Pressure(
            "sent",
            value,
            Level.FEATURES,
            f"{format_bytes(now.send_bytes_per_s)}/s are sent, `send_bytes_per_s` is {limit}/s",
        )


def _way(value: float, ease: float, limit: float) -> float:
    """0 at ease, 1 at the limit, on whichever side that lies."""
    return (value - ease) / (limit - ease)
