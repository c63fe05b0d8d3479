"""The searches are scikit-learn's, planned: equal results, the longest fits first, on every engine."""

from __future__ import annotations

import time

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils._param_validation import InvalidParameterError

from partitioner.errors import ConfigError, CostError, RunFailed
from partitioner.search import GridSearch, PlannedCalls, RandomizedSearch
from partitioner.search.pilot import drawn_out
from partitioner.search.prior import traits, weights

X, Y = make_classification(300, 6, random_state=0)
GRID = {"C": [0.1, 1.0, 10.0], "kernel": ["rbf", "linear"]}


def settings(tmp_path):
    return {"checkpoint": str(tmp_path / "runs")}


def same(found, expected):
    names = set(expected.cv_results_)
    assert set(found.cv_results_) == names
    for name in names - {n for n in names if "time" in n}:
        a, b = found.cv_results_[name], expected.cv_results_[name]
        assert list(a) == list(b) if name == "params" else np.array_equal(np.ma.filled(a, 0), np.ma.filled(b, 0))
    assert found.best_params_ == expected.best_params_
    assert found.best_score_ == expected.best_score_
    assert np.array_equal(found.predict(X), expected.predict(X))


def test_a_grid_gives_what_scikit_learn_gives(tmp_path):
    found = GridSearch(SVC(), GRID, cv=3, return_train_score=True, settings=settings(tmp_path)).fit(X, Y)
    same(found, GridSearchCV(SVC(), GRID, cv=3, return_train_score=True).fit(X, Y))


def test_a_grid_on_dask(tmp_path, dask_engine):
    found = GridSearch(SVC(), GRID, cv=3, engine=dask_engine, settings=settings(tmp_path)).fit(X, Y)
    same(found, GridSearchCV(SVC(), GRID, cv=3).fit(X, Y))
    assert {record.worker_id for record in found.run_.records} == set(found.plan_.workers.worker_id)


def test_a_grid_on_spark(tmp_path, spark):
    grid = {"C": [0.1, 10.0]}
    found = GridSearch(SVC(), grid, cv=2, engine=spark, cost=None, settings=settings(tmp_path)).fit(X, Y)
    same(found, GridSearchCV(SVC(), grid, cv=2).fit(X, Y))


def test_several_metrics_and_a_pipeline(tmp_path):
    model = make_pipeline(StandardScaler(), LogisticRegression())
    about = {"scoring": ["accuracy", "roc_auc"], "refit": "roc_auc", "cv": 3}
    grid = {"logisticregression__C": [0.1, 1.0]}
    same(
        GridSearch(model, grid, settings=settings(tmp_path), **about).fit(X, Y),
        GridSearchCV(model, grid, **about).fit(X, Y),
    )


def test_a_randomized_search(tmp_path):
    about = {"n_iter": 3, "random_state": 4, "cv": 3}
    found = RandomizedSearch(SVC(), {"C": np.logspace(-2, 2, 20)}, settings=settings(tmp_path), **about).fit(X, Y)
    same(found, RandomizedSearchCV(SVC(), {"C": np.logspace(-2, 2, 20)}, **about).fit(X, Y))


def test_the_longest_fits_begin_first(tmp_path):
    found = GridSearch(SVC(), {"C": [1.0, 2.0, 8.0]}, cv=2, cost=lambda p: p["C"], settings=settings(tmp_path)).fit(
        X, Y
    )
    assert found.plan_.tasks.seconds.tolist() == [1.0, 1.0, 2.0, 2.0, 8.0, 8.0]
    records = sorted(found.run_.records, key=lambda r: r.started)
    assert {r.task_key for r in records[:2]} == {"call-000004", "call-000005"}


class Slow(ClassifierMixin, BaseEstimator):
    """Takes ``seconds`` for each hundred rows."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        time.sleep(self.seconds * len(x) / 100)
        return self

    def predict(self, x):
        return np.full(len(x), self.classes_[0])


def test_a_pilot_ranks_fits_by_what_they_cost(tmp_path):
    about = {"cost": "pilot", "pilot_fraction": 0.9, "settings": settings(tmp_path)}
    search = GridSearch(Slow(), {"seconds": [0.0, 1.0]}, cv=2, refit=False, **about)
    seconds = search.fit(X[:100], Y[:100]).plan_.tasks.seconds
    assert min(seconds[2:]) > max(seconds[:2])


def test_a_pilot_runs_in_the_slots_of_the_engine(tmp_path, dask_engine):
    search = GridSearch(SVC(), {"C": [1.0, 10.0]}, cv=2, cost="pilot", pilot_fraction=0.5, refit=False)
    search.set_params(engine=dask_engine, settings=settings(tmp_path))
    cost = search.fit(X, Y).plan_.about.cost
    assert (cost.source, cost.unit, cost.details["rows of the fits"]) == ("pilot", "seconds", "37 and 75")


def began(found):
    """Numbers of the calls in the order in which they began."""
    return [int(r.task_key[5:]) for r in sorted(found.run_.records, key=lambda r: r.started)]


def test_one_fit_of_each_set_of_parameters_begins_first_and_the_longest_known_of_those(tmp_path):
    found = GridSearch(SVC(), {"C": [1.0, 10.0, 100.0]}, cv=3, refit=False, settings=settings(tmp_path)).fit(X, Y)
    assert began(found)[:3] == [6, 3, 0]
    assert found.plan_.about.cost.unit == "seconds of the shortest fit"


def test_folds_begin_in_the_order_of_what_the_first_fold_took(tmp_path):
    found = GridSearch(Slow(), {"seconds": [0.0, 0.3, 0.1]}, cv=3, refit=False, settings=settings(tmp_path)).fit(
        X, Y
    )  # nothing is known of this parameter
    assert began(found) == [0, 3, 6, 4, 5, 7, 8, 1, 2]


def test_sets_that_are_fitted_once_and_of_which_nothing_is_known_have_a_pilot(tmp_path):
    one_split = [(np.arange(200), np.arange(200, 300))]
    about = {"cv": one_split, "pilot_fraction": 0.9, "refit": False, "settings": settings(tmp_path)}
    found = GridSearch(Slow(), {"seconds": [0.0, 0.1]}, **about).fit(X, Y)
    assert found.plan_.about.cost.source == "pilot"
    assert began(found) == [1, 0]


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([{"C": 1.0}, {"C": 100.0}], [1.0, 10.0]),
        ([{"forest__n_estimators": 10}, {"forest__n_estimators": 30}], [1.0, 3.0]),
        ([{"max_depth": 4}, {"max_depth": None}, {"max_depth": 16}], [1.0, 8**0.5, 2.0]),
        ([{"hidden_layer_sizes": (10,)}, {"hidden_layer_sizes": (10, 30)}], [1.0, 4.0]),
        ([{"kernel": "rbf"}, {"kernel": "poly", "degree": 3}, {"kernel": "poly", "degree": 6}], [1.0, 1.0, 2.0]),
        ([{"tol": 1e-4}, {"tol": 1e-2}], [1.0, 100**-0.3]),
        ([{"learning_rate": 0.1, "max_features": "sqrt"}], [1.0]),
    ],
)
def test_parameters_that_are_known_to_make_a_fit_longer(sets, expected):
    assert weights(sets) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([{"C": 1.0, "kernel": "rbf"}, {"C": np.e, "kernel": "linear"}], [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]),
        ([{"depth": 1}, {"depth": None}], [[0.0], [np.log(2)]]),
        ([{"C": 2.0}, {"C": 2.0}], [[], []]),
        ([{"kernel": "rbf"}, {"kernel": "poly", "degree": 3}], [[0.0, 1.0], [1.0, 0.0]]),
    ],
)
def test_what_sets_of_parameters_differ_in(sets, expected):
    assert traits(sets).tolist() == expected


def test_seconds_are_drawn_out_by_the_median_exponent():
    measured = np.array([[1.0, 2.0, 4.0], [4.0, 8.0, 32.0]])  # exponents 2, 2, 3
    assert drawn_out(measured, (50, 100), 200) == [16.0, 32.0, 128.0]


def test_a_pilot_that_failed_costs_as_much_as_the_longest():
    with pytest.warns(UserWarning, match="1 sets of parameters failed on 100 rows"):
        assert drawn_out(np.array([[1.0, np.nan], [2.0, np.nan]]), (50, 100), 200) == [4.0, 4.0]


def test_a_search_is_cloned_with_its_parameters():
    search = GridSearch(SVC(), GRID, engine={"engine": "dask", "workers": 2}, cost=None, pilot_fraction=0.3)
    assert {k: v for k, v in clone(search).get_params(deep=False).items() if k != "estimator"} == {
        k: v for k, v in search.get_params(deep=False).items() if k != "estimator"
    }


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"cost": "pilots"}, ConfigError, "give 'auto', 'pilot', a function"),
        ({"pilot_fraction": 1.5}, ConfigError, "pilot_fraction is 1.5"),
        ({"cost": lambda p: -p["C"]}, CostError, r"cost gave -1.0 seconds for \{'C': 1.0\}"),
    ],
)
def test_a_cost_that_cannot_be_is_refused(tmp_path, given, error, message):
    with pytest.raises(error, match=message):
        GridSearch(SVC(), {"C": [1.0]}, cv=2, settings=settings(tmp_path), **given).fit(X, Y)


@pytest.mark.filterwarnings("ignore:One or more of the test scores")
def test_a_fit_that_fails_has_the_error_score_as_with_scikit_learn(tmp_path):
    grid = {"C": [1.0, -1.0]}
    with pytest.warns(Warning, match="fits failed"):
        found = GridSearch(SVC(), grid, cv=2, cost=None, settings=settings(tmp_path)).fit(X, Y)
    assert np.isnan(found.cv_results_["mean_test_score"]).tolist() == [False, True]


def test_any_parallel_loop_of_scikit_learn_runs_as_a_plan(tmp_path, dask_engine):
    with joblib.parallel_config(
        PlannedCalls(dask_engine, progress=False, report=False, **settings(tmp_path)), n_jobs=-1
    ):
        found = cross_val_score(SVC(), X, Y, cv=4, pre_dispatch="all")
    assert np.array_equal(found, cross_val_score(SVC(), X, Y, cv=4))


@pytest.mark.parametrize(
    ("model", "grid"),
    [
        (RandomForestClassifier(random_state=0), {"n_estimators": [2, 4]}),
        (RandomForestClassifier(random_state=0, n_jobs=2), {"n_estimators": [2, 4]}),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()), {"kneighborsclassifier__n_neighbors": [1, 3]}),
        (VotingClassifier([("a", LogisticRegression()), ("b", KNeighborsClassifier())]), {"a__C": [0.1, 1.0]}),
    ],
    ids=["a forest", "a forest with threads", "neighbours", "votes"],
)
def test_models_that_have_loops_of_their_own_fit_as_with_scikit_learn(tmp_path, model, grid):
    found = GridSearch(model, grid, cv=2, error_score="raise", settings=settings(tmp_path)).fit(X, Y)
    same(found, GridSearchCV(model, grid, cv=2).fit(X, Y))
    assert len(found.plan_.tasks) == 4  # the fits of the search; those of the refit are none of its


def test_a_block_that_plans_loops_leaves_those_inside_a_call_alone(tmp_path):
    model = RandomForestClassifier(3, random_state=0)
    about = {"progress": False, "report": False, **settings(tmp_path)}
    with joblib.parallel_config(PlannedCalls(**about), n_jobs=-1):
        found = cross_val_score(model, X, Y, cv=3, pre_dispatch="all")
    assert np.array_equal(found, cross_val_score(model, X, Y, cv=3))


def test_after_a_search_that_failed_loops_are_those_of_before(tmp_path):
    with pytest.raises(ConfigError):
        GridSearch(SVC(), GRID, cost="none", settings=settings(tmp_path)).fit(X, Y)
    with pytest.raises(InvalidParameterError, match="The 'C' parameter of SVC must be a float") as caught:
        GridSearch(SVC(), {"C": [-1.0]}, cv=2, error_score="raise", settings=settings(tmp_path)).fit(X, Y)
    assert isinstance(caught.value.__cause__, RunFailed)
    assert "failed 1 time (no retry can mend it)" in str(caught.value.__cause__)
    with pytest.raises(ValueError, match="Invalid parameter 'CC' for estimator SVC"):
        GridSearch(SVC(), {"CC": [1.0]}, cv=2, settings=settings(tmp_path)).fit(X, Y)
    assert joblib.Parallel()._backend.__class__.__module__.startswith("joblib.")


def test_folds_that_are_read_once(tmp_path):
    def folds():
        return KFold(3).split(X)

    found = GridSearch(SVC(), {"C": [0.1, 1.0]}, cv=folds(), settings=settings(tmp_path)).fit(X, Y)
    same(found, GridSearchCV(SVC(), {"C": [0.1, 1.0]}, cv=folds()).fit(X, Y))
