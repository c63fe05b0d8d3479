"""What idle workers take from the queues of others, and ask back from where it waits."""

from __future__ import annotations

from typing import Any

import pytest

from partitioner.coordinator import dispatch, stealing
from partitioner.coordinator.state import Cancel, Live, State
from partitioner.coordinator.transitions import LIVE
from partitioner.model import Worker, Workers
from tests.coordinator.paper import by_hand, state_of
from tests.coordinator.queues import held, queue_of


def dry(queued: int = 4, thief: Worker | None = None, **policy: Any) -> State:
    """The second worker has nothing; the first has sub-tasks of 1, 2, 3, ... seconds; something differed from the plan."""
    table = Workers.of([Worker("worker-0"), thief or Worker("worker-1")])
    state = state_of(by_hand([float(i + 1) for i in range(queued)], table, [0] * queued), **policy)
    state.as_planned, state.began = False, 0.0
    return state


def steal(state: State, now: float = 0.0) -> int | None:
    return stealing.steal(state, state.workers["worker-1"], now)


def test_the_longest_sub_task_is_taken_that_ends_before_its_owner_is_done() -> None:
    state = dry()
    assert steal(state) == 3
    owner = state.workers["worker-0"]
    assert (list(owner.queue), owner.backlog, state.moved) == ([0, 1, 2], 6.0, {3: {"worker-0"}})
    assert state.richest[0] == (-10.0, "worker-0")
    assert steal(state) == 2  # the heap learns of the smaller backlog as it is asked
    assert state.richest[0] == (-6.0, "worker-0")


@pytest.mark.parametrize(("speed", "found"), [(0.39, 2), (0.41, 3)])
def test_a_slower_worker_takes_what_it_still_ends_in_time(speed: float, found: int) -> None:
    assert steal(dry(thief=Worker("worker-1", speed=speed))) == found


def test_exactly_as_late_as_its_owner_is_too_late() -> None:
    assert steal(dry(1)) is None


def test_a_full_worker_takes_nothing() -> None:
    state = dry()
    state.workers["worker-1"].used_cpus = 1.0
    assert steal(state) is None


@pytest.mark.parametrize("why", ["was here", "too large", "not ready"])
def test_what_may_not_come_stays(why: str) -> None:
    state = dry()
    if why == "was here":
        state.moved[3] = {"worker-1"}
    elif why == "too large":
        state.workers["worker-1"].worker, state.demands.memory = (
            Worker("worker-1", memory_bytes=5.0),
            [0.0, 0.0, 0.0, 9.0],
        )
    else:
        state.status[3] = LIVE
    assert steal(state) == 2


def test_a_worker_that_holds_something_takes_what_fits_beside_it() -> None:
    state = dry(thief=Worker("worker-1", cpus=2, memory_bytes=10.0))
    held(state, "worker-1", 1.0, since=0.0, memory_bytes=6.0)
    state.demands.memory = [0.0, 0.0, 4.0, 5.0]
    assert steal(state) == 2


@pytest.mark.parametrize(
    ("wide", "memory", "runs", "found"),
    [
        (2.0, 0.0, [4.5], 3),  # 4.5 s until both cores are free: the longest that ends by then
        (2.0, 0.0, [2.5], 1),
        (1.0, 9.0, [3.5], 2),  # and until the memory is
        (2.0, 0.0, [0.5], None),
        (3.0, 0.0, [2.5, 3.5], 2),  # both have to end
        (1.0, 0.0, [0.5], 4),  # there is room for it: nothing to wait for
    ],
)
def test_what_is_taken_delays_no_wider_one_that_waits_here_for_room(
    wide: float, memory: float, runs: list[float], found: int | None
) -> None:
    thief = Worker("worker-1", cpus=len(runs) + 1, memory_bytes=10.0)
    table = Workers.of([Worker("worker-0"), thief])
    columns = {"cpus": [1.0] * 5 + [wide], "memory_bytes": [0.0] * 5 + [memory]}
    state = state_of(by_hand([1.0, 2.0, 3.0, 4.0, 5.0, 9.0], table, [0] * 5 + [1], **columns))
    state.as_planned, state.began = False, 0.0
    for seconds in runs:
        held(state, "worker-1", seconds, since=0.0, memory_bytes=5.0 / len(runs))
    assert steal(state) == found
    assert list(state.workers["worker-1"].queue) == [5]


def test_fifty_that_are_ready_are_looked_at() -> None:
    state = dry(60)
    state.status[0] = LIVE
    assert steal(state) == 50


def test_workers_without_a_queue_and_those_gone_are_forgotten_and_the_thief_is_no_victim() -> None:
    state = dry()
    state.richest = [(-99.0, "gone"), (-50.0, "worker-1"), (-10.0, "worker-0")]
    assert steal(state) == 3
    assert state.richest == [(-10.0, "worker-0")]


def test_the_eight_with_most_waiting_and_one_more_are_looked_at() -> None:
    table = Workers.of(Worker(f"w{j:02d}") for j in range(12))
    for other, found in ((8, True), (9, False)):
        state = state_of(by_hand([5.0] * 24, table, [i // 2 for i in range(24)]))
        thief = state.workers["w11"]
        thief.queue.clear()
        state.richest = [(-10.0, f"w{j:02d}") for j in range(11)]
        state.moved = {i: {"w11"} for i in range(24) if i // 2 != other}
        assert (stealing.steal(state, thief, 0.0) is not None) is found
        assert sorted(name for _, name in state.richest) == [f"w{j:02d}" for j in range(11)]


def sent_ahead(**policy: Any) -> tuple[State, Live]:
    """Something runs late on the first worker, and another attempt waits there."""
    state = dry(0 + 2, backup_factor=1e9, **policy)
    for holder in state.workers.values():
        holder.queue.clear()
    held(state, "worker-0", 2.0, task=0, since=0.0)
    return state, held(state, "worker-0", 2.0, task=1)


def test_what_waits_behind_a_late_attempt_is_asked_back_once() -> None:
    state, live = sent_ahead()
    assert steal(state, 60.0) is None
    assert (state.recalls, state.recalled, state.moved) == ([live.attempt.attempt_id], {1}, {1: {"worker-0"}})
    state.hungry = {}
    assert dispatch.fill(state, 60.0)[-1] == Cancel(live.attempt.attempt_id)
    assert state.recalls == []
    steal(state, 61.0)
    assert state.recalls == []


def test_one_is_asked_back_at_a_time_where_that_saves_more_than_the_wait_it_would_have_anyway() -> None:
    state, live = sent_ahead()
    held(state, "worker-0", 2.0, task=0)
    steal(state, 6.0)  # about 3.3 s are left of what runs there, more than two, and both workers are as quick
    assert state.recalls == [live.attempt.attempt_id]


def test_of_equally_long_sub_tasks_the_first_in_the_queue_is_taken() -> None:
    state = dry(5)
    state.seconds = [3.0] * 5
    assert steal(state) == 0


def test_a_worker_asks_nothing_back_from_itself() -> None:
    state, live = sent_ahead()
    state.attempts.pop(live.attempt.attempt_id)
    dispatch.release(state, live)
    held(state, "worker-1", 2.0, task=0, since=0.0)
    held(state, "worker-1", 2.0, task=1)
    stealing._recall(state, state.workers["worker-1"], 60.0)
    assert state.recalls == []


def test_nothing_is_asked_back_from_a_worker_that_is_as_quick_as_expected_though_it_takes_long() -> None:
    state, _ = sent_ahead()
    next(iter(state.attempts.values())).expected = 50.0
    steal(state, 1.0)
    assert state.recalls == []


@pytest.mark.parametrize("why", ["not late", "off", "began", "was here", "slower", "soon", "cannot"])
def test_what_is_not_asked_back(why: str) -> None:
    state, live = sent_ahead(recall=why != "off")
    now = 60.0
    if why == "not late":
        now = 1.9
    elif why == "began":
        live.started = 1.0
    elif why == "was here":
        state.moved[1] = {"worker-1"}
    elif why == "slower":
        state.seconds[1] = 100.0
        state.workers["worker-1"].worker = Worker("worker-1", speed=0.01)
    elif why == "soon":
        now = 2.1
    elif why == "cannot":
        state.workers["worker-1"].worker = Worker("worker-1", cpus=0.5)
        state.workers["worker-1"].able.clear()
    steal(state, now)
    assert state.recalls == []


def test_some_idle_workers_look_again_in_turn_as_time_passes() -> None:
    state = queue_of(20)
    state.hungry, state.idle = {}, {f"w{j}": None for j in range(6)}
    stealing.wake_some(state, 10.0)
    assert (list(state.hungry), list(state.idle)) == (["w0", "w1", "w2", "w3"], ["w4", "w5"])
    assert (state.look_again, state.alarms) == (10.5, [(10.5, "")])
    stealing.wake_some(state, 10.4)
    assert (state.look_again, len(state.alarms), list(state.idle)) == (10.5, 1, [])
    stealing.wake_some(state, 100.0)
    assert state.look_again == 101.0


def test_nobody_looks_again_where_everything_runs_or_nobody_is_idle() -> None:
    state = queue_of(1)
    dispatch.submit(state, state.workers["worker-0"], 0)
    state.hungry, state.idle = {}, {"w": None}
    stealing.wake_some(state, 10.0)
    assert state.alarms == []
    state = queue_of(5)
    state.hungry, state.idle = {}, {}
    stealing.wake_some(state, 10.0)
    assert state.alarms == []
