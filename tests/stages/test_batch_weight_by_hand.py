"""How large a batch may be, by hand: which sizes are tried, when no more are, and what slots say of their memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from types import SimpleNamespace
from typing import Any

import pytest

from partitioner.attempt.probe import Asked, Tried, end_of_probe, probe
from partitioner.model import Failure, Fragment, Fragments, Workers
from partitioner.stages import batch_weight
from partitioner.stages.batch_weight import Found, Prober, Round, grown, known, settled
from partitioner.stages.start import Start
from partitioner.stages.steps import Costed


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


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Of a resolved run what the probe reads."""

    batching: dict[str, Any]
    allowed: float | None = None
    padded: bool = False

    @property
    def config(self) -> Any:
        return SimpleNamespace(padded=self.padded)

    def limits(self, workers: Workers) -> Any:
        return SimpleNamespace(allowed_mem=self.allowed)


class Engine:
    """Slots that answer what ``answer`` says of the round; ``asked`` keeps what they were asked."""

    def __init__(self, answer: Callable[[Asked], dict[str, list[Any]]]) -> None:
        self.answer, self.asked, self.ended = answer, list[Asked](), list[tuple[Any, ...]]()

    def call_slots(self, function: Any, slots: Any, *arguments: Any) -> dict[str, list[Any]]:
        assert slots == {"w0": 2, "w1": 1}
        if function is end_of_probe:
            self.ended.append(arguments)
            return {}
        assert (function, arguments[:2]) == (probe, ("memory://run", b"key"))
        self.asked.append(arguments[2])
        return self.answer(arguments[2])


TRIED = Tried(10.0, 5, 0.5, 100.0, 400.0, 0.0, 0.0, inf, "a")
DIRECTORY: Any = SimpleNamespace(url="memory://run", key=b"key")


def prober(
    answers: Callable[[Asked], dict[str, list[Any]]] | Sequence[Any],
    *,
    fragments: int = 3,
    in_process: int = 1,
    **parts: Any,
) -> tuple[Prober, Engine]:
    engine = Engine(answers if callable(answers) else lambda asked: {"w0": list(answers)})
    made = [Fragment(0, f"f{i}", 0, 0, 10, 10, 10) for i in range(fragments)]
    dataset: Any = SimpleNamespace(fragments=Fragments.of(made), rows=parts.pop("rows", 10 * fragments))
    start = Start(Workers.identical(2), {"w0": 2, "w1": 1}, slots_in_process=in_process)
    told: Any = Parts(**{"batching": {}, **parts})
    return Prober(told, dataset, engine, start, DIRECTORY), engine  # type: ignore[arg-type]


def test_a_round_asks_for_heavy_rows_and_then_for_middling_ones() -> None:
    one, engine = prober([TRIED], padded=True)
    assert one(7.0).weight == 7.0
    assert [(a.weight, a.padded, a.most_rows, a.heaviest) for a in engine.asked] == [
        (7.0, True, 30, True),
        (7.0, True, 30, False),
    ]


def test_the_first_weight_is_that_of_the_heaviest_row_in_any_slot() -> None:
    one, engine = prober([replace(TRIED, weight=3.0), replace(TRIED, weight=9.0), replace(TRIED, weight=4.0)])
    assert one.first() == 9.0
    assert [(a.weight, a.heaviest) for a in engine.asked] == [(0.0, True)]


@pytest.mark.parametrize(
    ("rows", "batching", "most"),
    [
        (1, {}, 1),
        (30, {}, 30),
        (-1, {}, 1_000_000),
        (2_000_001, {}, 1_000_000),
        (-1, {"batch_size": 2_000_001}, 1_000_000),
        (0, {}, 1_000_000),
        (30, {"batch_size": 8}, 8),
        (3, {"batch_size": "auto"}, 3),
    ],
)
def test_a_batch_has_no_more_rows_than_there_are_or_are_asked_for(rows: int, batching: Any, most: int) -> None:
    one, engine = prober([TRIED], rows=rows, batching=batching)
    one(1.0)
    assert engine.asked[0].most_rows == most


def test_the_most_of_a_slot_counts_beside_nine_tenths_of_its_limit() -> None:
    one, _ = prober([TRIED, replace(TRIED, peak_bytes=810.0), TRIED], allowed=1000.0)
    assert one(10.0).share == pytest.approx(0.9)
    shared, _ = prober([replace(TRIED, peak_bytes=810.0)], allowed=1000.0, in_process=2)
    assert shared(10.0).share == pytest.approx(0.45)
    endless, _ = prober([TRIED])
    assert endless(10.0).share == 0.0


def test_slots_of_a_machine_share_what_it_has_free() -> None:
    there = replace(TRIED, free_bytes=800.0)
    one, _ = prober([there, there, replace(there, host="b", peak_bytes=0.0)])
    assert one(10.0).share == pytest.approx(400 / (0.9 * (100 + 800 / 2)))
    alone, _ = prober([there])
    assert alone(10.0).share == pytest.approx(400 / (0.9 * 900))


def test_the_memory_of_a_device_counts_where_it_is_the_scarcer() -> None:
    one, _ = prober([replace(TRIED, gpu_bytes=45.0, gpu_total_bytes=100.0)], allowed=10_000.0)
    assert one(10.0).share == pytest.approx(0.5)
    host, _ = prober([replace(TRIED, gpu_bytes=45.0, gpu_total_bytes=1e9)], allowed=1000.0)
    assert host(10.0).share == pytest.approx(400 / 900)


def test_a_process_that_ended_ran_out_of_memory() -> None:
    gone, _ = prober([TRIED, RuntimeError("worker w1 ended"), replace(TRIED, weight=11.0)])
    assert gone(12.0) == Round(11.0, inf, 0.0, "its process: worker w1 ended", memory=True)
    nobody, _ = prober([])
    assert nobody(12.0) == Round(12.0, inf, 0.0, "no slot answered", memory=True)


def test_what_the_program_raises_is_told_in_its_first_line() -> None:
    error = Failure("not\nthis", "ValueError")
    one, engine = prober([TRIED, replace(TRIED, failure=error, seconds=3.0)])
    told = one(12.0)
    assert (told.weight, told.share, told.failed, told.memory, told.seconds) == (
        12.0,
        inf,
        "ValueError: not",
        False,
        3.0,
    )
    assert len(engine.asked) == 1  # nothing is learned of middling rows


def test_two_hundred_characters_of_an_error_are_enough() -> None:
    one, _ = prober([replace(TRIED, failure=Failure("x" * 300, "ValueError"))])
    assert one(12.0).failed == "ValueError: " + "x" * 188


def test_where_no_byte_is_allowed_each_counts() -> None:
    assert prober([TRIED], allowed=0.0)[0](10.0).share == 400.0


def test_out_of_memory_is_told_as_that() -> None:
    one, _ = prober([replace(TRIED, failure=Failure("no", "MemoryError", memory=True))])
    assert one(12.0).memory


def by_rows(heavy: Tried, middling: Tried) -> Callable[[Asked], dict[str, list[Any]]]:
    return lambda asked: {"w0": [heavy if asked.heaviest else middling]}


def test_the_worse_of_heavy_and_middling_rows_counts() -> None:
    more = replace(TRIED, peak_bytes=800.0)
    assert prober(by_rows(TRIED, more), allowed=1000.0)[0](10.0).share == pytest.approx(8 / 9)
    assert prober(by_rows(more, TRIED), allowed=1000.0)[0](10.0).share == pytest.approx(8 / 9)
    failing = replace(TRIED, failure=Failure("no", "ValueError"))
    assert prober(by_rows(TRIED, failing))[0](10.0).failed == "ValueError: no"


def test_heavy_rows_above_the_limit_end_the_round() -> None:
    one, engine = prober([replace(TRIED, peak_bytes=1000.0)], allowed=1000.0)
    assert (one(10.0).share, len(engine.asked)) == (pytest.approx(10 / 9), 1)


def test_the_data_makes_no_larger_batch_only_where_no_slot_can_of_either_rows() -> None:
    full = replace(TRIED, rows=30)
    assert prober(by_rows(full, full))[0](10.0).largest
    assert not prober(by_rows(full, TRIED))[0](10.0).largest
    assert not prober(by_rows(TRIED, full))[0](10.0).largest
    assert not prober([full, TRIED])[0](10.0).largest


def test_rows_are_taken_of_sixteen_fragments_spread_evenly_over_all() -> None:
    few, engine = prober([TRIED], fragments=3)
    few(1.0)
    assert [f.path for f in engine.asked[0].fragments] == ["f0", "f1", "f2"]
    many, engine = prober([TRIED], fragments=31)
    many(1.0)
    assert [f.path for f in engine.asked[0].fragments] == [f"f{2 * i}" for i in range(16)]
    none, engine = prober([TRIED], fragments=0)
    none(1.0)
    assert len(engine.asked[0].fragments) == 0


def costed(job: Any) -> Costed:
    dataset: Any = SimpleNamespace(fragments=Fragments.of([Fragment(0, "f", 0, 0, 10, 10, 10)]), rows=10)
    return Costed(dataset, job, model=None, costs=None)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Told:
    """Of a job what the bound becomes part of."""

    batching: dict[str, Any]


START = Start(Workers.identical(2), {"w0": 2, "w1": 1})


def test_the_bound_is_a_setting_of_the_job_and_a_note_of_the_plan_and_slots_forget_their_rows() -> None:
    engine: Any = Engine(lambda asked: {"w0": [replace(TRIED, weight=max(asked.weight, 4.0), rows=10)]})
    parts: Any = Parts({"max_batch_weight": "auto", "weight": "n"})
    after, notes = settled(parts, costed(Told({"weight": "n", "max_batch_weight": "auto"})), engine, START, DIRECTORY)
    assert after.job == Told({"weight": "n", "max_batch_weight": 4.0})
    assert notes == {
        "max_batch_weight": "4, the largest of 1 sizes tried that is safe (peak 0%): the data makes no larger batch"
    }
    assert engine.ended == [("memory://run",)]


def test_a_probe_that_is_stopped_leaves_no_rows_in_the_slots() -> None:
    def stopped(asked: Asked) -> dict[str, list[Any]]:
        raise KeyboardInterrupt

    engine: Any = Engine(stopped)
    parts: Any = Parts({"max_batch_weight": "auto"})
    with pytest.raises(KeyboardInterrupt):
        settled(parts, costed(Told({})), engine, START, DIRECTORY)
    assert engine.ended == [("memory://run",)]


@pytest.mark.parametrize(
    ("batching", "job"),
    [({"max_batch_weight": 8.0}, Told({"max_batch_weight": 8.0})), ({"max_batch_weight": "auto"}, None)],
)
def test_nothing_is_tried_where_no_bound_is_asked_for_or_nothing_runs(batching: Any, job: Any) -> None:
    engine: Any = Engine(lambda asked: {})
    parts: Any = Parts(batching)
    before = costed(job)
    after, notes = settled(parts, before, engine, START, DIRECTORY)
    assert after is before
    assert (notes, engine.asked, engine.ended) == ({}, [], [])


def test_a_resume_reads_the_bound_that_was_found() -> None:
    assert known({"batching": {"max_batch_weight": 3}}) == {"max_batch_weight": 3.0}
    assert known({}) == {}
