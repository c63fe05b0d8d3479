"""Waiting work that is placed again: when, how much, where to, and what stays."""

from __future__ import annotations

from math import log, sqrt
from typing import Any

import pytest

from partitioner.coordinator import forecast, rebalancing
from partitioner.coordinator.state import State
from partitioner.coordinator.transitions import LIVE
from partitioner.model import Worker, Workers
from tests.coordinator.forecasts import fresh, running
from tests.coordinator.paper import by_hand, state_of


def slow_first(left: float = 8.0, **changes: Any) -> State:
    """Both have a queue of ten seconds each; ``a`` has shown to take twice as long, ``b`` as long as predicted."""
    state = fresh([1.0] * 40, where=[0] * 20 + [1] * 20)
    state.completions, state.next_forecast, state.as_planned = 8, 8, False
    for name, factor in (("a", 2.0), ("b", 1.0)):
        holder = state.workers[name]
        holder.weight, holder.log_ratios = 1000.0, 1000.0 * log(factor)
    state.log_ratios, state.squares = 8 * log(2.0) / 2, 0.0
    for name, value in changes.items():
        setattr(state, name, value)
    return state


def queues(state: State) -> list[int]:
    return [len(h.queue) for h in state.workers.values()]


def test_waiting_work_moves_until_both_end_together() -> None:
    state = slow_first()
    rebalancing.consider(state, 0.0)
    assert queues(state) == [13, 27]
    a, b = state.workers["a"], state.workers["b"]
    moved = [i for i in b.queue if i < 20]
    assert [state.home[i] for i in moved] == ["b"] * 7
    assert all(state.moved[i] == {"a"} for i in moved)
    assert list(b.queue) == sorted(b.queue, key=lambda i: (state.planned[i], i))
    assert (a.backlog, b.backlog) == (13.0, 27.0)
    assert state.richest == [(-27.0, "b"), (-13.0, "a")]
    assert {"a", "b"} <= state.hungry.keys()
    assert state.next_forecast == 16


def test_the_level_is_that_of_all_by_speed_and_the_doubt_that_of_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[float, float]] = []
    monkeypatch.setattr(rebalancing._Attempt, "run", lambda self, level, doubt: bool(said.append((level, doubt))))
    table = Workers.of([Worker("a", cpus=2), Worker("b", speed=4.0)])
    state = state_of(by_hand([4.0] * 40, table, [0] * 30 + [1] * 10))
    state.completions, state.as_planned = 8, False
    for name, factor in (("a", 2.0), ("b", 1.0)):
        state.workers[name].weight, state.workers[name].log_ratios = 1e9, 1e9 * log(factor)
    rebalancing.consider(state, 0.0)
    left_a, left_b, rate_a, rate_b = 30 * 2.0 * 2, 10 * 1.0, 2 / 2.0, 4.0
    level, doubt = said[0]
    assert level == pytest.approx((left_a * rate_a + left_b * rate_b) / (rate_a + rate_b))
    assert doubt == pytest.approx(left_a * forecast.spread(state) / sqrt(30), rel=1e-3)


def moves(state: State, left: list[float], load: list[float], level: float, doubt: float, monkeypatch: Any) -> Any:
    """What would be moved, as (sub-task, from, to); None where it does not pay."""
    kept: list[Any] = []
    monkeypatch.setattr(rebalancing._Attempt, "_apply", lambda self, moved: kept.append(sorted(moved)))
    tried = rebalancing._Attempt(state, list(state.workers.values()), left, 0.0)
    tried.load = load
    pays = tried.run(level, doubt)
    assert pays is bool(kept)
    return kept[0] if kept else None


def test_what_waits_for_the_late_goes_to_who_is_done_first(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Workers.of(Worker(f"w{j}") for j in range(5))
    state = state_of(by_hand([10.0] * 10, table, [0] * 10))
    load = [100.0, 60.0, 70.0, 0.0, 80.0]
    assert moves(state, load, list(load), 50.0, 1.0, monkeypatch) == [(i, 0, 3) for i in (1, 3, 5, 7, 9)]


def test_a_move_that_would_end_hardly_sooner_by_its_own_length_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Workers.of([Worker("a"), Worker("b", cpus=4, speed=0.105)])
    state = state_of(by_hand([10.0] * 2, table, [0, 0]))
    assert moves(state, [100.0, 0.0], [100.0, 0.0], 20.0, 8.0, monkeypatch) is None


def test_the_first_comparison_is_after_eight_completions() -> None:
    assert fresh().next_forecast == rebalancing.FEWEST == 8


def test_the_eight_that_are_done_first_are_asked_whether_they_can_hold_it() -> None:
    for able, found in ((8, 8), (9, 0)):
        table = Workers.of(Worker(f"w{j}", memory_bytes=99.0 if j in (0, able) else 1.0) for j in range(10))
        state = state_of(by_hand([5.0] * 10, table, list(range(10)), memory_bytes=[9.0] + [0.0] * 9))
        holders = list(state.workers.values())
        tried = rebalancing._Attempt(state, holders, [100.0] + [1.0] * 9, 0.0)
        tried.load = [100.0, *(float(j) for j in range(1, 10))]
        free = sorted((load, j) for j, load in enumerate(tried.load))
        assert tried._best(0, 0, free) == found


@pytest.mark.parametrize("change", [{"next_forecast": 9}, {"as_planned": True}, {"may_replace": False}])
def test_nothing_moves_before_its_time_or_where_it_must_not(change: dict[str, Any]) -> None:
    state = slow_first(**change)
    rebalancing.consider(state, 0.0)
    assert queues(state) == [20, 20]


def test_nothing_moves_where_there_is_one_worker() -> None:
    state = slow_first()
    del state.workers["b"]
    rebalancing.consider(state, 0.0)
    assert queues(state) == [20]


def test_the_next_look_comes_after_a_share_of_the_rest_and_later_after_a_vain_one() -> None:
    state = slow_first(remaining=3200)
    rebalancing.consider(state, 0.0)
    assert state.next_forecast == 8 + 100
    state = slow_first(remaining=3200)
    for holder in state.workers.values():  # b is late but may take nothing more, and a none of it
        state.moved |= {i: {"a", "b"} for i in holder.queue}
    rebalancing.consider(state, 0.0)
    assert (queues(state), state.next_forecast) == ([20, 20], 8 + 400)


def test_nothing_returns_to_a_worker_that_it_left_and_nothing_moves_that_is_not_ready() -> None:
    state = slow_first()
    state.moved = {i: {"b"} for i in range(18)}
    rebalancing.consider(state, 0.0)
    assert queues(state) == [18, 22]
    state = slow_first()
    for i in range(20):
        state.status[i] = LIVE
    rebalancing.consider(state, 0.0)
    assert queues(state) == [20, 20]


def test_nothing_moves_to_a_worker_that_cannot_hold_it() -> None:
    state = slow_first()
    state.workers["b"].worker = Worker("b", memory_bytes=10.0)
    state.demands.memory = [20.0] * 40
    rebalancing.consider(state, 0.0)
    assert queues(state) == [20, 20]


@pytest.mark.parametrize(
    ("queued", "live", "weight", "squares", "doubt"),
    [
        (4, 0, 0.0, 0.0, 50.0 * 0.2 * (0.5 + 1.0)),
        (3, 1, 3.0, 0.0, 50 * 0.2 * (0.5 + 0.5)),
        (0, 0, 0.0, 0.0, 50 * 0.2 * 2.0),
    ],
)
def test_a_forecast_is_the_less_certain_the_fewer_things_it_is_made_of(
    queued: int, live: int, weight: float, squares: float, doubt: float
) -> None:
    state = fresh()
    holder = state.workers["a"]
    while len(holder.queue) > queued:
        holder.queue.pop()
    for task in range(live):
        running(state, "a", 1.0, None, task)
    holder.weight = weight
    assert rebalancing.uncertainty(state, holder, 50.0) == pytest.approx(doubt)


def test_a_forecast_is_never_more_certain_than_two_per_cent() -> None:
    state = fresh([1.0] * 4000)
    state.completions, state.workers["a"].weight = 100_000, 1e6
    assert rebalancing.uncertainty(state, state.workers["a"], 50.0) == pytest.approx(1.0)
