"""Every rung by itself, on a sub-task or a worker whose history is written down: how often, how much, and what is said."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from partitioner.coordinator import ladder
from partitioner.coordinator.state import Live, Rung, State
from partitioner.coordinator.transitions import LIVE, Change
from partitioner.coordinator.troubles import Part, Search
from partitioner.errors import EngineLost, RunFailed
from partitioner.model import Attempt, Care, Failure, Worker, Workers
from tests.coordinator.outcomes import rowed
from tests.coordinator.paper import by_hand, state_of

ERROR = Failure("no", "ValueError")
DEATH = Failure()


def trying(workers: int = 2, rows: int = 8, **policy: Any) -> State:
    """One sub-task of so many rows, with an engine."""
    state = state_of(rowed([rows], workers), **policy)
    state.change(0, Change.SUBMITTED)
    return state


def on(worker: str = "worker-0", task: int = 0, key: str = "t000000", number: int = 0) -> Live:
    return Live(Attempt(key, task, number, worker, "memory://run"), 1.0)


def told(state: State) -> list[tuple[str, str]]:
    said = [(r.what, r.reason) for r in state.rungs if isinstance(r, Rung)]
    state.rungs.clear()
    return said


# ---- errors


@pytest.mark.parametrize(("retries", "quarantine", "tries"), [(0, False, 1), (2, False, 3), (0, True, 2), (2, True, 4)])
def test_an_error_is_tried_again_as_often_as_allowed_and_once_more_to_isolate(
    retries: int, quarantine: bool, tries: int
) -> None:
    state = trying(max_retries=retries, quarantine=quarantine)
    stops = [ladder.failed(state, on(), ERROR) for _ in range(tries)]
    assert [stop is None for stop in stops] == [True] * (tries - 1) + [False]
    assert state.failures == {0: tries}


def test_the_reason_of_a_retry_says_where_to_and_is_short() -> None:
    state = trying()
    ladder.failed(state, on(), Failure("x" * 300, "ValueError"))
    assert told(state) == [("retried", f"ValueError: {'x' * 200}; again on another worker")]
    state = trying(workers=1)
    ladder.failed(state, on(), ERROR)
    assert told(state) == [("retried", "ValueError: no; again")]


def test_the_last_words_name_how_often_where_and_what_to_do() -> None:
    state = trying(max_retries=0)
    stop = ladder.failed(state, on("worker-1", number=7), Failure("no", "ValueError"))
    assert str(stop) == (
        "sub-task t000000 failed 1 time (tries allowed: 1), last on worker-1: ValueError: no. To set failing rows aside "
        "instead, use on_error='quarantine'. What is committed stays: mend the cause, then partitioner resume memory://run "
        "goes on. Its prints and traceback are in memory://run/attempts/t000000-a7.log"
    )
    state = trying(max_retries=5)
    stop = ladder.failed(state, on(), Failure("no", "DataError", fatal=True))
    assert str(stop).startswith(
        "sub-task t000000 failed 1 time (no retry can mend it), last on worker-0: DataError: no."
    )
    assert "on_error" not in str(stop)
    state = trying(max_retries=0, quarantine=True)
    ladder.failed(state, on(), ERROR)
    stop = ladder.failed(state, on(), ERROR)
    assert str(stop).startswith("sub-task t000000 failed 2 times (tries allowed: 2)")
    assert "on_error" not in str(stop)
    stop = ladder.failed(trying(max_retries=5), on(), Failure("no room. Free some.", "OSError", fatal=True))
    assert "last on worker-0: OSError: no room. Free some. What is committed stays" in str(stop)


def test_rows_that_failed_alone_are_remembered_by_worker_and_count_as_no_try() -> None:
    state = trying(quarantine=True, max_retries=0)
    why = Failure("rows", "RowsFailed", suspects=((1, 2),))
    assert [ladder.failed(state, on(w), why) for w in ("worker-0", "worker-1")] == [None, None]
    trouble = state.trouble(0)
    assert (trouble.suspects, trouble.rounds, state.failures) == (
        {"worker-0": ((1, 2),), "worker-1": ((1, 2),)},
        2,
        {},
    )
    assert told(state) == [("isolated", "rows; another worker is to confirm it")] * 2
    stop = ladder.failed(state, on(), why)
    assert str(stop).startswith("sub-task t000000 failed 3 times")
    assert trouble.failed_on == {"worker-0": 2, "worker-1": 1}


# ---- GPU memory

GPU = Failure("CUDA", "OutOfMemoryError", memory=True, gpu=True)


def test_batches_are_halved_up_to_sixteen_pieces_and_nobody_is_charged() -> None:
    state = trying(divisible=True)
    assert [(ladder.failed(state, on(), GPU), state.trouble(0).smaller) for _ in range(4)] == [
        (None, n) for n in (2, 4, 8, 16)
    ]
    assert told(state)[0] == (
        "retried",
        "OutOfMemoryError; again, each batch in 2 pieces for the memory of the GPU",
    )
    assert (state.deaths, state.trouble(0).failed_on, state.status[0]) == ({}, {}, LIVE)
    assert ladder.failed(state, on(), GPU) is None
    assert told(state) == [("split", "OutOfMemoryError 3 times; its 8 rows are divided")]
    assert state.deaths[0] == 3


def test_deaths_before_a_gpu_ran_out_are_not_forgotten() -> None:
    state = trying(divisible=False, max_deaths=9)
    state.deaths[0] = 7
    ladder.failed(state, on(), GPU)
    assert (state.deaths[0], state.trouble(0).smaller) == (8, 1)


# ---- deaths


def test_the_first_death_doubles_the_memory_the_second_asks_for_the_largest_worker_the_third_divides() -> None:
    table = Workers.of([Worker("worker-0", memory_bytes=64.0), Worker("worker-1", memory_bytes=100.0)])
    state = state_of(rowed([8], table), divisible=True)
    state.change(0, Change.SUBMITTED)
    state.demands.memory = [10.0]
    asked = []
    for _ in range(2):
        assert ladder.died(state, on(), DEATH) is None
        asked.append(state.demands.memory[0])
    assert asked == [20.0, 100.0]
    assert [what for what, _ in told(state)] == ["retried", "retried"]
    assert ladder.died(state, on(), DEATH) is None
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
    ladder.died(state, on(), Failure("no", "MemoryError", memory=True, peak_memory_bytes=peak))
    assert state.demands.memory == [promised]
    assert told(state) == [("retried", f"MemoryError; again, alone, with {promised:.3g} bytes of memory")]


def test_where_no_worker_has_a_limit_memory_goes_on_doubling() -> None:
    state = trying(divisible=False)
    state.demands.memory = [10.0]
    for _ in range(3):
        assert ladder.died(state, on(), DEATH) is None
    assert state.demands.memory == [80.0]


@pytest.mark.parametrize(("limit", "lives"), [(1, 1), (3, 3)])
def test_deaths_of_what_cannot_be_divided_are_allowed_as_often_as_the_limit_says(limit: int, lives: int) -> None:
    state = trying(divisible=False, max_deaths=limit)
    for _ in range(lives):
        assert ladder.died(state, on(), DEATH) is None
    stop = ladder.died(state, on(), DEATH)
    assert f"sub-task t000000 was running {limit + 1} times when its worker died (limit {limit})" in str(stop)


def test_what_has_no_rows_is_never_divided() -> None:
    state = trying(rows=0, divisible=True, max_deaths=5)
    for _ in range(4):
        assert ladder.died(state, on(), DEATH) is None
    assert [what for what, _ in told(state)] == ["retried"] * 4
    assert state.searches == {}


def test_a_row_by_itself_dies_four_times_before_it_is_named_where_it_was_planned_alone() -> None:
    state = trying(workers=1, rows=1, divisible=True)
    assert [ladder.died(state, on(), DEATH) for _ in range(3)] == [None, None, None]
    assert [what for what, _ in told(state)] == ["retried"] * 3
    stop = ladder.died(state, on(), DEATH)
    assert str(stop) == (
        "row 0 of sub-task t000000 ends every process that works on it (its process died, last on worker-0). Mend the row "
        "or the program, or set such rows aside with on_error='quarantine'."
    )


def test_rows_that_only_reading_tells_are_counted_at_the_third_death() -> None:
    state = trying(rows=-1, divisible=True)
    assert [ladder.died(state, on(), DEATH) for _ in range(3)] == [None] * 3
    assert (state.trouble(0).counting, state.status[0]) == (True, LIVE)
    assert told(state)[-1] == ("counted", "its process died; its rows are counted, to divide them")


SLOW = Failure("slow", "TimedOut", timeout=True)


@pytest.mark.parametrize("what", ["condemned", "counting"])
def test_a_limit_on_what_does_not_call_the_program_is_nobodys_fault(what: str) -> None:
    state = trying(divisible=True)
    setattr(state.trouble(0), what, "a reason" if what == "condemned" else True)
    assert ladder.died(state, on(), SLOW) is None
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
    assert [ladder.died(state, on(), DEATH) for _ in range(2)] == [None, None]
    stop = ladder.died(state, on(), DEATH)
    assert str(stop) == (
        "row 0 of sub-task t000000 cannot even be read: its process died while it was set aside. Remove it."
    )


def test_a_row_whose_setting_aside_dies_is_doubted_once() -> None:
    state = trying(rows=1, divisible=True)
    trouble = state.trouble(0)
    trouble.condemned, trouble.died_on = "it died", {"a": 1, "b": 1}
    assert ladder.died(state, on(), DEATH) is None
    assert (trouble.condemned, trouble.doubted, state.deaths) == ("", True, {0: 1})
    assert told(state)[-1] == ("doubted", "its process died while its row was set aside; the row is tried once more")


def alone(state: State, start: int = 3, stop: int = 4, rest: bool = False) -> int:
    """A part of the only sub-task, with an engine; under search, or as a rest that was handed over."""
    search = state.searches[0] = Search(8)
    task = state.add_part(Part(0, f"t000000.{start}-{stop}", start, stop, ("t000000",)), 0.1)
    search.parts.add(task)
    if rest:
        state.rests.add(task)
    state.change(task, Change.SUBMITTED)
    told(state)
    return task


def test_a_part_of_several_rows_that_dies_is_divided_at_once() -> None:
    state = trying(divisible=True)
    task = alone(state, 0, 4)
    assert ladder.died(state, on(task=task), DEATH) is None
    assert told(state) == [("split", "its process died; its 4 rows are divided")]
    assert [(p.start, p.stop) for p in state.parts.values()] == [(0, 4), (0, 2)]


def test_a_rest_that_was_handed_over_dies_three_times_before_it_is_divided() -> None:
    state = trying(divisible=True)
    task = alone(state, 0, 4, rest=True)
    assert [ladder.died(state, on(task=task), DEATH) for _ in range(2)] == [None, None]
    assert len(state.parts) == 1
    ladder.died(state, on(task=task), DEATH)
    assert len(state.parts) == 2


def test_a_rest_of_one_row_dies_four_times_before_it_is_named() -> None:
    state = trying(workers=1, divisible=True)
    task = alone(state, rest=True)
    assert [ladder.died(state, on(task=task), DEATH) for _ in range(3)] == [None, None, None]
    assert "row 3 of sub-task t000000 ends every process" in str(ladder.died(state, on(task=task), DEATH))


def test_workers_that_die_by_chance_under_one_good_row_three_times_condemn_it_not() -> None:
    """The shortest history of a simulated run in which three workers died of themselves under the same row."""
    state = trying(rows=1, quarantine=True, divisible=True)
    for worker in ("worker-0", "worker-0", "worker-1"):
        assert ladder.died(state, on(worker), DEATH) is None
    assert state.trouble(0).condemned == ""


def test_one_row_is_confirmed_by_another_worker_and_then_set_aside() -> None:
    state = trying(quarantine=True, divisible=True)
    task = alone(state)
    assert ladder.died(state, on(task=task), DEATH) is None
    assert told(state) == [("confirmed", "its process died with this row alone; another worker is to confirm it")]
    assert ladder.died(state, on("worker-1", task=task), DEATH) is None
    assert state.trouble(task).condemned == "its process died on worker-0 and worker-1 with this row alone"
    assert told(state) == [("condemned", f"row 3 of sub-task t000000: {state.trouble(task).condemned}")]
    assert state.deaths[task] == 0


def test_one_row_on_the_only_worker_there_ever_was_is_set_aside_at_once() -> None:
    state = trying(workers=1, quarantine=True, divisible=True)
    task = alone(state)
    assert ladder.died(state, on(task=task), DEATH) is None
    assert state.trouble(task).condemned == "its process died on worker-0 with this row alone"


@pytest.mark.parametrize("away", ["excluded", "too small", "gone"])
def test_two_deaths_on_one_worker_do_where_no_other_could_take_the_row(away: str) -> None:
    state = trying(quarantine=True, divisible=True)
    task = alone(state)
    ladder.died(state, on(task=task), DEATH)
    if away == "excluded":
        state.excluded["worker-1"] = 30.0
    elif away == "too small":
        state.workers["worker-1"].worker = Worker("worker-1", cpus=0.5)
    else:
        del state.workers["worker-1"]
    ladder.died(state, on(task=task), DEATH)
    assert state.trouble(task).condemned


def test_two_deaths_on_one_worker_do_not_do_while_another_could_take_the_row() -> None:
    state = trying(quarantine=True, divisible=True)
    task = alone(state)
    for _ in range(2):
        assert ladder.died(state, on(task=task), DEATH) is None
    assert state.trouble(task).condemned == ""


def test_two_workers_are_enough_though_a_third_could_take_the_row_too() -> None:
    state = trying(workers=3, quarantine=True, divisible=True)
    task = alone(state)
    assert ladder.died(state, on(task=task), DEATH) is None
    assert ladder.died(state, on("worker-1", task=task), DEATH) is None
    assert state.trouble(task).condemned


def test_the_third_row_in_turn_that_kills_without_one_that_does_not_is_the_program() -> None:
    for condemned, good, ends in ((1, 0, False), (2, 0, True), (2, 1, False)):
        state = trying(workers=1, quarantine=True, divisible=True)
        task = alone(state)
        state.searches[0].condemned, state.searches[0].good = condemned, good
        stop = ladder.died(state, on(task=task), DEATH)
        assert (stop is not None) is ends
        if stop is not None:
            assert "row 3 of sub-task t000000 is the 3rd row in turn that kills on its own" in str(stop)


# ---- losses


def test_losses_are_counted_by_sub_task_and_end_the_run_beyond_the_limit() -> None:
    state = trying(max_losses=2)
    assert [ladder.lost(state, on()) for _ in range(2)] == [None, None]
    stop = ladder.lost(state, on())
    assert isinstance(stop, EngineLost)
    assert "handed to workers that went away 3 times (limit 2)" in str(stop)


# ---- workers


def many(workers: int = 3, **policy: Any) -> State:
    return state_of(by_hand([1.0] * 12, workers, [i % workers for i in range(12)]), **policy)


def fails(state: State, worker: str, *tasks: int) -> None:
    for task in tasks:
        ladder.failed(state, on(worker, task, f"t{task:06d}"), ERROR)


def test_a_worker_is_suspended_by_the_third_sub_task_that_fails_there_in_turn() -> None:
    state = many()
    state.hungry, state.idle = {}, {"worker-2": None}
    fails(state, "worker-1", 0, 1)
    assert (state.workers["worker-1"].health.suspended, state.hungry, state.as_planned) == (False, {}, True)
    fails(state, "worker-1", 2)
    health = state.workers["worker-1"].health
    assert (health.suspended, list(health.failing), state.hungry) == (True, [0, 1, 2], {"worker-2": None})
    assert told(state)[-2] == ("suspended", "3 sub-tasks failed there in turn")
    assert state.as_planned is False
    fails(state, "worker-1", 3)
    assert "suspended" not in [what for what, _ in told(state)]


def test_the_same_sub_task_failing_again_counts_once() -> None:
    state = many(max_retries=9)
    fails(state, "worker-1", 0, 0, 0, 0)
    assert (state.workers["worker-1"].health.suspended, list(state.health["worker-1"].failing)) == (False, [0])


def test_a_sub_task_that_fails_elsewhere_too_speaks_against_neither_worker() -> None:
    state = many()
    fails(state, "worker-1", 0, 1, 2)
    state.hungry = {}
    fails(state, "worker-2", 0)
    one, two = state.workers["worker-1"].health, state.workers["worker-2"].health
    assert (list(one.failing), one.suspended, list(two.failing)) == ([1, 2], False, [])
    assert list(state.hungry) == ["worker-1"]


def test_a_worker_stays_suspended_while_enough_still_speaks_against_it() -> None:
    state = many()
    fails(state, "worker-1", 0, 1, 2, 3)
    fails(state, "worker-2", 0)
    assert state.workers["worker-1"].health.suspended is True


def test_a_failure_on_a_worker_that_is_gone_harms_nobody() -> None:
    state = many()
    fails(state, "nobody", 0)
    assert state.trouble(0).failed_on == {"nobody": 1}
    fails(state, "worker-1", 0)
    assert list(state.health["worker-1"].failing) == []


def test_another_sub_tasks_failure_there_acquits_nobody() -> None:
    state = many()
    fails(state, "worker-1", 0)
    state.workers["worker-1"].health.suspended = True
    state.trouble(5).failed_on["worker-1"] = 1
    fails(state, "worker-2", 5)
    assert state.workers["worker-1"].health.suspended is True


def test_success_elsewhere_blames_the_worker_that_failed_and_two_such_leave_it_out() -> None:
    state = many(exclude_after=2)
    fails(state, "worker-1", 0, 1)
    assert ladder.succeeded(state, on("worker-2", 0), 0) is None
    health = state.workers["worker-1"].health
    assert (list(health.blamed), list(health.failing), state.excluded) == ([0], [1], {})
    told(state)
    assert ladder.succeeded(state, on("worker-2", 1), 0) is None
    assert state.excluded == {"worker-1": 30.0}
    assert told(state) == [("excluded", "for 30 s: t000000, t000001 failed there and went well elsewhere")]
    assert (health.blamed, health.failing, health.exclusions) == ({}, {}, 1)


def test_success_at_last_on_the_same_worker_blames_nobody() -> None:
    state = many(exclude_after=1)
    fails(state, "worker-1", 0)
    ladder.succeeded(state, on("worker-1", 0), 0)
    assert (state.health["worker-1"].blamed, state.excluded, state.health["worker-1"].successes) == ({}, {}, 1)


def test_rows_set_aside_acquit_a_suspended_worker_once_too_little_speaks_against_it() -> None:
    for others, suspended in (([1, 2], False), ([1, 2, 3], True)):
        state = many(suspend_after=3, max_retries=9)
        fails(state, "worker-1", 0, *others)
        ladder.succeeded(state, on("worker-2", 0), 1)
        assert (state.workers["worker-1"].health.suspended, state.health["worker-1"].blamed) == (suspended, {})


def test_success_of_what_failed_nowhere_blames_nobody() -> None:
    state = many(exclude_after=1)
    fails(state, "worker-1", 0)
    ladder.succeeded(state, on("worker-2", 7), 0)
    assert (state.health["worker-1"].blamed, state.excluded, list(state.health["worker-1"].failing)) == ({}, {}, [0])


def test_success_after_the_worker_that_failed_went_away_blames_nobody() -> None:
    state = many(exclude_after=1)
    fails(state, "worker-1", 0)
    fails(state, "worker-0", 0)
    del state.workers["worker-1"]
    assert ladder.succeeded(state, on("worker-2", 0), 0) is None
    assert state.excluded == {}


@pytest.mark.parametrize(
    ("successes", "exclusions", "blamed", "out"),
    [
        (0, 0, 1, False),
        (0, 0, 2, True),
        (0, 1, 1, True),
        (14, 0, 2, False),
        (15, 0, 3, True),
        (10, 1, 1, False),
        (5, 1, 1, True),
    ],
)
def test_how_much_blame_leaves_a_worker_out(successes: int, exclusions: int, blamed: int, out: bool) -> None:
    state = many(exclude_after=2)
    health = state.workers["worker-1"].health
    health.successes, health.exclusions, health.blamed = successes, exclusions, dict.fromkeys(range(blamed))
    assert ladder._exclude(state, state.workers["worker-1"]) is None
    assert ("worker-1" in state.excluded) is out


def test_a_worker_that_is_left_out_already_is_not_left_out_again() -> None:
    state = many(exclude_after=1)
    state.excluded["worker-1"] = 5.0
    state.health["worker-1"].blamed = {0: None, 1: None}
    ladder._exclude(state, state.workers["worker-1"])
    assert (state.excluded, state.health["worker-1"].exclusions) == ({"worker-1": 5.0}, 0)


def test_the_last_worker_left_out_ends_the_run() -> None:
    state = many(2, exclude_after=1)
    state.health["worker-0"].blamed = {0: None}
    assert ladder._exclude(state, state.workers["worker-0"]) is None
    state.health["worker-1"].blamed = {1: None}
    stop = ladder._exclude(state, state.workers["worker-1"])
    assert isinstance(stop, EngineLost)
    assert "all 2 workers fail sub-tasks" in str(stop)


def test_no_more_than_three_sub_tasks_are_named() -> None:
    state = many(exclude_after=1)
    state.health["worker-1"].blamed = dict.fromkeys([3, 4, 5, 6])
    ladder._exclude(state, state.workers["worker-1"])
    assert told(state)[0][1].endswith("t000003, t000004, t000005 failed there and went well elsewhere")


def test_time_out_doubles_and_ends_and_the_worker_starts_afresh() -> None:
    state = many(exclude_seconds=10.0)
    holder = state.workers["worker-1"]
    for seconds in (10.0, 20.0, 40.0):
        ladder.leave_out(state, holder, "why")
        assert state.excluded == {"worker-1": seconds}
        holder.health.suspended, state.hungry = True, {}
        told(state)
        ladder.pass_time(state, seconds - 0.001)
        assert (state.hungry, holder.health.suspended, list(state.excluded)) == ({}, True, ["worker-1"])
        ladder.pass_time(state, 0.001)
        assert (list(state.hungry), holder.health.suspended, state.excluded) == (["worker-1"], False, {})
        assert told(state) == [("readmitted", "its time is over; the next failure counts at once")]


def test_the_time_of_a_worker_that_went_away_ends_in_silence() -> None:
    state = many()
    state.excluded["gone"] = 5.0
    ladder.pass_time(state, 5.0)
    assert (state.excluded, told(state), "gone" in state.hungry) == ({}, [], False)


def test_what_waited_for_a_worker_that_is_left_out_may_come_from_anywhere_again() -> None:
    state = many()
    holder = state.workers["worker-1"]
    state.moved = {1: {"worker-0"}, 4: {"worker-2"}, 0: {"worker-1"}}
    state.status[4] = LIVE
    holder.held, state.hungry, state.idle = 1, {}, {"worker-0": None}
    ladder.leave_out(state, holder, "why")
    assert list(state.pool) == [1, 7, 10]
    assert [state.home[i] for i in (1, 4, 7, 10)] == [""] * 4
    assert (state.moved, holder.held, state.as_planned) == ({0: {"worker-1"}}, None, False)
    assert state.hungry == {"worker-0": None}


def doubts(state: State, task: int = 0) -> list[int]:
    return [ladder._doubt(state.workers[f"worker-{j}"], state.troubles.get(task)) for j in range(3)]


def test_least_is_hoped_from_where_it_failed_most_and_from_who_had_a_say() -> None:
    state = many()
    assert doubts(state) == [0, 0, 0]
    state.workers["worker-2"].health.suspended = True
    assert doubts(state) == [0, 0, 1]
    trouble = state.trouble(0)
    trouble.failed_on, trouble.died_on = {"worker-0": 1}, {"worker-0": 1, "worker-1": 1}
    trouble.suspects = {"worker-1": ((0, 1),)}
    assert doubts(state) == [5, 4, 1]
    state.workers["worker-2"].health.suspended = False
    trouble.slow_on = frozenset(["worker-2"])
    assert doubts(state) == [5, 4, 1]


def allowed(state: State, task: int = 0) -> list[bool]:
    return [ladder.allows(state, state.workers[f"worker-{j}"], task) for j in range(3)]


def test_the_ladder_lets_those_have_a_sub_task_from_whom_most_is_hoped() -> None:
    state = many()
    assert allowed(state) == [True, True, True]
    state.trouble(0).failed_on = {"worker-0": 1}
    assert allowed(state) == [False, True, True]
    state.trouble(0).failed_on = {"worker-0": 1, "worker-1": 1, "worker-2": 2}
    assert allowed(state) == [True, True, False]
    state.excluded["worker-1"] = 9.0
    assert allowed(state) == [True, False, False]
    state.excluded["worker-0"] = 9.0
    assert allowed(state) == [False, False, True]


def test_a_better_worker_counts_only_if_it_could_hold_the_sub_task() -> None:
    state = many()
    state.trouble(0).failed_on = {"worker-0": 1, "worker-1": 1}
    state.workers["worker-2"].worker = Worker("worker-2", cpus=0.5)
    assert allowed(state)[:2] == [True, True]


def test_where_a_placement_is_a_hint_those_are_named_that_may_not_have_it() -> None:
    state = many(rerouted=True)
    state.trouble(0).failed_on = {"worker-1": 1}
    holder = state.workers["worker-0"]
    assert ladder.avoided(state, holder, 0) == ()
    state.as_planned = False
    assert ladder.avoided(state, holder, 0) == ("worker-1",)
    assert ladder.avoided(state, state.workers["worker-1"], 0) == ()
    state = many(rerouted=False)
    state.as_planned = False
    state.trouble(0).failed_on = {"worker-1": 1}
    assert ladder.avoided(state, state.workers["worker-0"], 0) == ()


# ---- what an attempt is told


def test_a_plain_attempt_is_told_nothing() -> None:
    state = many()
    told_first = ladder.care(state, state.workers["worker-0"], 0)
    assert told_first == Care(suspects=())


def test_an_attempt_at_a_part_is_told_its_rows_and_what_it_was_split_from() -> None:
    state = trying(divisible=True)
    task = alone(state, 2, 5)
    state.trouble(task).smaller, state.trouble(task).counting = 4, True
    told_it = ladder.care(state, state.workers["worker-0"], task)
    assert told_it == Care(0, (2, 5), ("t000000",), count=True, suspects=(), smaller=4)


@pytest.mark.parametrize(
    ("others", "successes", "seen", "suspects"),
    [
        (True, 1, 2, ((3, 4),)),
        (True, 0, 2, ((3, 4),)),
        (False, 1, 2, None),
        (False, 0, 2, ((3, 4),)),
        (False, 0, 1, None),
    ],
)
def test_rows_are_to_be_confirmed_unless_nobody_else_can_and_the_worker_is_trusted(
    others: bool, successes: int, seen: int, suspects: Any
) -> None:
    state = many(2, quarantine=True)
    state.trouble(0).failed_on = {"worker-1": 1, "worker-0": 1}
    state.trouble(0).suspects = {"worker-1": ((3, 4),), "worker-0": ((7, 8),)}
    if not others:
        state.excluded["worker-1"] = 9.0
    state.health["worker-0"].successes = successes
    state.seen = {f"worker-{j}" for j in range(seen)}
    told_it = ladder.care(state, state.workers["worker-0"], 0)
    assert (told_it.isolate, told_it.suspects) == (True, suspects)


def test_errors_of_this_ladder_are_of_the_run() -> None:
    assert isinstance(ladder.failed(trying(max_retries=0), on(), ERROR), RunFailed)
