"""What an attempt is given when it is submitted, moved or orphaned."""

from __future__ import annotations

import numpy as np

from partitioner.coordinator import dispatch
from partitioner.coordinator.machine import step
from partitioner.coordinator.transitions import BLOCKED, LIVE
from partitioner.model import Worker, Workers
from tests.coordinator.paper import by_hand, state_of
from tests.coordinator.queues import HOUR, queue_of


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
    here, there = state.workers["worker-0"], state.workers["worker-1"]
    there.ahead = 2.0
    dispatch.move(state, live, "worker-1")
    assert (here.ahead, here.used_cpus, list(here.live)) == (0.0, 0.0, [])
    assert (there.ahead, there.used_cpus, list(there.live)) == (3.0, 1.0, ["t000000-a0"])
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
