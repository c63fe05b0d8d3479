"""Tries after deaths, limits and losses: memory asked for, when rows are divided, named or set aside."""

from __future__ import annotations

from math import inf

import pytest

from partitioner.coordinator import deaths, ladder
from partitioner.coordinator.transitions import LIVE, Change
from partitioner.errors import EngineLost
from partitioner.model import Failure, Worker, Workers
from tests.coordinator.outcomes import rowed
from tests.coordinator.paper import state_of
from tests.coordinator.rungs_of import alone, on, told, trying

DEATH = Failure()


def test_the_first_death_doubles_the_memory_the_second_asks_for_the_largest_worker_the_third_divides() -> None:
    table = Workers.of([Worker("worker-0", memory_bytes=64.0), Worker("worker-1", memory_bytes=100.0)])
    state = state_of(rowed([8], table), divisible=True)
    state.change(0, Change.SUBMITTED)
    state.demands.memory = [10.0]
    asked = []
    for _ in range(2):
        assert deaths.died(state, on(), DEATH) is None
        asked.append(state.demands.memory[0])
    assert asked == [20.0, 100.0]
    assert [what for what, _ in told(state)] == ["retried", "retried"]
    assert deaths.died(state, on(), DEATH) is None
    assert told(state) == [("split", "its process died 3 times; its 8 rows are divided")]
    assert (state.deaths[0], state.trouble(0).died_on) == (3, {"worker-0": 3})


@pytest.mark.parametrize(
    ("asked", "peak", "growth", "largest", "promised"),
    [
        (10.0, 0, 2.0, 64.0, 20.0),
        (10.0, 25, 2.0, 64.0, 50.0),
        (30.0, 25, 2.0, 64.0, 60.0),
        (10.0, 40, 2.0, 64.0, 64.0),
        (10.0, 0, 3.0, 64.0, 30.0),
        (10.0, 40, 2.0, inf, 80.0),
    ],
)
def test_the_next_attempt_is_promised_a_multiple_of_the_more_of_asked_and_measured(
    asked: float, peak: int, growth: float, largest: float, promised: float
) -> None:
    state = state_of(rowed([8], Workers.of([Worker("worker-0", memory_bytes=largest)])), memory_growth=growth)
    state.demands.memory = [asked]
    deaths.died(state, on(), Failure("no", "MemoryError", memory=True, peak_memory_bytes=peak))
    assert state.demands.memory == [promised]
    assert told(state) == [("retried", f"MemoryError; again, alone, with {promised:.3g} bytes of memory")]


def test_where_no_worker_has_a_limit_memory_goes_on_doubling() -> None:
    state = trying(divisible=False)
    state.demands.memory = [10.0]
    for _ in range(3):
        assert deaths.died(state, on(), DEATH) is None
    assert state.demands.memory == [80.0]


@pytest.mark.parametrize(("limit", "lives"), [(1, 1), (3, 3)])
def test_deaths_of_what_cannot_be_divided_are_allowed_as_often_as_the_limit_says(limit: int, lives: int) -> None:
    state = trying(divisible=False, max_deaths=limit)
    for _ in range(lives):
        assert deaths.died(state, on(), DEATH) is None
    stop = deaths.died(state, on(), DEATH)
    assert f"sub-task t000000 was running {limit + 1} times when its worker died (limit {limit})" in str(stop)


def test_what_has_no_rows_is_never_divided() -> None:
    state = trying(rows=0, divisible=True, max_deaths=5)
    for _ in range(4):
        assert deaths.died(state, on(), DEATH) is None
    assert [what for what, _ in told(state)] == ["retried"] * 4
    assert state.searches == {}


def test_a_row_by_itself_dies_four_times_before_it_is_named_where_it_was_planned_alone() -> None:
    state = trying(workers=1, rows=1, divisible=True)
    assert [deaths.died(state, on(), DEATH) for _ in range(3)] == [None, None, None]
    assert [what for what, _ in told(state)] == ["retried"] * 3
    stop = deaths.died(state, on(), DEATH)
    assert str(stop) == (
        "row 0 of sub-task t000000 ends every process that works on it (its process died, last on worker-0). Mend the row "
        "or the program, or set such rows aside with on_error='quarantine'."
    )


def test_rows_that_only_reading_tells_are_counted_at_the_third_death() -> None:
    state = trying(rows=-1, divisible=True)
    assert [deaths.died(state, on(), DEATH) for _ in range(3)] == [None] * 3
    assert (state.trouble(0).counting, state.status[0]) == (True, LIVE)
    assert told(state)[-1] == ("counted", "its process died; its rows are counted, to divide them")


SLOW = Failure("slow", "TimedOut", timeout=True)


@pytest.mark.parametrize("what", ["condemned", "counting"])
def test_a_limit_on_what_does_not_call_the_program_is_nobodys_fault(what: str) -> None:
    state = trying(divisible=True)
    setattr(state.trouble(0), what, "a reason" if what == "condemned" else True)
    assert deaths.died(state, on(), SLOW) is None
    assert (state.deaths, state.trouble(0).died_on, state.trouble(0).losses) == ({}, {}, 1)


def test_a_limit_passed_is_a_death_without_more_memory() -> None:
    state = trying(divisible=False)
    state.demands.memory = [10.0]
    ladder.failed(state, on(), SLOW)
    assert (state.deaths, state.demands.memory, state.failures) == ({0: 1}, [10.0], {})
    assert told(state) == [("retried", "TimedOut; again, alone")]


def test_a_row_set_aside_may_die_twice_and_is_named_the_third_time() -> None:
    state = trying(rows=1, divisible=True)
    state.trouble(0).condemned, state.trouble(0).doubted = "it died", True
    assert [deaths.died(state, on(), DEATH) for _ in range(2)] == [None, None]
    stop = deaths.died(state, on(), DEATH)
    assert str(stop) == (
        "row 0 of sub-task t000000 cannot even be read: its process died while it was set aside. Remove it."
    )


def test_a_row_whose_setting_aside_dies_is_doubted_once() -> None:
    state = trying(rows=1, divisible=True)
    trouble = state.trouble(0)
    trouble.condemned, trouble.died_on = "it died", {"a": 1, "b": 1}
    assert deaths.died(state, on(), DEATH) is None
    assert (trouble.condemned, trouble.doubted, state.deaths) == ("", True, {0: 1})
    assert told(state)[-1] == ("doubted", "its process died while its row was set aside; the row is tried once more")


def test_a_part_of_several_rows_that_dies_is_divided_at_once() -> None:
    state = trying(divisible=True)
    task = alone(state, 0, 4)
    assert deaths.died(state, on(task=task), DEATH) is None
    assert told(state) == [("split", "its process died; its 4 rows are divided")]
    assert [(p.start, p.stop) for p in state.parts.values()] == [(0, 4), (0, 2)]


def test_a_rest_that_was_handed_over_dies_three_times_before_it_is_divided() -> None:
    state = trying(divisible=True)
    task = alone(state, 0, 4, rest=True)
    assert [deaths.died(state, on(task=task), DEATH) for _ in range(2)] == [None, None]
    assert len(state.parts) == 1
    deaths.died(state, on(task=task), DEATH)
    assert len(state.parts) == 2


def test_a_rest_of_one_row_dies_four_times_before_it_is_named() -> None:
    state = trying(workers=1, divisible=True)
    task = alone(state, rest=True)
    assert [deaths.died(state, on(task=task), DEATH) for _ in range(3)] == [None, None, None]
    assert "row 3 of sub-task t000000 ends every process" in str(deaths.died(state, on(task=task), DEATH))


def test_workers_that_die_by_chance_under_one_good_row_three_times_condemn_it_not() -> None:
    """The shortest history of a simulated run in which three workers died of themselves under the same row."""
    state = trying(rows=1, quarantine=True, divisible=True)
    for worker in ("worker-0", "worker-0", "worker-1"):
        assert deaths.died(state, on(worker), DEATH) is None
    assert state.trouble(0).condemned == ""


def test_one_row_is_confirmed_by_another_worker_and_then_set_aside() -> None:
    state = trying(quarantine=True, divisible=True)
    task = alone(state)
    assert deaths.died(state, on(task=task), DEATH) is None
    assert told(state) == [("confirmed", "its process died with this row alone; another worker is to confirm it")]
    assert deaths.died(state, on("worker-1", task=task), DEATH) is None
    assert state.trouble(task).condemned == "its process died on worker-0 and worker-1 with this row alone"
    assert told(state) == [("condemned", f"row 3 of sub-task t000000: {state.trouble(task).condemned}")]
    assert state.deaths[task] == 0


def test_one_row_on_the_only_worker_there_ever_was_is_set_aside_at_once() -> None:
    state = trying(workers=1, quarantine=True, divisible=True)
    task = alone(state)
    assert deaths.died(state, on(task=task), DEATH) is None
    assert state.trouble(task).condemned == "its process died on worker-0 with this row alone"


@pytest.mark.parametrize("away", ["excluded", "too small", "gone"])
def test_two_deaths_on_one_worker_do_where_no_other_could_take_the_row(away: str) -> None:
    state = trying(quarantine=True, divisible=True)
    task = alone(state)
    deaths.died(state, on(task=task), DEATH)
    if away == "excluded":
        state.excluded["worker-1"] = 30.0
    elif away == "too small":
        state.workers["worker-1"].worker = Worker("worker-1", cpus=0.5)
    else:
        del state.workers["worker-1"]
    deaths.died(state, on(task=task), DEATH)
    assert state.trouble(task).condemned


def test_two_deaths_on_one_worker_do_not_do_while_another_could_take_the_row() -> None:
    state = trying(quarantine=True, divisible=True)
    task = alone(state)
    for _ in range(2):
        assert deaths.died(state, on(task=task), DEATH) is None
    assert state.trouble(task).condemned == ""


def test_two_workers_are_enough_though_a_third_could_take_the_row_too() -> None:
    state = trying(workers=3, quarantine=True, divisible=True)
    task = alone(state)
    assert deaths.died(state, on(task=task), DEATH) is None
    assert deaths.died(state, on("worker-1", task=task), DEATH) is None
    assert state.trouble(task).condemned


def test_the_fifth_row_that_kills_without_one_that_does_not_is_the_program() -> None:
    for condemned, good, ends in ((3, 0, False), (4, 0, True), (4, 1, False)):
        state = trying(workers=1, quarantine=True, divisible=True)
        task = alone(state)
        state.searches[0].condemned, state.searches[0].good = condemned, good
        stop = deaths.died(state, on(task=task), DEATH)
        assert (stop is not None) is ends
        if stop is not None:
            assert "row 3 of sub-task t000000 is one of 5 rows of its sub-task that kill, each on its own" in str(stop)


def test_losses_are_counted_by_sub_task_and_end_the_run_beyond_the_limit() -> None:
    state = trying(max_losses=2)
    assert [deaths.lost(state, on()) for _ in range(2)] == [None, None]
    stop = deaths.lost(state, on())
    assert isinstance(stop, EngineLost)
    assert "handed to workers that went away 3 times (limit 2)" in str(stop)
