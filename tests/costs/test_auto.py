import numpy as np
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.costs.auto import Auto
from partitioner.costs.fitting.terms import columns
from partitioner.costs.measuring.first_rows import Call, FirstRows
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.errors import CostError
from partitioner.testing.tables import TableSource
from tests.costs.stand_ins import FormulaRunner, text_dataset

LARGE = text_dataset()
SMALL = TableSource(pa.table({"text": ["x"] * 20})).dataset([10, 10])


def auto(tmp_path, runner=None):
    return Auto(tmp_path / "p.sqlite").bind(runner=runner or FormulaRunner("1e-5 * len(text)"), program="jobs:f")


def test_a_small_job_is_not_measured(tmp_path):
    runner = FormulaRunner("1e-5 * len(text)")
    costs = auto(tmp_path, runner).estimate(SMALL)
    assert (costs.unit, runner.seconds) == ("bytes", 0.0)
    assert costs.details["cost chosen"] == (
        "bytes, for the job is too small to measure (20 rows, 100 bytes): from 1000 rows or 1.05MB on, or where its first "
        "rows let expect 5 s of work, a run measures first, and predicts"
    )


def test_a_job_that_is_worth_it_is_measured_on_a_pilot(tmp_path):
    costs = auto(tmp_path).estimate(LARGE)
    assert (costs.unit, costs.details["cost chosen"]) == ("seconds", "a pilot")


def test_a_profile_replaces_the_pilot(tmp_path):
    first = auto(tmp_path)
    first.estimate(LARGE)
    known = [t for t in first.terms(LARGE) if not t.per_row]
    timings = [Timing(float(s)) for s in FormulaRunner("1e-5 * len(text)").true(LARGE)]
    first.observe(LARGE, Measurements.of(columns(LARGE, known), timings), "run-1")
    runner = FormulaRunner("1e-5 * len(text)")
    costs = auto(tmp_path, runner).estimate(LARGE)
    assert (runner.seconds, costs.details["cost chosen"]) == (0.0, "a profile of earlier runs")


def test_a_pilot_that_fails_leaves_bytes_and_says_why(tmp_path):
    def failing(dataset, pieces, seconds_limit):
        raise CostError("the program failed")

    costs = auto(tmp_path, failing).estimate(LARGE)
    assert costs.unit == "bytes"
    assert costs.details["cost chosen"] == "bytes, for the pilot failed: the program failed"


def test_a_small_job_that_took_no_time_teaches_nothing(tmp_path):
    model = auto(tmp_path)
    model.estimate(SMALL)
    assert [model.learns(4.9), model.learns(5.0)] == [False, True]
    assert not (tmp_path / "p.sqlite").exists()


def test_few_rows_that_took_long_are_known_the_second_time_by_the_number_that_they_follow(tmp_path):
    naps = TableSource(pa.table({"id": np.arange(100.0), "s": np.r_[np.full(99, 0.1), 30.0]})).dataset([5] * 20)
    first = auto(tmp_path)
    assert first.estimate(naps).unit == "bytes"
    timings = [Timing(s) for s in [0.5] * 19 + [30.4]]
    first.observe(naps, Measurements.of(columns(naps, first.terms(naps)), timings), "run-1")
    costs = auto(tmp_path).estimate(naps)
    assert costs.details["cost chosen"] == "a profile of earlier runs"
    assert costs.seconds == pytest.approx([0.5] * 19 + [30.4], rel=0.02)
    assert costs.record_seconds[-2:] == pytest.approx([0.1, 30.0], rel=0.02)


def test_it_is_the_default_and_without_a_program_plans_by_bytes():
    plan = pt.plan(pa.table({"x": np.arange(9)}), workers=2)
    assert plan.reasons["cost unit"] == "bytes"
    assert plan.reasons["cost chosen"] == "bytes, for there is no program to measure"


def test_a_plan_with_a_program_is_measured_in_processes_of_this_machine():
    plan = pt.plan(pa.table({"x": np.arange(300)}), len_of, batch_format="arrow", cost="calibrate", workers=2)
    assert plan.reasons["cost unit"] == "seconds"
    assert plan.start.min() == plan.reasons["start"]["program load"] > 0
    assert plan.reasons["pilot ran"] == "measured in 2 processes of this machine at once"


def len_of(batch):
    return [batch.num_rows] * batch.num_rows


def first(*calls, begun=2, waited=0.5):
    return FirstRows(tuple(Call(*call) for call in calls), begun, waited, row_bytes=10.0)


@pytest.mark.parametrize(
    ("took", "each"),
    [
        (first((2, 0.4)), 0.2),
        (first((2, 3.0), (4, 0.4)), 0.1),  # a model was loaded in the first
        (first((2, 3.0), (4, 0.4), (2, 0.2)), 0.1),
        (first((2, 0.3), (8, 0.3), (2, 0.3)), 0.0),  # calls cost, rows do not
        (first((2, 0.3), (4, 0.2), (2, 0.3)), 0.0),
        (first((1, 0.2), (1, 0.1)), 0.1),  # a batch of the run is one row
        (first((2, 1.0), (1, 0.5)), 0.5),  # four more would have taken too long
        (first((2, 1.0), (1, 0.9)), 0.1),  # calls cost, rows hardly do
        (first(waited=2.0), None),
    ],
)
def test_what_a_row_costs_by_the_first_calls(took, each):
    assert took.seconds_per_row == (None if each is None else pytest.approx(each))
    assert took.at_least == pytest.approx(1.0 if each is None else each)


@pytest.mark.parametrize(
    ("calls", "together", "each", "call"),
    [
        ([(2, 0.9), (8, 0.4), (2, 0.4)], 16, 0.025, 0.1),  # rows wait at once: sixteen in 0.4 s
        ([(2, 0.4), (8, 1.6), (2, 0.4)], 2, 0.2, 0.0),  # two at once
        ([(2, 0.1), (8, 0.4), (2, 0.1)], 16, 0.05, 0.0),  # at once they wait longer: so many a second, however many ask
        ([(2, 0.8)], 4, 0.2, 0.2),
    ],
)
def test_rows_that_wait_at_once_share_what_they_wait(calls, together, each, call):
    took = FirstRows(tuple(Call(*c) for c in calls), 2, 2.0, 10.0, together)
    assert (took.seconds_per_row, took.seconds_per_call) == (pytest.approx(each), pytest.approx(call))
    assert took.told.endswith(f", up to {together} at once")


def test_no_pilot_follows_where_rows_wait_at_once(tmp_path):
    took = FirstRows((Call(2, 0.9), Call(8, 0.8), Call(2, 0.8)), 2, 2.0, 10.0, together=16)
    costs = auto(tmp_path).after_trial(few(600), took).estimate(few(600))
    assert (costs.seconds.sum(), costs.fixed_seconds) == (pytest.approx(30.0), pytest.approx(0.2))


def few(rows, size=10):
    texts = ["x" * (50 + 10 * (i % 7)) for i in range(rows)]
    return TableSource(pa.table({"text": texts})).dataset([size] * (rows // size))


def test_few_rows_that_are_cheap_are_planned_as_before(tmp_path):
    assert auto(tmp_path).after_trial(few(500), first((2, 0.001), (8, 0.05))) is None  # 3 s
    assert auto(tmp_path).after_trial(few(500), first((2, 0.3), (4, 0.31), (2, 0.3))) is None


def test_slow_rows_are_measured_where_there_are_enough_of_them_for_a_pilot(tmp_path):
    runner = FormulaRunner("0.003 * len(text)")
    again = auto(tmp_path, runner).after_trial(few(600), first((2, 0.5), (4, 0.9)))
    costs = again.estimate(few(600))
    assert (costs.unit, costs.details["cost chosen"]) == (
        "seconds",
        "a pilot, for the first rows let expect 135 s of work",
    )
    assert costs.seconds.sum() == pytest.approx(runner.true(few(600)).sum(), rel=0.05)
    assert runner.seconds <= 0.06 * costs.seconds.sum()
    assert again.learns(0.0)


def test_fewer_slow_rows_count_as_those_of_the_trial_and_the_plan_says_so(tmp_path):
    again = auto(tmp_path).after_trial(few(100), first((2, 0.5), (4, 0.8)))
    costs = again.estimate(few(100))
    assert (costs.unit, costs.seconds.sum()) == ("seconds", pytest.approx(20.0))
    assert costs.details["cost chosen"] == (
        "the trial alone (2 rows took 0.5 s, then 4 rows 0.8 s): every row counts as much as these"
    )
    assert costs.details["work"]["high"] > 1.5 * costs.details["work"]["seconds"]  # six rows say little of a hundred
    assert again.learns(0.0)


def test_rows_that_did_not_end_in_the_trial_are_measured_or_not_predicted(tmp_path):
    assert auto(tmp_path).after_trial(few(100), first(waited=2.0)) is None
    assert auto(tmp_path).after_trial(few(100), first((2, 1.8))) is None  # it may have loaded a model
    assert auto(tmp_path).after_trial(few(600), first(waited=2.0)).because.endswith("expect 600 s of work")


def test_rows_that_nobody_counted_are_guessed_by_their_bytes(tmp_path):
    lines = few(600)
    lines.fragments.rows[:] = -1
    size = int(lines.fragments.bytes.sum())
    assert auto(tmp_path).after_trial(lines, first((2, 0.5), (4, 0.8))).because == (
        f", for the first rows let expect {0.2 * (size // 10):.3g} s of work"
    )
