"""Gaussian mixture and Lasso in rounds, against scikit-learn on all the data."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, make_blobs
from sklearn.linear_model import ElasticNet, Lasso
from sklearn.mixture import GaussianMixture

from partitioner.errors import ConfigError, DataError
from partitioner.training import fit_lasso, fit_mixture, lasso

QUIET = {"progress": False, "report": False, "max_tasks": 3}
BLOBS, _ = make_blobs(600, 3, centers=3, cluster_std=[0.5, 1.5, 2.5], random_state=3)
STARTS = BLOBS[[0, 1, 2]]
X, Y = load_diabetes(return_X_y=True)
X = X * np.logspace(-2, 2, 10)  # features of very different scales
TABLE = {"x": X, "y": Y}


def settings(tmp_path, engine="serial"):
    return {**QUIET, "engine": engine, "checkpoint": str(tmp_path / "runs")}


def reference(kind):
    """scikit-learn's, from the same start."""
    near = np.argmin(((BLOBS[:, None] - STARTS) ** 2).sum(axis=2), axis=1)
    model = GaussianMixture(3, covariance_type=kind, tol=1e-9, max_iter=500)
    model._initialize_parameters = lambda X, random_state, **about: model._initialize(X, np.eye(3)[near], **about)
    return model.fit(BLOBS)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_the_mixture_has_the_likelihood_of_scikit_learn(tmp_path, kind):
    about = {"covariance": kind, "initial": STARTS, "tolerance": 1e-9, "rounds": 500}
    found, expected = fit_mixture({"x": BLOBS}, 3, "x", **about, **settings(tmp_path)), reference(kind)
    assert found.model.score(BLOBS) == pytest.approx(expected.score(BLOBS), abs=1e-9)
    assert found.model.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-9)
    np.testing.assert_allclose(found.model.means_, expected.means_, atol=1e-6)
    assert found.model.n_iter_ == expected.n_iter_
    assert np.array_equal(found.model.predict(BLOBS), expected.predict(BLOBS))


def test_a_mixture_on_dask(tmp_path, dask_engine):
    found = fit_mixture({"x": BLOBS}, 3, "x", initial=STARTS, rounds=3, **settings(tmp_path, dask_engine))
    same = fit_mixture({"x": BLOBS}, 3, "x", initial=STARTS, rounds=3, **settings(tmp_path))
    assert np.array_equal(found.model.means_, same.model.means_)


def test_a_mixture_starts_from_its_own_clusters(tmp_path):
    found = fit_mixture({"x": BLOBS}, 3, "x", **settings(tmp_path))
    assert found.model.score(BLOBS) >= GaussianMixture(3, n_init=5, random_state=0).fit(BLOBS).score(BLOBS) - 0.01
    assert found.rounds[-1].loss == found.loss


def test_a_mixture_far_from_zero_does_not_cancel(tmp_path):
    about = {"initial": STARTS + 1e7, "tolerance": 1e-6}
    found = fit_mixture({"x": BLOBS + 1e7}, 3, "x", **about, **settings(tmp_path))
    near = fit_mixture({"x": BLOBS}, 3, "x", initial=STARTS, tolerance=1e-6, **settings(tmp_path))
    np.testing.assert_allclose(found.model.covariances_, near.model.covariances_, rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"components": 0}, ConfigError, "components is 0"),
        ({"covariance": "ful"}, ConfigError, "'full' or 'diag'.*Did you mean"),
        ({"initial": STARTS[:2]}, ConfigError, "2 means for 3 components"),
        ({"resume": "x"}, ConfigError, "give initial="),
        ({"floor": 0.0, "initial": STARTS, "features": ["a", "a2"]}, DataError, "singular covariance"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(tmp_path, given, error, message):
    data = {"x": BLOBS, "a": BLOBS[:, 0], "a2": BLOBS[:, 0] * 2}
    given = {"components": 3, "features": "x", **given}
    if given["features"] != "x":
        given["initial"] = STARTS[:, :2]
    with pytest.raises(error, match=message):
        fit_mixture(data, **given, **settings(tmp_path))


@pytest.mark.parametrize("alpha", [0.1, 3.0])
def test_the_lasso_has_the_coefficients_of_scikit_learn(tmp_path, alpha):
    found = fit_lasso(TABLE, "y", "x", alpha=alpha, **settings(tmp_path)).model
    expected = Lasso(alpha=alpha, tol=1e-12, max_iter=1_000_000).fit(X, Y)
    np.testing.assert_allclose(found.coef_ * X.std(axis=0), expected.coef_ * X.std(axis=0), atol=1e-5)
    assert np.array_equal(found.coef_ == 0, expected.coef_ == 0)
    assert found.intercept_ == pytest.approx(expected.intercept_, rel=1e-7)


def test_many_features_find_their_step_by_the_power_method(tmp_path, monkeypatch):
    monkeypatch.setattr(lasso, "MOST_FOR_PRODUCTS", 0)
    found = fit_lasso(TABLE, "y", "x", alpha=3.0, **settings(tmp_path)).model
    expected = Lasso(alpha=3.0, tol=1e-12, max_iter=1_000_000).fit(X, Y)
    np.testing.assert_allclose(found.coef_ * X.std(axis=0), expected.coef_ * X.std(axis=0), atol=1e-5)


def test_the_elastic_net_on_dask(tmp_path, dask_engine):
    found = fit_lasso(TABLE, "y", "x", alpha=0.5, l1_ratio=0.3, **settings(tmp_path, dask_engine)).model
    expected = ElasticNet(alpha=0.5, l1_ratio=0.3, tol=1e-12, max_iter=1_000_000).fit(X, Y)
    np.testing.assert_allclose(found.coef_ * X.std(axis=0), expected.coef_ * X.std(axis=0), atol=1e-5)


def test_the_strongest_penalty_leaves_no_coefficient(tmp_path):
    found = fit_lasso(TABLE, "y", "x", alpha=1e6, **settings(tmp_path)).model
    assert (found.coef_.tolist(), found.intercept_) == ([0.0] * 10, pytest.approx(Y.mean()))


def test_a_constant_feature_gets_no_weight(tmp_path):
    data = {"a": X[:, 0], "one": np.ones(len(X)), "y": Y}
    assert fit_lasso(data, "y", ["a", "one"], alpha=0.1, **settings(tmp_path)).model.coef_[1] == 0.0


@pytest.mark.parametrize(
    ("given", "message"),
    [({"alpha": 0}, "alpha is 0"), ({"l1_ratio": 0}, "l1_ratio is 0"), ({"rounds": 1}, "rounds is 1")],
)
def test_a_lasso_that_cannot_be_is_refused(tmp_path, given, message):
    with pytest.raises(ConfigError, match=message):
        fit_lasso(TABLE, "y", "x", **given, **settings(tmp_path))
