"""What Arrow refuses is told by column wherever columns are brought together; lack of memory is told as that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors import jsonl
from connectors.footers import corrupt
from connectors.jsonl import JsonLinesSource
from connectors.parquet import fitted as read
from partitioner.attempt import returned
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


def no_memory(*asked: Any) -> Any:
    raise pa.ArrowMemoryError("malloc of size 64 failed")


def test_memory_that_a_returned_value_lacks_is_no_fault_of_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returned, "_converted", no_memory)
    with pytest.raises(MemoryError, match="malloc of size 64 failed"):
        returned.to_record_batch({"x": [1]})


def test_memory_that_reading_lines_lacks_is_no_fault_of_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f.jsonl").write_text('{"x": 1}\n')
    dataset = JsonLinesSource(tmp_path).describe()
    monkeypatch.setattr(jsonl, "_read", no_memory)
    with pytest.raises(MemoryError, match="malloc of size 64 failed"):
        list(dataset.source.read(dataset.fragments[0], None))


def test_memory_that_decoding_lacks_is_no_fault_of_the_file() -> None:
    with pytest.raises(MemoryError, match="malloc of size 64 failed"), corrupt("f.parquet"):
        no_memory()
