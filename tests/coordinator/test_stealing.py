"""What idle workers take from others, and what they leave."""

from __future__ import annotations

from math import inf

from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Action, Cancel, State, Submit
from partitioner.model import Event, EventKind, Worker, Workers
from partitioner.simulation import simulate
from tests.coordinator.paper import plan_of, started, state_of


def sent(actions: list[Action]) -> list[tuple[int, str]]:
    return [(a.attempt.task, a.attempt.worker_id) for a in actions if isinstance(a, Submit)]


def two_queues(mine: list[int], other: list[int], workers: Workers | int = 2) -> State:
    """Sub-task i takes 10 - i seconds; the queues are as given."""
    state = state_of(plan_of([10.0 - i for i in range(8)], workers))
    for name, tasks in zip(list(state.workers), (mine, other), strict=True):
        holder = state.workers[name]
        holder.queue.clear()
        holder.queue.extend(tasks)
        holder.backlog = sum(state.seconds[i] for i in tasks) / holder.worker.speed
    state.richest = sorted((-holder.backlog, name) for name, holder in state.workers.items())
    return state


def test_nothing_is_taken_while_all_went_as_planned() -> None:
    state = two_queues([0], [1, 2, 3])
    step(state, [], 0.0)
    assert sent(step(state, [], 5.0)[1]) == []


def test_a_slow_worker_takes_nothing_that_its_owner_ends_sooner() -> None:
    workers = Workers.of([Worker("slow", speed=0.1), Worker("fast")])
    state = two_queues([], [0, 1, 2], workers)
    state.as_planned = False
    assert sent(step(state, [], 0.0)[1]) == [(0, "fast")]


def test_what_is_left_of_a_running_attempt_decides_not_its_whole() -> None:
    workers = Workers.of([Worker("half", speed=0.5), Worker("whole")])
    state = two_queues([], [0, 1], workers)
    step(state, [], 0.0)
    step(state, [started("t000000-a0")], 0.0)
    state.as_planned = False
    assert sent(step(state, [], 9.5)[1]) == []  # 0.5 s are left there, then 9: here it would take 18


def test_a_moved_sub_task_does_not_return_to_the_worker_that_it_left() -> None:
    state = two_queues([0], [1, 2])
    state.moved[2] = {"worker-0"}
    step(state, [], 0.0)
    assert sent(step(state, [Event(EventKind.FINISHED, "t000000-a0")], 1.0)[1]) == []


def test_what_was_sent_ahead_to_a_worker_that_is_late_is_asked_back_once() -> None:
    state = state_of(plan_of([1.0] * 12, 2), backup_factor=inf)
    step(state, [], 0.0)
    step(state, [started("t000000-a0"), started("t000001-a0")], 0.0)
    ahead = {live.attempt.attempt_id for live in state.attempts.values() if live.started is None}
    assert len(ahead) == 2
    slow = state.workers["worker-0"]
    for holder in state.workers.values():
        holder.queue.clear()
        holder.backlog = 0.0
    mine = next(a for a in ahead if state.attempts[a].attempt.worker_id == "worker-1")
    state.as_planned = False
    step(state, [Event(EventKind.FINISHED, "t000001-a0"), started(mine)], 1.0)
    _, actions = step(state, [Event(EventKind.FINISHED, mine)], 9.0)
    (asked,) = [a.attempt_id for a in actions if isinstance(a, Cancel)]
    assert asked in slow.live
    _, actions = step(state, [Event(EventKind.CANCELLED, asked)], 9.1)
    assert [worker for _, worker in sent(actions)] == ["worker-1"]


def test_a_worker_that_becomes_slow_keeps_no_sub_task_waiting_behind_it() -> None:
    plan = plan_of([5.0] * 20, 4)
    run = simulate(plan, {"slowdowns": [["worker-0", 7.0, 100]]})
    waited = [start for _, worker, start, _ in run.timeline if worker == "worker-0"]
    assert max(waited) < 10.0
