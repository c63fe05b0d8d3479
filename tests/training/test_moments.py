"""Naive Bayes and scaling in one pass against scikit-learn on all the data."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import MinMaxScaler, StandardScaler, TargetEncoder

from partitioner.errors import ConfigError, RunFailed
from partitioner.training import find_neighbors, fit_encoder, fit_imputer, fit_naive_bayes, fit_scaler

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


def test_a_scaler_leaves_nulls_and_nan_out_as_scikit_learn_does(settings):
    x = np.array([1.0, np.nan, 3.0, 8.0, 2.0])
    table = pa.table({"a": pa.array([1.0, None, 3.0, 8.0, 2.0]), "b": pa.array([5, 6, None, 8, 9])})
    model = fit_scaler(table, **settings).model
    theirs = StandardScaler().fit(np.column_stack([x, [5, 6, np.nan, 8, 9]]))
    np.testing.assert_allclose(model.mean_, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(model.scale_, theirs.scale_, rtol=1e-12)


def test_counts_below_nothing_are_refused(settings):
    with pytest.raises(RunFailed, match="below 0"):
        fit_naive_bayes(pa.table({"x": [-1.0, 1.0], "y": [0, 1]}), "y", "x", kind="multinomial", **settings)


@pytest.mark.parametrize("wrong", [{"kind": "gausian"}, {"alpha": 0.0}])
def test_settings_that_cannot_be_are_refused(settings, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        fit_naive_bayes(pa.table({"x": [1.0], "y": [0]}), "y", **settings, **wrong)


def test_other_scalers_and_their_parameters(settings):
    x = RNG.normal(size=(200, 2))
    model = fit_scaler(
        pa.table({"x": list(x)}), "x", kind="min_max", parameters={"feature_range": [0, 2]}, **settings
    ).model
    np.testing.assert_allclose(model.transform(x), MinMaxScaler((0, 2)).fit_transform(x), rtol=1e-12)


def test_an_imputer_and_an_encoder_read_the_columns_as_they_are(settings):
    table = pa.table({"a": [1.0, None, 5.0, 3.0], "c": ["red", "blue", "red", None]})
    imputer = fit_imputer(table, ["a"], strategy="median", **settings).model
    assert imputer.statistics_.tolist() == [3.0]
    encoder = fit_encoder(table, ["c"], kind="ordinal", **settings).model
    assert [str(v) for v in encoder.categories_[0]] == ["blue", "red", "nan"]


def test_a_target_encoder_is_that_of_scikit_learn(settings):
    price = COUNTS[:, 0] + 0.5
    model = fit_encoder(pa.table({"c": LABEL.tolist(), "y": price}), ["c"], kind="target", label="y", **settings).model
    theirs = TargetEncoder().fit(LABEL[:, None], price)
    np.testing.assert_allclose(model.encodings_[0], theirs.encodings_[0], rtol=1e-12)
    assert model.categories_[0].tolist() == theirs.categories_[0].tolist()


def test_indices_of_neighbours_are_places_in_the_dataset(settings):
    x = RNG.normal(size=(500, 3))
    found = find_neighbors(pa.table({"x": list(x)}), x[:7], 4, "x", **settings)
    distances, indices = NearestNeighbors(n_neighbors=4).fit(x).kneighbors(x[:7])
    assert (found.model["indices"] == indices).all()
    np.testing.assert_allclose(found.model["distances"], distances, atol=1e-12)
