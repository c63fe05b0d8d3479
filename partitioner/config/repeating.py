"""What the next run does with the output of the one before, and how sure what is written is."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from partitioner.config.section import Section, durations, numbers, shaping


class Repeating(Section):
    """What the next run does with the output of the one before, and how sure what is written is."""

    mode: Literal["error", "resume", "overwrite", "append", "incremental"] = Field(
        "error",
        description="Where the output holds something: refuse; go on with its run; replace it; add to it; run what changed.",
    )
    incremental: dict[str, Any] | None = shaping(
        None,
        description="How mode incremental tells rows: {key: id, watermark: updated_at}, or {watermark: ...} where rows are "
        "only added; by files where it is not given.",
    )
    name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=100,
        description="Name of the runs of a schedule, of at most 100 characters: it ends the names of their directories.",
    )
    verify: Literal["footer", "full"] = Field(
        "footer",
        description="Check of committed files before the end and at resume: size and footer, or every page of every file.",
    )
    lease_seconds: float = Field(
        60.0, gt=0, description="Seconds without a heartbeat after which another driver may take a run over."
    )
    fsync: Literal["end", "each", "never"] = Field(
        "end",
        description="On a local disk, output is on the medium before _SUCCESS (a resume after a reboot then reads it all), "
        "before each attempt ends, or when the system sees fit.",
    )

    _repeating_numbers = numbers("lease_seconds")
    _repeating_seconds = durations("lease_seconds")

    @field_validator("incremental")
    @classmethod
    def _rows_told(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """Columns of the key as a list, and the watermark."""
        if value is None:
            return None
        unknown = sorted(value.keys() - {"key", "watermark"})
        key, mark = value.get("key") or [], value.get("watermark")
        key = [key] if isinstance(key, str) else key
        named = isinstance(key, list | tuple) and all(isinstance(name, str) and name for name in key)
        if unknown or not named or not isinstance(mark, str) or not mark:
            raise ValueError("write {key: <column or columns>, watermark: <column>}, or the watermark alone")
        return {"key": list(key), "watermark": mark}
