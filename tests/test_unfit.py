"""A map beside lists, for which Arrow has an error of its own, is told by column wherever columns are brought together."""

from __future__ import annotations

import pyarrow as pa
import pytest

from connectors.parquet import fitted as read
from partitioner.errors import DataError, RunFailed
from partitioner.output.schemas import fitted as written

MAPS = {"m": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))}
LISTS = pa.schema([("m", pa.list_(pa.int64()))])


def test_in_a_file_that_is_read() -> None:
    with pytest.raises(DataError, match=r"f\.parquet: column 'm' does not fit into list"):
        read(pa.record_batch(MAPS), LISTS, "f.parquet")


def test_in_a_file_that_was_written() -> None:
    with pytest.raises(RunFailed, match="column 'm' of t000001 is map<string, int64> and does not fit exactly"):
        written(pa.table(MAPS), LISTS, "t000001")
