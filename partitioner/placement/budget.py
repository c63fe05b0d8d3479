"""How much an algorithm may do: until a time, or a number of steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from partitioner.errors import ConfigError
from partitioner.placement import clock


@dataclass(frozen=True, slots=True)
class Budget:
    """``seconds`` at most, infinity for no limit; ``counted`` in steps of a microsecond instead of read off a clock."""

    seconds: float
    counted: bool

    @contextmanager
    def running(self) -> Iterator[float]:
        """Inside the budget runs; yields the deadline, a reading of ``clock.now()``."""
        if not self.counted:
            yield time.monotonic() + self.seconds
            return
        with clock.counted():
            yield self.seconds


def budget_of(
    name: str, counts: bool, anytime: bool, default: float, time_limit: float | None, steps: int | None
) -> Budget:
    """The budget of algorithm ``name``; ConfigError for both limits, one that is not above 0, or steps it cannot count."""
    if time_limit is not None and steps is not None:
        raise ConfigError(f"time limit {time_limit} s and {steps} steps: give one of them, seconds or steps.")
    if time_limit is not None:
        return Budget(_above_zero(time_limit, "time limit", " s", "0.01"), False)
    if steps is not None:
        if anytime and not counts:
            raise ConfigError(
                f"placement {name!r} stops by the clock and counts no steps; give it a time limit in seconds instead."
            )
        return Budget(_above_zero(steps, "steps", "", "10_000") * clock.STEP_SECONDS, counts)
    return Budget(default, counts)


def _above_zero(value: float, what: str, unit: str, example: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigError(
            f"{what} {value}{unit}: it must be above 0. Any small limit works, such as {example}; "
            "leave it out for the default."
        )
    return float(value)
