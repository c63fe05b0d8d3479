"""One round of an iteration on a worker: what is prepared once, kept while there is room, and sent or written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt import rounds
from partitioner.attempt.rounds import INLINE_BYTES, Kept, RoundProgram, forget, run_round, state_name
from partitioner.attempt.surroundings import task_context
from partitioner.model import EventKind
from partitioner.reducers import partials
from partitioner.reducers.container import pack
from tests.attempt.by_hand import ByHand

PREPARED: list[list[int]] = []


class Sum(RoundProgram):
    """The sum of the rows, times the state."""

    def prepare(self, batch: pa.RecordBatch) -> np.ndarray[Any, Any]:
        PREPARED.append(batch.column("x").to_pylist())
        return batch.column("x").to_numpy()

    def __call__(self, data: np.ndarray[Any, Any], state: float) -> list[float]:
        return [float(data.sum()) * state]


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_kept", Kept())
    PREPARED.clear()


def made(home: Path, program: Any = None, states: int = 4, **options: Any) -> ByHand:
    by_hand = ByHand(
        home,
        Sum() if program is None else program,
        of=[[0], [1, 2], []],
        reducer="mean",
        **{"cache_bytes": 1e9, **options},
    )
    by_hand.loaded.call = by_hand.job.program
    for number in range(states):
        by_hand.directory.files.put(state_name(number), pack(float(number + 1)))
    return by_hand


@pytest.fixture(autouse=True)
def instances_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    original = rounds._call

    def call(run_url: str, loaded: Any) -> Any:
        return loaded.call if isinstance(loaded.call, RoundProgram) else original(run_url, loaded)

    monkeypatch.setattr(rounds, "_call", call)


def found(by_hand: ByHand, number: int, task: int = 0) -> tuple[Any, Any]:
    """The event, and the mean that its partial holds."""
    event = run_round(by_hand.attempt(task=task, round=number), by_hand.loaded)
    assert event.partial is not None
    data = event.partial.data or by_hand.directory.files.get(event.partial.name)
    reducer = by_hand.job.reducer
    return event, reducer.extract_output(partials.loads(reducer, data, "t"))


def test_a_round_gives_its_partial_with_rows_and_seconds(tmp_path: Path) -> None:
    event, value = found(made(tmp_path), 1, task=1)
    assert (event.kind, event.attempt_id, event.worker_id) == (EventKind.FINISHED, "t000001-a0", "w")
    partial = event.partial
    assert (partial.round, partial.task, partial.rows, partial.name) == (1, 1, 10, "")
    assert value == 2 * sum(range(5, 15))
    assert 0 <= partial.seconds < 60
    assert 0 < partial.load_seconds < 60
    assert [list(range(5, 15))] == PREPARED


def test_seconds_of_preparing_and_of_the_program_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 103.0, 110.0])
    monkeypatch.setattr(rounds.time, "perf_counter", lambda: next(now, 110.0))
    monkeypatch.setattr(rounds, "_partition", lambda *_: rounds._Partition(np.ones(2), 2, 16))
    partial = found(made(tmp_path), 0)[0].partial
    assert (partial.load_seconds, partial.seconds) == (3.0, 7.0)


def test_what_is_prepared_is_kept_for_the_next_round(tmp_path: Path) -> None:
    by_hand = made(tmp_path)
    assert [found(by_hand, number)[1] for number in (0, 1, 2)] == [10.0, 20.0, 30.0]
    assert len(PREPARED) == 1


def test_a_partition_that_does_not_fit_is_read_again_and_those_that_are_kept_stay(tmp_path: Path) -> None:
    by_hand = made(tmp_path, cache_bytes=100)  # 40 bytes of 5 rows, 80 of 10
    for _ in range(2):
        for task in (0, 1):
            found(by_hand, 0, task)
    assert [p[0] for p in PREPARED] == [0, 5, 5]


def test_a_partition_of_just_the_room_is_kept(tmp_path: Path) -> None:
    by_hand = made(tmp_path, cache_bytes=rounds._size(np.arange(5)))
    found(by_hand, 0)
    found(by_hand, 1)
    assert len(PREPARED) == 1


def test_a_sub_task_without_rows_calls_nothing(tmp_path: Path) -> None:
    by_hand = made(tmp_path)
    event = run_round(by_hand.attempt(task=2, round=0), by_hand.loaded)
    assert event.partial is not None
    assert (event.partial.rows, PREPARED) == (0, [])


def test_the_states_of_two_rounds_are_kept(tmp_path: Path) -> None:
    by_hand = made(tmp_path)
    for number in (0, 1, 2):
        found(by_hand, number)
    assert sorted(k[1] for k in rounds._kept.states) == [1, 2]
    by_hand.directory.files.delete(state_name(1))
    assert found(by_hand, 1)[1] == 20.0


def test_only_one_iteration_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = made(tmp_path / "a"), made(tmp_path / "b")
    found(one, 0)
    rounds._kept.calls[one.directory.url] = None  # type: ignore[assignment]
    assert rounds._kept.bytes_of(one.directory.url) > 0
    found(two, 0)
    assert {k[0] for k in [*rounds._kept.partitions, *rounds._kept.states]} == {two.directory.url}
    assert rounds._kept.calls == {}
    assert rounds._kept.bytes_of(one.directory.url) == 0
    forget()
    assert (rounds._kept.partitions, rounds._kept.states) == ({}, {})


@pytest.mark.parametrize(("over", "written"), [(0, False), (1, True)])
def test_a_large_partial_goes_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over: int, written: bool
) -> None:
    by_hand = made(tmp_path)
    monkeypatch.setattr(partials, "dumps", lambda reducer, accumulator, key: b"x" * (INLINE_BYTES + over))
    event = run_round(by_hand.attempt(7, task=1, round=3), by_hand.loaded)
    assert event.partial is not None
    assert (len(event.partial.data) == 0) is written
    assert event.partial.name == ("rounds/000003-t000001-7.partial" if written else "")
    assert (event.partial.round, event.partial.task, event.partial.rows) == (3, 1, 10)
    if written:
        assert len(by_hand.directory.files.get(event.partial.name)) == INLINE_BYTES + 1


def test_a_stream_is_added_item_by_item(tmp_path: Path) -> None:
    class Several(Sum):
        def __call__(self, data: Any, state: float) -> Any:
            return iter([[1.0], [3.0]])

    assert found(made(tmp_path, Several()), 0)[1] == 2.0


def test_a_function_gets_the_arguments_and_is_bound_once(tmp_path: Path) -> None:
    def scaled(data: pa.RecordBatch, state: float, by: float) -> list[float]:
        return [by * state * sum(data.column("x").to_pylist())]

    by_hand = made(tmp_path, scaled)
    object.__setattr__(by_hand.job, "arguments", {"by": 3.0})
    assert [found(by_hand, number)[1] for number in (0, 1)] == [30.0, 60.0]
    held = rounds._kept.calls[by_hand.directory.url]
    found(by_hand, 2)
    assert rounds._kept.calls[by_hand.directory.url] is held


def test_a_class_is_the_instance_that_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(rounds, "_kept", Kept())
    by_hand = made(tmp_path, Sum)
    by_hand.loaded.call = Sum()  # type: ignore[assignment]
    assert rounds._call(by_hand.directory.url, by_hand.loaded) is by_hand.loaded.call


def test_random_numbers_differ_from_round_to_round(tmp_path: Path) -> None:
    seeds: list[int] = []

    class Seeds(Sum):
        def __call__(self, data: Any, state: float) -> Any:
            seeds.append(task_context().seed)
            return [1.0]

    by_hand = made(tmp_path, Seeds())
    for number in (0, 1, 0):
        found(by_hand, number)
    assert seeds[0] == seeds[2] != seeds[1]


def test_a_program_that_prepares_nothing_gets_the_rows(tmp_path: Path) -> None:
    class Plain(RoundProgram):
        def __call__(self, data: Any, state: float) -> Any:
            return [float(data.num_rows)]

    assert found(made(tmp_path, Plain()), 0, task=1)[1] == 10.0


class Held:
    """Holds an array."""

    def __init__(self) -> None:
        self.data = np.zeros(1000)


def test_the_size_of_an_object_is_that_of_what_it_holds() -> None:
    assert rounds._size(np.zeros(1000)) == 8000
    assert rounds._size(Held()) > 8000
    assert rounds._size([1, 2]) < 8000
