"""Naive Bayes and scaling in one pass against scikit-learn on all the data."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.preprocessing import StandardScaler

from partitioner.errors import ConfigError, RunFailed
from partitioner.training import fit_naive_bayes, fit_scaler

RNG = np.random.default_rng(9)
COUNTS = RNG.poisson(1.5, size=(300, 5)).astype(float)
LABEL = np.where(COUNTS[:, 0] > COUNTS[:, 1], "more", "less").astype("U5")
LABEL[RNG.random(300) < 0.1] = "other"


@pytest.fixture
def settings(checkpoint):
    shown = {"progress": False, "engine": "serial", "max_tasks": 4, "cost": "rows", "report": False}
    return {"checkpoint": checkpoint, **shown}


@pytest.mark.parametrize(
    ("kind", "theirs", "names"),
    [
        ("gaussian", GaussianNB(), ("theta_", "var_", "class_prior_")),
        ("multinomial", MultinomialNB(), ("feature_log_prob_", "class_log_prior_")),
        ("bernoulli", BernoulliNB(), ("feature_log_prob_", "class_log_prior_")),
    ],
)
def test_naive_bayes_is_that_of_scikit_learn(settings, kind, theirs, names):
    model = fit_naive_bayes(pa.table({"x": list(COUNTS), "y": LABEL}), "y", "x", kind=kind, **settings).model
    theirs.fit(COUNTS, LABEL)
    for name in names:
        np.testing.assert_allclose(getattr(model, name), getattr(theirs, name), rtol=1e-12)
    assert model.classes_.tolist() == ["less", "more", "other"]
    assert (model.predict(COUNTS) == theirs.predict(COUNTS)).all()


def test_a_scaler_is_that_of_scikit_learn(settings):
    x = RNG.normal(size=(500, 3)) * [1.0, 100.0, 0.0] + [0.0, 1e6, 7.0]
    model = fit_scaler(pa.table({"x": list(x)}), "x", **settings).model
    theirs = StandardScaler().fit(x)
    np.testing.assert_allclose(model.mean_, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(model.scale_, theirs.scale_, rtol=1e-10)
    np.testing.assert_allclose(model.transform(x), theirs.transform(x), atol=1e-9)


def test_counts_below_nothing_are_refused(settings):
    with pytest.raises(RunFailed, match="below 0"):
        fit_naive_bayes(pa.table({"x": [-1.0, 1.0], "y": [0, 1]}), "y", "x", kind="multinomial", **settings)


@pytest.mark.parametrize("wrong", [{"kind": "gausian"}, {"alpha": 0.0}])
def test_settings_that_cannot_be_are_refused(settings, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        fit_naive_bayes(pa.table({"x": [1.0], "y": [0]}), "y", **settings, **wrong)
