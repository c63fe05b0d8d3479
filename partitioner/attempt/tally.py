"""What one attempt counts while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from partitioner.attempt.isolate import poison_table, rows_digest
from partitioner.model.execution import spans_of


@dataclass(slots=True)
class Tally:
    """Counts of one attempt while it runs.

    ``position``: rows of the sub-task passed by, read or skipped; ``suspects``: rows that failed alone, with the reason, and
    that no other worker has said so of; ``surroundings``: rows that failed alone by disk, network or a service; ``key``: of
    the part that is left of the sub-task where its rows from some row on, of ``all_rows``, were handed over; ``left_out``:
    positions of rows set aside.
    """

    rows_in: int = 0
    rows_out: int = 0
    rows_written: int = 0
    quarantined: int = 0
    bytes_read: int = 0
    read_seconds: float = 0.0
    segments: list[tuple[int, int]] = field(default_factory=list)
    position: int = 0
    suspects: list[tuple[int, str]] = field(default_factory=list)
    surroundings: int = 0
    part: tuple[int, int] | None = None
    key: str = ""
    all_rows: int = 0
    inputs: list[tuple[int, int, int]] = field(default_factory=list)
    left_out: list[int] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    poison: list[tuple[pa.RecordBatch, list[str]]] = field(default_factory=list)
    quarantine: pa.Table | None = None
    quarantine_digest: str = ""
    quarantine_path: str = ""

    def count(self, batch: pa.RecordBatch, bad: Mapping[int, str]) -> None:
        """A batch was worked on: ``bad`` are the rows that failed, with their errors."""
        if bad:
            poison = sorted(bad)
            self.poison.append((batch.take(pa.array(poison, pa.int64())), [bad[i] for i in poison]))
        self.quarantined += len(bad)
        self.rows_out += batch.num_rows - len(bad)

    def facts(self) -> dict[str, Any]:
        """What the output file says of itself: the same for every attempt at the sub-task."""
        if self.poison:
            self.quarantine = poison_table(self.poison)
            self.quarantine_digest = rows_digest(self.quarantine)
        part: dict[str, Any] = {} if self.part is None else {"part": self.part}
        part |= {"key": self.key} if self.key else {}
        return part | {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rows_written": self.rows_written,
            "quarantined": self.quarantined,
            "quarantine_digest": self.quarantine_digest,
            "bytes_read": self.bytes_read,
            "segments": self.segments,
            **({"inputs": self.inputs} if self.inputs else {}),
            **({"left_out": spans_of(sorted(self.left_out))} if self.left_out else {}),
            **({"contents": self.contents} if self.contents else {}),
        }
