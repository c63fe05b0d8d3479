import numpy as np
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.costs.auto import Auto
from partitioner.costs.fitting.terms import columns
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.errors import CostError
from partitioner.testing.costs import FormulaRunner, TableSource, text_dataset

LARGE = text_dataset()
SMALL = TableSource(pa.table({"text": ["x"] * 20})).dataset([10, 10])


def auto(tmp_path, runner=None):
    return Auto(tmp_path / "p.sqlite").bind(runner=runner or FormulaRunner("1e-5 * len(text)"), program="jobs:f")


def test_a_small_job_is_not_measured(tmp_path):
    runner = FormulaRunner("1e-5 * len(text)")
    costs = auto(tmp_path, runner).estimate(SMALL)
    assert (costs.unit, runner.seconds) == ("bytes", 0.0)
    assert "too small to measure" in costs.details["cost chosen"]


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
