"""Workers whose clocks are wrong change no figure of a report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from partitioner.commands.explain import life
from partitioner.report.clocks import ahead, sentences
from partitioner.report.report import Report

HOUR = 3600.0


def off(record, seconds):
    """As a worker writes it whose clock is so much ahead."""
    return replace(record, started=record.started + seconds, finished=record.finished + seconds)


def written(hands, path, seconds):
    """Two sub-tasks on each of two workers; the clock of w1 is ``seconds`` ahead."""
    right = [hands.record(i, f"w{i % 2}", 1.0 + i // 2 * 2, 3.0 + i // 2 * 2) for i in range(4)]
    lines = [hands.line("session", 0.0, engine="dask", workers=["w0", "w1"], committed=0)]
    lines += [line for record in right for line in hands.ran(record)] + [hands.line("end", 5.0)]
    records = [off(record, seconds) if record.worker_id == "w1" else record for record in right]
    return hands.write_run(path, hands.plan_of([2.0] * 4), lines, records)


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_clock_that_is_an_hour_off_changes_no_figure_and_is_told(hands, tmp_path, seconds):
    right = Report.of(written(hands, tmp_path / "run", 0.0)).summary
    wrong = Report.of(written(hands, tmp_path / "off" / "run", seconds)).summary
    word = "ahead" if seconds > 0 else "behind"
    assert wrong.makespan == 5.0
    assert wrong.clocks == (
        f"The clock of worker w1 is about 3600 s {word}; its times are shown on the driver's clock.",
    )
    assert replace(wrong, clocks=()) == right
    assert wrong.clocks[0] in str(Report.of(written(hands, tmp_path / "told" / "run", seconds)))


def test_the_life_of_a_sub_task_is_told_in_order(hands, tmp_path):
    lines = life(written(hands, tmp_path / "run", HOUR), "t000001")
    assert [line["text"].split()[1] for line in lines] == ["submitted", "started", "finished", "committed"]


@pytest.mark.parametrize(
    ("started", "finished", "told"),
    [
        (10.0, 12.0, {}),
        (10.0 + HOUR, 12.0 + HOUR, {"w0": HOUR - 1.0}),  # it was heard of a second after it ended
        (9.0 - HOUR, 11.0 - HOUR, {"w0": -HOUR}),
        (4.5, 12.0, {}),  # as a driver sees it that notes a hand-over late
        (0.0, 0.0, {}),  # rebuilt from its output: the times are not known
    ],
)
def test_clocks_are_bounded_by_what_the_driver_saw(hands, started, finished, told):
    record = hands.record(0, "w0", 0.0, 1.0, started=started, finished=finished)
    assert ahead([record], {"t000000-a0": (9.0, 13.0)}) == told
    assert ahead([record], {}) == {}


def test_of_several_attempts_the_tightest_bounds_count(hands):
    records = [hands.record(i, "w0", 0.0, 1.0, started=100.0 + i, finished=101.0 + i) for i in range(2)]
    assert ahead(records, {"t000000-a0": (1.0, 60.0), "t000001-a0": (1.0, 3.0)}) == {"w0": 99.0}
    assert sentences({}) == ()
