"""What completions, and attempts that still run, say of actual over predicted seconds."""

from __future__ import annotations

from math import log, sqrt
from statistics import NormalDist

import numpy as np
import pytest

from partitioner.coordinator import ratios as known
from partitioner.coordinator.capacity import take
from partitioner.coordinator.ratios import Ratios, ratios
from partitioner.coordinator.state import Live, State
from partitioner.model import Attempt
from tests.coordinator.paper import by_hand, state_of

NORMAL = NormalDist()


def seen(logs: list[float], running: list[float] = [], predicts: bool = True, doubt: float = 0.0) -> State:  # noqa: B006
    """Completions with these log ratios, and attempts that run for so many times the ten seconds predicted, at second 0."""
    count = max(1, len(running))
    state = state_of(by_hand([10.0] * count, count, list(range(count))))
    state.completions, state.log_ratios, state.predicts = len(logs), sum(logs), predicts
    state.doubt = doubt
    state.log_squares = float((np.array(logs) ** 2).sum())
    state.squares = float(((np.array(logs) - np.mean(logs)) ** 2).sum()) if logs else 0.0
    for i, times in enumerate(running):
        live = Live(Attempt(f"x{i}", i, 0, f"worker-{i}", "memory://run"), 10.0, 10.0, 10.0, -10.0 * times)
        state.attempts[live.attempt.attempt_id] = live
        take(state.workers[f"worker-{i}"], live)
    return state


def moments(found: Ratios) -> tuple[float, float, float]:
    """Mean of the mean, its standard deviation, and mean of the spread."""
    mean = float(found.weight @ found.mean)
    return mean, sqrt(float(found.weight @ (found.mean - mean) ** 2)), found.typical


def integrated(
    logs: list[float], running: list[float], predicts: bool = True, doubt: float = 0.0
) -> tuple[float, float, float]:
    """The same by brute force, from the densities as textbooks have them."""
    mean, spread = np.linspace(-3.0, 5.0, 241)[:, None], np.geomspace(0.03, 4.0, 80)[None, :]
    weight = spread**-3.0 * np.exp(-3 * 0.04 / (2 * spread**2)) * np.ones_like(mean)
    if predicts:  # Student's t with four degrees of freedom, as sure as 24 completions, or as the cost model
        scale = np.sqrt(spread**2 / 24 + doubt**2)
        weight = weight / scale * (1 + (mean / scale) ** 2 / 4) ** -2.5
    for r in logs:
        weight = weight * np.exp(-((r - mean) ** 2) / (2 * spread**2)) / spread
    for times in running:
        survives = np.vectorize(NORMAL.cdf)((mean - log(times)) / spread)
        weight = weight * (0.99 * survives + 0.01)
    weight = weight / weight.sum()
    m = float((weight * mean).sum())
    return m, sqrt(float((weight * (mean - m) ** 2).sum())), float((weight * spread).sum())


@pytest.mark.parametrize(
    ("logs", "running", "predicts", "doubt"),
    [
        ([0.1, -0.2, 0.3, 0.0, 0.2, -0.1], [], True, 0.0),
        ([0.1, -0.2, 0.3, 0.0, 0.2, -0.1], [], False, 0.0),
        ([-0.6, -0.4], [1.2, 1.3, 1.5], True, 0.0),  # what ended was short: what runs says that it is not the rule
        ([0.5, 0.6, 0.4, 0.7, 0.5, 0.3] * 2, [1.9], True, 0.0),  # predictions were off
        ([-0.7, -0.5], [], True, 0.4),  # and might have been: the cost model said so
        ([-0.7, -0.5, -0.6, -0.8], [0.3, 0.5], True, 0.8),
    ],
)
def test_mean_and_spread_are_those_of_the_densities(
    logs: list[float], running: list[float], predicts: bool, doubt: float
) -> None:
    found = moments(ratios(seen(logs, running, predicts, doubt), 0.0))
    assert found == pytest.approx(integrated(logs, running, predicts, doubt), rel=0.08, abs=0.02)


def test_many_completions_leave_no_doubt() -> None:
    logs = [0.5 + 0.2 * z for z in (-1.0, 1.0)] * 2000
    assert moments(ratios(seen(logs), 0.0)) == pytest.approx((0.5, 0.2 / sqrt(4000), 0.2), rel=0.1)


def test_what_ended_first_was_short_and_what_runs_still_says_so() -> None:
    only, besides = seen([-0.5] * 4), seen([-0.5] * 4, [1.3] * 12)
    assert moments(ratios(only, 0.0))[0] < -0.1
    assert moments(ratios(besides, 0.0))[0] > 0.2
    assert ratios(besides, 0.0).typical > 1.5 * ratios(only, 0.0).typical


def test_what_has_just_begun_says_nothing() -> None:
    assert moments(ratios(seen([0.1] * 9, [0.01] * 6), 0.0)) == pytest.approx(
        moments(ratios(seen([0.1] * 9), 0.0)), rel=0.02
    )


def test_one_that_hangs_says_little_of_the_others() -> None:
    usual, hangs = seen([0.0, 0.1, -0.1] * 4), seen([0.0, 0.1, -0.1] * 4, [1e4])
    assert moments(ratios(hangs, 0.0)) == pytest.approx(moments(ratios(usual, 0.0)), rel=0.2, abs=0.02)


def test_of_very_many_that_run_some_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    state = seen([0.1, -0.2, 0.3, -0.1] * 5, [0.5] * 150 + [0.8] * 150 + [1.2] * 150)
    some = moments(ratios(state, 0.0))
    monkeypatch.setattr(known, "MOST", 450)
    assert some == pytest.approx(moments(ratios(state, 0.0)), rel=0.1)


def test_draws_come_as_often_as_they_are_likely() -> None:
    found = Ratios(np.array([0.0, 1.0]), np.array([0.1, 0.2]), np.array([0.25, 0.75]))
    means, spreads = found.drawn(100, np.random.default_rng(0))
    assert (int((means == 0.0).sum()), int((spreads == 0.2).sum())) == (25, 75)
    assert Ratios.exactly(0.3).drawn(2, np.random.default_rng(0))[1].tolist() == [0.3, 0.3]


@pytest.mark.parametrize("z", [-3.0, -2.0, -1.0, 0.0, 0.5, 1.0, 2.5])
def test_the_tables_of_the_normal_distribution(z: float) -> None:
    assert known.normal_chance(np.array([z]))[0] == pytest.approx(NORMAL.cdf(z), abs=1e-3)
    ratio = NORMAL.pdf(z) / (1 - NORMAL.cdf(z))
    assert known.mills(np.array([z]))[0] == pytest.approx(ratio, abs=2e-3)
    chance = NORMAL.cdf(z)
    assert known.normal_quantile(np.array([chance]))[0] == pytest.approx(z, abs=0.05)


def test_far_out_the_mean_above_is_just_above() -> None:
    assert known.mills(np.array([10.0, 50.0])) == pytest.approx([10.1, 50.02])
