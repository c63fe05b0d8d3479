"""When sub-tasks may start, and in which order those that wait for no worker in particular are taken."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np

from partitioner.coordinator import dispatch
from partitioner.coordinator.machine import step
from partitioner.coordinator.pool import Pool
from partitioner.coordinator.readiness import Readiness
from partitioner.coordinator.transitions import BLOCKED, READY
from partitioner.model import Edges, SubTasks
from tests.coordinator.outcomes import done, submits
from tests.coordinator.paper import by_hand, state_of


def edges(*rows: tuple[int, int, float, float]) -> Edges:
    """(source, target, delay in seconds, bytes)."""
    source, target, delay, size = zip(*rows, strict=True)
    return Edges(np.array(source), np.array(target), np.array(delay), np.array(size))


def tasks(count: int, graph: Edges | None = None, release: list[float] | None = None) -> SubTasks:
    made = SubTasks.build([1.0] * count, **({} if release is None else {"release": release}))
    return made if graph is None else made.with_columns(edges=graph)


def test_releases_wait_for_their_second_and_those_of_zero_for_nothing() -> None:
    ready = Readiness.of(tasks(4, release=[0.0, 7.0, 3.0, 3.0]), [0, 0, 0, 1])
    assert ready.blocked() == {1, 2}
    assert (ready.soonest, ready.free(2.999)) == (3.0, [])
    assert (ready.free(3.0), ready.soonest) == ([2], 7.0)
    assert (ready.free(100.0), ready.soonest, ready.earliest) == ([1], inf, {})


def test_of_a_release_and_a_delay_behind_what_is_done_the_later_counts() -> None:
    graph = edges((0, 1, 5.0, 0.0), (0, 2, 9.0, 0.0))
    ready = Readiness.of(tasks(3, graph, [0.0, 7.0, 3.0]), [1, 0, 0])
    assert ready.earliest == {1: 7.0, 2: 9.0}


def test_a_clock_that_is_a_rounding_error_early_is_on_time() -> None:
    ready = Readiness.of(tasks(2, release=[0.5, 1000.0]), [0, 0])
    assert ready.free(0.5 - 2e-9) == []
    assert ready.free(0.5 - 5e-10) == [0]
    assert ready.free(1000.0 - 2e-6) == []
    assert ready.free(1000.0 - 5e-7) == [1]


def test_all_predecessors_are_waited_for_and_the_latest_of_their_delays() -> None:
    ready = Readiness.of(tasks(3, edges((0, 2, 5.0, 0), (1, 2, 1.0, 0))), [0, 0, 0])
    assert (ready.blocked(), ready.soonest) == ({2}, inf)
    ready.committed(0, 10.0, "w", ["w"] * 3)
    assert (ready.missing, ready.free(99.0)) == ({2: 1}, [])
    ready.committed(1, 12.0, "w", ["w"] * 3)
    assert (ready.missing, ready.children, ready.soonest) == ({}, {}, 15.0)
    assert ready.free(15.0) == [2]


def test_a_second_commit_of_the_same_sub_task_frees_nothing_more() -> None:
    ready = Readiness.of(tasks(3, edges((0, 2, 0, 0), (1, 2, 0, 0))), [0, 0, 0])
    ready.committed(0, 1.0, "w", ["w"] * 3)
    ready.committed(0, 2.0, "w", ["w"] * 3)
    assert ready.missing == {2: 1}


def test_a_release_holds_back_what_its_predecessors_would_let_go() -> None:
    ready = Readiness.of(tasks(2, edges((0, 1, 2.0, 0)), release=[0.0, 50.0]), [0, 0])
    assert ready.soonest == inf
    ready.committed(0, 1.0, "w", ["w"] * 2)
    assert ready.soonest == 50.0


def test_bytes_travel_only_to_another_worker_and_add_to_the_delay() -> None:
    graph = edges((0, 1, 2.0, 100.0), (0, 2, 2.0, 100.0))
    ready = Readiness.of(tasks(3, graph), [0, 0, 0], bandwidth=20.0)
    ready.committed(0, 10.0, "a", ["a", "a", "b"])
    assert sorted(ready.due) == [(12.0, 1), (17.0, 2)]


def test_bytes_that_are_not_known_take_no_time() -> None:
    ready = Readiness.of(tasks(2, edges((0, 1, 0.0, np.nan))), [0, 0], bandwidth=20.0)
    ready.committed(0, 1.0, "a", ["a", "b"])
    assert ready.due == [(1.0, 1)]


def test_what_was_committed_before_counts_from_second_zero_with_its_delay() -> None:
    graph = edges((0, 2, 4.0, 0), (1, 2, 9.0, 0), (0, 3, 4.0, 0), (2, 3, 0.0, 0), (0, 1, 1.0, 0))
    ready = Readiness.of(tasks(4, graph), [1, 1, 0, 0])
    assert (ready.blocked(), ready.due, ready.missing) == ({2, 3}, [(9.0, 2)], {3: 1})
    assert ready.children == {2: [(3, 0.0, 0.0)]}
    ready.committed(2, 1.0, "", [""] * 4)
    assert sorted(ready.due) == [(4.0, 3), (9.0, 2)]


def test_short_delays_after_what_was_committed_before_are_kept_to() -> None:
    ready = Readiness.of(tasks(2, edges((0, 1, 0.25, 0))), [1, 0])
    assert ready.due == [(0.25, 1)]
    ready = Readiness.of(tasks(2, edges((0, 1, 0.25, 0))), [0, 0])
    ready.committed(0, 0.5, "", [""] * 2)
    assert ready.due == [(0.75, 1)]


def test_edges_without_columns_of_their_own_delay_nothing() -> None:
    graph = Edges(np.array([0]), np.array([1]), np.zeros(0), np.zeros(0))
    ready = Readiness.of(tasks(2, graph), [0, 0], bandwidth=1.0)
    ready.committed(0, 3.0, "a", ["a", "b"])
    assert ready.due == [(3.0, 1)]


def test_the_machine_blocks_frees_and_asks_to_be_woken_for_the_next_release() -> None:
    plan = by_hand([1.0, 1.0, 1.0], 2, [0, 0, 1], start=[0.0, 30.0, 20.0], release=[0.0, 30.0, 20.0])
    state = state_of(plan)
    assert list(state.status) == [READY, BLOCKED, BLOCKED]
    (first,) = submits(step(state, [], 100.0)[1])
    assert (first.task, state.quiet_seconds(100.0), state.readiness.announced) == (0, 20.0, 20.0)
    step(state, [done(first, seconds=1.0)], 101.0)
    assert state.quiet_seconds(101.0) == 19.0
    (second,) = submits(step(state, [], 120.0)[1])
    assert (second.task, second.worker_id, state.readiness.announced) == (2, "worker-1", 30.0)
    assert (130.0, "") in state.alarms
    assert [a.task for a in submits(step(state, [], 130.0)[1])] == [1]


def test_what_becomes_free_after_its_worker_went_away_goes_to_any() -> None:
    plan = by_hand([1.0, 1.0, 1.0], 2, [0, 1, 1], release=[0.0, 20.0, 20.0])
    state = state_of(plan)
    step(state, [], 0.0)
    del state.workers["worker-1"]
    dispatch.free(state, 20.0)
    assert ([*state.status[1:]], list(state.pool)) == ([READY, READY], [1, 2])


def test_what_becomes_free_wakes_idle_workers_only_once_the_plan_is_left() -> None:
    for as_planned, hungry in ((True, {"worker-1": None}), (False, {"worker-1": None, "worker-0": None})):
        state = state_of(by_hand([1.0, 1.0], 2, [0, 1], release=[0.0, 20.0]))
        state.hungry, state.idle, state.as_planned, state.began = {}, {"worker-0": None}, as_planned, 0.0
        dispatch.free(state, 20.0)
        assert state.hungry == hungry


def test_the_pool_gives_the_smallest_rank_first_whatever_the_order_of_arrival() -> None:
    ranks = {1: (0.0, 5.0, 0.0, 1), 2: (-1.0, 9.0, 0.0, 2), 3: (0.0, 4.0, 9.0, 3), 4: (0.0, 4.0, 8.0, 4)}
    pool = Pool(ranks.__getitem__)
    pool.append(1)
    pool.extend([3, 2, 4])
    assert (len(pool), list(pool)) == (4, [2, 4, 3, 1])
    assert ([pool.popleft() for _ in range(4)], len(pool)) == ([2, 4, 3, 1], 0)


def test_of_what_waits_for_any_worker_priority_then_deadline_then_plan_then_index_decide() -> None:
    plan = by_hand(
        [1.0] * 6,
        1,
        [0] * 6,
        start=[5.0, 4.0, 4.0, 3.0, 2.0, 1.0],
        priority=[0, 0, 0, 0, 2.0, 1.0],
        deadline=[9.0, inf, inf, inf, inf, inf],
    )
    state = state_of(plan)
    state.pool.extend([0, 1, 2, 3, 4, 5])
    assert list(state.pool) == [4, 5, 0, 3, 1, 2]


def test_a_part_waits_in_the_place_of_its_whole() -> None:
    from partitioner.coordinator.troubles import Part

    plan = by_hand([1.0] * 3, 1, [0] * 3)
    state = state_of(replace(plan, tasks=plan.tasks.with_columns(priority=np.array([0.0, 3.0, 0.0]))))
    task = state.add_part(Part(1, "t000001.0-1", 0, 1, ("t000001",)), 0.5)
    state.pool.extend([2, 0])
    assert (task, list(state.pool)) == (3, [3, 0, 2])
