"""The laws of the statistics and models with other options than their defaults, and what goes into ``by_key``."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression

from partitioner import registry
from partitioner.choices import choose
from partitioner.errors import ConfigError
from partitioner.testing.laws import check_laws, same_data
from tests.reducers import reducing

RNG = np.random.default_rng(4)
N = 48
TABLE = pa.table(
    {
        "key": RNG.choice(["a", "b", None], N),
        "label": RNG.integers(0, 2, N),
        "prediction": RNG.integers(0, 2, N),
        "score": RNG.normal(size=N),
        "probability": RNG.random(N),
        "chances": list(RNG.dirichlet([1, 1], N)),
        "value": RNG.choice([1.5, 2.5, 4.0, 8.0], N),
        "other": RNG.normal(size=N) + 1e6,
        "hole": np.where(RNG.random(N) < 0.2, np.nan, RNG.normal(size=N)),
        "color": RNG.choice(["red", "green", "blue"], N),
        "weight": RNG.random(N),
    }
)
PARTS = [TABLE.slice(start, 8) for start in range(0, N, 8)]
NUMBERS = ["value", "other"]

SPECS = [
    {"reducer": "auc", "max_scores": 5},
    {"reducer": "auc", "weight": "weight", "curve": True},
    {"reducer": "calibration", "bins": 3, "weight": "weight"},
    {"reducer": "classification", "classes": [0, 1], "probabilities": "chances", "weight": "weight"},
    {"reducer": "correlation", "columns": NUMBERS},
    {"reducer": "covariance", "columns": ["other", "hole"], "nan": "omit", "exact": False},
    {"reducer": "frequent_items", "column": "color", "k": 2},
    {"reducer": "regression", "prediction": "hole", "nan": "omit"},
    {"reducer": "top_k", "k": 3, "largest": False, "columns": ["color"]},
    {"reducer": "scaler", "kind": "min_max", "features": [*NUMBERS, "hole"]},
    {"reducer": "scaler", "kind": "max_abs", "features": NUMBERS},
    {"reducer": "scaler", "kind": "robust", "features": [*NUMBERS, "hole"], "max_values": 6},
    {"reducer": "imputer", "strategy": "median", "features": ["hole", "value"], "add_indicator": True},
    {"reducer": "imputer", "strategy": "most_frequent", "features": ["value"]},
    {"reducer": "encoder", "kind": "ordinal", "features": ["color", "value"]},
    {"reducer": "encoder", "kind": "target", "features": ["color"], "label": "other"},
    {"reducer": "encoder", "kind": "target", "features": ["color", "key"], "label": "label"},
    {"reducer": "naive_bayes", "kind": "multinomial", "features": ["value", "weight"]},
    {"reducer": "naive_bayes", "kind": "complement", "features": ["value", "weight"]},
    {"reducer": "naive_bayes", "kind": "bernoulli", "features": ["score"], "binarize": 0.1},
    {"reducer": "linear", "features": NUMBERS, "alpha": 2.0},
    {"reducer": "pca", "features": ["score", "value"], "components": 1},
    {"reducer": "neighbors", "queries": [[0.0, 2.0], [1.0, 4.0]], "k": 4, "features": ["score", "value"]},
]


def named(spec):
    return "-".join(str(v) for v in spec.values() if isinstance(v, str))


def as_data(result):
    """Estimators as what they learned; categories and classes as text, in which NaN is itself."""
    if isinstance(result, BaseEstimator):
        learned = {name: value for name, value in vars(result).items() if name.endswith("_") and name != "indicator_"}
        return {name: str(value) if name in ("classes_", "categories_") else value for name, value in learned.items()}
    return {name: as_data(held) for name, held in result.items()} if isinstance(result, dict) else result


def same(left, right, exact):
    return same_data(as_data(left), as_data(right), exact)


@pytest.mark.parametrize("spec", SPECS, ids=named)
def test_the_laws_hold_with_options(spec):
    check_laws(spec, PARTS, same=same, examples=8)


def reduced(spec, values):
    return reducing.reduced(choose("reducers", spec), *values)


ROWS = [spec for spec in SPECS if choose("reducers", spec).per_key]


@pytest.mark.parametrize("spec", ROWS, ids=named)
def test_by_key_is_the_reducer_of_each_key_alone(spec):
    found = reduced({"reducer": "by_key", "inner": spec}, PARTS).to_pylist()
    assert [row["key"] for row in found] == ["a", "b", None]
    for row in found:
        mine = [part.filter(pa.array([k == row["key"] for k in part["key"].to_pylist()])) for part in PARTS]
        alone = reduced({"reducer": "by_key", "inner": spec}, [pa.concat_tables(mine)]).to_pylist()
        assert same_data(alone, [row], False)


def test_all_statistics_at_once_are_each_of_them_alone():
    of = {f"{i}": spec for i, spec in enumerate(ROWS)}
    together = reduced({"reducer": "several", "of": of}, PARTS)
    for name, spec in of.items():
        assert same_data(together[name], reduced(spec, PARTS), True)


@pytest.mark.parametrize("name", registry.built_in("reducers"))
def test_what_by_key_cannot_hold_is_refused_in_one_line_before_anything_runs(name):
    inner = choose("reducers", name)
    if inner.per_key and not inner.rows:
        assert choose("reducers", {"reducer": "by_key", "inner": name}).inner.name == name
        return
    with pytest.raises(ConfigError, match=f"by_key cannot hold '{name}'") as refusal:
        choose("reducers", {"reducer": "by_key", "inner": name})
    assert "\n" not in str(refusal.value)


class Slopes:
    """A reducer that a user might write: sums, and a fitted model of them."""

    def create_accumulator(self):
        return np.zeros(2)

    def add_input(self, accumulator, value):
        x, y = np.asarray(value["value"]), np.asarray(value["other"])
        return accumulator + np.array([x @ y, x @ x])

    def merge_accumulators(self, left, right):
        return left + right

    def extract_output(self, accumulator):
        model = LinearRegression(fit_intercept=False)
        model.coef_ = accumulator[:1] / max(accumulator[1], 1.0)
        model.intercept_, model.n_features_in_ = 0.0, 1
        return {"models": [model]}


class Forgetful(Slopes):
    def merge_accumulators(self, left, right):
        return right if right.any() else left


def test_a_users_reducer_that_gives_estimators_needs_no_comparison_of_its_own():
    check_laws(Slopes, PARTS, examples=8)


class Words:
    """Counts of words, in a dict whose order follows that of merging."""

    commutative = exact = mergeable = True

    def create_accumulator(self):
        return {}

    def add_input(self, accumulator, value):
        return self.merge_accumulators(accumulator, {"rows": len(value["value"]), str(value["value"][0]): 1})

    def merge_accumulators(self, left, right):
        return {word: left.get(word, 0) + right.get(word, 0) for word in [*left, *right]}

    def extract_output(self, accumulator):
        return [accumulator]


def test_dicts_of_equal_entries_are_equal_in_any_order():
    check_laws(Words, PARTS, examples=8)


def test_estimators_that_differ_break_a_law():
    with pytest.raises(AssertionError, match=r"split invariance|fixed tree"):
        check_laws(Forgetful, PARTS, examples=8)
