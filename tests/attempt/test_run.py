"""One attempt: what it commits, what it says of errors, and poison rows set aside."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.attempt.run import run_attempt
from partitioner.commands.quarantine import retry
from partitioner.errors import RunFailed
from partitioner.model import Attempt, EventKind
from partitioner.runs import quarantine
from partitioner.store.run_directory import RunDirectory
from tests import programs

GOOD_AND_POISON = pa.table({"x": [i if i not in (3, 17, 18) else -i for i in range(40)]})


def run(table: Any, program: Any, checkpoint: str, **options: Any) -> pt.Run:
    settings = {"cost": "rows", "max_tasks": 4, "engine": "serial", "progress": False, "report": False, **options}
    return pt.run(table, program, checkpoint=checkpoint, **settings)


def test_poison_rows_are_found_one_by_one(checkpoint: str) -> None:
    finished = run(GOOD_AND_POISON, programs.fails_on_negative, checkpoint, on_error="quarantine")
    assert finished.result.to_pandas()["y"].tolist() == [2 * i for i in range(40) if i not in (3, 17, 18)]
    assert dict(finished.counts) == {"rows_in": 40, "rows_out": 37, "rows_written": 37, "quarantined": 3}
    assert finished.exit_code == 5
    rows = quarantine.rows_of(finished.directory).to_pylist()
    assert rows == [{"x": -i, "_error": "ValueError: negative x"} for i in (3, 17, 18)]


def test_a_subtask_of_poison_alone_leaves_an_empty_file(checkpoint: str) -> None:
    finished = run(
        pa.table({"x": [-1, -2]}), programs.fails_on_negative, checkpoint, on_error="quarantine", max_tasks=1
    )
    assert (len(finished.result), finished.quarantined) == (0, 2)
    assert finished.result.to_table().num_rows == 0


def test_poison_does_not_enter_an_accumulator(checkpoint: str) -> None:
    finished = run(GOOD_AND_POISON, programs.fails_on_negative, checkpoint, on_error="quarantine", reducer="count")
    assert (finished.result, finished.quarantined) == (37, 3)


def test_without_quarantine_a_poison_row_ends_the_run(checkpoint: str) -> None:
    with pytest.raises(RunFailed, match=r"failed 3 times .*ValueError: negative x\. To set failing rows aside instead"):
        run(GOOD_AND_POISON, programs.fails_on_negative, checkpoint)


def test_quarantined_rows_are_tried_again_as_a_run_of_their_own(checkpoint: str) -> None:
    finished = run(GOOD_AND_POISON, programs.fails_on_negative, checkpoint, on_error="quarantine")
    again = retry(finished.directory, program=programs.double, engine="serial")
    assert again.result.to_pandas()["y"].tolist() == [-6, -34, -36]
    assert again.run_id != finished.run_id


def test_without_quarantined_rows_there_is_nothing_to_retry(checkpoint: str) -> None:
    finished = run(pa.table({"x": [1]}), programs.double, checkpoint)
    with pytest.raises(pt.PartitionerError, match="has no quarantined rows; there is nothing to try again"):
        retry(finished.directory)


def one_row_too_few(batch: pd.DataFrame) -> pd.DataFrame:
    return batch.iloc[1:]


def test_a_program_that_loses_a_row_is_stopped_at_once(checkpoint: str) -> None:
    with pytest.raises(RunFailed, match=r"failed 1 time \(no retry can mend it\).*got 10 rows and returned 9"):
        run(pa.table({"x": range(10)}), one_row_too_few, checkpoint, max_tasks=1)


def test_a_program_may_filter_where_that_is_said(checkpoint: str) -> None:
    table = pa.table({"x": range(10)})
    finished = run(table, one_row_too_few, checkpoint, max_tasks=1, allow_row_change=True)
    assert (len(finished.result), finished.counts["rows_out"], finished.counts["rows_written"]) == (9, 10, 9)


def test_a_wrong_return_type_is_named(checkpoint: str) -> None:
    with pytest.raises(RunFailed, match="the program returned complex; for reducer 'concat' return a DataFrame"):
        run(pa.table({"x": range(3)}), complex_number, checkpoint)


def complex_number(batch: pd.DataFrame) -> complex:
    return 1j


def test_a_committed_subtask_is_not_run_again_and_keeps_its_record(checkpoint: str) -> None:
    finished = run(pa.table({"x": range(10)}), programs.double, checkpoint, max_tasks=1)
    event = run_attempt(Attempt("t000000", 0, 7, "elsewhere", finished.url))
    assert event.kind is EventKind.FINISHED
    assert event.record == finished.records[0]
    assert RunDirectory(finished.url).commits()["t000000"].attempt_id == "t000000-a0"


def test_the_traceback_of_a_failure_is_kept(checkpoint: str) -> None:
    with pytest.raises(RunFailed) as caught:
        run(GOOD_AND_POISON, programs.fails_on_negative, checkpoint, max_retries=0)
    path = str(caught.value).rpartition(" ")[2]
    assert "in fails_on_negative" in Path(path).read_text()


def test_columns_are_all_the_program_sees(checkpoint: str) -> None:
    table = pa.table({"x": [1, 2], "secret": ["a", "b"]})
    finished = run(table, same, checkpoint, columns=["x"])
    assert finished.result.to_table().column_names == ["x"]


def same(batch: pd.DataFrame) -> pd.DataFrame:
    return batch


@pytest.mark.parametrize("batch_format", ["pandas", "numpy", "arrow"])
def test_every_batch_format_gives_the_rows_back(checkpoint: str, batch_format: str) -> None:
    table = pa.table({"x": [1, 2, 3], "name": ["a", None, "ü"]})
    finished = run(table, same, checkpoint, batch_format=batch_format, max_tasks=2)
    assert finished.result.to_table().to_pydict() == table.to_pydict()


def test_batches_have_the_asked_rows(checkpoint: str) -> None:
    finished = run(pa.table({"x": range(10)}), sizes, checkpoint, batch_size=4, max_tasks=1)
    assert finished.result.to_pandas()["rows"].tolist() == [4] * 8 + [2] * 2


def sizes(batch: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"rows": [len(batch)] * len(batch)})


def test_what_failed_travels_as_a_value_and_is_readable_in_the_ledger() -> None:
    import pickle

    from partitioner.attempt.run import describe_error
    from partitioner.errors import ConfigError

    failure = pickle.loads(pickle.dumps(describe_error(MemoryError("too much"))))
    assert (failure.type, failure.message, failure.fatal, failure.memory) == ("MemoryError", "too much", False, True)
    assert failure.to_json() == {"message": "too much", "type": "MemoryError", "memory": True}
    assert describe_error(ConfigError("no such column")).fatal


def test_a_failure_names_the_users_own_line_and_the_command_that_goes_on(checkpoint: str) -> None:
    with pytest.raises(RunFailed) as caught:
        run(GOOD_AND_POISON, programs.fails_on_negative, checkpoint, max_retries=0)
    message = str(caught.value)
    assert re.search(r"ValueError: negative x\..* Raised at programs\.py, line \d+, in fails_on_negative\.", message)
    assert f"partitioner resume {checkpoint}/" in message
