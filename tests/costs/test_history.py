import numpy as np
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.costs.fitting.boosted import boost
from partitioner.costs.fitting.sums import fit_sum
from partitioner.costs.history import History, Mean
from partitioner.costs.measuring.drift import SPELL
from partitioner.errors import ConfigError, CostError, DataError
from partitioner.model.explanation import NINETY
from partitioner.testing.tables import TableSource


def requests(n, seed):
    rng = np.random.default_rng(seed)
    steps, images = rng.integers(10, 51, n), rng.integers(1, 5, n)
    model = rng.choice(["small", "large"], n)
    times = np.where(model == "large", 3.0, 1.0) if n >= 500 else 1.0
    return pa.table({"steps": steps, "images": images, "model": model, "took": 0.1 * steps * images * times})


OPTIONS = {"seconds": "took", "numbers": ["steps", "images"], "categories": ["model"]}


def test_few_earlier_rows_give_a_formula_with_units():
    costs = History(requests(60, 0), **OPTIONS).estimate(TableSource(requests(40, 1)).dataset([10, 30]))
    assert costs.seconds.sum() == pytest.approx(requests(40, 1)["took"].to_numpy().sum(), rel=0.01)
    assert "0.1 s per steps x images" in costs.details["chosen"]
    assert costs.details["work"]["high"] == pytest.approx(costs.seconds.sum() * (1 + NINETY * SPELL))
    assert costs.record_seconds.sum() == pytest.approx(costs.seconds.sum())


def test_many_give_trees_where_they_predict_later_rows_better():
    later = requests(600, 1)
    costs = History(requests(1500, 0), **OPTIONS).estimate(TableSource(later).dataset([300, 300]))
    errors = costs.details["error on later rows"]
    assert errors["boosted trees"] < errors["sum of terms"]
    assert "mean of trees and sum" in errors
    assert "model (2 kinds)" in costs.details["chosen"]
    assert np.median(np.abs(costs.record_seconds / later["took"].to_numpy() - 1)) < 0.1


def test_the_mean_of_trees_and_sum_is_told_in_words():
    rng = np.random.default_rng(5)
    n, kinds = {"n": rng.uniform(1, 50, 600)}, {"kind": ["a", "b"] * 300}
    took = n["n"] * np.exp(0.3 * rng.standard_normal(600))
    trees, terms = boost(took, n, kinds), fit_sum(took, n, kinds)
    mean = Mean((trees, terms))
    assert mean.predict(n, kinds) == pytest.approx((trees.predict(n, kinds) + terms.predict(n, kinds)) / 2)
    assert mean.words() == f"the mean of {trees.words()} and of {terms.words()}"


def test_a_ratio_is_told_by_few_rows_and_the_newest_count_where_it_changed():
    rng = np.random.default_rng(2)
    tokens, batch = rng.lognormal(6, 1, 200), rng.integers(1, 33, 200).astype(float)
    slower = np.where(np.arange(200) < 110, 1.0, 2.0)
    table = {"tokens": tokens, "batch": batch, "took": slower * 0.01 * tokens / batch}
    ahead = TableSource(pa.table({"tokens": [1000.0, 9000.0], "batch": [10.0, 4.0]})).dataset([2])
    costs = History(table, seconds="took", numbers=["tokens", "batch"]).estimate(ahead)
    assert costs.details["chosen"] == "0.02 s x tokens^1 x batch^-1"
    assert costs.record_seconds == pytest.approx([2.0, 45.0], rel=0.02)


def test_it_is_chosen_by_name_and_rows_are_cut_by_it():
    cost = {"model": "history", "table": requests(60, 0), **OPTIONS}
    plan = pt.plan(requests(40, 1), cost=cost, workers=2, max_tasks=4)
    assert (plan.reasons["cost unit"], plan.reasons["cost source"]) == ("seconds", "history")


def test_a_column_that_the_history_lacks_is_named():
    with pytest.raises(ConfigError, match=r"the history has no column 'stepz'.*steps"):
        History(requests(60, 0), seconds="took", numbers=["stepz"])


def test_a_column_that_the_data_lacks_is_named():
    with pytest.raises(DataError, match="the cost needs column 'steps'"):
        History(requests(60, 0), **OPTIONS).estimate(TableSource(pa.table({"x": [1]})).dataset([1]))


def test_too_short_a_history_is_refused():
    with pytest.raises(CostError, match="the history has 5 rows in 'took'; at least 20"):
        History(requests(5, 0), **OPTIONS)


def by_kind(n, seed, tenfold=()):
    """Ten rows in all of each kind but ``a``; those of ``tenfold`` take ten times as long."""
    rng = np.random.default_rng(seed)
    steps = rng.integers(10, 51, n).astype(float)
    kinds = rng.choice(["a", "b", "c"], n).tolist()
    return {"steps": steps, "kind": kinds, "took": 0.1 * steps * [10.0 if k in tenfold else 1.0 for k in kinds]}


def test_few_rows_are_told_apart_by_kind():
    model = History(by_kind(60, 0, {"b"}), "took", ["steps"], ["kind"])
    later = pa.table({"steps": [20.0, 20.0, 20.0], "kind": ["a", "b", "never seen"]})
    costs = model.estimate(TableSource(later).dataset([3]))
    a, b, other = costs.record_seconds
    assert b / a == pytest.approx(10.0, rel=0.15)
    assert a < other < b
    assert "s per steps; times a factor by kind (3 kinds): " in costs.details["chosen"]


def test_a_kind_seen_once_among_rows_that_scatter_is_half_believed():
    few = by_kind(60, 0)
    few["took"] = few["took"] * np.exp(0.5 * np.random.default_rng(1).standard_normal(60))
    few["kind"] = ["a"] * 59 + ["b"]
    few["took"][-1] = 10 * 0.1 * few["steps"][-1]
    found = fit_sum(np.array(few["took"]), {"steps": few["steps"]}, {"kind": few["kind"]}).factors["kind"]
    assert found["a"] == pytest.approx(1.0, abs=0.2)
    assert 2.0 < found["b"] < 5.0


@pytest.mark.parametrize(
    ("earlier", "later"),
    [([True, False] * 30, True), ([["x", "y"], ["x"]] * 30, ["x", "y"]), ([3, None] * 30, 3.0)],
)
def test_kinds_are_truth_values_lists_and_numbers_with_gaps_too(earlier, later):
    table = {"n": [1.0, 2.0, 3.0, 4.0] * 15, "kind": earlier}
    table["took"] = [n * (5.0 if i % 2 == 0 else 1.0) for i, n in enumerate(table["n"])]
    costs = History(table, "took", ["n"], ["kind"]).estimate(
        TableSource(pa.table({"n": [2.0], "kind": [later]})).dataset([1])
    )
    assert costs.seconds[0] == pytest.approx(10.0, rel=0.1)


def test_three_numbers_that_multiply_are_found_in_few_rows():
    rng = np.random.default_rng(3)
    x = {name: rng.integers(1, 9, 80).astype(float) for name in ("steps", "images", "size")}
    model = History({**x, "took": 0.01 * x["steps"] * x["images"] * x["size"]}, "took", list(x))
    costs = model.estimate(TableSource(pa.table({"steps": [50.0], "images": [4.0], "size": [9.0]})).dataset([1]))
    assert costs.seconds[0] == pytest.approx(18.0, rel=0.02)
    assert "0.01 s per steps x images x size" in costs.details["chosen"]


def test_where_costs_have_changed_the_newest_rows_count():
    n = np.tile(np.arange(1.0, 11.0), 20)
    took = n * np.where(np.arange(200) < 100, 1.0, 3.0)
    costs = History({"n": n, "took": took}, "took", ["n"]).estimate(TableSource(pa.table({"n": [10.0]})).dataset([1]))
    assert costs.seconds[0] == pytest.approx(30.0, rel=0.02)
    errors = costs.details["error on later rows"]
    assert errors["sum of terms, newest quarter"] < 0.01 < errors["sum of terms"]


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), -1.0])
def test_seconds_that_are_none_are_refused_with_their_row(bad):
    table = {"n": [1.0] * 30, "took": [2.0] * 7 + [bad] + [2.0] * 22}
    with pytest.raises(CostError, match=r"in column 'took', row 7; seconds are finite and at least 0"):
        History(table, "took", ["n"])


def test_a_number_that_is_infinite_is_refused_with_its_row_and_a_gap_counts_as_0():
    table = {"n": [1.0, None] * 15, "took": [2.0, 0.5] * 15}
    model = History(table, "took", ["n"])
    gap = pa.table({"n": pa.array([None], pa.float64())})
    assert model.estimate(TableSource(gap).dataset([1])).seconds[0] == pytest.approx(0.5, rel=0.01)
    with pytest.raises(CostError, match="column 'n' holds inf in row 1; its numbers must be finite"):
        model.estimate(TableSource(pa.table({"n": [1.0, float("inf")]})).dataset([2]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"numbers": "n"}, r"numbers = 'n'; it is a list, such as \['n'\]"),
        ({"numbers": ["kind"]}, "column 'kind' of a history holds string and no numbers"),
        ({"table": [1, 2]}, "the history is \\[1, 2\\]; give an Arrow table"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    table = {"n": [1.0] * 30, "kind": ["a"] * 30, "took": [2.0] * 30}
    with pytest.raises(ConfigError, match=said):
        History(**{"table": table, "seconds": "took", "numbers": ["n"], **options})


def test_a_history_that_is_not_there_is_told_by_its_path(tmp_path):
    path = tmp_path / "none.parquet"
    with pytest.raises(DataError, match=f"there is no history at '{path}'"):
        History(str(path), "took", ["n"])
    path.write_bytes(b"n,took")
    with pytest.raises(DataError, match="is no Parquet file"):
        History(path, "took", ["n"])
