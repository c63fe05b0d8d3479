"""How large a batch may be, by hand: which sizes are tried, and when no more are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf, sqrt

import pytest

from partitioner.stages import batch_weight
from partitioner.stages.batch_weight import Found, Round, grown


class Clock:
    """Seconds that pass only in a call."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(batch_weight, "time", clock)
    return clock


class Script:
    """Rounds one after the other, whatever weight is asked for; ``asked`` are the weights."""

    def __init__(self, *shares: float | Round, seconds: float = 0.0, clock: Clock | None = None) -> None:
        self.rounds: Iterator[float | Round] = iter(shares)
        self.seconds, self.clock, self.asked = seconds, clock, list[float]()

    def __call__(self, weight: float) -> Round:
        self.asked.append(weight)
        if self.clock is not None:
            self.clock.now += self.seconds
        told = next(self.rounds)
        return told if isinstance(told, Round) else Round(weight, told, 0.1)


def ran_out(weight: float = 0.0) -> Round:
    return Round(weight, inf, 0.1, "MemoryError: no", memory=True)


def test_what_is_just_safe_counts_and_half_of_it_is_not_all_that_is_tried() -> None:
    measure = Script(0.25, 1.0, 1.0, 1.0, 1.0, 1.0)
    found = grown(measure, 10)
    assert measure.asked == [10, 20]  # the line says 250 % of 40, and leaves nothing to refine
    assert found.weight == 20
    assert found.why == (
        "the largest of 2 sizes tried that is safe (peak 100%): a batch of 40 would take 250% of the memory that is safe"
    )


def test_what_would_be_just_safe_is_tried() -> None:
    measure = Script(0.25, 0.5, 1.0)
    assert (grown(measure, 10).weight, measure.asked) == (40, [10, 20, 40])


def test_what_is_just_safe_between_good_and_bad_counts() -> None:
    measure = Script(0.1, ran_out(20.0), 1.0)
    assert (grown(measure, 10).weight, len(measure.asked)) == (pytest.approx(10 * sqrt(2)), 3)


def test_where_the_data_ends_nothing_is_tried_between() -> None:
    measure = Script(0.1, Round(20.0, 0.9, 0.1, largest=True))
    found = grown(measure, 10)
    assert (found.weight, measure.asked) == (20, [10, 20])
    assert found.why.endswith("the data makes no larger batch")


def test_rounds_of_one_weight_draw_no_line() -> None:
    same = Round(10.0, 0.2, 0.1)
    assert grown(Script(same, same, replace(same, largest=True)), 10).weight == 10


def test_a_size_that_takes_too_much_is_bad_though_it_did_not_fail() -> None:
    measure = Script(0.1, 1.2, 0.3, 0.5, 0.6, 0.7)
    found = grown(measure, 10)
    assert measure.asked[:3] == [10, 20, pytest.approx(sqrt(200))]
    assert "a batch of 20 takes 120% of the memory that is safe" in found.why


def test_a_program_that_fails_at_a_size_ends_the_growth_with_its_words() -> None:
    measure = Script(0.1, Round(20.0, inf, 0.1, "ValueError: too many"), ran_out(), ran_out(), ran_out(), ran_out())
    found = grown(measure, 10)
    assert found.weight == 10
    assert found.why.endswith("(peak 10%): a batch of 20 failed (ValueError: too many)")


def test_a_size_that_fails_within_the_limit_is_bad() -> None:
    failed = Round(20.0, 0.2, 0.1, "ValueError: too many")
    found = grown(Script(0.1, failed, failed, failed, failed, failed), 10)
    assert (found.weight, "a batch of 20 failed" in found.why) == (10, True)


def test_between_good_and_bad_the_next_size_is_half_way_in_powers() -> None:
    measure = Script(0.1, ran_out(20.0), ran_out(), 0.1, 1.5, 0.1)
    found = grown(measure, 10)
    bad = 10 * sqrt(2)
    good = sqrt(10 * bad)
    assert measure.asked == pytest.approx([10, 20, bad, good, sqrt(good * bad)])
    assert found.weight == pytest.approx(good)  # half way from there to the last bad one is less than a twentieth more


def test_four_sizes_are_tried_after_the_first_that_would_be_too_large() -> None:
    measure = Script(0.1, 0.9, 0.9, 0.95, 0.95, 0.95, 0.95, 0.95)
    found = grown(measure, 10)
    assert measure.asked == pytest.approx([10, 20, 21.25, 22.5, 23.75, 25])
    assert found.weight == pytest.approx(25)


def test_a_refinement_that_promises_less_than_a_twentieth_is_not_tried() -> None:
    tried_to_11 = Script(0.1, Round(20.0, inf, 0.1, "no"), Round(0.0, inf, 0.1, "no"), 0.1, ran_out())
    grown(tried_to_11, 10)
    last = tried_to_11.asked[-1]
    assert last > 10 * 1.05
    measure = Script(0.5, 0.999, 0.9)
    assert (grown(measure, 10).weight, measure.asked) == (20, [10, 20])


def test_a_refinement_that_weighs_no_more_than_the_best_is_the_last() -> None:
    measure = Script(0.1, ran_out(20.0), Round(10.0, 0.1, 0.1), 0.2)
    assert (grown(measure, 10).weight, len(measure.asked)) == (10, 3)


def test_the_next_size_is_twice_what_the_batch_weighed_not_what_was_asked_for() -> None:
    measure = Script(Round(16.0, 0.1, 0.1), Round(40.0, 0.2, 0.1, largest=True))
    assert (grown(measure, 10).weight, measure.asked) == (40, [10, 32])


def test_the_steeper_of_the_last_two_slopes_says_what_is_next() -> None:
    steep_first = Script(0.1, 0.3, 0.32, *[0.9] * 8)
    grown(steep_first, 10)
    assert steep_first.asked[:3] == [10, 20, 40]
    assert steep_first.asked[3] == pytest.approx(sqrt(40 * 80))  # 80 by the steeper: 0.32 + 40 x 0.02 = 112 %
    forgotten = Script(0.01, 0.2, 0.21, 0.22, *[0.99] * 8)
    grown(forgotten, 10)
    assert forgotten.asked[:5] == [10, 20, 40, 80, 160]  # the first slope is two rounds past


def test_a_call_of_exactly_twenty_seconds_is_not_long() -> None:
    measure = Script(Round(10.0, 0.1, 20.0), Round(20.0, 0.1, 20.1))
    found = grown(measure, 10)
    assert (found.weight, measure.asked) == (20, [10, 20])
    assert found.why.endswith("a call takes 20 s already")


def test_growth_ends_when_the_seconds_of_the_probe_are_over(clock: Clock) -> None:
    measure = Script(0.1, 0.1, 0.1, 0.1, seconds=30.0, clock=clock)
    found = grown(measure, 10)
    assert measure.asked == [10, 20, 40]  # 60 s are not more than 60
    assert found.why.endswith("the 60 s of the probe are over")


def test_no_refinement_begins_when_the_seconds_of_the_probe_are_over(clock: Clock) -> None:
    measure = Script(0.1, ran_out(20.0), 0.1, 0.1, seconds=30.0, clock=clock)
    grown(measure, 10)
    assert len(measure.asked) == 3
    clock.now = 0.0
    late = Script(0.1, ran_out(20.0), 0.1, seconds=31.0, clock=clock)
    grown(late, 10)
    assert len(late.asked) == 2


def test_the_first_that_fails_is_the_bound() -> None:
    assert grown(Script(1.01), 10) == Found(
        10, "the least that makes sense, for a batch of 10 takes 101% of the memory that is safe"
    )
