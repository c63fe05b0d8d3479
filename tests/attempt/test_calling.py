"""How carefully the program is called: rows isolated, confirmed, condemned, in smaller batches; who is to blame."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt.calling import NothingWorks, RowsFailed, call_program, verdict
from partitioner.attempt.tally import Tally
from partitioner.errors import ProgramExited, text_of
from partitioner.model import Care, spans_of
from partitioner.model.execution import is_gpu_memory


def job(**options: Any) -> Any:
    reducer = SimpleNamespace(rows=True, whole_task=options.pop("whole_task", False))
    settings = {"reducer": reducer, "concurrency": None, "batch_format": "arrow", "allow_row_change": False}
    settings["names_on_disk"] = ()
    return SimpleNamespace(**{**settings, **options})


def called(
    program: Any, rows: list[int], care: Care, places: Any = None, base: int = 0, **options: Any
) -> tuple[list[int], Tally]:
    tally = Tally()
    batch = pa.RecordBatch.from_pydict({"x": rows})
    outputs = list(call_program(job(**options), program, batch, places, tally, care, base))
    verdict(care, tally)
    return [x for value, _ in outputs for x in value.column(0).to_pylist()], tally


def fails_on(*bad: int, error: type[Exception] = ValueError) -> Any:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        if set(bad) & set(batch.column(0).to_pylist()):
            raise error("bad row")
        return batch

    return program


def test_the_first_attempt_isolates_nothing() -> None:
    with pytest.raises(ValueError, match="bad row"):
        called(fails_on(3), [1, 2, 3, 4], Care())


def test_a_column_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(KeyError) as caught:
        called(lambda batch: batch["X"], [1, 2], Care(), batch_format="pandas")
    assert text_of(caught.value) == "'X' (The batch has the columns x. Did you mean 'x'?)"


def test_rows_that_fail_alone_are_suspects_until_another_worker_says_so() -> None:
    with pytest.raises(RowsFailed) as caught:
        called(fails_on(3, 4, 8), [1, 2, 3, 4, 5, 6, 7, 8], Care(isolate=True, suspects=()))
    assert caught.value.suspects == ((2, 4), (7, 8))


def test_rows_that_failed_on_another_worker_too_are_set_aside() -> None:
    rows, tally = called(fails_on(3), [1, 2, 3, 4], Care(isolate=True, suspects=((0, 3),)))
    assert rows == [1, 2, 4]
    assert (tally.quarantined, tally.rows_in, tally.rows_out) == (1, 4, 3)
    assert tally.poison[0][1] == ["ValueError: bad row"]


def test_the_only_worker_sets_rows_aside_on_its_own_word() -> None:
    assert called(fails_on(1, 4), [1, 2, 3, 4], Care(isolate=True, suspects=None))[0] == [2, 3]


def test_a_new_suspect_beside_a_confirmed_one_needs_another_worker() -> None:
    with pytest.raises(RowsFailed) as caught:
        called(fails_on(1, 4), [1, 2, 3, 4], Care(isolate=True, suspects=((0, 1),)))
    assert caught.value.suspects == ((3, 4),)


def test_errors_of_the_surroundings_on_every_row_blame_none() -> None:
    with pytest.raises(NothingWorks, match="all 3 rows failed alone"):
        called(fails_on(1, 2, 3, error=OSError), [1, 2, 3], Care(isolate=True, suspects=None))
    assert called(fails_on(2, error=OSError), [1, 2, 3], Care(isolate=True, suspects=None))[0] == [1, 3]


def test_missing_memory_is_no_rows_fault() -> None:
    with pytest.raises(MemoryError):
        called(fails_on(2, error=MemoryError), [1, 2, 3], Care(isolate=True, suspects=None))


def test_condemned_rows_are_set_aside_without_a_call() -> None:
    rows, tally = called(lambda batch: 1 // 0, [7], Care(condemned="it killed two workers"))
    assert (rows, tally.quarantined, tally.poison[0][1]) == ([], 1, ["it killed two workers"])


def test_smaller_batches_keep_the_rows_and_their_order() -> None:
    seen: list[int] = []

    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        seen.append(batch.num_rows)
        return batch

    assert called(program, [1, 2, 3, 4, 5], Care(smaller=2))[0] == [1, 2, 3, 4, 5]
    assert seen == [3, 2]
    seen.clear()
    called(program, [1, 2, 3, 4, 5], Care(smaller=2), whole_task=True)
    assert seen == [5]


def test_places_say_which_rows_are_suspects_where_batches_are_out_of_order() -> None:
    with pytest.raises(RowsFailed) as caught:
        called(fails_on(30), [50, 30, 10], Care(isolate=True, suspects=()), places=np.array([4, 2, 0]), base=100)
    assert caught.value.suspects == ((102, 103),)


def test_places_of_rows_that_are_set_aside_go_with_them() -> None:
    batch, tally = pa.RecordBatch.from_pydict({"x": [50, 30, 10]}), Tally()
    care = Care(isolate=True, suspects=None)
    ((_, places),) = call_program(job(), fails_on(30), batch, np.array([2, 1, 0]), tally, care)
    assert places.tolist() == [2, 0]


@pytest.mark.parametrize("end", [SystemExit(0), GeneratorExit()])
def test_an_exception_that_ends_processes_is_an_error_of_the_program(end: BaseException) -> None:
    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        raise end

    with pytest.raises(ProgramExited, match=f"the program raised {type(end).__name__}"):
        called(program, [1], Care())


def test_a_stream_that_ends_the_process_is_an_error_of_the_program() -> None:
    def program(batch: pa.RecordBatch) -> Any:
        yield batch
        sys.exit(3)

    with pytest.raises(ProgramExited, match=r"SystemExit\(3\)"):
        called(program, [1], Care())


def test_gpu_memory_is_known_by_class_and_message() -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    assert is_gpu_memory(OutOfMemoryError("x"))
    assert is_gpu_memory(RuntimeError("CUDA out of memory. Tried to allocate"))
    assert is_gpu_memory(ValueError("RESOURCE_EXHAUSTED: Out of memory allocating"))
    assert not is_gpu_memory(MemoryError("no"))


def test_positions_become_the_fewest_spans() -> None:
    assert spans_of([1, 2, 3, 7, 9, 10]) == ((1, 4), (7, 8), (9, 11))
