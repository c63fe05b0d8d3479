import numpy as np
import pyarrow as pa

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


def test_a_small_job_leaves_no_profile(tmp_path):
    model = auto(tmp_path)
    model.estimate(SMALL)
    assert list(model.observe(SMALL, Measurements.of({}, [Timing(1.0)]), "run-1")) == []
    assert not (tmp_path / "p.sqlite").exists()


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
