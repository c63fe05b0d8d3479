"""The last stage and a schema that widened while the run went on: values that no longer fit end it, nulls are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from partitioner.errors import RunFailed
from partitioner.output.modes import Target
from partitioner.runs import results
from partitioner.store.commits import Records
from tests.runs.recorded import as_columns
from tests.runs.test_reduced_by_hand import Committed, Finishing, version

LARGE = (1 << 53) + 1
"""No float64 is this number."""


def widens(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Integers at first, of which one fits no float; then floats."""
    rows = batch.column("x").to_pylist()
    return pa.RecordBatch.from_pydict({"y": [LARGE, *rows[1:]] if 0 in rows else [x + 0.5 for x in rows]})


def test_a_value_that_does_not_fit_what_later_rows_asked_for_ends_the_run_before_it_is_marked_as_done(
    tmp_path: Path,
) -> None:
    made = Committed(tmp_path, program=widens)
    with pytest.raises(RunFailed, match="column 'y' of sub-task t000000 is int64 and does not fit exactly"):
        made.reduced()
    assert "_SUCCESS" not in made.files


def test_of_very_many_files_none_is_opened_for_that(tmp_path: Path) -> None:
    made = Committed(tmp_path, program=widens)
    columns = as_columns(tmp_path / "columns", made.records, ["t000000", "t000001"])
    assert isinstance(columns, Records)
    results.reduce(made.config(), made.directory, made.job, columns, {}, None)  # type: ignore[arg-type]
    assert "_SUCCESS" in made.files


def lacks(batch: pa.RecordBatch) -> pa.RecordBatch:
    rows = batch.column("x").to_pylist()
    return pa.RecordBatch.from_pydict({"y": rows} | ({"z": rows} if 0 in rows else {}))


def test_what_was_filled_in_a_version_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Committed(tmp_path, program=lacks)
    Finishing(monkeypatch)
    with pytest.warns(UserWarning, match="column 'z' is null in the rows of sub-task t000001"):
        version(made, Target(2, 1))


def test_rows_of_a_version_that_were_put_together_are_read_by_their_arrangement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Arranged:
        """Two groups whose rows are told by their number."""

        groups = (0, 1)

        @classmethod
        def of(cls, source: Any, tasks: Any, records: Any) -> Arranged:
            return cls()

        def table(self, group: int, file: Any) -> pa.Table:
            return pa.table({"y": [group]})

    monkeypatch.setattr(results, "restores_rows", lambda config: True)
    monkeypatch.setattr(results, "Arrangement", Arranged)
    made, finishing = Committed(tmp_path), Finishing(monkeypatch)
    version(made, Target(2, 1))
    assert [table["y"].to_pylist() for table in finishing.given[7]] == [[0], [1]]
