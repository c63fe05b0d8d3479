"""Fitted estimators from parts hold what scikit-learn's hold after a fit on all the data."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import (
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from partitioner.choices import choose
from partitioner.errors import ConfigError, ProgramError
from tests.reducers import reducing

RNG = np.random.default_rng(21)
X = RNG.normal(size=(400, 4)) * [1.0, 100.0, 0.0, 1.0] + [0.0, 1e3, 7.0, 5.0]
HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
FRAME = pd.DataFrame(HOLES, columns=list("abcd"))
COUNTS = RNG.poisson(1.5, size=(300, 5)).astype(float)
LABEL = RNG.choice(["less", "more", "other"], 300)
WORDS = pd.DataFrame(
    {
        "color": RNG.choice(["red", "green", "blue"], 200),
        "size": RNG.integers(0, 6, 200),
        "grade": RNG.choice([0.5, np.nan, 2.0], 200),
    }
)
OWN = {"_fit_svd_solver", "solver_"}  # how scikit-learn came to it


def reduced(spec, *values):
    return reducing.reduced_as_sent(choose("reducers", spec), *values)


def cut(data, parts=6):
    edges = np.linspace(0, len(data), parts + 1).astype(int)
    return [data[a:b] for a, b in pairwise(edges)]


def same_fit(found, expected, rtol=1e-12, atol=0.0):
    assert vars(found).keys() - OWN == vars(expected).keys() - OWN
    for name, theirs in vars(expected).items():
        if name in OWN:
            continue
        ours = vars(found)[name]
        pairs = zip(ours, theirs, strict=True) if isinstance(theirs, list) else [(ours, theirs)]
        for a, b in pairs:
            if isinstance(b, np.ndarray | float | np.floating):
                assert np.asarray(a).dtype == np.asarray(b).dtype, name
                if np.asarray(b).dtype.kind == "f":
                    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=name)
                    continue
            if isinstance(b, np.ndarray):  # as text, in which NaN is itself
                assert [str(v) for v in a.ravel().tolist()] == [str(v) for v in b.ravel().tolist()], name
            else:
                assert a == b, name


@pytest.mark.parametrize("data", [X, HOLES, FRAME], ids=["numbers", "with holes", "a frame"])
@pytest.mark.parametrize(
    ("kind", "options", "theirs"),
    [
        ("standard", {}, StandardScaler),
        ("standard", {"with_std": False}, StandardScaler),
        ("min_max", {"feature_range": (-1, 1)}, MinMaxScaler),
        ("max_abs", {}, MaxAbsScaler),
        ("robust", {}, RobustScaler),
        ("robust", {"quantile_range": (10.0, 85.0), "unit_variance": True}, RobustScaler),
    ],
)
def test_scalers(data, kind, options, theirs):
    found = reduced({"reducer": "scaler", "kind": kind, **options}, *cut(data))
    same_fit(found, theirs(**options).fit(data))


def test_a_large_mean_does_not_spoil_a_variance():
    x = 1e8 + 1e-3 * RNG.normal(size=(500, 1))
    found = reduced({"reducer": "scaler"}, *cut(x))
    assert found.var_[0] == pytest.approx((x - 1e8).var(), rel=1e-7)  # the numbers themselves have 8 digits left


def test_quantiles_of_more_numbers_than_are_kept_are_close():
    x = RNG.lognormal(size=(20_000, 1))
    found = reduced({"reducer": "scaler", "kind": "robust", "max_values": 2000}, *cut(x))
    expected = RobustScaler().fit(x)
    assert found.center_ == pytest.approx(expected.center_, rel=1e-2)
    assert found.scale_ == pytest.approx(expected.scale_, rel=1e-2)


@pytest.mark.parametrize("data", [HOLES, FRAME], ids=["numbers", "a frame"])
@pytest.mark.parametrize(
    ("strategy", "options"),
    [("mean", {"add_indicator": True}), ("median", {}), ("most_frequent", {}), ("constant", {"fill_value": 3.0})],
)
def test_imputers(data, strategy, options):
    found = reduced({"reducer": "imputer", "strategy": strategy, **options}, *cut(data))
    expected = SimpleImputer(strategy=strategy, **options).fit(data)
    np.testing.assert_allclose(*(np.asarray(m.statistics_, float) for m in (found, expected)), rtol=1e-12)
    np.testing.assert_allclose(found.transform(data), expected.transform(data), rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options", "theirs"),
    [
        ("one_hot", {"handle_unknown": "ignore"}, OneHotEncoder),
        ("one_hot", {"drop": "first"}, OneHotEncoder),
        ("ordinal", {}, OrdinalEncoder),
    ],
)
@pytest.mark.parametrize(
    "data",
    [WORDS, WORDS["color"].to_numpy(str)[:, None], WORDS[["size", "grade"]].to_numpy()],
    ids=["a frame", "texts", "numbers"],
)
def test_encoders(data, kind, options, theirs):
    found = reduced({"reducer": "encoder", "kind": kind, **options}, *cut(data))
    same_fit(found, theirs(**options).fit(data))


def test_missing_texts_are_a_category():
    data = WORDS.assign(color=WORDS["color"].where(WORDS.index % 7 > 0))[["color"]]
    same_fit(reduced("encoder", *cut(data)), OneHotEncoder().fit(data))


def test_a_label_encoder_takes_one_column():
    found = reduced({"reducer": "encoder", "kind": "label", "features": "color"}, *cut(WORDS))
    same_fit(found, LabelEncoder().fit(WORDS["color"]))
    with pytest.raises(ConfigError, match="one column, and there are 3"):
        reduced({"reducer": "encoder", "kind": "label"}, *cut(WORDS))


@pytest.mark.parametrize("options", [{}, {"smooth": 3.0}], ids=["auto", "smooth"])
@pytest.mark.parametrize(
    "target",
    [RNG.normal(size=200), RNG.integers(0, 2, 200), RNG.choice(["no", "yes"], 200), RNG.choice(["u", "v", "w"], 200)],
    ids=["a number", "0 or 1", "two texts", "three texts"],
)
def test_target_encoders(target, options):
    data = WORDS.assign(y=target)
    found = reduced({"reducer": "encoder", "kind": "target", "label": "y", **options}, *cut(data))
    same_fit(found, TargetEncoder(**options).fit(WORDS, data["y"]))


@pytest.mark.parametrize(
    ("kind", "options", "theirs"),
    [
        ("gaussian", {}, GaussianNB),
        ("gaussian", {"priors": [0.2, 0.3, 0.5]}, GaussianNB),
        ("multinomial", {"alpha": 0.5, "fit_prior": False}, MultinomialNB),
        ("bernoulli", {"binarize": 1.0}, BernoulliNB),
        ("complement", {"norm": True}, ComplementNB),
    ],
)
def test_naive_bayes(kind, options, theirs):
    spec = {"reducer": "naive_bayes", "kind": kind, "label": "y", **options}
    found = reduced(spec, *(pa.table({"x": list(x), "y": y}) for x, y in zip(cut(COUNTS), cut(LABEL), strict=True)))
    expected = theirs(**options).fit(COUNTS, LABEL)
    same_fit(found, expected)
    assert (found.predict(COUNTS) == expected.predict(COUNTS)).all()


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, LinearRegression()),
        ({"alpha": 2.0}, Ridge(2.0)),
        ({"fit_intercept": False}, LinearRegression(fit_intercept=False)),
        ({"alpha": 2.0, "fit_intercept": False}, Ridge(2.0, fit_intercept=False)),
    ],
)
def test_linear_models(options, theirs):
    data = FRAME.fillna(0.0).assign(c=COUNTS[:, 0].mean() + RNG.normal(size=400))
    y = data.to_numpy() @ [1.0, -0.5, 3.0, 2.0] + 4.0 + RNG.normal(size=400)
    found = reduced({"reducer": "linear", "label": "y", **options}, *cut(data.assign(y=y)))
    same_fit(found, theirs.fit(data, y), rtol=1e-10)


@pytest.mark.parametrize("constant", [3.0, 0.1, -1e8, 0.0])
def test_a_constant_column_has_no_coefficient(constant):
    x = np.random.default_rng(1).normal(size=(200, 3))
    y = x @ [1.0, 2.0, 3.0] + x[:, 0] ** 2
    x[:, 1] = constant
    found = reduced("linear", *((part, y[i * 20 : i * 20 + 20]) for i, part in enumerate(cut(x, 10))))
    assert found.coef_[1] == pytest.approx(0.0, abs=1e-12)
    expected = LinearRegression().fit(x[:, [0, 2]], y)
    np.testing.assert_allclose(found.coef_[[0, 2]], expected.coef_, rtol=1e-10)
    np.testing.assert_allclose(found.predict(x), expected.predict(x[:, [0, 2]]), rtol=1e-8, atol=1e-8)


def test_a_column_of_little_spread_on_a_large_mean_keeps_its_coefficient():
    x = np.random.default_rng(1).normal(size=(200, 2)) * [1.0, 1e-3] + [0.0, 1e6]
    y = x[:, 0] + 500.0 * (x[:, 1] - 1e6)
    found = reduced("linear", *((part, y[i * 20 : i * 20 + 20]) for i, part in enumerate(cut(x, 10))))
    np.testing.assert_allclose(found.coef_, [1.0, 500.0], rtol=1e-5)


@pytest.mark.parametrize(("options", "theirs"), [({}, LinearRegression()), ({"alpha": 2.0}, Ridge(2.0))])
def test_weights_of_rows_are_those_of_scikit_learn(options, theirs):
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(120, 3)), rng.choice([0.0, 0.5, 3.0], 120)
    y = x @ [1.0, 2.0, 3.0] + rng.normal(size=120)
    spec = {"reducer": "linear", "weight": "w", **options}
    expected = theirs.fit(x, y, sample_weight=w)
    for values in (
        [(x[:50], y[:50], w[:50]), (x[50:], y[50:], w[50:])],
        cut(pd.DataFrame(x, columns=list("abc")).assign(w=w, label=y)),
    ):
        found = reduced(spec, *values)
        np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-10)
        assert found.intercept_ == pytest.approx(expected.intercept_, rel=1e-10)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_weights_that_cannot_be_are_refused_with_their_row(weight):
    with pytest.raises(ProgramError, match=r"the weight in row 1 of an output .* is"):
        reduced({"reducer": "linear", "weight": "w"}, (np.ones((2, 1)), [1.0, 2.0], [1.0, weight]))


@pytest.mark.parametrize("count", [2, None])
def test_principal_components(count):
    x = RNG.normal(size=(90, 4)) @ np.diag([4.0, 2.0, 1.0, 0.5]) + 100.0
    found, expected = reduced({"reducer": "pca", "components": count}, x[:40], x[40:42], x[42:]), PCA(count).fit(x)
    same_fit(found, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "cosine"])
def test_nearest_neighbors(metric):
    x, queries = RNG.normal(size=(700, 6)) + 3.0, RNG.normal(size=(25, 6)) + 3.0
    found = reduced({"reducer": "neighbors", "queries": queries, "k": 9, "metric": metric}, *cut(x, 11))
    distances, indices = NearestNeighbors(n_neighbors=9, metric=metric).fit(x).kneighbors(queries)
    assert (found["indices"] == indices).all()
    np.testing.assert_allclose(found["distances"], distances, rtol=1e-12, atol=1e-15)


def test_of_equal_distances_the_earlier_rows_are_nearest():
    found = reduced({"reducer": "neighbors", "queries": [[0.0]], "k": 3}, *cut(np.ones((40, 1)), 3))
    assert found["indices"].tolist() == [[0, 1, 2]]


def test_fewer_rows_than_neighbours_are_all_of_them():
    found = reduced({"reducer": "neighbors", "queries": [[0.0]], "k": 5}, [[2.0]], [[1.0]])
    assert (found["distances"].tolist(), found["indices"].tolist()) == ([[1.0, 2.0]], [[1, 0]])


@pytest.mark.parametrize("name", ["encoder", "imputer", "linear", "naive_bayes", "pca", "scaler"])
def test_of_nothing_there_is_no_model(name):
    assert reduced(name) is None


def test_several_models_in_one_pass():
    of = {"scaled": {"reducer": "scaler", "features": ["size"]}, "coded": {"reducer": "encoder", "features": ["color"]}}
    found = reduced({"reducer": "several", "of": of}, *cut(WORDS))
    assert found["scaled"].mean_ == pytest.approx(WORDS["size"].mean())
    assert found["coded"].categories_[0].tolist() == ["blue", "green", "red"]


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        ("scaler", np.array([[1.0], [np.inf]]), "inf in feature 0 of row 1"),
        ("scaler", pa.table({"a": ["x"]}), "'a' of the program's output is string; scaler needs numbers"),
        ("pca", np.array([[np.nan]]), "nan in feature 0 of row 0"),
        ("linear", np.ones((2, 2)), "needs a table with the column 'label', or a tuple"),
        ("linear", (np.ones((2, 1)), np.ones(3)), "2 rows of features and labels of shape"),
        ("linear", {"x": [1.0], "label": ["a"]}, "holds 'a'; linear models need numbers"),
        ({"reducer": "naive_bayes", "kind": "multinomial"}, {"x": [-1.0], "label": [1]}, "below 0"),
        ("neighbors", np.ones((3, 2)), "2 features and the queries have 1"),
        ("encoder", {"x": [[1], [2]]}, "categories are numbers, text or dates"),
        ("scaler", {"x": [[1.0], [2.0, 3.0]]}, "vectors of different lengths"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_its_place(spec, value, message):
    with pytest.raises(ProgramError, match=message):
        reduced(spec, value)


def test_other_columns_later_are_refused():
    with pytest.raises(ProgramError, match=r"columns \('a',\) first and \('b',\) later"):
        reduced("scaler", {"a": [1.0]}, {"b": [1.0]})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"reducer": "scaler", "kind": "standart"}, "Did you mean 'standard'"),
        ({"reducer": "scaler", "with_men": True}, "no option 'with_men'.*Did you mean 'with_mean'"),
        ({"reducer": "scaler", "with_mean": "no"}, "with_mean"),
        ({"reducer": "scaler", "kind": "robust", "quantile_range": [80, 20]}, "two percentages in order"),
        ({"reducer": "encoder", "kind": "target"}, "needs the column of the target"),
        ({"reducer": "encoder", "min_frequency": 3}, "counts how often"),
        ({"reducer": "imputer", "missing_values": -1}, "always NaN"),
        ({"reducer": "naive_bayes", "kind": "bernoulli", "alpha": 0.0}, "smoothing is above 0"),
        ({"reducer": "linear", "alpha": -1.0}, "at least 0"),
        ({"reducer": "pca", "components": 0}, "give 1 or more"),
        ({"reducer": "neighbors", "metric": "far"}, "metric is 'far'"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_runs(spec, message):
    with pytest.raises(ConfigError, match=message):
        choose("reducers", spec)


@pytest.mark.parametrize("options", [{"strategy": "most_frequent"}, {"strategy": "constant", "fill_value": "?"}])
def test_imputers_of_text(options):
    data = WORDS[["color"]].assign(tint=WORDS["color"].where(WORDS.index % 3 > 0))
    found, expected = reduced({"reducer": "imputer", **options}, *cut(data)), SimpleImputer(**options).fit(data)
    same_fit(found, expected)
    assert found.transform(data).tolist() == expected.transform(data).tolist()


def test_text_has_no_mean():
    with pytest.raises(ProgramError, match=r"'color' of the program's output is .*string; imputer needs numbers"):
        reduced("imputer", WORDS[["color"]])


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_neighbours_of_many_features_are_those_of_every_distance(offset):
    from scipy.spatial.distance import cdist

    x, queries = RNG.normal(size=(600, 40)) + offset, RNG.normal(size=(15, 40)) + offset
    x[300:310] = x[:10]  # equal distances
    found = reduced({"reducer": "neighbors", "queries": queries, "k": 8}, *cut(x, 4))
    every = cdist(queries, x)
    order = np.argsort(every, axis=1, kind="stable")[:, :8]
    assert (found["indices"] == order).all()
    assert found["distances"].tobytes() == np.take_along_axis(every, order, axis=1).tobytes()
