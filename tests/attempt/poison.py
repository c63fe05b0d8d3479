"""Programs that fail on some rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tests.attempt.by_hand import doubled


def fails_on(*bad: int) -> Any:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        if set(bad) & set(batch.column("x").to_pylist()):
            raise ValueError("bad row")
        return doubled(batch)

    return program
