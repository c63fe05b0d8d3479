"""Workers kept for what fits only an emptier one, in their queues and from the pool."""

from __future__ import annotations

from typing import Any

import pytest

from partitioner.coordinator import dispatch
from partitioner.coordinator.state import State
from partitioner.coordinator.transitions import DONE
from partitioner.model import Worker, Workers
from tests.coordinator.paper import by_hand, state_of
from tests.coordinator.queues import held, queue_of


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


def test_a_worker_that_is_left_out_does_not_get_what_it_was_reserved_for_either() -> None:
    state = state_of(by_hand([10.0, 10.0], 2, [0, 1]))
    holder = state.workers["worker-0"]
    holder.reserved, state.excluded["worker-0"] = 1, 5.0
    assert dispatch._next(state, holder, 0.0) is None
    del state.excluded["worker-0"]
    assert dispatch._next(state, holder, 0.0) == 1
