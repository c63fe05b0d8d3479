"""What a worker gets next from its queue: the plan's order, and heads that are late or kept for later."""

from __future__ import annotations

import numpy as np
import pytest

from partitioner.coordinator import dispatch
from partitioner.coordinator.machine import step
from partitioner.coordinator.state import initial
from partitioner.coordinator.transitions import BLOCKED, DONE, LIVE, READY
from partitioner.model import Worker, Workers
from tests.coordinator.outcomes import submits
from tests.coordinator.paper import by_hand, state_of
from tests.coordinator.queues import HOUR, held, queue_of


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
