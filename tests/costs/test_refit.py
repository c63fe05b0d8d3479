import math

import numpy as np
import pytest

from partitioner.costs.refit import correct, eta

NAN = math.nan


def test_nothing_finished_changes_nothing():
    correction = correct(np.array([1.0, 2.0]), np.array([NAN, NAN]))
    assert correction.seconds.tolist() == [1.0, 2.0]
    assert not correction.moved


def test_what_is_left_follows_the_ratio_of_what_finished():
    predicted = np.full(40, 2.0)
    actual = np.where(np.arange(40) < 30, 6.0, NAN)
    correction = correct(predicted, actual)
    assert correction.factor == pytest.approx(3.0, rel=0.15)
    assert correction.left[:30].tolist() == [0.0] * 30
    assert correction.moved


def test_one_completion_moves_the_forecast_only_a_little():
    correction = correct(np.full(10, 1.0), np.array([4.0] + [NAN] * 9))
    assert correction.factor == pytest.approx(4 ** (1 / 4))


def test_a_fixed_cost_that_was_not_predicted_is_seen():
    predicted = np.linspace(1.0, 10.0, 30)
    actual = np.where(np.arange(30) % 2 == 0, 5.0 + predicted, NAN)
    correction = correct(predicted, actual)
    assert correction.seconds == pytest.approx(5.0 + predicted, rel=0.02)


def test_a_straggler_is_never_done_before_it_is():
    correction = correct(np.array([1.0, 1.0]), np.array([NAN, NAN]), elapsed=np.array([4.0, 0.5]))
    assert correction.left == pytest.approx([3.0, 0.5])


def test_eta_on_equal_slots():
    assert eta(np.array([3.0, 3.0, 3.0, 0.0]), np.array([1.0, 1.0])) == 6.0


def test_eta_on_a_fast_and_a_slow_slot():
    assert eta(np.array([4.0, 4.0]), np.array([2.0, 1.0])) == 4.0


def test_eta_of_nothing_and_without_slots():
    assert eta(np.zeros(3), np.array([])) == 0.0
    assert eta(np.ones(3), np.array([])) == math.inf


def test_eta_of_very_many_is_their_mean_load():
    assert eta(np.ones(100_000), np.ones(10)) == pytest.approx(10_000.0)
