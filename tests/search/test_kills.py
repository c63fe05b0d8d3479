"""A worker that dies in the middle of a search costs its fit, and changes nothing in the result."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from partitioner.engines.dask import DaskEngine
from partitioner.search import GridSearch
from tests.search.dying_models import Dying

X, Y = make_classification(120, 4, random_state=1)


def searched_through_a_death(tmp_path: Path, engine: Any) -> None:
    (tmp_path / "deaths").mkdir()
    grid, settings = {"C": [0.1, 1.0, 10.0]}, {"checkpoint": str(tmp_path / "runs")}
    model = Dying(folder=str(tmp_path / "deaths"))
    found = GridSearch(model, grid, cv=3, engine=engine, settings=settings, return_train_score=True).fit(X, Y)
    expected = GridSearchCV(SVC(), grid, cv=3, return_train_score=True).fit(X, Y)
    for name in (n for n in expected.cv_results_ if "score" in n and "time" not in n):
        assert np.array_equal(found.cv_results_[name], expected.cv_results_[name]), name
    assert found.best_params_ == expected.best_params_
    assert np.array_equal(found.predict(X), expected.predict(X))
    assert (tmp_path / "deaths" / "died").exists()
    assert sum(record.rows_in for record in found.run_.records) == 9  # every fit once


def test_a_dask_worker_dies_in_a_fit(tmp_path: Path) -> None:
    engine = DaskEngine(workers=2)
    try:
        searched_through_a_death(tmp_path, engine)
    finally:
        engine.close()


@pytest.mark.spark
def test_a_worker_of_spark_dies_in_a_fit(tmp_path: Path, spark: Any) -> None:
    searched_through_a_death(tmp_path, spark)
