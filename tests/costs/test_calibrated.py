from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from partitioner.costs.calibrated import Calibrated
from partitioner.costs.fitting.fit import FitOptions, fit
from partitioner.costs.fitting.terms import candidates
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.errors import ConfigError
from partitioner.testing.tables import TableSource
from tests.costs.stand_ins import FormulaRunner, text_dataset

DATASET = text_dataset()


def calibrated(runner, dataset=DATASET, **options):
    model = Calibrated(**options).bind(runner=runner)
    costs = model.estimate(dataset)
    error = np.abs((costs.seconds + costs.fixed_seconds) / runner.true(dataset) - 1)
    return costs, float(error.max()), model


def test_cost_linear_in_text_length():
    runner = FormulaRunner("1e-4 * len(text)")
    costs, error, model = calibrated(runner)
    assert error < 0.05
    assert costs.details["pilot"]["share_of_seconds"] < 0.012
    assert all(term.shape == "linear" for term in model.fitted.terms)


def test_cost_of_rows_alone():
    _, error, model = calibrated(FormulaRunner("1e-3 + 0 * len(text)"))
    assert error < 0.05
    assert [t.name for t in model.fitted.terms] == ["rows"]


def test_quadratic_cost_is_detected_and_said():
    costs, error, _ = calibrated(FormulaRunner("1e-8 * len(text) ** 2"))
    assert error < 0.1
    assert "super-linear cost: sum len(text)^2, per row" in costs.details["notes"]


def test_linear_and_quadratic_together():
    _, error, _ = calibrated(FormulaRunner("1e-5 * len(text) + 1e-8 * len(text) ** 2"))
    assert error < 0.1


def test_a_fixed_cost_is_told_from_the_cost_of_rows():
    errors = []
    for seed in range(8):
        runner, dataset = FormulaRunner("1e-4 * len(text)", fixed=0.2, seed=seed), text_dataset(seed=seed)
        costs, error, _ = calibrated(runner, dataset, seed=seed)
        errors.append(error)
        assert costs.fixed_seconds == pytest.approx(0.2, rel=0.1)
    assert np.median(errors) < 0.1  # six calls, four fifths of each the same: of one in five it is more


@pytest.mark.parametrize("slots", [1, 2])
def test_pieces_of_one_size_are_counted_by_their_rows_and_that_is_said(slots):
    alike = TableSource(pa.table({"image": [b"x" * 1000] * 400})).dataset([4] * 100)
    model = Calibrated(budget_share=0.05).bind(runner=FormulaRunner("0.1 * rows"), slots=slots)
    costs = model.estimate(replace(alike, divisible_by=None))
    assert costs.seconds == pytest.approx(np.full(100, 0.4), rel=0.05)
    assert costs.fixed_seconds < 0.04
    told = "all pieces have about as many rows: what a call costs by itself is not known, all is counted to rows"
    assert told in costs.details["notes"]


def test_of_files_that_cannot_be_cut_the_sizes_in_the_pilot_tell_what_size_is_to_the_cost():
    """From the smallest files alone, where a call costs more than their bytes, a quarter to three times was predicted."""
    errors = []
    for seed in range(5):
        size = 20_000 * np.random.default_rng(seed).lognormal(0, 1.3, 250) + 500
        images = TableSource(pa.table({"image": [b"x" * int(n) for n in size]})).dataset([1] * 250)
        dataset = replace(images, divisible_by=None)
        runner = FormulaRunner("1e-6 * bytes", fixed=0.01, noise=0.25, seed=seed)
        costs = Calibrated(seed=seed).bind(runner=runner, slots=2).estimate(dataset)
        true = runner.true(dataset).sum()
        errors.append(abs(np.log((costs.seconds + costs.fixed_seconds).sum() / true)))
    assert np.mean(errors) < 0.2


def test_one_call_beyond_the_budget_is_a_cost_of_its_row():
    runner = FormulaRunner("50.0 * rows")
    dataset = TableSource(pa.table({"x": range(40)})).dataset([5] * 8)
    costs = Calibrated(budget_seconds=1.0).bind(runner=runner, slots=2).estimate(dataset)
    assert costs.seconds.sum() + 8 * costs.fixed_seconds == pytest.approx(2000.0, rel=0.1)
    assert "above budget_seconds = 1" in " ".join(costs.details["notes"])


def test_intervals_hold_the_truth_mostly():
    inside = []
    for seed in range(5):
        runner = FormulaRunner("1e-5 * len(text)", noise=0.1, seed=seed)
        costs, _, _ = calibrated(runner, seed=seed)
        true = runner.true(DATASET)
        inside.append(np.mean((costs.seconds_low <= true) & (true <= costs.seconds_high)))
    assert np.mean(inside) >= 0.7


def test_noisy_wall_seconds_are_replaced_by_scaled_cpu_seconds():
    costs, error, model = calibrated(FormulaRunner("1e-5 * len(text)", noise=0.3, cpu_share=0.5))
    assert model.fitted.cpu_ratio == pytest.approx(2.0, rel=0.25)
    assert error < 0.3
    assert any("CPU seconds" in note for note in costs.details["notes"])


def test_waiting_that_grows_with_the_work_is_in_no_cpu_second():
    """A pilot as measured of a program that sleeps 3.6e-6 s per character: its CPU seconds are those of any call."""
    chars = np.repeat([250.0, 632.0, 1158.0, 1308.0, 12370.0], 2)
    wall = [0.00390, 0.01531, 0.00660, 0.00498, 0.00963, 0.00684, 0.01046, 0.00828, 0.05168, 0.04688]
    cpu = [0.00274, 0.00469, 0.00383, 0.00294, 0.00295, 0.00264, 0.00299, 0.00257, 0.00441, 0.00392]
    measured = Measurements.of(
        {"bytes": chars, "len(text)": chars},
        [Timing(w, cpu_seconds=c, peak_memory_bytes=1e8) for w, c in zip(wall, cpu, strict=True)],
    )
    fitted = fit(measured, candidates(DATASET, ["len(text)"]))
    assert fitted.cpu_ratio == 0
    many = {"bytes": np.array([1e6]), "len(text)": np.array([1e6])}
    assert fitted.predict(many)[0] == pytest.approx([3.7], rel=0.1)


@pytest.mark.parametrize("seed", range(4))
def test_a_program_that_computes_and_waits_is_fitted_on_wall_seconds(seed):
    rng = np.random.default_rng(seed)
    chars, call = np.geomspace(100, 20_000, 20), 2.5e-3 * rng.lognormal(0, 0.1, 20)
    cpu = call + 2e-6 * chars
    wall = cpu * rng.lognormal(0.1, 0.2, 20) + 4e-6 * chars
    measured = Measurements.of(
        {"bytes": chars, "rows": np.ones(20), "len(text)": chars},
        [Timing(w, cpu_seconds=c) for w, c in zip(wall, cpu, strict=True)],
    )
    fitted = fit(measured, candidates(DATASET, ["len(text)"]))
    many = {"bytes": np.array([1e6]), "rows": np.array([50.0]), "len(text)": np.array([1e6])}
    assert fitted.predict(many)[0] == pytest.approx([6.2], rel=0.12)


def test_of_many_calls_one_that_was_short_does_not_tell_what_a_call_costs():
    chars = np.random.default_rng(0).lognormal(5, 1, 300)
    took = 5 + 0.01 * chars
    took[7] = 0.001
    fitted = fit(
        Measurements.of({"bytes": chars, "len(text)": chars}, [Timing(s) for s in took]),
        candidates(DATASET, ["len(text)"]),
    )
    assert fitted.fixed_seconds == pytest.approx(5.0, rel=0.02)


def test_the_pilot_stops_at_its_seconds():
    runner = FormulaRunner("1e-2 * len(text)")
    calibrated(runner, budget_seconds=20.0)
    assert runner.seconds < 60.0
    assert runner.seconds < 0.01 * runner.true(DATASET).sum()


def test_memory_lies_above_what_was_seen():
    costs, _, model = calibrated(FormulaRunner("1e-5 * len(text)", memory_per_byte=10.0))
    m = model.measurements
    predicted = costs.fixed_memory_bytes + m.columns["bytes"] * (costs.memory_bytes[0] / DATASET.fragments.bytes[0])
    assert (predicted >= m.peak_memory_bytes).all()


def test_plan_and_run_calibrate_once():
    runner = FormulaRunner("1e-5 * len(text)")
    model = Calibrated().bind(runner=runner)
    model.estimate(DATASET)
    spent = runner.seconds
    model.estimate(DATASET)
    assert runner.seconds == spent


def test_rows_have_seconds_of_their_own_where_row_terms_are_in_use():
    dataset = text_dataset()
    model = Calibrated(features=["len(text)"]).bind(runner=FormulaRunner("1e-8 * len(text) ** 2"))
    costs = model.estimate(dataset)
    lengths = np.array([len(t) for t in dataset.source.table["text"].to_pylist()])
    assert costs.record_seconds.sum() == pytest.approx(costs.seconds.sum())
    assert np.corrcoef(costs.record_seconds, lengths**2.0)[0, 1] > 0.99


def test_without_a_program_the_remedy_is_said():
    with pytest.raises(ConfigError, match=r"no program here.*declared numbers"):
        Calibrated().estimate(DATASET)


def test_an_empty_dataset_costs_nothing_and_runs_nothing():
    dataset = TableSource(pa.table({"text": pa.array([], pa.string())})).dataset([])
    runner = FormulaRunner("1")
    assert len(Calibrated().bind(runner=runner).estimate(dataset)) == 0
    assert runner.seconds == 0.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantile": 1.5}, "quantile = 1.5"),
        ({"clock": "sun"}, "clock = 'sun'"),
        ({"features": "len(text)"}, "it is a list"),
        ({"budget_seconds": -1}, "budget_seconds = -1"),
    ],
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        Calibrated(**options)


def again(pieces, slots):
    """Whether every piece is asked for more often than once in every slot: they ran before."""
    return min(Counter((p.path, p.start, p.stop) for p in pieces).values()) > slots


class Crowded(FormulaRunner):
    """Slots that slow one another where all are busy to the end: in calls of several pieces, or the same ones again."""

    def __call__(self, dataset, pieces, seconds_limit, sizes=None):
        timings = super().__call__(dataset, pieces, seconds_limit, sizes)
        crowded = sizes is not None or again(pieces, 2)
        return [replace(t, seconds=1.4 * t.seconds, cpu_seconds=1.4 * t.cpu_seconds) if crowded else t for t in timings]


def test_what_slots_take_from_one_another_is_part_of_the_cost():
    runner = Crowded("1e-3 * len(text)")
    model = Calibrated(budget_share=0.05).bind(runner=runner, slots=2)
    costs = model.estimate(DATASET)
    assert (costs.seconds.sum() + costs.fixed_seconds * len(DATASET.fragments)) == pytest.approx(
        1.4 * runner.true(DATASET).sum(), rel=0.05
    )
    assert model.company == pytest.approx(1.4, rel=0.05)
    assert any(note.startswith("with all 2 slots busy to the end a piece takes 1.") for note in costs.details["notes"])


def test_slots_that_do_not_disturb_one_another_change_nothing():
    runner = FormulaRunner("1e-3 * len(text)")
    costs = Calibrated(budget_share=0.05).bind(runner=runner, slots=2).estimate(DATASET)
    assert (costs.seconds.sum() + costs.fixed_seconds * len(DATASET.fragments)) == pytest.approx(
        runner.true(DATASET).sum(), rel=0.05
    )
    assert not any("slots busy" in note for note in costs.details["notes"])


class Noted(FormulaRunner):
    """Notes which pieces each round was asked for, and in calls of how many."""

    def __init__(self, truth):
        super().__init__(truth)
        self.asked = []

    def __call__(self, dataset, pieces, seconds_limit, sizes=None):
        places = {(pieces[i].path, pieces[i].start, pieces[i].stop) for i in range(len(pieces))}
        self.asked.append((places, sizes))
        return super().__call__(dataset, pieces, seconds_limit, sizes)


@pytest.mark.parametrize("divisible", ["rows", "none"])
def test_the_spell_with_all_slots_busy_is_of_new_pieces_in_calls_of_several(divisible):
    runner = Noted("1e-3 * len(text)")
    dataset = replace(text_dataset(fragments=400, rows=2), divisible_by=divisible)
    Calibrated(features=["bytes"], budget_share=0.05).bind(runner=runner, slots=2).estimate(dataset)
    *rounds, (pieces, sizes) = runner.asked
    assert all(s is None for _, s in rounds)
    assert sizes.sum() == len(pieces)
    assert 4 <= len(sizes) <= 12
    assert not pieces & set().union(*(before for before, _ in rounds))


def test_calls_too_dear_for_the_spell_are_of_pieces_that_ran_before():
    runner = Noted("1e-3 * len(text)")
    Calibrated(budget_share=0.05).bind(runner=runner, slots=2).estimate(text_dataset(fragments=4, rows=20))
    assert all(sizes is None for _, sizes in runner.asked)


def memory_per_byte(several, grown):
    sizes = np.array([1e4, 2e4, 3e4, 1e5, 4e5])
    pieces = np.array([1.0, 1.0, 1.0, 1.0, 8.0 if several else 1.0])
    traced = np.where(sizes < 1e5, 100 * sizes, 0)
    timings = [Timing(1.0, baseline_memory_bytes=1e8, peak_memory_bytes=1e8 + grown, traced_bytes=t) for t in traced]
    measured = Measurements.of({"bytes": sizes, "rows": pieces, "pieces": pieces}, timings)
    return fit(measured, candidates(DATASET, []), FitOptions()).details()["memory"]["bytes"]


def test_busy_slots_never_make_work_shorter():
    class Cached(FormulaRunner):
        def __call__(self, dataset, pieces, seconds_limit, sizes=None):
            timings = super().__call__(dataset, pieces, seconds_limit, sizes)
            repeated = sizes is not None or again(pieces, 2)
            return [replace(t, seconds=t.seconds / 2) if repeated else t for t in timings]

    model = Calibrated(budget_share=0.05).bind(runner=Cached("1e-3 * len(text)"), slots=2)
    model.estimate(DATASET)
    assert model.company == 1.0


def test_a_sub_task_holds_more_than_a_piece_of_the_pilot_for_it_also_writes():
    def fixed(**columns):
        timings = [Timing(1.0, peak_memory_bytes=1e8, traced_bytes=1.0) for _ in range(4)]
        measured = Measurements.of({"bytes": np.zeros(4), "rows": np.ones(4), **columns}, timings)
        return fit(measured, candidates(DATASET, []), FitOptions()).memory_fixed

    assert fixed(pieces=np.ones(4)) == pytest.approx(1.02 * (1e8 + 24e6))
    assert fixed() == pytest.approx(1.02 * 1e8)  # of sub-tasks that were run


def test_a_call_of_many_pieces_that_frees_between_them_lowers_what_is_held():
    alone = memory_per_byte(several=False, grown=2e7)
    assert alone == pytest.approx(103, rel=0.02)
    assert memory_per_byte(several=True, grown=2.4e7) == pytest.approx(1.02 * 1.25 * 60)
    assert memory_per_byte(several=True, grown=0.0) == pytest.approx(alone / 2)
    assert memory_per_byte(several=True, grown=1e9) == pytest.approx(alone)


def test_a_fit_without_resampling_says_the_same_of_costs():
    model = calibrated(FormulaRunner("1e-5 * len(text)"))[2]
    terms = model.terms(DATASET)
    quick = fit(model.measurements, terms, FitOptions(bootstraps=0))
    whole = fit(model.measurements, terms)
    assert quick.coefficients == whole.coefficients
    assert not np.any(quick.covariance)
    assert np.all(np.diag(whole.covariance)[1:] > 0)
