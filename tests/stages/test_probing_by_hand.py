"""What slots say of a batch they tried, and what becomes of the bound: by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from partitioner.attempt.probe import Asked, Tried, end_of_probe, probe
from partitioner.model import Failure, Fragment, Fragments, Workers
from partitioner.stages.batch_weight import Prober, Round, known, settled
from partitioner.stages.start import Start
from partitioner.stages.steps import Costed


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
