"""How the program is called: what a batch is, and how many calls of an async program run at once."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveFloat, field_validator

from partitioner.config.section import Section, names, numbers, shaping


class Calls(Section):
    """How the program is called: what a batch is, and how many calls of an async program run at once."""

    batch_format: Literal["pandas", "numpy", "arrow", "polars", "rows", "torch"] = shaping(
        "pandas", description="What the program is given; rows is a list of dicts."
    )
    batch_size: int | Literal["auto"] | None = shaping(
        None, description="Rows per call; by default all rows of a sub-task at once."
    )
    max_batch_weight: PositiveFloat | Literal["auto"] | None = shaping(
        None, description="Bound on the summed weight of a batch; auto: the largest whose memory is safe, by a pilot."
    )
    weight: Any = shaping(
        None, description="Weight of a row: a column, an expression such as len(text), or a function."
    )
    sort_by_weight: bool = shaping(False, description="Rows of like weight share a batch; output order is restored.")
    padded: bool = shaping(False, description="A batch weighs rows times its heaviest row, as a padded tensor does.")
    max_concurrency: int | None = Field(
        None, ge=1, description="Calls of an async program at once, per running sub-task; 16 by default."
    )
    rate_limit: float | None = Field(
        None, gt=0, description="Calls of an async program per second, per running sub-task."
    )
    retry_on: list[str] = Field(
        [], description="Names of errors after which one call of an async program is tried again, later and later."
    )
    retry_calls: int = Field(5, ge=0, description="Further tries of a call that ended in an error of retry_on.")
    retry_backoff: float = Field(
        0.5, ge=0, description="Seconds before the first of these tries; doubled each time, a minute at most."
    )

    _call_numbers = numbers(
        *("batch_size", "max_batch_weight", "max_concurrency", "rate_limit", "retry_calls", "retry_backoff")
    )
    _call_names = names("retry_on")

    @field_validator("batch_size")
    @classmethod
    def _rows_of_a_batch(cls, value: Any) -> Any:
        if isinstance(value, int) and value < 1:
            raise ValueError("write a number of rows of at least 1, or 'auto'")
        return value
