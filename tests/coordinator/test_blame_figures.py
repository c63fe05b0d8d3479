"""When a worker is suspended, left out or acquitted, and whom a sub-task is hoped to succeed on."""

from __future__ import annotations

import pytest

from partitioner.coordinator import blame, ladder
from partitioner.coordinator.state import State
from partitioner.coordinator.transitions import LIVE
from partitioner.errors import EngineLost
from partitioner.model import Worker
from tests.coordinator.rungs_of import ERROR, many, on, told


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
    assert blame.succeeded(state, on("worker-2", 0), 0) is None
    health = state.workers["worker-1"].health
    assert (list(health.blamed), list(health.failing), state.excluded) == ([0], [1], {})
    told(state)
    assert blame.succeeded(state, on("worker-2", 1), 0) is None
    assert state.excluded == {"worker-1": 30.0}
    assert told(state) == [("excluded", "for 30 s: t000000, t000001 failed there and went well elsewhere")]
    assert (health.blamed, health.failing, health.exclusions) == ({}, {}, 1)


def test_success_at_last_on_the_same_worker_blames_nobody() -> None:
    state = many(exclude_after=1)
    fails(state, "worker-1", 0)
    blame.succeeded(state, on("worker-1", 0), 0)
    assert (state.health["worker-1"].blamed, state.excluded, state.health["worker-1"].successes) == ({}, {}, 1)
    blame.succeeded(state, on("worker-1", 1), 0)
    assert state.health["worker-1"].successes == 2


def test_rows_set_aside_acquit_a_suspended_worker_once_too_little_speaks_against_it() -> None:
    for others, suspended in (([1, 2], False), ([1, 2, 3], True)):
        state = many(suspend_after=3, max_retries=9)
        fails(state, "worker-1", 0, *others)
        blame.succeeded(state, on("worker-2", 0), 1)
        assert (state.workers["worker-1"].health.suspended, state.health["worker-1"].blamed) == (suspended, {})


def test_success_of_what_failed_nowhere_blames_nobody() -> None:
    state = many(exclude_after=1)
    fails(state, "worker-1", 0)
    blame.succeeded(state, on("worker-2", 7), 0)
    assert (state.health["worker-1"].blamed, state.excluded, list(state.health["worker-1"].failing)) == ({}, {}, [0])


def test_success_after_the_worker_that_failed_went_away_blames_nobody() -> None:
    state = many(exclude_after=1)
    fails(state, "worker-1", 0)
    fails(state, "worker-0", 0)
    del state.workers["worker-1"]
    assert blame.succeeded(state, on("worker-2", 0), 0) is None
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
    assert blame._exclude(state, state.workers["worker-1"]) is None
    assert ("worker-1" in state.excluded) is out


def test_a_worker_that_is_left_out_already_is_not_left_out_again() -> None:
    state = many(exclude_after=1)
    state.excluded["worker-1"] = 5.0
    state.health["worker-1"].blamed = {0: None, 1: None}
    blame._exclude(state, state.workers["worker-1"])
    assert (state.excluded, state.health["worker-1"].exclusions) == ({"worker-1": 5.0}, 0)


def test_the_last_worker_left_out_ends_the_run() -> None:
    state = many(2, exclude_after=1)
    state.health["worker-0"].blamed = {0: None}
    assert blame._exclude(state, state.workers["worker-0"]) is None
    state.health["worker-1"].blamed = {1: None}
    stop = blame._exclude(state, state.workers["worker-1"])
    assert isinstance(stop, EngineLost)
    assert "all 2 workers fail sub-tasks" in str(stop)


def test_no_more_than_three_sub_tasks_are_named() -> None:
    state = many(exclude_after=1)
    state.health["worker-1"].blamed = dict.fromkeys([3, 4, 5, 6])
    blame._exclude(state, state.workers["worker-1"])
    assert told(state)[0][1].endswith("t000003, t000004, t000005 failed there and went well elsewhere")


def test_time_out_doubles_and_ends_and_the_worker_starts_afresh() -> None:
    state = many(exclude_seconds=10.0)
    holder = state.workers["worker-1"]
    for seconds in (10.0, 20.0, 40.0):
        blame.leave_out(state, holder, "why")
        assert state.excluded == {"worker-1": seconds}
        holder.health.suspended, state.hungry = True, {}
        told(state)
        blame.pass_time(state, seconds - 0.001)
        assert (state.hungry, holder.health.suspended, list(state.excluded)) == ({}, True, ["worker-1"])
        blame.pass_time(state, 0.001)
        assert (list(state.hungry), holder.health.suspended, state.excluded) == (["worker-1"], False, {})
        assert told(state) == [("readmitted", "its time is over; the next failure counts at once")]


def test_the_time_of_a_worker_that_went_away_ends_in_silence() -> None:
    state = many()
    state.excluded |= {"gone": 5.0, "worker-1": 8.0}
    blame.pass_time(state, 5.0)
    assert (state.excluded, told(state), "gone" in state.hungry) == ({"worker-1": 3.0}, [], False)


def test_what_waited_for_a_worker_that_is_left_out_may_come_from_anywhere_again() -> None:
    state = many()
    holder = state.workers["worker-1"]
    state.moved = {1: {"worker-0"}, 4: {"worker-2"}, 0: {"worker-1"}}
    state.status[4] = LIVE
    holder.held, state.hungry, state.idle = 1, {}, {"worker-0": None}
    blame.leave_out(state, holder, "why")
    assert list(state.pool) == [1, 7, 10]
    assert [state.home[i] for i in (1, 4, 7, 10)] == [""] * 4
    assert (state.moved, holder.held, state.as_planned) == ({0: {"worker-1"}}, None, False)
    assert state.hungry == {"worker-0": None}


def test_a_worker_that_is_left_out_is_suspected_of_nothing_when_it_comes_back() -> None:
    state = many(exclude_after=1, exclude_seconds=10.0)
    fails(state, "worker-1", 0, 1)
    blame.leave_out(state, state.workers["worker-1"], "why")
    assert (state.health["worker-1"].failing, state.health["worker-1"].blamed) == ({}, {})
    blame.pass_time(state, 10.0)
    blame.succeeded(state, on("worker-2", 0), 0)
    assert (state.excluded, state.health["worker-1"].exclusions) == ({}, 1)


@pytest.mark.parametrize("away", ["awaited", "excluded"])
def test_what_failed_here_is_tried_here_again_where_all_others_are_away(away: str) -> None:
    state = many(2)
    fails(state, "worker-0", 0)
    assert not blame.allows(state, state.workers["worker-0"], 0)
    assert blame.others(state, 0)
    if away == "awaited":
        state.awaited.add("worker-1")
    else:
        state.excluded["worker-1"] = 5.0
    assert blame.allows(state, state.workers["worker-0"], 0)
    assert not blame.others(state, 0)


def doubts(state: State, task: int = 0) -> list[int]:
    return [blame._doubt(state.workers[f"worker-{j}"], state.troubles.get(task)) for j in range(3)]


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
    return [blame.allows(state, state.workers[f"worker-{j}"], task) for j in range(3)]


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
    assert blame.avoided(state, holder, 0) == ()
    state.as_planned = False
    assert blame.avoided(state, holder, 0) == ("worker-1",)
    assert blame.avoided(state, state.workers["worker-1"], 0) == ()
    state = many(rerouted=False)
    state.as_planned = False
    state.trouble(0).failed_on = {"worker-1": 1}
    assert blame.avoided(state, state.workers["worker-0"], 0) == ()
