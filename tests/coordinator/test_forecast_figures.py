"""What forecasts say, as numbers worked out by hand from the formulas in the module's docstrings."""

from __future__ import annotations

from math import exp, expm1, log, sqrt
from typing import Any

import pytest

from partitioner.coordinator import forecast
from partitioner.model import Worker, Workers
from tests.coordinator.forecasts import fresh, running
from tests.coordinator.paper import by_hand, state_of


def shrunk(own: float, common: float, weight: float, spread: float) -> float:
    trust = 0.3**2 * weight
    return exp(common + (own / weight - common) * trust / (trust + spread**2))


def test_one_completion_moves_the_factor_of_its_worker_and_of_all() -> None:
    state = fresh()
    a, b = state.workers["a"], state.workers["b"]
    forecast.observe(state, a, 0, 20.0)
    ratio = log(2.0)
    assert (state.completions, a.weight, state.as_planned) == (1, 1.0, False)
    assert (state.log_ratios, a.log_ratios, state.squares) == pytest.approx((ratio, ratio, ratio**2))
    spread = sqrt((4 * 0.2**2 + ratio**2) / 5)
    assert forecast.spread(state) == pytest.approx(spread)
    assert a.factor == pytest.approx(2.0)
    assert (b.factor, forecast.factor(state, b)) == (1.0, pytest.approx(2.0))
    forecast.observe(state, b, 1, 5.0)
    missed = -1.0  # a quarter of the 20 s that were expected there by what a took: more than a factor of e
    assert state.log_ratios == pytest.approx(0.0)
    spread = sqrt((4 * 0.2**2 + ratio**2 + missed**2) / 6)
    assert forecast.spread(state) == pytest.approx(spread)
    assert b.factor == pytest.approx(shrunk(log(0.5), 0.0, 1.0, spread))
    forecast.observe(state, b, 2, 5.0)
    assert b.weight == pytest.approx(1.9)
    assert b.log_ratios == pytest.approx(1.9 * log(0.5))
    common = log(0.5) / 3
    assert b.factor == pytest.approx(shrunk(1.9 * log(0.5), common, 1.9, forecast.spread(state)))


def test_a_miss_counts_from_what_was_expected_there_and_by_a_factor_of_e_at_most() -> None:
    state = fresh()
    a = state.workers["a"]
    forecast.observe(state, a, 0, 20.0)
    before = state.squares
    forecast.observe(state, a, 1, 20.0)
    assert state.squares == pytest.approx(before)
    for seconds in (20_000.0, 0.000_1):
        before = state.squares
        forecast.observe(state, a, 2, seconds)
        assert state.squares == pytest.approx(before + 1.0)


@pytest.mark.parametrize(
    ("seconds", "squares"), [(10.0 * exp(2.01), 0.0), (10.0 * exp(1.99), 1.0), (10 * exp(-2.01), 0.0)]
)
def test_a_first_ratio_that_shows_another_unit_is_no_scatter(seconds: float, squares: float) -> None:
    state = fresh()
    forecast.observe(state, state.workers["a"], 0, seconds)
    assert (state.squares, state.completions) == (pytest.approx(squares), 1)


@pytest.mark.parametrize(
    ("predicted", "seconds", "kept"),
    [
        (10.0, 10.0, True),
        (10.0, 10.00001, True),
        (10.0, 10.0001, False),
        (10.0, 9.9999, False),
        (0.1, 0.1000005, True),
        (0.1, 0.10001, False),
    ],
)
def test_a_millionth_of_difference_is_none(predicted: float, seconds: float, kept: bool) -> None:
    state = fresh([predicted])
    forecast.observe(state, state.workers["a"], 0, seconds)
    assert state.as_planned is kept


@pytest.mark.parametrize(("predicted", "seconds"), [(0.0, 1.0), (1.0, 0.0)])
def test_nothing_is_learned_from_what_takes_no_time(predicted: float, seconds: float) -> None:
    state = fresh([predicted])
    forecast.observe(state, state.workers["a"], 0, seconds)
    assert (state.completions, state.as_planned, state.workers["a"].weight) == (0, False, 0.0)


def test_speeds_and_classes_count_in_what_is_predicted() -> None:
    table = Workers.of([Worker("a", speed=2.0), Worker("b", worker_class="old")])
    state = fresh(workers=table)
    state.by_class = {"old": [70.0] * 6}
    assert state.seconds_on(0, table[0]) == 5.0
    assert state.seconds_on(0, table[1]) == 70.0
    forecast.observe(state, state.workers["b"], 0, 70.0)
    assert state.as_planned
    forecast.observe(state, state.workers["a"], 1, 10.0)
    assert forecast.seconds(state, state.workers["a"], 2) == pytest.approx(5.0 * state.workers["a"].factor)


@pytest.mark.parametrize(
    ("worker", "columns", "load"),
    [
        (Worker("a", cpus=4, memory_bytes=100.0), {"cpus": [1.0]}, 2.5),
        (Worker("a", cpus=4, memory_bytes=100.0), {"cpus": [1.0], "memory_bytes": [60.0]}, 6.0),
        (Worker("a", cpus=4, memory_bytes=100.0), {"cpus": [4.0], "memory_bytes": [60.0]}, 10.0),
        (Worker("a", cpus=4, memory_bytes=50.0), {"memory_bytes": [60.0]}, 10.0),
        (Worker("a", cpus=4, memory_bytes=0.0), {"cpus": [1.0]}, 2.5),
        (Worker("a", cpus=4, gpus=2), {"gpus": [1.5]}, 7.5),
    ],
)
def test_the_load_is_the_seconds_times_the_largest_share_of_the_worker(
    worker: Worker, columns: dict[str, Any], load: float
) -> None:
    plenty = Workers.of([Worker("a", cpus=8, gpus=8)])
    state = state_of(by_hand([10.0], plenty, [0], **columns))
    state.workers["a"].worker = worker
    assert forecast.load(state, state.workers["a"], 0) == pytest.approx(load)
    assert forecast.load(state, state.workers["a"], 0) == pytest.approx(load)


def test_the_backlog_of_a_plan_is_the_sum_of_the_loads_of_its_queue() -> None:
    table = Workers.of(
        [Worker("a", cpus=4, memory_bytes=100.0, gpus=4, resources={"tape": 2.0}), Worker("b", speed=2.0)]
    )
    import numpy as np

    plan = by_hand(
        [10.0, 10.0, 10.0, 10.0, 8.0, 8.0],
        table,
        [0, 0, 0, 0, 1, 1],
        cpus=[1.0, 1.0, 1.0, 1.0, 1.0, 5.0],
        memory_bytes=[0.0, 60.0, 0.0, 0.0, 0.0, 0.0],
        gpus=[0.0, 0.0, 3.0, 0.0, 0.0, 0.0],
        resources={"tape": np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0]), "ink": np.zeros(6)},
    )
    state = state_of(plan)
    assert state.workers["a"].backlog == pytest.approx(2.5 + 6.0 + 7.5 + 5.0)
    assert state.workers["b"].backlog == pytest.approx(4.0 + 4.0)
    assert state.richest == [(pytest.approx(-21.0), "a"), (pytest.approx(-8.0), "b")]


@pytest.mark.parametrize(
    ("since", "now", "left"),
    [
        (None, 50.0, 10.0),
        (0.0, 4.0, 6.0),
        (0.0, 10.0, 0.0),
        (0.0, 10.0 + 5e-6, 0.0),
        (0.0, 12.0, 12 * expm1(0.8 * 0.2)),
    ],
)
def test_what_is_left_of_an_attempt(since: float | None, now: float, left: float) -> None:
    state = fresh()
    live = running(state, "a", 10.0, since)
    assert forecast.left(state, state.workers["a"], live, now) == pytest.approx(left)


def test_the_later_an_attempt_is_the_more_is_left() -> None:
    state = fresh()
    live = running(state, "a", 10.0, 0.0)
    assert forecast.left(state, state.workers["a"], live, 40.0) == pytest.approx(40 * expm1(0.8 * log(4) / 2))
    state.workers["a"].factor = 2.0
    assert forecast.left(state, state.workers["a"], live, 12.0) == pytest.approx(8.0)
    assert forecast.left(state, state.workers["a"], running(state, "a", 0.0, 0.0), 12.0) == 0.0


def test_the_next_end_is_that_of_what_runs_and_now_where_nothing_does() -> None:
    state = fresh()
    a = state.workers["a"]
    assert forecast.next_end(state, a, 3.0) == 3.0
    running(state, "a", 10.0, 0.0, 0)
    running(state, "a", 6.0, 1.0, 1)
    running(state, "a", 1.0, None, 2)
    assert forecast.next_end(state, a, 3.0) == pytest.approx(7.0)


def test_a_worker_is_busy_with_the_rest_of_each_attempt_by_its_share() -> None:
    state = fresh()
    running(state, "a", 10.0, 0.0, 0, load=0.5)
    running(state, "a", 20.0, None, 1, load=0.25)
    running(state, "a", 0.0, 0.0, 2, load=1.0)
    assert forecast.busy(state, state.workers["a"], 4.0) == pytest.approx(0.5 * 6 + 0.25 * 20)


def test_a_worker_is_done_after_what_runs_and_its_backlog_and_never_before_its_next_sub_task() -> None:
    state = fresh([30.0, 10.0])
    a = state.workers["a"]
    assert forecast.end(state, a, 100.0) == pytest.approx(140.0)
    a.factor = 1.5
    running(state, "a", 10.0, 99.0, 0, load=0.5)
    assert forecast.end(state, a, 100.0) == pytest.approx(100 + 0.5 * 14 + 60.0)
    a.backlog, a.factor = 1.0, 1.0
    a.live.clear()
    assert forecast.end(state, a, 100.0) == pytest.approx(130.0)
    a.queue.clear()
    assert forecast.end(state, a, 100.0) == pytest.approx(101.0)


def test_what_runs_for_longer_than_is_likely_counts_as_completed_now() -> None:
    state = fresh()
    a = state.workers["a"]
    likely = 10.0 * exp(1.5 * 0.2)
    running(state, "a", 10.0, 0.0)
    forecast.look(state, a, likely - 0.01)
    assert a.factor == 1.0
    forecast.look(state, a, likely + 0.01)
    assert a.factor > 1.0
    forecast.look(state, a, 40.0)
    assert a.factor == pytest.approx(shrunk(log(4), 0.0, 1.0, 0.2))
    assert (a.weight, a.log_ratios) == (0.0, 0.0)


def test_a_worker_is_suspect_from_the_second_on_that_is_hardly_likely_any_more() -> None:
    state = fresh()
    a, late = state.workers["a"], 0.5 * exp(1.5 * 0.2) * (1 + 1e-6)
    live = running(state, "a", 0.5, 0.0)
    assert forecast.suspect_after(state, live) == pytest.approx(late, rel=1e-12)
    assert [forecast.is_suspect(state, a, now) for now in (late * 0.999, late * 1.001, late * 2)] == [False, True, True]
    forecast.look(state, a, late * 1.01)
    assert a.factor > 1.0
    a.factor = 3.0
    assert [forecast.is_suspect(state, a, now) for now in (late * 2.999, late * 3.001)] == [False, True]
    live.started = None
    assert not forecast.is_suspect(state, a, 99.0)


def test_late_attempts_count_behind_what_was_completed_and_what_has_not_begun_not_at_all() -> None:
    state = fresh()
    a = state.workers["a"]
    for task in (0, 1):
        forecast.observe(state, a, task, 10.0)
    a.factor = 7.0  # forgotten: a look works it out anew
    running(state, "a", 10.0, None, 3)
    running(state, "a", 0.0, 0.0, 4)
    running(state, "a", 10.0, 90.0, 5)
    forecast.look(state, a, 40.0)
    assert a.factor == pytest.approx(1.0)
    a.live.clear()
    running(state, "a", 10.0, 0.0, 6)
    forecast.look(state, a, 100.0)
    assert a.factor == pytest.approx(shrunk(log(10), 0.0, 1 + 0.9 * a.weight, forecast.spread(state)))


def test_a_worker_that_completed_nothing_is_expected_to_be_as_all() -> None:
    state = fresh()
    forecast.observe(state, state.workers["a"], 0, 30.0)
    forecast.observe(state, state.workers["a"], 1, 30.0)
    b = state.workers["b"]
    assert forecast.factor(state, b) == pytest.approx(3.0)
    forecast.look(state, b, 0.0)
    assert b.factor == pytest.approx(3.0)
