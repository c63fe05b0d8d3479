"""Models over partitions against scikit-learn on all the data."""

import numpy as np
import pyarrow as pa
import pytest

from partitioner.errors import ConfigError, DataError, RunFailed
from partitioner.training import fit_kmeans, fit_linear, fit_logistic, fit_pca
from partitioner.training.design import Design

RNG = np.random.default_rng(5)
X = RNG.normal(size=(400, 4)) * [1.0, 5.0, 0.2, 1.0] + [0.0, 100.0, 0.0, -3.0]
Y = X @ [1.0, -2.0, 30.0, 0.5] + 4.0 + RNG.normal(size=400)
CLASS = (np.median(Y) < Y).astype(int)
COLUMNS = {name: X[:, i] for i, name in enumerate("abcd")}


@pytest.fixture
def settings(checkpoint):
    shown = {"progress": False, "engine": "serial", "max_tasks": 5, "cost": "rows"}
    return {"checkpoint": checkpoint, **shown}


def quiet(settings):
    return {**settings, "report": False}


def test_least_squares_are_those_of_scikit_learn(settings):
    from sklearn.linear_model import LinearRegression

    model = fit_linear(pa.table(COLUMNS | {"y": Y}), "y", **quiet(settings)).model
    whole = LinearRegression().fit(X, Y)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-10)
    np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-10)


def test_ridge_is_that_of_scikit_learn(settings):
    from sklearn.linear_model import Ridge

    model = fit_linear(pa.table(COLUMNS | {"y": Y}), "y", list("abcd"), alpha=7.5, **quiet(settings)).model
    whole = Ridge(alpha=7.5).fit(X, Y)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-10)
    assert model.intercept_ == pytest.approx(whole.intercept_, rel=1e-10)


def test_several_targets_with_their_metrics(settings):
    from sklearn.linear_model import Ridge
    from sklearn.metrics import root_mean_squared_error

    both = np.column_stack([Y, X @ [0.0, 1.0, 0.0, 2.0]])
    table = pa.table(COLUMNS | {"y": both[:, 0], "z": both[:, 1]})
    found = fit_linear(table, ["y", "z"], alpha=2.0, metrics=True, **quiet(settings))
    whole = Ridge(alpha=2.0).fit(X, both)
    np.testing.assert_allclose(found.model.coef_, whole.coef_, rtol=1e-10)
    assert found.metrics["r2"] == pytest.approx(whole.score(X, both), rel=1e-12)
    assert found.metrics["rmse"] == pytest.approx(root_mean_squared_error(both, whole.predict(X)), rel=1e-9)


def test_least_squares_of_columns_that_nearly_depend_on_each_other(settings):
    # The condition number is 1e9: a Gram matrix would square it and lose every digit.
    base = RNG.normal(size=300)
    x = np.column_stack([base, base + 1e-9 * RNG.normal(size=300)])
    y = x @ [1.0, 2.0]
    model = fit_linear(pa.table({"a": x[:, 0], "b": x[:, 1], "y": y}), "y", **quiet(settings)).model
    np.testing.assert_allclose(model.coef_, [1.0, 2.0], rtol=1e-5)


def test_principal_components_span_the_subspace_of_scikit_learn(settings):
    from sklearn.decomposition import PCA

    model = fit_pca(pa.table(COLUMNS), 2, **quiet(settings)).model
    whole = PCA(2).fit(X)
    np.testing.assert_allclose(
        model.components_.T @ model.components_, whole.components_.T @ whole.components_, atol=1e-8
    )
    np.testing.assert_allclose(model.explained_variance_ratio_, whole.explained_variance_ratio_, rtol=1e-10)
    np.testing.assert_allclose(np.abs(model.transform(X)), np.abs(whole.transform(X)), atol=1e-8)


def sklearn_loss(model, x, y, C, penalty):
    from sklearn.metrics import log_loss

    w = model.coef_
    size = np.abs(w).sum() if penalty == "l1" else (w**2).sum() / 2
    return log_loss(y, model.predict_proba(x)) + (size / (C * len(y)) if penalty else 0.0)


@pytest.mark.parametrize(("C", "penalty"), [(0.5, "l2"), (0.05, "l1")])
def test_binary_logistic_regression_reaches_the_loss_of_scikit_learn(settings, C, penalty):
    from sklearn.linear_model import LogisticRegression

    x = (X - X.mean(axis=0)) / X.std(axis=0)
    noisy = np.where(RNG.random(400) < 0.1, 1 - CLASS, CLASS)
    found = fit_logistic(
        pa.table({n: x[:, i] for i, n in enumerate("abcd")} | {"y": noisy}), "y", C=C, penalty=penalty, **settings
    )
    whole = LogisticRegression(
        C=C, l1_ratio=float(penalty == "l1"), solver="saga" if penalty == "l1" else "lbfgs", tol=1e-10, max_iter=20_000
    ).fit(x, noisy)
    assert found.loss == pytest.approx(sklearn_loss(whole, x, noisy, C, penalty), abs=1e-8)
    assert found.loss == pytest.approx(sklearn_loss(found.model, x, noisy, C, penalty), abs=1e-12)
    np.testing.assert_allclose(found.model.coef_, whole.coef_, atol=1e-4)
    assert (found.model.predict(x) == whole.predict(x)).all()


def test_multinomial_logistic_regression_keeps_text_labels(settings):
    from sklearn.linear_model import LogisticRegression

    x = RNG.normal(size=(300, 3))
    label = np.array(["ant", "bee", "cat"])[np.argmax(x + 0.7 * RNG.normal(size=(300, 3)), axis=1)]
    found = fit_logistic(pa.table({"x": list(x), "y": label}), "y", "x", **settings)
    whole = LogisticRegression(tol=1e-10, max_iter=5000).fit(x, label)
    assert found.model.classes_.tolist() == ["ant", "bee", "cat"]
    assert found.loss == pytest.approx(sklearn_loss(whole, x, label, 1.0, "l2"), abs=1e-8)
    assert (found.model.predict(x) == whole.predict(x)).all()


def test_a_class_that_one_partition_lacks_is_no_matter(settings):
    x = np.arange(100.0)[:, None]
    found = fit_logistic(pa.table({"x": list(x), "y": (x[:, 0] > 90).astype(int)}), "y", "x", **settings)
    assert found.model.predict([[0.0], [99.0]]).tolist() == [0, 1]


def test_an_interrupted_fit_goes_on_from_its_last_evaluation(settings, dask_engine):
    table = pa.table(COLUMNS | {"y": CLASS})
    whole = fit_logistic(table, "y", **settings)
    begun = fit_logistic(table, "y", rounds=6, **settings)
    on = fit_logistic(table, "y", resume=begun.run_id, **{**settings, "engine": dask_engine})
    assert sum(r.replayed for r in on.rounds) >= 5
    assert on.model.coef_.tobytes() == whole.model.coef_.tobytes()


def test_one_class_is_refused(settings):
    with pytest.raises(DataError, match="holds 1 class"):
        fit_logistic(pa.table({"x": [1.0, 2.0], "y": [1, 1]}), "y", **settings)


def test_nan_in_a_feature_names_its_place(settings):
    with pytest.raises(RunFailed, match=r"feature 0 of row \d+ of a partition is nan"):
        fit_logistic(pa.table({"x": [1.0, np.nan, 2.0, 3.0], "y": [0, 1, 0, 1]}), "y", **settings)


@pytest.mark.parametrize("setting", [{"C": 0}, {"penalty": "l3"}, {"rounds": 1}])
def test_settings_that_cannot_be_are_refused(settings, setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        fit_logistic(pa.table(COLUMNS | {"y": CLASS}), "y", **settings, **setting)


def test_kmeans_finds_clusters_that_are_there(settings):
    centers = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    x = np.concatenate([c + 0.3 * RNG.normal(size=(50, 2)) for c in centers])
    found = fit_kmeans(pa.table({"x": list(RNG.permutation(x))}), 4, "x", **settings)
    assert sorted(np.rint(found.model.cluster_centers_).tolist()) == sorted(centers.tolist())
    near = found.model.predict(centers)
    assert sorted(near.tolist()) == [0, 1, 2, 3]
    apart = ((x[:, None] - found.model.cluster_centers_[None]) ** 2).sum(axis=2).min(axis=1).sum()
    assert found.loss == pytest.approx(apart, rel=1e-9)


def test_kmeans_from_given_centers_is_that_of_scikit_learn(settings):
    from sklearn.cluster import KMeans

    x = RNG.normal(size=(300, 2))
    start = x[:3]
    found = fit_kmeans(pa.table({"x": list(x)}), 3, "x", initial=start, tolerance=0.0, **settings)
    whole = KMeans(3, init=start, n_init=1, tol=0.0, algorithm="lloyd", max_iter=300).fit(x)
    np.testing.assert_allclose(found.model.cluster_centers_, whole.cluster_centers_, rtol=1e-9)


def test_on_a9a_the_loss_is_that_of_scikit_learn(shared_data, settings):
    from sklearn.datasets import load_svmlight_file
    from sklearn.linear_model import LogisticRegression

    path = shared_data / "libsvm" / "a9a"
    x, y = load_svmlight_file(str(path), n_features=123)
    found = fit_logistic(
        {"connector": "libsvm", "path": str(path)}, "label", width=123, **{**settings, "cost": "bytes"}
    )
    whole = LogisticRegression(tol=1e-9, max_iter=5000).fit(x, y)
    assert found.loss == pytest.approx(sklearn_loss(whole, x, y, 1.0, "l2"), abs=1e-8)
    assert len(found.rounds) < 40  # 188 where features are taken as they are
    xt, yt = load_svmlight_file(str(path) + ".t", n_features=123)
    assert found.model.score(xt, yt) == pytest.approx(0.85, abs=0.002)  # LIBLINEAR's is 0.8499


def test_the_log_loss_of_far_off_scores_neither_overflows_nor_loses_its_gradient():
    from partitioner.training.logistic import _binary

    with np.errstate(all="raise", under="ignore"):
        found = _binary(
            np.array([[1000.0], [-1000.0], [1000.0], [0.0]]), np.array([1, 1, 0, 0]), np.array([[1.0], [0.0]])
        )
    assert found["loss"] == pytest.approx(2000.0 + np.log(2.0))
    np.testing.assert_allclose(found["gradient"][:, 0], [2000.0, -1.0 + 1.0 + 0.5])


def test_a_column_that_is_no_number_is_named_in_one_sentence() -> None:
    batch = pa.record_batch({"f": pa.array([["a"]])})
    with pytest.raises(
        DataError, match=r"^column 'f' holds lists of string that are no numbers: Failed to parse .* double\.$"
    ):
        Design("f").matrix(batch)
