"""What becomes of an attempt that fails, takes long or drops rows."""

from __future__ import annotations

from math import inf
from typing import Literal

from pydantic import Field, field_validator

from partitioner.config.section import Section, numbers, shaping
from partitioner.errors import ConfigError
from partitioner.sizes import parse_seconds


class Attempts(Section):
    """What becomes of an attempt that fails, takes long or drops rows."""

    on_error: Literal["raise", "quarantine"] = Field("raise", description="What becomes of rows that keep failing.")
    preload: Literal["auto"] | bool = Field(
        "auto",
        description="Load a class once per machine and fork workers from there: True, False, or for classes that say so.",
    )
    max_retries: int = Field(2, ge=0, description="Further tries after the program raised.")
    timeout: float | str | None = Field(
        None,
        description="Seconds an attempt may take (also '10min'), or '3x': times the upper end of what is predicted for it.",
    )
    hand_over: bool = Field(
        True,
        description="Rows that a running sub-task has not begun go to idle workers where that saves seconds; the output has "
        "more files then.",
    )
    max_quarantined: int | float | None = Field(
        None, ge=0, description="Rows set aside at most: a number, or a share below 1 of all rows. Then the run stops."
    )
    allow_row_change: bool = shaping(False, description="The program may return fewer or more rows than it got.")

    _attempt_numbers = numbers("max_retries", "timeout", "max_quarantined")

    @field_validator("timeout")
    @classmethod
    def _seconds_or_times(cls, value: float | str | None) -> float | str | None:
        if value is not None:
            _limits(value)
        return value

    @field_validator("max_quarantined")
    @classmethod
    def _rows_or_share(cls, value: float | None) -> float | None:
        """1 is a row, 0.01 a share."""
        if value is None or 0 < value < 1:
            return value
        if value == inf or value != int(value):
            raise ValueError("write a whole number of rows, or a share below 1")
        return int(value)


def _limits(value: float | str) -> tuple[float, float]:
    text = str(value).strip()
    try:
        if not text.endswith("x"):
            return parse_seconds(text), inf
        times = float(text.removesuffix("x"))
    except (ValueError, ConfigError):
        times = 0.0
    if not 0 < times < inf:
        raise ValueError("write seconds above 0, such as 600 or '10min', or times the prediction, such as '3x'")
    return inf, times


def timeout_of(config: Attempts) -> tuple[float, float]:
    """Seconds that an attempt may take, and times the upper end of its prediction; infinite where not limited so."""
    return (inf, inf) if config.timeout is None else _limits(config.timeout)
