"""Units of declared costs: what is a time becomes seconds, anything else (tokens, pixels) is only a share of the work."""

from __future__ import annotations

from partitioner.errors import ConfigError

SECONDS = "seconds"

_TIMES = {
    1e-6: ("us", "usec", "microsecond", "microseconds"),
    1e-3: ("ms", "msec", "millisecond", "milliseconds"),
    1.0: ("s", "sec", "secs", "second", SECONDS),
    60.0: ("min", "mins", "minute", "minutes"),
    3600.0: ("h", "hour", "hours"),
}
_FACTORS = {name: factor for factor, names in _TIMES.items() for name in names}


def in_seconds(unit: object) -> tuple[float, str]:
    """What values in ``unit`` are multiplied by, and the unit that they are in then; ConfigError for what is no name."""
    if not isinstance(unit, str) or not unit.strip():
        raise ConfigError(
            f"unit = {unit!r}; name what the numbers count: seconds, ms, minutes or hours, which predict time, or such as "
            "tokens."
        )
    factor = _FACTORS.get(unit.strip().lower())
    return (1.0, unit.strip()) if factor is None else (factor, SECONDS)
