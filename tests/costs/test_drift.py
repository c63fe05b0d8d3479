import numpy as np
import pytest

from partitioner.costs.measuring.drift import SPELL, detect, spell

PREDICTED = np.linspace(1.0, 5.0, 20)
NOISE = np.exp(0.05 * np.random.default_rng(0).standard_normal(20))


def test_the_same_speed_is_no_drift():
    report = detect(PREDICTED, PREDICTED * NOISE)
    assert not report.drifted
    assert report.ratio == pytest.approx(1.0, rel=0.05)


def test_twice_as_slow_is_drift():
    report = detect(PREDICTED, 2 * PREDICTED * NOISE, "m:f")
    assert report.drifted
    assert report.ratio == pytest.approx(2.0, rel=0.05)
    assert "m:f took 1.98 times" in report.message


def test_a_few_stragglers_are_no_drift():
    actual = PREDICTED * NOISE
    actual[:4] *= 10
    assert not detect(PREDICTED, actual).drifted


def test_a_large_but_uncertain_ratio_is_no_drift():
    assert not detect(np.ones(6), np.array([0.2, 5.0, 0.3, 4.0, 1.3, 1.5])).drifted


def test_too_few_sub_tasks_say_so():
    report = detect(np.ones(3), np.full(3, 9.0))
    assert not report.drifted
    assert "too few" in report.message


def test_runs_differ_by_what_machines_do_until_some_have_shown_it():
    assert spell() == pytest.approx(SPELL)
    assert spell([1.01, 0.99] * 10) < SPELL / 2
    assert spell([1.3, 0.75] * 10) > 1.5 * SPELL


def test_a_program_that_was_changed_makes_the_next_runs_no_riddle():
    assert spell([1.0] * 5 + [10.0]) < SPELL


def test_old_runs_are_forgotten():
    assert spell([1.5] * 20 + [1.0] * 20) == spell([1.0] * 20)
