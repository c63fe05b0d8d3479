"""The first of a kind that is done tells what the others take; what waits is placed again, the longest first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from partitioner.coordinator import alike
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Action, State, Submit
from partitioner.engines.simulated_world import record_of
from partitioner.model import Event, EventKind, Plan, SubTasks, Worker, Workers
from partitioner.placement.algorithms.priority import Priority
from tests.coordinator.paper import by_hand, started, state_of


def plan_of(guess: list[float], alike: list[int], early: list[float], workers: int = 2) -> Plan:
    tasks = SubTasks.build(guess, alike=np.array(alike), priority=early)
    return Priority().place(tasks, Workers.identical(workers))


def sent(actions: list[Action]) -> list[int]:
    return [action.attempt.task for action in actions if isinstance(action, Submit)]


def done(state: State, task: int, seconds: float, now: float) -> list[int]:
    """The sub-task's attempt ends after so many seconds: what is submitted then."""
    (live,) = [live for live in state.attempts.values() if live.attempt.task == task]
    attempt = live.attempt
    record = record_of(attempt, now - seconds, now)
    ended = Event(EventKind.FINISHED, attempt.attempt_id, attempt.worker_id, record=record)
    return sent(step(state, [started(attempt.attempt_id, attempt.worker_id), ended], now)[1])


def test_one_of_each_kind_goes_first_and_what_it_took_orders_the_others() -> None:
    state = state_of(plan_of([0.5, 0.5, 0.5, 1.0, 1.0, 1.0], [0, 0, 0, 1, 1, 1], [1, 0, 0, 1, 0, 0]))
    assert sent(step(state, [], 0.0)[1]) == [3, 0]
    assert done(state, 3, 10.0, 10.0) == [4]
    assert state.seconds[4:] == [10.0, 10.0]
    assert done(state, 0, 11.0, 11.0) == [1]
    assert done(state, 4, 10.0, 20.0) == [2]


def test_a_guess_is_scaled_to_what_was_seen_of_others() -> None:
    state = state_of(plan_of([4.0, 4.0, 1.0, 1.0], [0, 0, 1, 1], [1, 0, 1, 0], workers=1))
    step(state, [], 0.0)
    done(state, 0, 2.0, 2.0)
    assert state.seconds[1:] == [2.0, 0.5, 0.5]


def test_kinds_that_were_seen_tell_of_those_that_were_not_by_what_they_differ_in() -> None:
    plan = plan_of([1.0, 1.0, 1.0, 1.0], [0, 1, 2, 3], [1, 1, 0, 0], workers=1)
    traits = np.array(
        [[0.0, 0.0], [2.0, 0.0], [4.0, 0.0], [0.0, 1.0]]
    )  # the third is further from the first than the second
    state = state_of(replace(plan, tasks=plan.tasks.with_columns(traits=traits)))
    step(state, [], 0.0)
    done(state, 0, 1.0, 1.0)
    done(state, 1, 9.0, 10.0)
    assert state.seconds[2] > 2 * state.seconds[3] > 2.0


def test_a_wrong_guess_is_overturned() -> None:
    state = state_of(plan_of([9.0, 9.0, 1.0, 1.0, 3.0, 3.0], [0, 0, 1, 1, 2, 2], [1, 0, 1, 0, 1, 0], workers=1))
    assert sent(step(state, [], 0.0)[1]) == [0]
    assert done(state, 0, 1.0, 1.0) == [4]
    assert done(state, 4, 5.0, 6.0) == [2]
    assert done(state, 2, 30.0, 36.0) == [3]  # the kind that was thought the shortest takes the longest
    assert done(state, 3, 30.0, 66.0) == [5]
    assert done(state, 5, 5.0, 71.0) == [1]


def test_what_runs_and_what_waits_on_any_worker_is_expected_to_take_what_was_seen() -> None:
    state = state_of(plan_of([4.0] * 10, [0] * 10, [0] * 10), ahead_seconds=9.0)
    step(state, [], 0.0)
    done(state, 0, 4.0, 4.0)
    assert [holder.ahead for holder in state.workers.values()] == [8.0, 8.0]
    done(state, 1, 12.0, 12.0)
    assert {(live.expected, live.seconds) for live in state.attempts.values()} == {(8.0, 8.0)}
    assert [holder.ahead for holder in state.workers.values()] == [16.0, 8.0]


def test_who_cannot_hold_one_sub_task_is_given_the_next() -> None:
    table = Workers.of([Worker("a"), Worker("b"), Worker("c", labels=frozenset(["big"]))])
    only = {"big": np.array([True, False, False, False, False])}
    state = state_of(by_hand([10.0, 4.0, 4.0, 4.0, 4.0], table, [2, 0, 0, 0, 0], requires=only))
    alike._place(state, 0.0)
    assert [list(holder.queue) for holder in state.workers.values()] == [[1, 3], [2, 4], [0]]
    assert state.richest == [(-10.0, "c"), (-8.0, "a"), (-8.0, "b")]


def test_what_takes_as_expected_changes_nothing() -> None:
    state = state_of(plan_of([2.0, 2.0, 2.0], [0, 0, 0], [0, 0, 0], workers=1))
    step(state, [], 0.0)
    done(state, 0, 2.0, 2.0)
    done(state, 1, 2.2, 4.2)
    assert state.seconds[2] == 2.0


def test_the_mean_of_a_kind_counts_once_it_is_news() -> None:
    state = state_of(plan_of([2.0, 2.0, 2.0], [0, 0, 0], [0, 0, 0], workers=1))
    step(state, [], 0.0)
    done(state, 0, 2.0, 2.0)
    done(state, 1, 6.0, 8.0)
    assert state.seconds[2] == pytest.approx(4.0)


def test_kinds_are_kept_with_the_sub_tasks_of_a_run(tmp_path: object) -> None:
    import partitioner as pt
    from partitioner.search import run_calls
    from partitioner.search.calls import Guess, declared
    from partitioner.store.run_directory import RunDirectory

    settings = {"checkpoint": f"{tmp_path}/runs", "progress": False, "report": False}
    guess = Guess(declared([1.0, 1.0, 2.0]), [0, 0, 1], [True, False, True])
    found, run = run_calls([(abs, (-i,), {}) for i in range(3)], guess, **settings)
    assert found == [0, 1, 2]
    assert isinstance(run, pt.Run)
    tasks = RunDirectory(run.url).read_tasks()
    assert tasks.alike is not None
    assert (tasks.alike.tolist(), tasks.priority.tolist()) == ([0, 0, 1], [1.0, 0.0, 1.0])
