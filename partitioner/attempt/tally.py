"""What one attempt counts while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa


@dataclass(slots=True)
class Tally:
    """Counts of one attempt while it runs."""

    rows_in: int = 0
    rows_out: int = 0
    rows_written: int = 0
    quarantined: int = 0
    bytes_read: int = 0
    read_seconds: float = 0.0
    segments: list[tuple[int, int]] = field(default_factory=list)
    poison: list[tuple[pa.RecordBatch, list[str]]] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """What the output file says of itself: the same for every attempt at the sub-task."""
        return {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rows_written": self.rows_written,
            "quarantined": self.quarantined,
            "bytes_read": self.bytes_read,
            "segments": self.segments,
        }
