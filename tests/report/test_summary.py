from __future__ import annotations

from dataclasses import replace

import pytest

from partitioner.report.facts import read
from partitioner.report.report import Report
from partitioner.report.summary import summarise
from partitioner.report.text import notes


def test_figures_of_a_run_with_a_failed_and_a_lost_attempt(troubled):
    s = summarise(read(troubled()))
    assert (s.status, s.sub_tasks, s.committed, s.attempts) == ("complete", 4, 4, 6)
    assert (s.retries, s.failed, s.lost, s.cancelled) == (2, 1, 1, 0)
    assert (s.makespan, s.predicted_makespan, s.lower_bound, s.gap) == (12.0, 6.0, 6.0, 0.0)
    assert (s.busy, s.wasted) == (14 / 24, 2.5 / 24)
    assert s.hindsight_bound == 7.0  # 14 measured seconds over 2 slots
    assert (s.obeyed, s.moved) == (5 / 6, 1 / 4)
    assert s.obeyed_by_worker == 7 / 8


def test_predictions_in_seconds_are_compared_as_they_are(troubled):
    s = summarise(read(troubled()))
    assert (s.unit, s.predicts, s.scale) == ("seconds", True, 14 / 12)
    assert (s.error_median, s.error_p90) == (0.0, pytest.approx(0.35))
    assert [(w.task_key, w.worker_id, w.predicted, w.actual) for w in s.stragglers] == [("t000003", "w0", 2.0, 4.0)]


def test_without_seconds_nothing_is_predicted_and_nothing_fitted_afterwards(hands, tmp_path):
    records = [hands.record(0, "w0", 0.0, 1.0), hands.record(1, "w1", 0.0, 5.0)]
    lines = [hands.line("session", -0.1, engine="dask", workers=["w0", "w1"]), *hands.ran(records[0])]
    run = hands.write_run(tmp_path / "r", hands.plan_of([100.0, 200.0], unit="rows"), lines, records)
    s = summarise(read(run))
    assert (s.predicts, s.scale) == (False, 6 / 300)
    assert (s.predicted_makespan, s.lower_bound, s.error_median, s.stragglers) == (None, None, None, ())
    assert "No prediction: costs are rows, not seconds. Measured: 0.02 s per row" in str(Report.of(run))
    assert "no prediction" in Report.of(run).to_html()
    chosen = replace(
        read(run), plan={"algorithm": "lpt", "reasons": {"cost unit": "bytes", "cost chosen": "bytes, for it is small"}}
    )
    assert notes(summarise(chosen)) == [
        "No prediction: cost 'auto' took bytes, for it is small. Measured: 0.02 s per byte, of one slot."
    ]


def test_rows_are_counted_from_commit_records(troubled):
    s = summarise(read(troubled(quarantined=3)))
    assert (s.rows_in, s.rows_out, s.quarantined) == (40, 37, 3)


def test_a_file_of_quarantined_rows_that_is_gone_is_told(troubled):
    facts = read(troubled(quarantined=3))
    assert facts.errors == (("unknown: the file quarantine/t000001.parquet of these rows is gone", 1),)


def test_rows_that_do_not_add_up_are_told(hands, tmp_path):
    plan = hands.plan_of([1.0], workers=1)
    lines = [hands.line("session", 0.0, workers=["w0"]), hands.line("end", 2.0)]
    run = hands.write_run(tmp_path / "r", plan, lines, [hands.record(0, "w0", 0.0, 1.0, rows_out=9)])
    s = summarise(read(run))
    assert (s.status, s.reason) == ("failed", "Rows do not add up: t000000 read 10, wrote 9, set aside 0.")


@pytest.mark.parametrize(
    ("error", "status"),
    [("Interrupted", "interrupted"), ("RunFailed", "failed"), (None, "unfinished")],
)
def test_how_a_partial_run_stopped(hands, tmp_path, error, status):
    end = [hands.line("stopped", 3.0, error={"type": error, "message": "why"})] if error else []
    lines = [hands.line("session", -0.1, engine="dask", workers=["w0", "w1"]), *end]
    run = hands.write_run(tmp_path / "r", hands.plan_of([1.0, 1.0]), lines, [hands.record(0, "w0", 0.0, 1.0)])
    s = summarise(read(run))
    assert (s.status, s.committed, s.sub_tasks) == (status, 1, 2)
    assert "so far" in str(Report.of(run))


def test_a_run_that_never_placed_anything_still_has_a_report(hands, tmp_path):
    s = summarise(read(hands.write_run(tmp_path / "r", None, [], [])))
    assert (s.status, s.sub_tasks, s.makespan, s.busy, s.workers) == ("unfinished", 3, None, None, 0)


def test_a_resume_with_nothing_left_changes_no_figure(hands, tmp_path):
    made = hands.record(0, "w0", 0.0, 4.0)
    lines = [
        hands.line("session", -1.0, engine="dask", workers=["w0"]),
        *hands.ran(made),
        hands.line("end", 4.0),
        hands.line("session", 99.0, engine="dask", workers=["w0"], committed=1),
        hands.line("end", 99.0),
    ]
    s = summarise(read(hands.write_run(tmp_path / "r", hands.plan_of([4.0], workers=1), lines, [made])))
    assert (s.status, s.makespan, s.predicted_makespan, s.moved) == ("complete", 5.0, 4.0, 0.0)


def test_of_a_resumed_run_the_last_session_is_compared_with_its_plan(hands, tmp_path):
    records = [hands.record(0, "w0", 0.0, 4.0), hands.record(1, "w0", 100.0, 104.0)]
    lines = [
        hands.line("session", -1.0, engine="dask", workers=["w0"]),
        *hands.ran(records[0])[1:],
        hands.line("session", 99.0, engine="serial", workers=["w0"], committed=1),
        *hands.ran(records[1]),
        hands.line("end", 105.0),
    ]
    run = hands.write_run(tmp_path / "r", hands.plan_of([4.0, 4.0], workers=1), lines, records)
    s = summarise(read(run))
    assert (s.sessions, s.engine, s.makespan, s.total_seconds) == (2, "serial", 6.0, 11.0)
    assert s.busy == 8 / 11
    assert s.moved == 0.0
