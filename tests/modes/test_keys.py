"""Incremental runs by key and watermark: each night's output is that of a fresh run over its input."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import partitioner as pt
from tests import programs
from tests.modes.schedule import Schedule

BY = {"key": "id", "watermark": "at"}


class Table(Schedule):
    """One table of rows with an id, the time they last changed, and a value; three row groups."""

    def rows(self, rows: Mapping[int, tuple[int, int]], groups: int = 3) -> None:
        table = pa.table(
            {
                "id": pa.array(list(rows), pa.int64()),
                "at": pa.array([at for at, _ in rows.values()], pa.int64()),
                "x": pa.array([x for _, x in rows.values()], pa.int64()),
            }
        )
        size = max(-(-len(rows) // groups), 1)
        pq.write_table(table, self.home / "in" / "t.parquet", row_group_size=size)

    def night(self, **options: Any) -> int:
        """Rows that ran; the output is checked against a fresh run."""
        run = self.start("incremental", **{"incremental": BY, **options})
        assert self.shown == self.expected
        assert run.result.to_pandas()["y"].tolist() == self.expected
        assert run.counts["rows_in"] == len(self.expected)
        return sum(record.rows_in for record in run.records)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    table = Table(tmp_path, columns=["x"])
    table.rows({i: (0, 10 * i) for i in range(12)})
    return table


def test_only_rows_with_a_new_key_or_watermark_run(table: Table) -> None:
    assert table.night() == 12
    rows = {i: (0, 10 * i) for i in range(12)}
    table.rows(rows | {5: (1, 7)})  # changed
    assert table.night() == 1
    rows = {i: (0, 10 * i) for i in range(12) if i not in (2, 3)} | {5: (1, 7), 20: (0, 3)}  # two gone, one late
    table.rows(rows)
    assert table.night() == 1
    table.rows(dict(sorted(rows.items(), reverse=True)), groups=2)  # another order, other row groups
    assert table.night() == 0
