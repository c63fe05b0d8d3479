import numpy as np
import pytest

from partitioner.costs.fitting.terms import columns
from partitioner.costs.learned import Learned, shape_of
from partitioner.costs.measuring.drift import SPELL
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.errors import ConfigError
from partitioner.model.explanation import NINETY
from tests.costs.stand_ins import FormulaRunner, text_dataset

DATASET = text_dataset()
TRUTH = FormulaRunner("1e-5 * len(text)")


def a_run(model, slower=1.0, seed=0, worker_class=""):
    """What the sub-tasks, one per fragment, took."""
    known = [t for t in model.terms(DATASET) if not t.per_row]
    noise = np.exp(0.03 * np.random.default_rng(seed).standard_normal(len(DATASET.fragments)))
    seconds = slower * TRUTH.true(DATASET) * noise
    timings = [Timing(float(s), peak_memory_bytes=2e8, worker_class=worker_class) for s in seconds]
    return Measurements.of(columns(DATASET, known), timings)


def bound(store, runner=None):
    return Learned(store).bind(runner=runner or FormulaRunner("1e-5 * len(text)"), program="jobs:embed")


def median_error(costs, slower=1.0):
    return float(np.median(np.abs((costs.seconds + costs.fixed_seconds) / (slower * TRUTH.true(DATASET)) - 1)))


def test_the_first_run_measures_a_pilot_and_says_so(tmp_path):
    costs = bound(tmp_path / "p.sqlite").estimate(DATASET)
    assert costs.source == "learned"
    assert "pilot" in costs.details["profile"]


def test_the_second_run_needs_no_pilot_and_is_as_good(tmp_path):
    first = bound(tmp_path / "p.sqlite")
    error = median_error(first.estimate(DATASET))
    first.observe(DATASET, a_run(first), "run-1")
    untouched = FormulaRunner("1e-5 * len(text)")
    costs = bound(tmp_path / "p.sqlite", untouched).estimate(DATASET)
    assert untouched.seconds == 0.0
    assert median_error(costs) <= max(error, 0.03)
    assert costs.details["profile"]["runs"] == 1


def test_a_slower_program_is_reported_and_the_next_run_predicts_right(tmp_path):
    model = bound(tmp_path / "p.sqlite")
    model.observe(DATASET, a_run(model), "run-1")
    (report,) = model.observe(DATASET, a_run(model, slower=2.0, seed=1), "run-2")
    assert report.drifted
    assert report.ratio == pytest.approx(2.0, rel=0.1)
    assert median_error(bound(tmp_path / "p.sqlite").estimate(DATASET), slower=2.0) < 0.05


def doubt(costs):
    """The relative half-width of the interval of all work."""
    work = costs.details["work"]
    return work["high"] / work["seconds"] - 1


def test_a_pilot_says_that_the_machine_may_be_faster_or_slower_in_the_run(tmp_path):
    assert doubt(bound(tmp_path / "p.sqlite").estimate(DATASET)) > NINETY * SPELL


def test_runs_that_kept_to_their_prediction_make_the_next_more_certain(tmp_path):
    model = bound(tmp_path / "p.sqlite")
    doubts = []
    for i in range(8):
        model.observe(DATASET, a_run(model, seed=i), f"run-{i}")
        doubts.append(doubt(bound(tmp_path / "p.sqlite").estimate(DATASET)))
    assert doubts[0] > NINETY * SPELL  # of one run nobody knows what the next will do
    assert doubts[-1] < 0.7 * doubts[0]


def test_runs_that_wavered_make_it_less_certain(tmp_path):
    steady, wavering = bound(tmp_path / "s.sqlite"), bound(tmp_path / "w.sqlite")
    for i in range(8):
        steady.observe(DATASET, a_run(steady, seed=i), f"run-{i}")
        wavering.observe(DATASET, a_run(wavering, slower=(0.85, 1.15)[i % 2], seed=i), f"run-{i}")
    kept, swung = (doubt(bound(tmp_path / name).estimate(DATASET)) for name in ("s.sqlite", "w.sqlite"))
    assert swung > 1.3 * kept


def test_the_same_program_does_not_drift(tmp_path):
    model = bound(tmp_path / "p.sqlite")
    model.observe(DATASET, a_run(model), "run-1")
    (report,) = model.observe(DATASET, a_run(model, seed=1), "run-2")
    assert not report.drifted


def test_a_run_is_added_once(tmp_path):
    model = bound(tmp_path / "p.sqlite")
    for _ in range(2):
        model.observe(DATASET, a_run(model), "run-1")
    assert model.store.profiles()[0]["measurements"] == len(DATASET.fragments)


def test_each_worker_class_has_its_own_seconds(tmp_path):
    model = bound(tmp_path / "p.sqlite")
    model.observe(DATASET, a_run(model, worker_class="cpu"), "run-1")
    model.observe(DATASET, a_run(model, slower=0.25, worker_class="gpu"), "run-2")
    costs = bound(tmp_path / "p.sqlite").estimate(DATASET)
    assert set(costs.seconds_by_class) == {"gpu"}
    ratio = costs.seconds_by_class["gpu"].sum() / costs.seconds.sum()
    assert ratio == pytest.approx(0.25, rel=0.1)


def test_another_program_has_another_profile(tmp_path):
    model = bound(tmp_path / "p.sqlite")
    model.observe(DATASET, a_run(model), "run-1")
    other = Learned(tmp_path / "p.sqlite").bind(program="jobs:train")
    with pytest.raises(ConfigError, match="no program here"):
        other.estimate(DATASET)


def test_an_unnamed_program_has_no_profile(tmp_path):
    with pytest.raises(ConfigError, match="no program is named"):
        Learned(tmp_path / "p.sqlite").estimate(DATASET)


def test_the_shape_is_that_of_the_schema_not_of_the_rows():
    assert shape_of(text_dataset(2)) == shape_of(text_dataset(3, seed=9))
