"""The size of the next batch as a number, from literal observations."""

from __future__ import annotations

import pytest

from partitioner.attempt import auto_size
from partitioner.attempt.auto_size import AutoSize
from partitioner.errors import ConfigError


def after(*observed: tuple[float, float], target: float = 1.0) -> AutoSize:
    """What it says once warm."""
    auto = AutoSize(target)
    auto.observe(1, 99.0)  # the first one is dropped
    for size, seconds in observed:
        auto.observe(size, seconds)
    return auto


def test_nothing_is_known_before_the_second_batch() -> None:
    auto = AutoSize()
    assert auto.size() == 0.0
    auto.observe(4, 1.0)
    assert auto.size() == 0.0
    auto.observe(4, 1.0)
    assert auto.size() == 8.0


def test_a_batch_of_no_size_says_nothing() -> None:
    assert after((0, 5.0)).size() == 0.0
    # 0.2 s and 0.05 s each
    assert after((2, 0.3), (0, 0.0), (4, 0.4), target=0.3).size() == pytest.approx(4.0)


def test_two_sizes_make_a_line() -> None:
    # 0.1 s and 0.02 s each: 45 of them take a second
    assert after((10, 0.3), (40, 0.9)).size() == pytest.approx(45.0)


def test_sizes_never_more_than_double() -> None:
    assert after((1, 0.001), (2, 0.002)).size() == 4.0
    assert after((1, 0.001), (2, 0.002), (1, 0.001)).size() == 4.0


def test_a_rate_that_falls_is_no_fixed_part() -> None:
    # larger batches that take less: seconds over size, 4.1 / 500.. of the squares
    size = after((10, 0.2), (20, 0.1), target=0.1).size()
    assert size == pytest.approx(0.1 / ((10 * 0.2 + 10 * 0.2 + 20 * 0.1) / (100 + 100 + 400)))


def test_a_fixed_part_below_zero_is_none() -> None:
    # the line through (10, 0.1) and (20, 0.3) begins below zero
    rate = (10 * 0.1 + 10 * 0.1 + 20 * 0.3) / 600
    assert after((10, 0.1), (20, 0.3), target=0.2).size() == pytest.approx(0.2 / rate)


def test_rows_outweigh_a_fixed_part_of_more_than_half_the_target() -> None:
    # 0.6 s and 0.01 s each: rows for 0.6 s
    assert after((10, 0.7), (40, 1.0)).size() == pytest.approx(60.0)


def test_batches_that_take_no_time_double() -> None:
    assert after((1, 0.0), (2, 0.0)).size() == 4.0


def test_the_smallest_size_stays_when_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_size, "KEPT", 2)
    auto = after((10, 0.3), (40, 0.9), (40, 0.9), (40, 0.9))
    assert auto.size() == pytest.approx(45.0)
    assert after((40, 0.9), (10, 0.3), (40, 0.9), (40, 0.9)).size() == pytest.approx(45.0)


def test_of_equal_smallest_sizes_the_first_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_size, "KEPT", 1)
    assert after((10, 0.3), (10, 0.6), (40, 0.9)).size() == pytest.approx(45.0)


@pytest.mark.parametrize("target", [0, -1.0])
def test_a_target_is_above_zero(target: float) -> None:
    with pytest.raises(ConfigError, match=rf"target_batch_seconds = {target}; it is a number of seconds above 0"):
        AutoSize(target)
