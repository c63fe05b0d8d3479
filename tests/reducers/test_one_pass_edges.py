"""Models in one pass where fits go wrong: weights, few rows, large means, sparse rows, one class, labels that are none."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from partitioner.choices import choose
from partitioner.errors import ConfigError, ProgramError
from tests.reducers import reducing

RNG = np.random.default_rng(77)
X = RNG.normal(size=(60, 3)) * [1.0, 50.0, 0.1] + [0.0, 7.0, 100.0]
Y = X @ [1.0, -2.0, 30.0] + RNG.normal(size=60)
COUNTS = RNG.poisson(1.5, size=(60, 4)).astype(float)
LABEL = RNG.choice(["less", "more", "other"], 60)
WEIGHT = RNG.integers(0, 4, 60) * 0.5


def reduced(spec, values):
    return reducing.reduced_as_sent(choose("reducers", spec), *values)


def cut(*columns, parts=5):
    edges = np.linspace(0, columns[0].shape[0], parts + 1).astype(int)
    return [tuple(c[a:b] for c in columns) for a, b in pairwise(edges)]


def close(found, expected, names, rtol=1e-12):
    for name in names:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, LinearRegression()),
        ({"alpha": 2.0}, Ridge(2.0)),
        ({"fit_intercept": False}, LinearRegression(fit_intercept=False)),
    ],
)
def test_weights_of_linear_models(options, theirs):
    found = reduced({"reducer": "linear", "weight": "w", **options}, cut(X, Y, WEIGHT))
    close(found, theirs.fit(X, Y, WEIGHT), ["coef_", "intercept_"], rtol=1e-9)


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, LinearRegression()),
        ({"alpha": 2.0}, Ridge(2.0)),
        ({"alpha": 2.0, "fit_intercept": False}, Ridge(2.0, fit_intercept=False)),
    ],
)
def test_several_targets_of_weighted_rows(options, theirs, targets):
    y = np.column_stack([Y, X @ [0.0, 5.0, -1.0] + 7.0])[:, :targets]
    found = reduced({"reducer": "linear", "weight": "w", **options}, cut(X, y, WEIGHT))
    close(found, theirs.fit(X, y, WEIGHT), ["coef_", "intercept_"], rtol=1e-9)
    assert found.predict(X).shape == theirs.predict(X).shape


@pytest.mark.parametrize("label", [["u", "v"], "both"])
def test_targets_are_columns_of_a_table_or_one_of_vectors(label):
    y = np.column_stack([Y, X @ [0.0, 5.0, -1.0] + 7.0])
    parts = [
        pa.table(
            {"a": x[:, 0], "b": x[:, 1]}
            | ({"both": z.tolist()} if label == "both" else dict(zip("uv", z.T, strict=True)))
        )
        for x, z in cut(X, y)
    ]
    found = reduced({"reducer": "linear", "label": label}, parts)
    close(found, LinearRegression().fit(X[:, :2], y), ["coef_", "intercept_"], rtol=1e-10)
    assert list(found.feature_names_in_) == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "theirs", "names"),
    [
        ("gaussian", GaussianNB(), ["theta_", "var_", "class_prior_", "class_count_", "epsilon_"]),
        ("multinomial", MultinomialNB(), ["feature_log_prob_", "feature_count_", "class_log_prior_"]),
        ("bernoulli", BernoulliNB(), ["feature_log_prob_", "feature_count_", "class_log_prior_"]),
        ("complement", ComplementNB(), ["feature_log_prob_", "feature_count_", "feature_all_"]),
    ],
)
def test_weights_of_naive_bayes(kind, theirs, names):
    found = reduced({"reducer": "naive_bayes", "kind": kind, "weight": "w"}, cut(COUNTS, LABEL, WEIGHT))
    close(found, theirs.fit(COUNTS, LABEL, WEIGHT), names)


def test_a_weight_column_of_a_table_is_no_feature():
    tables = [
        pa.table({"a": x[:, 0], "b": x[:, 1], "label": y, "w": w}) for x, y, w in cut(COUNTS[:, :2], LABEL, WEIGHT)
    ]
    found = reduced({"reducer": "naive_bayes", "weight": "w"}, tables)
    assert list(found.feature_names_in_) == ["a", "b"]
    close(found, GaussianNB().fit(COUNTS[:, :2], LABEL, WEIGHT), ["theta_", "var_"])


@pytest.mark.parametrize("holes", [False, True])
def test_weights_of_a_scaler(holes):
    x = np.where(RNG.random(X.shape) < 0.2, np.nan, X) if holes else X
    found = reduced({"reducer": "scaler", "weight": "w"}, cut(x, WEIGHT))
    expected = StandardScaler().fit(x, sample_weight=WEIGHT)
    close(found, expected, ["mean_", "var_", "scale_", "n_samples_seen_"])
    assert np.asarray(found.n_samples_seen_).dtype == np.asarray(expected.n_samples_seen_).dtype


@pytest.mark.parametrize("parts", [1, 3, 17])
def test_weights_are_summed_without_rounding(parts):
    x, w = 1e8 + RNG.normal(size=(40, 1)), np.full(40, 0.1)
    expected = reduced({"reducer": "scaler", "weight": "w"}, [(x, w)])
    found = reduced({"reducer": "scaler", "weight": "w"}, cut(x, w, parts=parts))
    assert (found.mean_, found.var_) == (expected.mean_, expected.var_)


def exact_slope(x, y):
    """Of one feature: the coefficient of the exact numbers."""
    a, b = ([Fraction(v) for v in column.tolist()] for column in (x, y))
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    return float(sum((u - ma) * (v - mb) for u, v in zip(a, b, strict=True)) / sum((u - ma) ** 2 for u in a))


@pytest.mark.parametrize("parts", [1, 7, 30])
def test_a_large_mean_costs_a_coefficient_no_digits(parts):
    x = 1e8 + 1e-3 * RNG.normal(size=(60, 1))
    y = 3e9 + 2.0 * (x[:, 0] - 1e8) + 1e-4 * RNG.normal(size=60)
    found = reduced("linear", cut(x, y, parts=parts))
    assert found.coef_[0] == pytest.approx(exact_slope(x[:, 0], y), rel=1e-12)


def test_a_large_mean_costs_a_principal_component_no_digits():
    near = RNG.normal(size=(60, 3)) @ RNG.normal(size=(3, 3))
    x = 2.0**27 + np.round(near * 2.0**20) / 2.0**20  # held exactly, so that the mean can be taken out of both
    found = reduced("pca", [part for (part,) in cut(x)])
    close(found, PCA(svd_solver="full").fit(x - 2.0**27), ["components_", "explained_variance_"], rtol=1e-9)


@pytest.mark.parametrize(("alpha", "theirs"), [(0.0, LinearRegression()), (0.5, Ridge(0.5))])
def test_fewer_rows_than_features(alpha, theirs):
    x, y = RNG.normal(size=(5, 9)), RNG.normal(size=5)
    found = reduced({"reducer": "linear", "alpha": alpha}, cut(x, y, parts=3))
    close(found, theirs.fit(x, y), ["coef_", "intercept_"], rtol=1e-10)


def test_columns_that_repeat_share_a_coefficient():
    base = RNG.normal(size=(60, 1))
    x, y = np.hstack([base, base, 2 * base + 1]), base[:, 0] * 3
    found = reduced("linear", cut(x, y))
    close(found, LinearRegression().fit(x, y), ["coef_", "intercept_", "rank_"], rtol=1e-10)


def test_a_column_of_32_bits_is_the_same_number():
    x = X.astype(np.float32)
    found = reduced("linear", [pa.table({"a": p[:, 0], "b": p[:, 1], "label": y}) for p, y in cut(x, Y)])
    close(found, LinearRegression().fit(x[:, :2].astype(float), Y), ["coef_", "intercept_"], rtol=1e-10)


@pytest.mark.parametrize(
    ("spec", "theirs", "names"),
    [
        ("linear", LinearRegression(), ["coef_"]),
        ({"reducer": "naive_bayes", "kind": "multinomial"}, MultinomialNB(), ["feature_log_prob_"]),
    ],
)
def test_sparse_rows(spec, theirs, names):
    y = (COUNTS[:, 0] > 1).astype(int)
    parts = [(csr_matrix(x), y) for x, y in cut(COUNTS, y)]
    close(reduced(spec, parts), theirs.fit(COUNTS, y), names, rtol=1e-10)


@pytest.mark.parametrize("theirs", [GaussianNB(), MultinomialNB()])
def test_one_class_only(theirs):
    kind = type(theirs).__name__.removesuffix("NB").lower()
    found = reduced({"reducer": "naive_bayes", "kind": kind}, cut(COUNTS, np.full(60, "only")))
    assert found.predict(COUNTS[:3]).tolist() == theirs.fit(COUNTS, np.full(60, "only")).predict(COUNTS[:3]).tolist()


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        (
            {"kind": "one_hot", "handle_unknown": "ignore", "sparse_output": False},
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        ),
        (
            {"kind": "ordinal", "handle_unknown": "use_encoded_value", "unknown_value": -1},
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        ),
    ],
)
def test_a_category_that_was_not_seen(options, theirs):
    seen, later = pd.DataFrame({"c": ["red", "blue", None]}), pd.DataFrame({"c": ["green", "red", None]})
    found = reduced({"reducer": "encoder", **options}, [seen[:1], seen[1:]])
    expected = theirs.fit(seen)
    np.testing.assert_array_equal(found.transform(later), expected.transform(later))


@pytest.mark.parametrize(
    ("spec", "values", "error", "message"),
    [
        ("naive_bayes", [(COUNTS[:2], np.array(["a", None], object))], ProgramError, "Row 1 of an output has no label"),
        ("naive_bayes", [(COUNTS[:2], np.array([1.0, np.nan]))], ProgramError, "Row 1 of an output has no label"),
        ("naive_bayes", [(COUNTS[:2], np.array([1.0, 0.5]))], ProgramError, "is 0.5 in row 1 of an output; labels are"),
        ("naive_bayes", [(COUNTS[:2], np.array(["a", 1], object))], ProgramError, "are int and str in one output"),
        (
            "naive_bayes",
            [(COUNTS[:1], np.array(["a"])), (COUNTS[:1], np.array([1]))],
            ProgramError,
            "are int and str in",
        ),
        (
            {"reducer": "naive_bayes", "priors": [0.5, 0.5]},
            [(COUNTS, LABEL)],
            ConfigError,
            "2 numbers and there are 3 cl",
        ),
        (
            {"reducer": "naive_bayes", "weight": "w"},
            [(COUNTS[:2], LABEL[:2], [1, -1])],
            ProgramError,
            "is -1.0; weights are",
        ),
        ({"reducer": "scaler", "kind": "robust", "weight": "w"}, [], ConfigError, "kind='standard' alone"),
        ("linear", [(X[:2], np.array([1.0, np.nan]))], ProgramError, "is nan in row 1"),
        (
            "linear",
            [(csr_matrix((3, 10**9)), np.ones(3))],
            ProgramError,
            "24.0 GB as the dense matrix that linear needs",
        ),
        ("linear", [csr_matrix((3, 4))], ProgramError, "needs a table with the column 'label'"),
        (
            "linear",
            [(X[:3], Y[:3]), (X[:3], Y[:3, None])],
            ProgramError,
            "labels as a vector first and as 1 columns later",
        ),
        (
            "linear",
            [(X[:3], X[:3]), (X[:3], X[:3, :2])],
            ProgramError,
            "labels as 3 columns first and as 2 columns later",
        ),
        (
            {"reducer": "linear", "label": ["u", "v"]},
            [(X[:2], np.array([[1.0, 2.0], [3.0, np.inf]]))],
            ProgramError,
            "Column 'v' is inf in row 1",
        ),
        ({"reducer": "linear", "label": ["u", "u"]}, [], ConfigError, "or a list of different ones"),
        ("naive_bayes", [(COUNTS[:2], COUNTS[:2])], ProgramError, "2 rows of features and labels of shape"),
        ("linear", [(csr_matrix((3, 4)), Y[:3]), (csr_matrix((3, 5)), Y[:3])], ProgramError, "4 first and 5 later"),
        ("linear", [pa.table({"a": [1.0, 2.0], "label": [1.0, None]})], ProgramError, "1 rows without a label"),
    ],
)
def test_what_cannot_be_fitted_is_said_in_one_line(spec, values, error, message):
    with pytest.raises(error, match=message):
        reduced(spec, values)
