"""The schedules behind an ETA, without chance where there is none, and against closed formulas where there is."""

from __future__ import annotations

from math import exp, hypot, log
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from partitioner.coordinator import eta as etas
from partitioner.coordinator import forecast
from partitioner.coordinator.capacity import take
from partitioner.coordinator.eta import _Draws
from partitioner.coordinator.ratios import Ratios
from partitioner.coordinator.state import Live, State
from partitioner.model import Attempt, Worker, Workers
from tests.coordinator.paper import by_hand, state_of

NORMAL = NormalDist()


def waiting(seconds: list[float], workers: Workers | int = 2, **columns: Any) -> State:
    count = workers if isinstance(workers, int) else len(workers)
    return state_of(by_hand(seconds, workers, [i % count for i in range(len(seconds))], **columns))


def certain(state: State, now: float = 0.0) -> _Draws:
    """One draw without spread, at the declared speeds."""
    draws = _Draws(state, now, 0, None, 1.0)
    draws.slower = np.array([[1 / h.worker.speed for h in draws.slots]])
    return draws


def runs(state: State, name: str, task: int, expected: float, since: float | None = 0.0) -> Live:
    live = Live(Attempt(f"x{task}", task, 0, name, "memory://run"), expected, expected, expected, since)
    state.attempts[live.attempt.attempt_id] = live
    state.status[task] = 1
    take(state.workers[name], live)
    return live


# ---- schedules without chance


def test_all_but_a_few_are_scheduled_longest_first_to_where_they_end_first() -> None:
    assert certain(waiting([5.0, 4.0, 3.0, 3.0, 3.0])).planned() == 10.0  # 5 + 3, 4 + 3 + 3
    assert certain(waiting([5.0, 4.0, 3.0], Workers.of([Worker("a"), Worker("b", speed=2.0)]))).planned() == 4.0


def test_a_worker_has_as_many_slots_as_sub_tasks_of_mean_size_fit() -> None:
    table = Workers.of([Worker("a", cpus=4), Worker("b", cpus=1), Worker("c", cpus=3)])
    draws = certain(waiting([1.0] * 4, table, cpus=[2.0] * 4))
    assert [h.worker.worker_id for h in draws.slots] == ["a", "a", "b", "c"]


@pytest.mark.parametrize(("workers", "draws"), [(2, 100), (400, 50), (2000, 20)])
def test_many_slots_get_fewer_draws(workers: int, draws: int) -> None:
    assert _Draws(waiting([1.0, 1.0], workers), 0.0, 0, Ratios.exactly(0.3), 1.0).draws == draws


def test_the_plans_makespan_over_that_of_free_slots_is_its_stretch() -> None:
    state = waiting([5.0, 4.0, 3.0, 3.0, 3.0])
    state.makespan = 25.0
    assert etas._stretch(state) == pytest.approx(2.5)
    state.makespan = 0.0
    assert etas._stretch(state) == 1.0
    assert etas._stretch(waiting([0.0])) == 1.0


def test_a_stretch_is_asked_for_once() -> None:
    state = waiting([5.0, 5.0])
    etas.eta(state, 0.0)
    assert state.stretch == 1.0
    state.stretch = 3.0
    said = etas.eta(state, 0.0)
    assert said is not None
    assert said.seconds == pytest.approx(15.0, rel=0.35)


def filled(free: list[float], rest: list[float], speeds: list[float]) -> tuple[float, list[int]]:
    state = waiting([1.0] * len(free), Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate(speeds)))
    draws = certain(state)
    draws.free, draws.last = np.array([free]), np.array([list(range(len(free)))])
    return float(draws._filled(np.array(rest))[0]), draws.last[0].tolist()


@pytest.mark.parametrize(
    ("free", "rest", "speeds", "end", "last"),
    [
        ([1.0, 3.0], [], [1.0, 1.0], 3.0, [0, 1]),
        ([0.0, 2.0], [1.0] * 6, [1.0, 1.0], 4.0, [-1, -1]),
        ([0.0, 2.0], [1.0] * 6, [2.0, 1.0], (6 + 2) / 3, [-1, -1]),
        ([0.0, 50.0], [1.0] * 6, [1.0, 1.0], 50.0, [-1, 1]),
        ([0.0, 20.0, 50.0], [1.0] * 6, [1.0, 1.0, 1.0], 50.0, [-1, 1, 2]),
        ([0.0, 1.0, 50.0], [1.0] * 6, [1.0, 1.0, 1.0], 50.0, [-1, -1, 2]),
        ([0.0, 0.0, 5.0, 9.0], [1.0] * 12, [1.0] * 4, 9.0, [-1, -1, -1, 3]),
    ],
)
def test_short_sub_tasks_fill_the_slots_that_are_free_first_up_to_one_level(
    free: list[float], rest: list[float], speeds: list[float], end: float, last: list[int]
) -> None:
    found, owners = filled(free, rest, speeds)
    assert found == pytest.approx(end)
    assert owners == last


def with_spread(state: State, normal: float, monkeypatch: pytest.MonkeyPatch) -> _Draws:
    """A spread of 0.3, and every normal draw as given."""
    monkeypatch.setattr(_Draws, "_normal", lambda self: np.full(self.draws, normal))
    draws = _Draws(state, 0.0, 0, Ratios.exactly(0.3), 1.0)
    draws.slower, draws.common = np.ones_like(draws.slower), np.ones(draws.draws)
    return draws


@pytest.mark.parametrize("normal", [0.0, 1.0])
def test_short_sub_tasks_take_the_mean_of_a_lognormal_and_scatter_as_their_root(
    normal: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = with_spread(waiting([1.0, 1.0]), normal, monkeypatch)
    found = draws._filled(np.array([3.0, 4.0]))
    assert found == pytest.approx(np.full(100, (7 * exp(0.045) + normal * 0.3 * 5.0) / 2))


@pytest.mark.parametrize("normal", [0.0, 1.0])
def test_the_last_ones_end_unevenly_unless_what_runs_ends_later(normal: float, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = with_spread(waiting([8.0, 8.0, 4.0, 4.0, 2.0]), normal, monkeypatch)
    draws.slower *= 2.0
    ends = draws._scheduled(np.arange(5))
    assert ends == pytest.approx(np.full(100, 28 * exp(0.3 * normal) + 2 * 3.0 * (0.3 + 0.8 * normal)))
    draws = with_spread(waiting([1.0, 1.0]), normal, monkeypatch)
    draws.free = np.tile([50.0, 0.0], (100, 1))
    assert draws._scheduled(np.arange(2)) == pytest.approx(np.full(100, 50.0))


def test_speeds_and_factors_say_how_much_slower_a_slot_is_and_all_share_a_doubt() -> None:
    state = waiting([1.0, 1.0], Workers.of([Worker("a", speed=2.0), Worker("b")]))
    draws = _Draws(state, 0.0, 0, Ratios.exactly(0.3, mean=0.2), 1.0)
    assert draws.slower / draws.common[:, None] == pytest.approx(np.tile([0.5, 1.0], (100, 1)))
    assert np.mean(np.log(draws.common)) == pytest.approx(0.2, abs=0.01)
    assert np.std(np.log(draws.common)) == pytest.approx(0.2 * 0.3**2, rel=0.15)


@pytest.mark.parametrize("doubt", [0.0, 0.4])
def test_machines_may_change_by_a_part_of_what_the_cost_model_doubts_however_much_was_seen(doubt: float) -> None:
    state = waiting([1.0, 1.0])
    state.doubt, state.completions = doubt, 10_000
    draws = _Draws(state, 0.0, 0, Ratios.exactly(0.3), 1.0)
    assert np.std(np.log(draws.common)) == pytest.approx(hypot(0.2 * 0.3**2, 0.35 * doubt), rel=0.15)


def test_a_doubt_widens_the_interval_to_both_sides_and_leaves_its_middle() -> None:
    state = waiting([10.0] * 40)
    state.completions, state.log_ratios = 400, 0.0
    plain = etas.eta(state, 0.0)
    state.doubt = 0.4
    wide = etas.eta(state, 0.0)
    assert plain is not None
    assert wide is not None
    assert wide.low < plain.low < plain.high < wide.high
    assert wide.seconds == pytest.approx(plain.seconds, rel=0.1)


def test_what_all_share_counts_for_what_runs_too() -> None:
    state = waiting([1.0, 1.0])
    live = runs(state, "worker-0", 0, 10.0, None)
    draws = _Draws(state, 0.0, 0, Ratios.exactly(1e-9), 1.0)
    draws.common, draws.factors = np.full(draws.draws, 3.0), {"worker-0": 1.0}
    assert draws._left(state.workers["worker-0"], live) == pytest.approx(np.full(100, 30.0), rel=1e-5)


def test_who_decides_is_said_in_words() -> None:
    assert etas.Eta(1.0, 1.0, 1.0, "t1", "w").reason == "t1 on w decides"
    assert etas.Eta(1.0, 1.0, 1.0).reason == ""


def test_what_waits_is_what_is_ready_or_blocked_the_longest_first() -> None:
    state = waiting([2.0, 9.0, 5.0, 7.0, 9.0])
    state.status[3], state.status[2] = 2, 3
    assert _Draws(state, 0.0, 0, Ratios.exactly(0.3), 1.0)._waiting().tolist() == [1, 4, 2, 0]


def test_the_longest_two_hundred_are_scheduled_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    state, placed = waiting([1.0] * 230), list[int]()
    monkeypatch.setattr(_Draws, "_place", lambda self, i: placed.append(i))
    certain(state)._scheduled(np.arange(230))
    assert placed == list(range(200))


def test_each_live_attempt_takes_a_slot_of_its_worker_those_that_run_first() -> None:
    table = Workers.of([Worker("a"), Worker("b", cpus=2)])
    state = waiting([1.0] * 6, table)
    runs(state, "b", 1, 30.0, None)
    runs(state, "b", 2, 10.0)
    runs(state, "b", 3, 20.0)
    draws = _Draws(state, 0.0, 0, Ratios.exactly(1e-9), 1.0)
    draws.common, draws.factors = np.ones(draws.draws), {"a": 1.0, "b": 1.0}
    draws._running()
    assert draws.free[0].tolist() == pytest.approx([0.0, 40.0, 20.0], rel=1e-5)
    assert draws.last[0].tolist() == [-1, 1, 3]


def test_attempts_of_parts_and_of_workers_that_are_gone_take_no_slot() -> None:
    state = waiting([1.0, 1.0])
    runs(state, "worker-0", 0, 10.0)
    live = runs(state, "worker-1", 1, 10.0)
    state.attempts["part"] = Live(Attempt("p", 2, 0, "worker-0", ""), 10.0, 10.0, 10.0, 0.0)
    del state.workers["worker-1"]
    assert live.attempt.worker_id == "worker-1"
    draws = _Draws(state, 0.0, 0, Ratios.exactly(1e-9), 1.0)
    draws.common, draws.factors = np.ones(draws.draws), {"worker-0": 1.0}
    draws._running()
    assert draws.free[0].tolist() == pytest.approx([10.0], rel=1e-5)


@pytest.mark.parametrize(
    ("since", "now", "left"), [(None, 50.0, 20.0), (0.0, 5.0, 15.0), (5.0, 5.0, 20.0), (7.0, 5.0, 20.0)]
)
def test_what_is_left_of_an_attempt_without_chance(since: float | None, now: float, left: float) -> None:
    state = waiting([1.0, 1.0])
    live = runs(state, "worker-0", 0, 10.0, since)
    draws = _Draws(state, now, 0, Ratios.exactly(1e-9), 1.0)
    draws.common, draws.factors = np.ones(draws.draws), {"worker-0": 2.0}
    assert draws._left(state.workers["worker-0"], live) == pytest.approx(np.full(100, left), rel=1e-5)


def test_far_beyond_its_prediction_the_forecast_of_late_attempts_holds() -> None:
    state = waiting([1.0, 1.0])
    live = runs(state, "worker-0", 0, 10.0, 0.0)
    draws = _Draws(state, 100.0, 0, Ratios.exactly(0.3), 1.0)
    expected = forecast.left(state, state.workers["worker-0"], live, 100.0)
    drawn = draws._left(state.workers["worker-0"], live)
    assert np.median(drawn) == pytest.approx(expected, rel=0.15)
    assert np.std(np.log(drawn)) == pytest.approx(0.5, rel=0.2)


def test_given_that_it_runs_still_less_than_its_whole_is_left_and_never_below_zero() -> None:
    state = waiting([1.0, 1.0])
    live = runs(state, "worker-0", 0, 10.0, 0.0)
    draws = _Draws(state, 12.0, 0, Ratios.exactly(0.3), 1.0)
    draws.common, draws.factors = np.ones(draws.draws), {"worker-0": 1.0}
    drawn = draws._left(state.workers["worker-0"], live)
    assert drawn.min() >= 0.0
    z = log(1.2) / 0.3
    tail = NORMAL.cdf(z) + (1 - NORMAL.cdf(z)) / 2
    assert np.median(drawn) == pytest.approx(10 * exp(0.3 * NORMAL.inv_cdf(tail)) - 12, rel=0.25)


# ---- factors


@pytest.mark.parametrize(("own", "counts"), [(0.5, True), (0.2, False), (-0.5, True)])
def test_a_worker_differs_where_its_mean_does_by_three_standard_errors(own: float, counts: bool) -> None:
    state = waiting([10.0] * 8)
    holder = state.workers["worker-0"]
    state.completions, state.log_ratios = 20, 0.0
    holder.weight, holder.factor = 9.0, exp(own)
    found = _Draws(state, 0.0, 0, Ratios.exactly(0.3), 1.0).factors
    assert found["worker-0"] == pytest.approx(exp(own) if counts else 1.0)
    assert found["worker-1"] == pytest.approx(1.0)


# ---- intervals


def test_a_slot_without_work_to_fill_in_ends_where_what_runs_ends() -> None:
    draws = certain(waiting([1.0], 1))
    draws.free, draws.slower = np.array([[7.3]]), np.array([[0.9]])  # 7.3 / 0.9 * 0.9 is a rounding error below 7.3
    assert draws._filled(np.array([0.0])).tolist() == [7.3]


def test_one_sub_task_that_has_just_begun_gives_the_quantiles_of_a_lognormal(monkeypatch: pytest.MonkeyPatch) -> None:
    state = waiting([1000.0], 1)
    runs(state, "worker-0", 0, 1000.0, 0.0)
    monkeypatch.setattr(etas, "ratios", lambda state, now: Ratios.exactly(0.3))
    said = [etas.eta(state, 0.0, seed) for seed in range(30)]
    for name, z in (("low", -1.645), ("seconds", 0.0), ("high", 1.645)):
        mean = np.mean([log(getattr(each, name)) for each in said])
        assert mean == pytest.approx(log(1000) + z * hypot(0.3, 0.2 * 0.3**2), abs=0.06)


def test_seeds_differ_and_the_same_seed_says_the_same() -> None:
    state = waiting([10.0] * 9)
    assert etas.eta(state, 0.0, 1) == etas.eta(state, 0.0, 1)
    assert etas.eta(state, 0.0, 1) != etas.eta(state, 0.0, 2)


def test_who_is_last_in_most_schedules_decides() -> None:
    state = waiting([1.0, 1.0, 1.0], 3)
    draws = _Draws(state, 0.0, 0, Ratios.exactly(0.3), 1.0)
    draws.draws = 3
    draws.free = np.array([[1.0, 5.0, 2.0], [1.0, 5.0, 2.0], [9.0, 5.0, 2.0]])
    draws.last = np.array([[0, 2, 1]] * 3)
    assert draws._decider() == ("t000002", "worker-1")
    draws.last = np.array([[0, -1, 1]] * 3)
    assert draws._decider() == ("", "")


def test_without_workers_nothing_is_said() -> None:
    state = waiting([1.0])
    state.workers.clear()
    assert etas.eta(state, 0.0) is None


def test_seconds_by_class_count_for_sub_tasks_and_not_for_parts() -> None:
    state = waiting([5.0, 7.0])
    state.by_class, state.seconds = {"x": [1.0, 1.0]}, [3.0, 4.0, 99.0]
    assert _Draws(state, 0.0, 0, Ratios.exactly(0.3), 1.0).seconds.tolist() == [3.0, 4.0]
