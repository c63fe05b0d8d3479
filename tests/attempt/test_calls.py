"""Calls of the program, batch by batch: positions, what is counted, who judges, and the rows that come back."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt.asynchronous import Concurrency
from partitioner.attempt.calling import NothingWorks, RowsFailed, call_program, verdict
from partitioner.attempt.concurrent import call_concurrently
from partitioner.attempt.isolate import Alone, about_rows, alone, call_isolating
from partitioner.attempt.surroundings import TimedOut
from partitioner.attempt.tally import Tally
from partitioner.errors import ConfigError, EngineLost, ProgramError, ProgramExited
from partitioner.model import NO_CARE, Care


def job(**options: Any) -> Any:
    reducer = SimpleNamespace(rows=options.pop("rows", True), whole_task=options.pop("whole_task", False))
    settings = {"reducer": reducer, "concurrency": None, "batch_format": "arrow", "allow_row_change": False}
    settings["names_on_disk"] = ()
    return SimpleNamespace(**{**settings, **options})


def batch(*rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"x": pa.array(rows, pa.int64())})


def same(given: pa.RecordBatch) -> pa.RecordBatch:
    return given


def fails_on(*bad: int, error: type[Exception] = ValueError) -> Any:
    def program(given: pa.RecordBatch) -> pa.RecordBatch:
        if found := set(bad) & set(given.column(0).to_pylist()):
            raise error(f"bad {min(found)}")
        return given

    return program


QUARANTINE = Care(isolate=True, suspects=None)
SUSPECTS = Care(isolate=True, suspects=())


def test_positions_go_on_from_batch_to_batch() -> None:
    tally = Tally()
    for rows in ((1, 2, 3), (4, 5), (6,)):
        list(call_program(job(), fails_on(2, 5, 6), batch(*rows), None, tally, QUARANTINE))
    assert (tally.rows_in, tally.rows_out, tally.quarantined) == (6, 3, 3)
    assert tally.left_out == [1, 4, 5]
    assert [reasons for _, reasons in tally.poison] == [
        ["ValueError: bad 2"],
        ["ValueError: bad 5"],
        ["ValueError: bad 6"],
    ]


def test_positions_go_on_within_smaller_batches() -> None:
    tally = Tally()
    care = Care(isolate=True, suspects=None, smaller=2)
    list(call_program(job(), fails_on(2, 5), batch(1, 2, 3, 4, 5), None, tally, care))
    assert (tally.left_out, tally.rows_in) == ([1, 4], 5)


def test_positions_of_sorted_rows_are_their_places_after_the_base() -> None:
    tally = Tally()
    tally.rows_in = 50
    care = Care(isolate=True, suspects=None, smaller=2)
    outputs = list(call_program(job(), fails_on(7), batch(9, 8, 7, 6), np.array([3, 0, 2, 1]), tally, care, base=100))
    assert tally.left_out == [102]
    assert [(v.column(0).to_pylist(), p.tolist()) for v, p in outputs] == [([9, 8], [3, 0]), ([6], [1])]


@pytest.mark.parametrize(
    ("rows", "smaller", "sizes"), [(5, 1, [5]), (5, 2, [3, 2]), (5, 5, [1] * 5), (2, 8, [1, 1]), (0, 4, [0])]
)
def test_smaller_divides_into_so_many_at_most(rows: int, smaller: int, sizes: list[int]) -> None:
    seen: list[int] = []

    def program(given: pa.RecordBatch) -> pa.RecordBatch:
        seen.append(given.num_rows)
        return given

    list(call_program(job(), program, batch(*range(rows)), None, Tally(), Care(smaller=smaller)))
    assert seen == sizes


def test_condemned_rows_are_all_set_aside_for_the_reason_given() -> None:
    tally = Tally()
    assert list(call_program(job(), fails_on(1), batch(1, 2), None, tally, Care(condemned="it kills"))) == []
    assert (tally.quarantined, tally.surroundings, tally.left_out) == (2, 0, [0, 1])
    assert tally.poison[0][1] == ["it kills", "it kills"]


def test_rows_of_another_number_are_refused_and_poison_is_not_counted() -> None:
    def loses(given: pa.RecordBatch) -> pa.RecordBatch:
        return given.slice(1)

    with pytest.raises(ProgramError, match="the program got 3 rows and returned 2; return one row per input row"):
        list(call_program(job(), loses, batch(1, 2, 3), None, Tally()))
    (found,) = call_program(job(allow_row_change=True), loses, batch(1, 2, 3), None, Tally())
    assert found[0].num_rows == 2
    assert len(list(call_program(job(), fails_on(1), batch(1, 2, 3), None, Tally(), QUARANTINE))) == 1


def test_a_reducer_takes_any_number_and_form() -> None:
    outputs = list(call_program(job(rows=False), lambda b: b.num_rows, batch(1, 2, 3), None, Tally()))
    assert outputs == [(3, None)]
    streamed = list(call_program(job(rows=False), lambda b: iter([1, 2]), batch(1), None, Tally()))
    assert [list(value) for value, _ in streamed] == [[1, 2]]


def test_a_stream_is_given_on_piece_by_piece_and_counted() -> None:
    taken: list[int] = []

    def program(given: pa.RecordBatch) -> Any:
        for i in range(given.num_rows):
            taken.append(i)
            yield given.slice(i, 1)

    found = call_program(job(), program, batch(1, 2), None, Tally())
    assert next(found)[0].num_rows == 1
    assert taken == [0]
    assert len(list(found)) == 1
    with pytest.raises(ProgramError, match="got 2 rows and returned 4"):
        list(call_program(job(), lambda b: iter([b, b]), batch(1, 2), None, Tally()))


def test_a_stream_that_is_put_back_in_order_is_held_whole() -> None:
    found = list(
        call_program(job(), lambda b: iter([b.slice(0, 1), b.slice(1)]), batch(5, 6), np.array([1, 0]), Tally())
    )
    assert [(v.column(0).to_pylist(), p.tolist()) for v, p in found] == [([5, 6], [1, 0])]


def test_suspects_are_noted_and_those_that_others_named_are_not() -> None:
    tally = Tally()
    care = Care(isolate=True, suspects=((1, 2), (4, 6)))
    list(call_program(job(), fails_on(0, 1, 3, 4, 6), batch(0, 1, 2, 3, 4, 5, 6), None, tally, care))
    assert tally.suspects == [(0, "ValueError: bad 0"), (3, "ValueError: bad 3"), (6, "ValueError: bad 6")]
    with pytest.raises(RowsFailed, match="3 rows fail alone here, the first with ValueError: bad 0") as caught:
        verdict(care, tally)
    assert caught.value.suspects == ((0, 1), (3, 4), (6, 7))


def test_good_rows_make_no_suspects() -> None:
    tally = Tally()
    list(call_program(job(), same, batch(1), None, tally, SUSPECTS))
    assert tally.suspects == []
    verdict(SUSPECTS, tally)


def failed(rows: int, quarantined: int, surroundings: int) -> Tally:
    tally = Tally(rows_in=rows, quarantined=quarantined, surroundings=surroundings)
    tally.poison = [(batch(1), ["OSError: no disk"])]
    return tally


@pytest.mark.parametrize(
    ("rows", "quarantined", "surroundings", "stops"),
    [(3, 3, 3, True), (2, 2, 2, True), (1, 1, 1, False), (3, 2, 2, False), (3, 3, 2, False), (3, 0, 0, False)],
)
def test_the_surroundings_are_to_blame_where_every_one_of_several_rows_failed_by_them(
    rows: int, quarantined: int, surroundings: int, stops: bool
) -> None:
    tally = failed(rows, quarantined, surroundings)
    if not stops:
        verdict(QUARANTINE, tally)
        return
    with pytest.raises(NothingWorks, match=rf"all {rows} rows failed alone, .*\(OSError: no disk\); no row"):
        verdict(QUARANTINE, tally)


def test_an_attempt_that_isolates_nothing_judges_nothing() -> None:
    tally = failed(3, 3, 3)
    tally.suspects = [(1, "x")]
    verdict(NO_CARE, tally)


def test_errors_of_the_surroundings_are_counted_row_by_row() -> None:
    tally = Tally()

    def program(given: pa.RecordBatch) -> pa.RecordBatch:
        for x in given.column(0).to_pylist():
            if x < 3:
                raise OSError("disk") if x else ValueError("row")
        return given

    list(call_program(job(), program, batch(0, 1, 2, 3), None, tally, QUARANTINE))
    assert (tally.quarantined, tally.surroundings) == (3, 2)


@pytest.mark.parametrize("end", [SystemExit(2), GeneratorExit("x"), asyncio.CancelledError("y")])
def test_ends_of_processes_are_errors_of_the_program(end: BaseException) -> None:
    def program(_: Any) -> Any:
        raise end

    with pytest.raises(ProgramExited, match=rf"the program raised {type(end).__name__}\({end}\) instead of returning"):
        list(call_program(job(), program, batch(1), None, Tally()))


def test_an_interrupt_is_the_users_in_the_main_thread_and_the_programs_elsewhere() -> None:
    def program(_: Any) -> Any:
        raise KeyboardInterrupt

    def call() -> None:
        list(call_program(job(), program, batch(1), None, Tally()))

    with pytest.raises(KeyboardInterrupt):
        call()
    errors: list[BaseException] = []

    def caught() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=caught)
    thread.start()
    thread.join()
    assert [type(e) for e in errors] == [ProgramExited]


@pytest.mark.parametrize("end", [SystemExit(2), asyncio.CancelledError()])
def test_a_stream_that_ends_the_process_while_rows_are_isolated(end: BaseException) -> None:
    def program(given: pa.RecordBatch) -> Any:
        yield given
        raise end

    tally = Tally()
    list(call_program(job(), program, batch(1), None, tally, QUARANTINE))
    assert tally.poison[0][1][0].startswith("ProgramExited: the program raised ")


class Calls:
    """Fails on some rows; notes the rows of every call."""

    def __init__(self, *bad: int, error: Exception | None = None) -> None:
        self.bad, self.error, self.seen = set(bad), error or ValueError("bad"), list[list[int]]()

    def __call__(self, given: pa.RecordBatch) -> list[int]:
        rows = given.column(0).to_pylist()
        self.seen.append(rows)
        if self.bad & set(rows):
            raise self.error
        return rows


def test_good_rows_take_one_call() -> None:
    program = Calls()
    assert call_isolating(program, batch(1, 2, 3)) == ([1, 2, 3], {})
    assert program.seen == [[1, 2, 3]]


def test_a_poison_row_is_found_by_halves() -> None:
    program = Calls(3)
    value, poison = call_isolating(program, batch(0, 1, 2, 3, 4))
    assert value == [0, 1, 2, 4]
    assert poison == {3: Alone("ValueError: bad", False)}
    assert program.seen == [[0, 1, 2, 3, 4]] * 2 + [[0, 1], [2, 3, 4], [2], [3, 4], [3], [4], [0, 1, 2, 4]]


def test_suspects_are_tried_alone_first() -> None:
    program = Calls(1, 3)
    value, poison = call_isolating(program, batch(0, 1, 2, 3, 4), (3, 1, 0))
    assert (value, sorted(poison)) == ([0, 2, 4], [1, 3])
    assert program.seen == [[0], [1], [3], [0, 2, 4]]


def test_a_new_poison_row_beside_suspects_is_found_under_its_own_number() -> None:
    program = Calls(0, 4)
    value, poison = call_isolating(program, batch(0, 1, 2, 3, 4), (0,))
    assert (value, sorted(poison)) == ([1, 2, 3], [0, 4])


def test_of_poison_alone_nothing_is_called_in_the_end() -> None:
    program = Calls(0, 1)
    assert call_isolating(program, batch(0, 1))[0] is None
    assert program.seen == [[0, 1], [0, 1], [0], [1]]
    assert call_isolating(Calls(0, 1), batch(0, 1), (0, 1))[0] is None


@pytest.mark.parametrize("suspects", [(), (1,)])
@pytest.mark.parametrize("error", [MemoryError("no"), ProgramError("wrong"), TimedOut("long")])
def test_an_error_that_is_about_no_row_is_raised_at_once(error: Exception, suspects: tuple[int, ...]) -> None:
    program = Calls(1, error=error)
    with pytest.raises(type(error)):
        call_isolating(program, batch(0, 1, 2), suspects)
    assert len(program.seen) == 1


@pytest.mark.parametrize(
    ("error", "blames"),
    [
        (ValueError("x"), True),
        (OSError("x"), True),
        (MemoryError("x"), False),
        (TimedOut("x"), False),
        (RuntimeError("CUDA out of memory"), False),
        (ConfigError("x"), False),
        (EngineLost("x"), True),
    ],
)
def test_which_errors_a_row_may_be_to_blame_for(error: Exception, blames: bool) -> None:
    assert about_rows(error) is blames


def test_a_reason_names_the_class_and_whether_the_surroundings_may_be_it() -> None:
    assert alone(ValueError("x")) == Alone("ValueError: x", False)
    assert alone(ConnectionError("x")) == Alone("ConnectionError: x", True)


def concurrently(program: Any, rows: int, size: int, isolate: bool = True, form: str = "rows") -> Any:
    return call_concurrently(program, Concurrency(rows=size), form, batch(*range(rows)), isolate)


async def x_of(row: Any) -> Any:
    if isinstance(row, dict):
        row = [row]
    if any(r["x"] in (3, 4) for r in row):
        raise ValueError("bad")
    return [r["x"] for r in row]


def test_calls_by_row_give_one_list_without_those_that_failed() -> None:
    assert concurrently(x_of, 6, 0) == (
        [[[0], [1], [2], [5]]],
        {3: Alone("ValueError: bad", False), 4: Alone("ValueError: bad", False)},
    )
    assert concurrently(x_of, 2, 0) == ([[[0], [1]]], {})
    assert concurrently(x_of, 0, 0) == ([], {})


def test_calls_by_batch_give_a_value_each_and_search_the_failing_one() -> None:
    values, bad = concurrently(x_of, 7, 2)
    assert values == [[0, 1], [2], [5], [6]]
    assert sorted(bad) == [3, 4]
    assert concurrently(x_of, 3, 1) == ([[0], [1], [2]], {})


def test_a_batch_of_failing_rows_alone_gives_nothing() -> None:
    async def fails(row: Any) -> Any:
        raise ValueError("bad")

    assert concurrently(fails, 2, 2)[0] == []
    assert sorted(concurrently(fails, 5, 2)[1]) == [0, 1, 2, 3, 4]
    assert concurrently(fails, 2, 0)[0] == []


@pytest.mark.parametrize(("isolate", "error"), [(False, ValueError("no")), (True, MemoryError("no"))])
def test_an_error_of_a_call_is_raised_where_no_row_is_to_blame(isolate: bool, error: Exception) -> None:
    async def fails(row: Any) -> Any:
        raise error

    with pytest.raises(type(error)):
        concurrently(fails, 3, 0, isolate)


def test_an_async_program_s_outputs_become_rows_where_rows_are_wanted() -> None:
    how = Concurrency(rows=0)
    outputs = list(call_program(job(concurrency=how), x_of, batch(1, 2), None, Tally()))
    assert [v.to_pydict() for v, _ in outputs] == [{"result": [[1], [2]]}]
    assert list(call_program(job(concurrency=how, rows=False), x_of, batch(1), None, Tally())) == [([[1]], None)]
