"""Which sub-task a worker gets next: the plan's order, what may wait ahead, reservations, and what others leave to take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from partitioner.coordinator import bundling, dispatch, stealing
from partitioner.coordinator.capacity import take
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import Cancel, Live, State, initial
from partitioner.coordinator.transitions import BLOCKED, DONE, LIVE, READY
from partitioner.model import Attempt, Worker, Workers
from tests.coordinator.outcomes import submits
from tests.coordinator.paper import by_hand, state_of

HOUR = 3600.0


def queue_of(count: int = 10, seconds: float = 1.0, workers: int = 1, **policy: Any) -> State:
    """All on the first worker, one after the other."""
    state = state_of(by_hand([seconds] * count, workers, [0] * count), **policy)
    state.began = 0.0
    return state


def held(
    state: State, name: str, seconds: float = 1.0, task: int = 9, since: float | None = None, **demand: Any
) -> Live:
    live = Live(
        Attempt(f"x{len(state.attempts)}", task, 0, name, "memory://run", **demand), seconds, 0.0, seconds, since
    )
    state.attempts[live.attempt.attempt_id] = live
    take(state.workers[name], live)
    if since is None:
        state.workers[name].ahead += seconds
    return live


# ---- the order of the plan


def test_queues_are_in_the_order_of_starts_then_ends_then_numbers() -> None:
    plan = by_hand([3.0, 1.0, 1.0, 2.0, 1.0], 1, [0] * 5, start=[4.0, 0.0, 0.0, 0.0, 9.0])
    state = state_of(plan)
    assert list(state.workers["worker-0"].queue) == [1, 2, 3, 0, 4]


def test_what_is_committed_is_in_no_queue_and_counts_no_more() -> None:
    plan = by_hand([1.0, 2.0, 4.0], 2, [0, 0, 1])
    state = initial(plan, "memory://run", state_of(plan).policy, committed=[0])
    assert (list(state.status), state.remaining) == ([DONE, READY, READY], 2)
    assert [list(h.queue) for h in state.workers.values()] == [[1], [2]]
    assert state.workers["worker-0"].backlog == 2.0
    assert state.seen == {"worker-0", "worker-1"}
    assert state.home == ["worker-0", "worker-0", "worker-1"]
    assert (list(state.planned), state.makespan, state.may_replace) == ([0.0, 1.0, 0.0], 4.0, True)


def test_a_state_takes_over_what_it_is_given() -> None:
    plan = by_hand(
        [1.0, np.nan],
        1,
        [0, 0],
        start=[0.0, 1.0],
        seconds_by_class={"": np.array([5.0, 3.0]), "x": np.array([np.nan, 2.0])},
    )
    state = initial(
        plan, "url", state_of(by_hand([1.0], 1, [0])).policy, (), False, first_numbers={1: 4}, key=b"k", epoch=6
    )
    assert (state.scale_known, state.numbers, state.key, state.epoch) == (False, {1: 4}, b"k", 6)
    assert (list(state.seconds), state.as_planned) == ([1.0, 2.0], True)
    assert (list(state.by_class[""]), state.by_class["x"][1]) == ([5.0, 3.0], 2.0)
    sent = submits(step(state, [], 0.0)[1])
    assert (sent[0].key, sent[0].epoch, sent[0].number, sent[0].run_url) == (b"k", 6, 0, "url")


def test_work_is_placed_again_only_for_the_makespan_and_without_dependencies() -> None:
    from dataclasses import replace

    from partitioner.model import Edges

    plan = by_hand([1.0, 1.0], 1, [0, 0])
    assert initial(plan, "", state_of(plan).policy).may_replace is True
    assert initial(replace(plan, objective="money"), "", state_of(plan).policy).may_replace is False
    edges = Edges(np.array([0]), np.array([1]), np.zeros(1), np.zeros(1))
    tied = replace(plan, tasks=plan.tasks.with_columns(edges=edges))
    assert initial(tied, "", state_of(plan).policy).may_replace is False


def test_the_head_waits_until_it_fits_and_nothing_passes_it() -> None:
    table = Workers.of([Worker("w", cpus=2, memory_bytes=10.0)])
    state = state_of(by_hand([5.0, 5.0], table, [0, 0], memory_bytes=[8.0, 1.0]))
    state.began = 0.0
    held(state, "w", since=0.0, memory_bytes=3.0)
    assert dispatch._from_queue(state, state.workers["w"], 1.0) is None
    state.workers["w"].used_memory = 2.0
    assert dispatch._from_queue(state, state.workers["w"], 1.0) == 0
    assert (list(state.workers["w"].queue), state.workers["w"].backlog) == ([1], pytest.approx(2.5))


def test_what_is_done_already_is_passed_over() -> None:
    state = queue_of()
    state.status[0], state.status[1] = DONE, LIVE
    assert dispatch._from_queue(state, state.workers["worker-0"], 0.0) == 2


def test_a_suspended_worker_gets_from_its_queue_only_what_no_better_one_could_take() -> None:
    state = queue_of(workers=2)
    state.workers["worker-0"].health.suspended = True
    assert dispatch._from_queue(state, state.workers["worker-0"], 0.0) is None
    state.workers["worker-1"].health.suspended = True
    assert dispatch._from_queue(state, state.workers["worker-0"], 0.0) == 0


@pytest.mark.parametrize(("now", "found"), [(19.9, None), (20.0, None), (20.1, 1)])
def test_the_place_of_a_late_head_is_kept_until_the_plan_would_have_started_it(now: float, found: int | None) -> None:
    state = state_of(by_hand([1.0, 1.0, 1.0], 1, [0] * 3, start=[20.0, 30.0, 31.0]))
    state.began, state.status[0] = 0.0, BLOCKED
    holder = state.workers["worker-0"]
    state.alarms.clear()
    holder.held = None if found is None else 0
    for _ in range(2):
        taken = dispatch._from_queue(state, holder, now)
        if found is None:
            assert taken is None
    assert (holder.held, len(state.alarms)) == ((0, 1) if found is None else (None, 0))
    if found is None:
        assert state.alarms[0] == (pytest.approx(20.0), "worker-0")
    else:
        assert taken == 2
        assert list(holder.queue) == [0]


def test_no_second_is_kept_where_costs_are_no_seconds() -> None:
    state = state_of(by_hand([1.0, 1.0], 1, [0] * 2, start=[20.0, 30.0]))
    state.began, state.status[0], state.scale_known = 0.0, BLOCKED, False
    assert dispatch._from_queue(state, state.workers["worker-0"], 0.0) == 1


def test_of_what_stands_behind_a_late_head_a_hundred_are_looked_at() -> None:
    for place, found in ((99, 99), (100, None)):
        state = queue_of(105)
        state.status[:] = bytes([BLOCKED] * 105)
        state.status[place] = READY
        assert dispatch._from_queue(state, state.workers["worker-0"], HOUR) == found


def test_the_first_that_is_ready_behind_a_late_head_must_fit() -> None:
    table = Workers.of([Worker("w", cpus=3, memory_bytes=10.0)])
    state = state_of(by_hand([1.0] * 4, table, [0] * 4, memory_bytes=[1.0, 1.0, 9.0, 1.0]))
    state.began, state.status[0], state.status[1] = 0.0, BLOCKED, BLOCKED
    held(state, "w", since=0.0, memory_bytes=3.0)
    assert dispatch._from_queue(state, state.workers["w"], HOUR) is None
    state.workers["w"].used_memory = 1.0
    assert dispatch._from_queue(state, state.workers["w"], HOUR) == 2


# ---- what may wait ahead


@pytest.mark.parametrize(
    ("ahead", "seconds", "speed", "scale", "may"),
    [
        (0.0, 0.24, 1.0, 1.0, True),
        (0.0, 0.25, 1.0, 1.0, False),
        (0.1, 0.14, 1.0, 1.0, True),
        (0.1, 0.16, 1.0, 1.0, False),
        (0.1, 0.3, 2.0, 1.0, True),
        (0.1, 0.14, 1.0, 2.0, False),
        (0.4, 0.05, 1.0, 0.5, True),
    ],
)
def test_short_work_may_wait_up_to_a_quarter_of_a_second(
    ahead: float, seconds: float, speed: float, scale: float, may: bool
) -> None:
    state = queue_of(keep_queued=99)
    holder = state.workers["worker-0"]
    holder.worker, holder.ahead = Worker("worker-0", speed=speed), ahead
    state.predicted_done, state.actual_done = 10.0, 10.0 * scale
    assert dispatch._may_send_ahead(state, holder, 0.0, seconds) is may


@pytest.mark.parametrize(
    ("predicted", "actual", "scale"),
    [(0.0, 5.0, 1.0), (5.0, 0.0, 1.0), (4.0, 6.0, 1.5), (0.5, 1.0, 2.0), (1.0, 0.5, 0.5)],
)
def test_the_scale_is_what_was_seen_over_what_was_predicted(predicted: float, actual: float, scale: float) -> None:
    state = queue_of()
    state.predicted_done, state.actual_done = predicted, actual
    assert state.scale == scale


def test_no_more_attempts_wait_than_the_limit_beside_the_cores() -> None:
    for count, may in ((2, True), (3, False)):
        state = queue_of(ahead_tasks=2)
        for _ in range(count):
            held(state, "worker-0", 0.0)
        assert dispatch._may_send_ahead(state, state.workers["worker-0"], 0.0) is may


def test_nothing_waits_ahead_before_costs_are_known() -> None:
    state = queue_of()
    state.scale_known = False
    assert dispatch._may_send_ahead(state, state.workers["worker-0"], 0.0) is False


@pytest.mark.parametrize(
    ("left", "queued", "ahead", "may"),
    [(2.0, 3, 0.0, True), (2.1, 3, 0.0, False), (2.0, 2, 0.0, False), (1.0, 3, 0.3, False)],
)
def test_one_longer_sub_task_waits_for_what_ends_within_two_seconds_while_others_stay_behind(
    left: float, queued: int, ahead: float, may: bool
) -> None:
    state = queue_of(queued)
    holder = state.workers["worker-0"]
    held(state, "worker-0", 10.0, since=0.0)
    holder.ahead = ahead
    assert dispatch._may_send_ahead(state, holder, 10.0 - left, 1.0) is may


def test_nothing_is_sent_ahead_to_a_worker_that_is_suspected_to_have_become_slow() -> None:
    for short, seconds in ((0.0, 1.0), (0.25, 0.0)):  # a longer sub-task, and one that is short
        for now, may in ((1.3, True), (1.4, False)):
            state = queue_of(ahead_seconds=short)
            held(state, "worker-0", 1.0, since=0.0)
            assert dispatch._may_send_ahead(state, state.workers["worker-0"], now, seconds) is may


def test_the_worker_is_looked_at_again_two_seconds_before_it_is_done() -> None:
    state = queue_of()
    holder = state.workers["worker-0"]
    held(state, "worker-0", 10.0, since=0.0)
    dispatch._may_send_ahead(state, holder, 1.0, 1.0)
    assert (holder.soon, state.alarms) == (8.0, [(8.0, "worker-0")])
    dispatch._may_send_ahead(state, holder, 2.0, 1.0)
    assert state.alarms == [(8.0, "worker-0")]
    holder.soon = 1.0
    dispatch._may_send_ahead(state, holder, 7.99, 1.0)
    assert holder.soon == pytest.approx(8.04)  # not sooner than a twentieth of a second


# ---- what fits


def test_an_empty_worker_holds_whatever_it_is_given() -> None:
    table = Workers.of([Worker("w", cpus=1, memory_bytes=10.0)])
    state = state_of(by_hand([1.0], table, [0], memory_bytes=[10.0]))
    state.demands.memory = [11.0]
    assert dispatch.fits(state, state.workers["w"], 0, 0.0) is True


def test_an_attempt_that_waits_holds_memory_and_needs_no_core() -> None:
    table = Workers.of([Worker("w", cpus=1, memory_bytes=10.0)])
    for memory, fits in ((4.0, True), (5.0, False)):
        state = state_of(by_hand([0.1] * 4, table, [0] * 4, memory_bytes=[memory] * 4))
        held(state, "w", 0.1, since=0.0, memory_bytes=6.0)
        assert dispatch.fits(state, state.workers["w"], 0, 0.0) is fits


def test_what_is_short_enough_to_wait_and_what_is_not() -> None:
    for seconds, fits in ((0.2, True), (0.3, False)):
        state = queue_of(3, seconds, keep_queued=99)
        held(state, "worker-0", 5.0, since=0.0)
        assert dispatch.fits(state, state.workers["worker-0"], 0, 0.0) is fits


# ---- reservations


def test_a_reserved_sub_task_is_next_once_it_fits_and_forgotten_once_it_is_not_ready() -> None:
    table = Workers.of([Worker("w", cpus=2)])
    state = state_of(by_hand([5.0, 5.0], table, [0, 0], cpus=[2.0, 1.0]))
    holder = state.workers["w"]
    holder.reserved = 0
    live = held(state, "w", since=0.0)
    assert (dispatch._next(state, holder, 0.0), holder.reserved) == (None, 0)
    dispatch.release(state, live)
    assert (dispatch._next(state, holder, 0.0), holder.reserved) == (0, None)
    holder.reserved, state.status[0] = 0, DONE
    assert (dispatch._next(state, holder, 0.0), holder.reserved) == (1, None)


def test_a_reserved_suspect_waits_for_an_empty_worker() -> None:
    state = state_of(by_hand([5.0], Workers.of([Worker("w", cpus=2)]), [0]))
    holder = state.workers["w"]
    holder.queue.clear()
    holder.reserved, state.deaths[0] = 0, 1
    live = held(state, "w", since=0.0)
    assert dispatch._next(state, holder, 0.0) is None
    dispatch.release(state, live)
    assert dispatch._next(state, holder, 0.0) == 0


@pytest.mark.parametrize("why", ["exclusive", "excluded", "full"])
def test_a_worker_that_may_have_nothing_gets_nothing(why: str) -> None:
    state = queue_of(3)
    holder = state.workers["worker-0"]
    if why == "exclusive":
        holder.exclusive = True
    elif why == "excluded":
        state.excluded["worker-0"] = 5.0
    else:
        held(state, "worker-0", 100.0, since=0.0)
    assert dispatch._next(state, holder, 0.0) is None


def pooled(cpus: list[float], used: float = 0.0, **demand: Any) -> State:
    """Sub-tasks that wait for any worker; one of two cores, of which some are in use."""
    table = Workers.of([Worker("w", cpus=2, memory_bytes=10.0)])
    state = state_of(by_hand([50.0] * len(cpus), table, [0] * len(cpus), cpus=cpus, **demand))
    state.workers["w"].queue.clear()
    state.pool.extend(range(len(cpus)))
    if used:
        held(state, "w", 50.0, since=0.0, cpus=used)
    return state


def from_pool(state: State) -> tuple[int | None, int | None, list[int]]:
    holder = state.workers["w"]
    return dispatch._from_pool(state, holder, 0.0), holder.reserved, list(state.pool)


def test_the_first_of_the_pool_that_the_worker_can_hold_is_taken() -> None:
    assert from_pool(pooled([1.0, 1.0])) == (0, None, [1])
    assert from_pool(pooled([1.0, 1.0, 1.0], memory_bytes=[20.0, 20.0, 5.0])) == (2, None, [0, 1])


def test_one_that_would_fit_an_emptier_worker_reserves_it_and_nothing_passes() -> None:
    assert from_pool(pooled([2.0, 1.0], used=1.0)) == (None, 0, [1])


def test_a_full_worker_is_not_reserved() -> None:
    assert from_pool(pooled([1.0, 1.0], used=2.0)) == (None, None, [0, 1])


def test_a_suspect_of_the_pool_reserves_even_a_full_worker_and_takes_an_empty_one() -> None:
    state = pooled([1.0, 1.0], used=2.0)
    state.deaths[0] = 1
    assert from_pool(state) == (None, 0, [1])
    state = pooled([1.0, 1.0])
    state.deaths[0] = 1
    assert from_pool(state) == (0, None, [1])
    state = pooled([1.0, 1.0], used=1.0)
    state.deaths[0] = 1
    assert from_pool(state) == (None, 0, [1])


def test_a_full_worker_where_work_waits_already_is_not_kept_for_a_suspect() -> None:
    state = pooled([1.0, 1.0], used=2.0)
    state.deaths[0], state.workers["w"].ahead = 1, 1.0
    assert (dispatch._next(state, state.workers["w"], 0.0), state.workers["w"].reserved) == (None, None)


def test_what_is_not_ready_any_more_leaves_the_pool() -> None:
    state = pooled([1.0, 1.0])
    state.status[0] = DONE
    assert from_pool(state) == (1, None, [])


def test_the_pool_goes_before_the_queue_and_a_reservation_ends_the_search() -> None:
    state = pooled([1.0, 1.0])
    holder = state.workers["w"]
    state.pool.popleft()
    holder.queue.append(0)
    assert dispatch._next(state, holder, 0.0) == 1
    state = pooled([2.0, 1.0], used=1.0)
    state.workers["w"].queue.append(1)
    state.pool.heap.pop()
    assert (dispatch._next(state, state.workers["w"], 0.0), state.workers["w"].reserved) == (None, 0)


# ---- submitting, moving, orphans


def test_an_attempt_carries_what_the_sub_task_demands_and_its_number() -> None:
    table = Workers.of(
        [Worker("w", cpus=4, memory_bytes=10.0, gpus=2, gpu_memory_bytes=8.0, resources={"tape": 4.0}, speed=2.0)]
    )
    plan = by_hand(
        [10.0],
        table,
        [0],
        cpus=[2.0],
        memory_bytes=[5.0],
        gpus=[0.5],
        gpu_memory_bytes=[4.0],
        resources={"tape": np.array([1.0])},
    )
    state = state_of(plan, timeout_seconds=77.0)
    state.epoch, state.key, state.numbers = 3, b"key", {0: 6}
    holder = state.workers["w"]
    attempt = dispatch.submit(state, holder, 0).attempt
    assert (attempt.attempt_id, attempt.worker_id, attempt.seconds, attempt.run_url) == (
        "t000000-a6",
        "w",
        10.0,
        "memory://run",
    )
    assert (attempt.cpus, attempt.memory_bytes, attempt.gpus, attempt.gpu_memory_bytes) == (2.0, 5.0, 0.5, 4.0)
    assert (attempt.resources, attempt.devices, attempt.key, attempt.epoch) == ({"tape": 1.0}, (0,), b"key", 3)
    assert (attempt.timeout_seconds, state.numbers, state.status[0], state.home[0]) == (77.0, {0: 7}, LIVE, "w")
    live = state.attempts["t000000-a6"]
    assert (live.seconds, live.expected, live.load, live.started) == (10.0, 5.0, 2.5, None)
    assert (holder.ahead, holder.exclusive, holder.used_cpus, list(holder.live)) == (10.0, False, 2.0, ["t000000-a6"])


def test_what_only_reads_its_rows_has_an_hour() -> None:
    for what in ("condemned", "counting"):
        state = queue_of(timeout_seconds=5.0)
        setattr(state.trouble(0), what, "why" if what == "condemned" else True)
        assert dispatch.submit(state, state.workers["worker-0"], 0).attempt.timeout_seconds == HOUR


def test_a_sub_task_is_at_home_where_it_was_sent_last() -> None:
    state = queue_of(workers=2)
    dispatch.submit(state, state.workers["worker-1"], 0)
    assert state.home[0] == "worker-1"


def test_a_copy_leaves_the_sub_task_where_it_is_and_a_suspect_makes_its_worker_exclusive() -> None:
    state = queue_of(workers=2)
    dispatch.submit(state, state.workers["worker-0"], 0)
    state.deaths[0] = 1
    dispatch.submit(state, state.workers["worker-1"], 0, copy=True)
    assert (state.home[0], state.workers["worker-1"].exclusive, state.workers["worker-0"].exclusive) == (
        "worker-0",
        True,
        False,
    )


def test_an_attempt_that_moves_takes_everything_along() -> None:
    state = queue_of(workers=2)
    attempt = dispatch.submit(state, state.workers["worker-0"], 0).attempt
    live = state.attempts[attempt.attempt_id]
    dispatch.move(state, live, "worker-1")
    here, there = state.workers["worker-0"], state.workers["worker-1"]
    assert (here.ahead, here.used_cpus, list(here.live)) == (0.0, 0.0, [])
    assert (there.ahead, there.used_cpus, list(there.live)) == (1.0, 1.0, ["t000000-a0"])
    assert (live.attempt.worker_id, state.as_planned) == ("worker-1", False)


def test_what_waited_for_a_lost_worker_may_go_anywhere() -> None:
    state = queue_of(4, workers=2)
    holder = state.workers["worker-0"]
    holder.queue.popleft()
    holder.reserved = 0
    state.status[2] = BLOCKED
    state.moved = {0: {"worker-1"}, 1: {"worker-1"}, 7: {"x"}}
    dispatch.orphan(state, holder)
    assert (list(state.pool), state.home[:4], state.moved, state.as_planned) == ([0, 1, 3], [""] * 4, {7: {"x"}}, False)


def test_a_worker_with_free_cores_that_found_nothing_is_idle_and_a_full_one_is_not() -> None:
    state = state_of(by_hand([9.0, 9.0], 3, [0, 1]))
    step(state, [], 0.0)
    assert (state.idle, state.hungry) == ({"worker-2": None}, {})
    state.hungry = {"gone": None, "worker-0": None}
    state.idle["worker-0"] = None
    dispatch.fill(state, 0.0)
    assert state.idle == {"worker-2": None}


# ---- what idle workers take


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


# ---- bundles


@pytest.mark.parametrize(("bundle", "cpus", "per_cpu"), [(8, 2.0, 4.0), (8, 16.0, 2.0), (40, 4.0, 10.0), (8, 0.5, 8.0)])
def test_each_core_has_its_share_of_the_bundle_and_two_at_least(bundle: int, cpus: float, per_cpu: float) -> None:
    table = Workers.of([Worker("w", cpus=cpus)])
    state = state_of(by_hand([1.0], table, [0], cpus=[0.5]), bundle=bundle)
    bundling.refresh(state)
    assert (state.ahead_per_cpu, state.topping_up) == (per_cpu, True)


@pytest.mark.parametrize(("waiting", "top"), [(4, True), (5, False)])
def test_it_is_topped_up_once_half_has_begun(waiting: int, top: bool) -> None:
    state = queue_of(workers=2, bundle=8)
    for k in range(waiting + 1):
        held(state, "worker-0", since=0.0 if k == 0 else None)
    state.hungry = {}
    bundling.refresh(state)
    assert (state.topping_up, list(state.hungry)) == (top, ["worker-0", "worker-1"] if top else [])


def test_without_bundles_nothing_is_topped_up() -> None:
    state = queue_of(bundle=1)
    state.hungry = {}
    bundling.refresh(state)
    assert (state.topping_up, state.hungry) == (False, {})


@pytest.mark.parametrize(("held_there", "room"), [(4, True), (5, False)])
def test_a_worker_has_what_runs_and_its_share_that_waits(held_there: int, room: bool) -> None:
    state = queue_of(workers=2, bundle=8)
    bundling.refresh(state)
    for _ in range(held_there):
        held(state, "worker-0")
    assert bundling.has_room(state, state.workers["worker-0"]) is room
    assert dispatch._may_send_ahead(state, state.workers["worker-0"], 0.0) is room
    state.topping_up = False
    assert bundling.has_room(state, state.workers["worker-0"]) is False


@pytest.mark.parametrize("who", ["excluded", "suspended"])
def test_nothing_waits_while_any_worker_is_out(who: str) -> None:
    state = queue_of(workers=2, bundle=8)
    bundling.refresh(state)
    if who == "excluded":
        state.excluded["worker-1"] = 3.0
    else:
        state.workers["worker-1"].health.suspended = True
    assert bundling.has_room(state, state.workers["worker-0"]) is False


@pytest.mark.parametrize(
    ("memory", "others", "safe"),
    [
        (25.0, [25.0] * 9, True),
        (26.0, [25.0], True),
        (26.0, [25.0, 25.0, 25.0], False),
        (25.0, [26.0, 49.0], True),
        (25.0, [26.0, 50.0], False),
    ],
)
def test_memory_is_safe_where_any_of_them_fit_together_or_all_do(
    memory: float, others: list[float], safe: bool
) -> None:
    table = Workers.of([Worker("w", cpus=4, memory_bytes=100.0)])
    state = state_of(by_hand([1.0], table, [0]), bundle=8)
    for each in others:
        held(state, "w", memory_bytes=each, cpus=0.1)
    assert bundling.memory_is_safe(state, state.workers["w"], memory) is safe


def test_on_one_core_nothing_runs_together() -> None:
    table = Workers.of([Worker("w", cpus=1, memory_bytes=100.0)])
    state = state_of(by_hand([1.0], table, [0]), bundle=8)
    held(state, "w", memory_bytes=100.0)
    assert bundling.memory_is_safe(state, state.workers["w"], 100.0)


@pytest.mark.parametrize(("memory", "fits"), [(4.0, True), (5.0, False)])
def test_a_bundle_is_bounded_by_memory_and_not_by_cores(memory: float, fits: bool) -> None:
    table = Workers.of([Worker("w", cpus=2, memory_bytes=10.0)])
    state = state_of(by_hand([100.0] * 3, table, [0] * 3, memory_bytes=[memory] * 3), bundle=8)
    bundling.refresh(state)
    held(state, "w", since=0.0, memory_bytes=6.0, cpus=2.0)
    assert dispatch.fits(state, state.workers["w"], 0, 0.0) is fits
