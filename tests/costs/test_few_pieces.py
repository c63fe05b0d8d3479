"""Pilots of few pieces: a hundredth of few, dear rows is no more than a handful of calls."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from partitioner.costs.calibrated import Calibrated
from partitioner.costs.measuring.schedule import evenly
from partitioner.errors import CostError
from partitioner.testing.tables import TableSource
from tests.costs.stand_ins import FormulaRunner


def long_texts(seed=0):
    """240 texts of about 12,000 characters: a hundredth of them are two."""
    lengths = np.minimum(np.random.default_rng(seed).lognormal(9, 1, 240), 120_000).astype(int)
    return TableSource(pa.table({"text": ["x" * n for n in lengths]})).dataset([60] * 4)


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize(
    ("truth", "call"),
    [
        ("26e-6 * len(text)", 0.01),
        ("26e-6 * len(text)", 0.1),
        ("0.15 * rows", 0.01),
        ("0.1 * rows", 0.1),
        ("13e-6 * len(text) + 0.1 * rows", 0.01),
    ],
)
def test_few_pieces_tell_what_calls_and_rows_and_their_length_cost(truth, call, slots):
    errors = []
    for seed in range(8):
        dataset, runner = long_texts(seed), FormulaRunner(truth, fixed=call, noise=0.02, seed=seed)
        costs = Calibrated().bind(runner=runner, slots=slots).estimate(dataset)
        assert costs.details["measurements"] < 10
        in_tasks = 32 * call - 4 * call  # ``true`` has a call for each of the four fragments
        true = runner.true(dataset).sum() + in_tasks
        errors.append((costs.seconds.sum() + 32 * costs.fixed_seconds) / true - 1)
    assert np.median(np.abs(errors)) < 0.08
    assert np.max(np.abs(errors)) < 0.2


def test_few_pieces_are_dealt_so_that_slots_are_done_together():
    dealt = evenly(np.arange(6), 2)
    assert sorted(dealt.tolist()) == list(range(6))
    assert abs(int(dealt[::2].sum()) - int(dealt[1::2].sum())) <= 1
    assert evenly(np.arange(5), 1).tolist() == list(range(5))


class Rows(FormulaRunner):
    """Rows of one length that take 0.6 s; one in ``odd`` takes five times as long."""

    def __init__(self, odd=0):
        super().__init__("0.6 * rows")
        self.calls = 0
        self.odd = odd

    def __call__(self, dataset, pieces, seconds_limit, sizes=None):
        timings = super().__call__(dataset, pieces, seconds_limit, sizes)
        self.calls += len(timings)
        dear = [bool(self.odd) and row % self.odd == 0 for row in pieces.start.tolist()]
        return [replace(t, seconds=5 * t.seconds) if d else t for t, d in zip(timings, dear, strict=True)]


def even_texts():
    return TableSource(pa.table({"text": ["x" * 9000] * 240})).dataset([60] * 4)


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_of_even_dear_rows_few_tell_as_much_as_more(slots):
    runner = Rows()
    costs = Calibrated().bind(runner=runner, slots=slots).estimate(even_texts())
    assert runner.calls == slots + max(slots, 2)
    assert costs.seconds.sum() == pytest.approx(240 * 0.6, rel=0.01)
    # Of each slot in turn: the first round and one or two pieces.
    assert costs.details["measurements"] == runner.calls


@pytest.mark.parametrize("slots", [1, 2])
def test_rows_of_one_length_that_differ_in_cost_all_run(slots):
    runner = Rows(odd=2)
    Calibrated().bind(runner=runner, slots=slots).estimate(even_texts())
    assert runner.calls == slots + 5


@pytest.mark.parametrize("slots", [1, 2])
def test_where_no_fragment_has_a_row_the_pilot_says_that_it_ran_nothing(slots):
    dataset = TableSource(pa.table({"text": pa.array([], pa.string())})).dataset([0, 0])
    with pytest.raises(CostError, match="the pilot ran nothing"):
        Calibrated().bind(runner=FormulaRunner("1e-3 * rows"), slots=slots).estimate(dataset)


class Failing(FormulaRunner):
    """A program that fails on calls of a single row shorter than ``least`` bytes, as a runner tells it."""

    def __init__(self, least):
        super().__init__("1e-5 * len(text)")
        self.least = least

    def __call__(self, dataset, pieces, seconds_limit, sizes=None):
        timings = super().__call__(dataset, pieces, seconds_limit, sizes)
        left = [None if size < self.least else t for t, size in zip(timings, pieces.bytes.tolist(), strict=True)]
        if not any(left):
            raise CostError("the pilot's program failed on the smallest row")
        return left


@pytest.mark.parametrize("slots", [1, 2])
def test_the_smallest_of_few_pieces_may_fail(slots):
    dataset = long_texts()
    model = Calibrated().bind(runner=Failing(3000), slots=slots)
    costs = model.estimate(dataset)
    assert 0 < costs.details["pilot"]["failed_pieces"] < 6
    assert costs.seconds.sum() == pytest.approx(model.runner.true(dataset).sum(), rel=0.1)


def test_a_program_that_fails_on_all_of_few_pieces_is_told_by_its_first_error():
    with pytest.raises(CostError, match="failed on the smallest row"):
        Calibrated().bind(runner=Failing(10**9), slots=2).estimate(long_texts())
