"""A worker that dies in the middle of a search costs its fit, and changes nothing in the result."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from partitioner.engines.dask import DaskEngine
from partitioner.errors import ResumeRefused
from partitioner.search import GridSearch
from partitioner.search.digest import digested
from tests.chaos.scene import ROOT, SIGKILL
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


def search(folder: str, engine: str = "serial", **settings: Any) -> GridSearch:
    about = {"checkpoint": f"{folder}/runs", **settings}
    return GridSearch(Dying(folder=folder), {"C": [0.1, 1.0, 10.0]}, cv=3, engine=engine, cost=None, settings=about)


def test_a_search_whose_driver_died_goes_on_where_it_was(tmp_path: Path, dask_engine: Any) -> None:
    code = f"from tests.search.test_kills import *; search({str(tmp_path)!r}).fit(X, Y)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=120).returncode == -SIGKILL
    (home,) = (tmp_path / "runs").iterdir()
    found = search(str(tmp_path), dask_engine, resume=home.name).fit(X, Y)
    expected = GridSearchCV(SVC(), {"C": [0.1, 1.0, 10.0]}, cv=3).fit(X, Y)
    assert found.run_.attempted == 3  # those of C = 10, the last in the order of the grid
    assert np.array_equal(found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    with pytest.raises(ResumeRefused, match="code of the program"):
        search(str(tmp_path), resume=home.name).fit(X + 1.0, Y)


def test_what_calls_are_made_of_has_one_digest() -> None:
    def calls(x: Any, c: float, caller: Any = None, score: Any = len) -> Any:
        return digested([(sum, (SVC(C=c), x), {"caller": caller, "score": score})])

    long = np.arange(5000.0)
    other = np.where(long == 2500, 0.0, long)  # the same in print
    same = repr(calls(long, 1.0))
    assert repr(calls(long.copy(), 1.0, caller="another")) == same
    assert len({same, repr(calls(other, 1.0)), repr(calls(long, 2.0)), repr(calls(long, 1.0, score=max))}) == 4
    import dill  # noqa: F401 - it teaches pickle to take functions by their code, lines and all

    assert repr(calls(long, 1.0, score=lambda y: y)) == repr(calls(long, 1.0, score=lambda y: y))
