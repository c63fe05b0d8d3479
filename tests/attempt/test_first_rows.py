"""The trial of the first rows before a run: what is tried, what is said of it, and who waits for it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from partitioner.attempt import pilot
from partitioner.attempt import trial as trials
from partitioner.attempt.asynchronous import Concurrency
from partitioner.attempt.surroundings import task_context
from partitioner.attempt.trial import CLAIM, Tried, trial, wait_for_trial
from partitioner.costs.measuring.first_rows import FirstRows
from partitioner.errors import ConfigError
from partitioner.model import Fragments
from tests.attempt.by_hand import KEY, doubled
from tests.attempt.held import SEEN, answered, noted, raising, ready, tried

pytestmark = pytest.mark.usefixtures("nothing_held")


@pytest.mark.parametrize(("rows", "seen"), [(7, 7), (5, 5), (1, 1), (99, 20)])
def test_the_first_rows_are_tried_and_settle_the_schema(tmp_path: Path, rows: int, seen: int) -> None:
    made = ready(tmp_path, noted)
    assert tried(made, rows) == ""
    assert [list(range(seen))] == SEEN
    assert made.directory.files.names("schema") == ["schema/000000.json"]
    assert made.directory.files.exists(CLAIM)


def test_one_of_several_that_are_asked_tries(tmp_path: Path) -> None:
    made = ready(tmp_path, noted)
    made.directory.files.put(CLAIM, b"")
    assert tried(made) == ""
    assert SEEN == []


def test_no_more_than_a_batch_of_the_run_is_tried(tmp_path: Path) -> None:
    tried(ready(tmp_path, noted, batching={"batch_size": 3}))
    assert SEEN == [[0, 1, 2]]
    SEEN.clear()
    (tmp_path / "auto").mkdir()
    tried(ready(tmp_path / "auto", noted, batching={"batch_size": "auto"}))
    assert [list(range(7))] == SEEN


def test_what_no_run_can_mend_is_said(tmp_path: Path) -> None:
    assert tried(ready(tmp_path, raising(ConfigError("wrong setting")))) == "ConfigError: wrong setting"


class Ends(BaseException):
    """Of no known kind."""


@pytest.mark.parametrize(
    "error", [ValueError("a row"), MemoryError("x"), OSError("x"), SystemExit(3), KeyboardInterrupt(), Ends()]
)
def test_what_the_run_has_its_own_answer_to_is_not(tmp_path: Path, error: BaseException) -> None:
    assert tried(ready(tmp_path, raising(error))) == ""


def test_an_end_that_is_not_the_programs_is_raised_in_the_thread_that_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partitioner.attempt.trial._first_rows", lambda *_: raising(Ends())(None))
    made = ready(tmp_path, noted)
    with pytest.raises(Ends):
        tried(made)


def test_poison_rows_are_set_aside_where_they_will_be(tmp_path: Path) -> None:
    def fails_on_one(batch: pa.RecordBatch) -> pa.RecordBatch:
        if 1 in batch.column("x").to_pylist():
            raise ValueError("one")
        return noted(batch)

    assert tried(ready(tmp_path, fails_on_one, on_error="quarantine")) == ""
    assert SEEN[-1] == [0, 2, 3, 4, 5, 6]
    SEEN.clear()
    (tmp_path / "raise").mkdir()
    assert tried(ready(tmp_path / "raise", fails_on_one)) == ""
    assert SEEN == []


def test_a_model_is_not_fitted_to_a_few_rows(tmp_path: Path) -> None:
    made = ready(tmp_path, noted)
    object.__setattr__(made.job, "reducer", type("Whole", (), {"whole_task": True, "rows": False})())
    assert (tried(made), SEEN) == ("", [])


def test_no_rows_are_no_trial(tmp_path: Path) -> None:
    made = ready(tmp_path, noted)
    empty = Fragments.of([])
    assert trial(0, 1, made.directory.url, KEY, empty, "t000000", 7, 60.0, False) == Tried()
    assert SEEN == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda b: [1.0, 2.0], ""),
        (lambda b: [float("nan")], "ProgramError: The program returned NaN"),
        (lambda b: ["text"], "ProgramError: "),
    ],
)
def test_what_a_reducer_takes_is_added(tmp_path: Path, value: Any, said: str) -> None:
    found = tried(ready(tmp_path, value, reducer="mean"))
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_a_safe_reducer_s_accumulator_is_written_once(tmp_path: Path) -> None:
    written: list[Any] = []
    made = ready(tmp_path, lambda b: [1.0], reducer="mean")
    reducer = made.job.reducer
    kind = type("Noting", (type(reducer),), {"serialize": lambda self, a: written.append(a) or b"", "__slots__": ()})
    for serializer, count in (("safe", 1), ("pickle", 1)):
        chosen = kind()
        object.__setattr__(chosen, "serializer", serializer)
        object.__setattr__(made.job, "reducer", chosen)
        made.directory.files.delete(CLAIM)
        assert tried(made) == ""
        assert len(written) == count


def test_a_slow_trial_is_left_behind_and_waited_for_where_it_is_alone(tmp_path: Path) -> None:
    gate = threading.Event()

    def slow(batch: pa.RecordBatch) -> pa.RecordBatch:
        gate.wait(60)
        return noted(batch)

    made = ready(tmp_path, slow)
    began = time.monotonic()
    assert tried(made, wait=0.01, alone=True) == ""
    assert time.monotonic() - began < 30
    assert len(trials._running) == 1
    gate.set()
    wait_for_trial()
    assert (len(SEEN), trials._running) == (1, [])
    wait_for_trial()


def test_a_trial_that_is_not_alone_is_not_waited_for(tmp_path: Path) -> None:
    tried(ready(tmp_path, noted), alone=False)
    assert trials._running == []


def test_the_trial_has_a_context_of_its_own(tmp_path: Path) -> None:
    found: list[tuple[str, int]] = []

    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        found.append((task_context().task_key, task_context().number))
        return doubled(batch)

    tried(ready(tmp_path, program))
    assert found == [("trial", 0)]


# the pilot


def test_a_slot_says_what_loading_took_the_first_time(tmp_path: Path) -> None:
    made = ready(tmp_path)
    found = pilot.loaded(0, 1, made.directory.url, KEY)
    assert (found.seconds, found.memory_bytes > 1e6) == (0.0, True)
    assert found.process.endswith(f":{os.getpid()}")


class Clock:
    """Stands for the module ``time`` of the trial; the program moves it on."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("once", "call", "row", "calls"),
    [
        (0.0, 0.0, 0.001, [(2, 0.002), (8, 0.008)]),
        (0.0, 0.0, 0.2, [(2, 0.4), (4, 0.8)]),
        (0.0, 0.0, 0.9, [(2, 1.8)]),  # another one would end later than the run waits
        (0.0, 0.0, 0.5, [(2, 1.0), (1, 0.5)]),  # four more would
        (0.0, 0.3, 0.0, [(2, 0.3), (4, 0.3), (2, 0.3)]),  # calls cost or rows do: a third one tells
        (0.5, 0.0, 0.03, [(2, 0.56), (4, 0.12), (2, 0.06)]),
        (0.04, 0.0, 0.0001, [(2, 0.0402), (8, 0.0008)]),  # whatever costs, it is little
    ],
)
def test_timed_calls_grow_and_tell_what_calls_and_what_rows_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, once: float, call: float, row: float, calls: list[Any]
) -> None:
    clock = Clock()
    monkeypatch.setattr(trials, "time", clock)

    def program(batch: pa.RecordBatch) -> pa.RecordBatch:
        clock.now += (0.0 if SEEN else once) + call + row * batch.num_rows
        return noted(batch)

    found = answered(ready(tmp_path, program), 12, wait=2.0, timed=True)
    assert found.why == ""
    assert [(c.rows, round(c.seconds, 6)) for c in found.first.calls] == [(n, pytest.approx(s)) for n, s in calls]
    assert [x for rows in SEEN for x in rows] == list(range(sum(n for n, _ in calls)))  # no row twice


@pytest.mark.parametrize(("of_a_call", "together"), [(0, 3), (2, 6)])
def test_calls_of_an_async_program_are_timed_with_as_many_rows_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_a_call: int, together: int
) -> None:
    clock = Clock()
    monkeypatch.setattr(trials, "time", clock)

    async def program(rows: Any) -> Any:
        count = 1 if isinstance(rows, dict) else rows.num_rows
        clock.now += 0.1 * count
        return {"y": 1} if isinstance(rows, dict) else rows

    made = ready(tmp_path, program, concurrency=Concurrency(rows=of_a_call, calls=3))
    found = answered(made, 12, wait=2.0, timed=True)
    assert (found.why, found.first.together) == ("", together)
    assert [(c.rows, round(c.seconds, 6)) for c in found.first.calls] == [(2, 0.2), (8, 0.8)]


def test_timed_calls_hold_no_more_rows_than_a_batch_of_the_run(tmp_path: Path) -> None:
    found = answered(ready(tmp_path, noted, batching={"batch_size": 1}), 12, timed=True)
    assert [c.rows for c in found.first.calls] == [1, 1]


def test_a_program_that_cannot_take_two_rows_is_tried_with_more_and_not_timed(tmp_path: Path) -> None:
    def needs_three(batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.num_rows < 3:
            raise ValueError("too few")
        return noted(batch)

    found = answered(ready(tmp_path, needs_three), 12, timed=True)
    assert (found.why, found.first.calls, found.first.begun, SEEN) == ("", (), 0, [list(range(10))])


def test_a_call_that_has_not_ended_is_told_by_how_long_it_was_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = Clock(), list[FirstRows]()
    monkeypatch.setattr(trials, "time", clock)
    watch = trials._Stopwatch(2.0, since=clock.now)

    def once(rows: pa.RecordBatch) -> int:
        clock.now += 3.0
        told.append(watch.first_rows())
        return rows.num_rows

    watch.timed(once, pa.record_batch({"x": [1, 2]}))
    assert (told[0].calls, told[0].begun, told[0].at_least) == ((), 2, 1.5)
