import numpy as np
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.costs.history import History
from partitioner.errors import ConfigError, CostError, DataError
from partitioner.testing.costs import TableSource


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
    assert costs.record_seconds.sum() == pytest.approx(costs.seconds.sum())


def test_many_give_trees_where_they_predict_later_rows_better():
    later = requests(600, 1)
    costs = History(requests(1500, 0), **OPTIONS).estimate(TableSource(later).dataset([300, 300]))
    errors = costs.details["error on later rows"]
    assert errors["boosted trees"] < errors["sum of terms"]
    assert "model (2 kinds)" in costs.details["chosen"]
    assert np.median(np.abs(costs.record_seconds / later["took"].to_numpy() - 1)) < 0.1


def test_it_is_named_by_its_class_and_rows_are_cut_by_it():
    cost = {"model": "partitioner.costs.history:History", "table": requests(60, 0), **OPTIONS}
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
