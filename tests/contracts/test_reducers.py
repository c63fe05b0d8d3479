import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from partitioner import registry
from partitioner.reducers.ensemble import Ensemble
from partitioner.reducers.estimators import Averaging
from partitioner.reducers.tree_sum import TreeSum
from partitioner.testing.laws import check_laws, same_data
from partitioner.testing.reducers import ReducerContract
from tests.reducers.says import Says

CHUNKS = [np.array([1.0, 2.5]), np.array([4.0]), np.array([-1.5, 0.25, 8.0]), np.array([3.0])]
MODELS = [Says.of(cat=0.9, dog=0.1), Says.of(dog=1.0), Says.of(ant=0.2, dog=0.8), Says.of(ant=0.6, cat=0.4)]
REGRESSORS = [DummyRegressor(strategy="constant", constant=c).fit([[0.0]], [c]) for c in (0.5, 2.0, -1.0, 4.25)]
TABLES = [pa.table({"x": [i, i + 1]}) for i in range(4)]
PARAMETERS = [({"w": np.array([float(i), 1.0]), "b": [i * 0.1]}, i + 1.0) for i in range(4)]

FORESTS = [RandomForestRegressor(1, bootstrap=False).fit([[0.0]], [i]) for i in range(4)]
LABELS = [{"label": list(t), "prediction": list(p)} for t, p in (("ab", "ab"), ("a", "b"), ("b", "b"), ("c", "a"))]
ROWS = [np.array([[1.0, 2.0], [3.0, 4.5]]), np.array([[0.5, -1.0]]), np.array([[2.0, 2.0]]), np.array([[4.0, 1.0]])]

KEYED = [
    pa.table({"key": list(k), "x": x}) for k, x in (("ab", [1.0, 2.5]), ("a", [4.0]), ("bb", [3.0, 7.25]), ("c", [9.0]))
]

SCORED = [
    {"label": y, "score": p, "probability": p}
    for y, p in (([1, 0], [0.9, 0.2]), ([0], [0.6]), ([1, 1], [0.4, 0.8]), ([0], [0.1]))
]
PREDICTED = [
    {"label": y, "prediction": p} for y, p in (([1.0, 2.0], [1.5, 2.0]), ([4.0], [3.0]), ([0.5], [0.0]), ([8.0], [9.0]))
]
RANKED = [
    {"value": v, "row": r} for v, r in (([3, 9], ["a", "b"]), ([9, None], ["c", "d"]), ([9], ["e"]), ([1], ["f"]))
]
COUNTED = [{"value": v, "count": n, "low": n, "high": n} for v, n in (("a", 4), ("b", 2), ("c", 2))]
WORDS = [list("abca"), ["a", None], ["c"], ["b", "a"]]

LABELLED = [
    (np.array(x), np.array(y))
    for x, y in (([[1.0], [2.0]], [2.0, 3.0]), ([[4.0]], [5.0]), ([[0.0]], [3.0]), ([[3.0]], [2.0]))
]
LINE = [np.array(x) for x in ([[1.0], [3.0]], [[0.5]], [[2.0]], [[4.0]])]
COLORS = [{"c": list(c)} for c in ("rg", "b", "gg", "a")]

# For every registered reducer: outputs of a program, and what it makes of them.
EXAMPLES = {
    "auc": (
        SCORED,
        {"positives": 3, "negatives": 3, "auc": 8 / 9, "average_precision": (1 + 1 + 3 / 4) / 3, "ks": 2 / 3},
    ),
    "calibration": (SCORED, {"brier": 0.82 / 6, "ece": 1.8 / 6, "mce": 0.6}),
    "encoder": (COLORS, OneHotEncoder().fit(pd.DataFrame({"c": list("rgbgga")}))),
    "imputer": (ROWS, SimpleImputer().fit(np.vstack(ROWS))),
    "linear": (LABELLED, LinearRegression().fit([[1], [2], [4], [0], [3]], [2, 3, 5, 3, 2])),
    "naive_bayes": (LABELLED, GaussianNB().fit([[1], [2], [4], [0], [3]], [2, 3, 5, 3, 2])),
    "neighbors": (LINE, {"distances": [[0.5, 1.0, 2.0, 3.0, 4.0]], "indices": [[2, 0, 3, 1, 4]]}),
    "pca": (ROWS, PCA().fit(np.vstack(ROWS))),
    "scaler": (ROWS, StandardScaler().fit(np.vstack(ROWS))),
    "correlation": (ROWS, np.corrcoef(np.vstack(ROWS).T)),
    "covariance": (ROWS, np.cov(np.vstack(ROWS).T)),
    "frequent_items": (WORDS, {"error": 0, "rows": 8, "items": COUNTED}),
    "regression": (PREDICTED, {"rows": 5, "mae": 0.6, "mse": 0.5, "mape": 1.875 / 5, "bias": 0.0, "max_error": 1.0}),
    "top_k": (RANKED, pa.table({"value": [9, 9, 9, 3, 1], "row": list("bceaf")})),
    "classification": (LABELS, [0.6]),
    "distinct": ([np.array(v) for v in ([1, 2], [2], [3, 1], [5])], 4),
    "histogram": ([np.array(v) for v in ([0.1, 1.0], [2.0], [-1.0, 0.0], [0.5])], [4, 1, 1]),
    "quantiles": (CHUNKS, [-1.5, 0.25, 2.5, 4.0, 8.0]),
    "average": (REGRESSORS, [0.5, 2.0, -1.0, 4.25]),
    "forest": (FORESTS, [0, 1, 2, 3]),
    "by_key": (KEYED, pa.table({"key": ["a", "b", "c"], "x": [2.5, 4.25, 9.0]})),
    "concat": (TABLES, pa.table({"x": [0, 1, 1, 2, 2, 3, 3, 4]})),
    "count": (CHUNKS, 7),
    "hard_vote": (MODELS, [0.25, 0.25, 0.5]),
    "max": (CHUNKS, 8.0),
    "median": (PARAMETERS, {"w": np.array([1.5, 1.0]), "b": [0.15]}),
    "min": (CHUNKS, -1.5),
    "sum": (CHUNKS, 17.25),
    "mean": (CHUNKS, float(np.concatenate(CHUNKS).mean())),
    "several": (CHUNKS, {"count": 7, "mean": float(np.concatenate(CHUNKS).mean())}),
    "soft_vote": (MODELS, [0.2, 0.325, 0.475]),
    "tree_sum": (
        [{"w": np.array([float(i), 1.0]), "b": [i * 0.5]} for i in range(4)],
        {"w": np.array([6.0, 4.0]), "b": [3.0]},
    ),
    "trimmed_mean": (PARAMETERS, {"w": np.array([1.5, 1.0]), "b": [0.15]}),
    "tsqr": (ROWS, np.linalg.cholesky(np.vstack(ROWS).T @ np.vstack(ROWS)).T),
    "variance": (CHUNKS, float(np.concatenate(CHUNKS).var(ddof=1))),
    "weighted_mean": (PARAMETERS, {"w": np.array([2.0, 1.0]), "b": [0.2]}),
}


FITTED = (SimpleImputer, LinearRegression, GaussianNB, OneHotEncoder, PCA, StandardScaler)
FIGURES = {"auc", "brier", "mae", "error"}


def flat(result):
    """Numbers of a result, in a fixed order, and whatever else tells results apart."""
    if isinstance(result, dict) and "indices" in result:
        return [*np.ravel(result["distances"]), *np.ravel(result["indices"])], []
    if isinstance(result, FITTED):
        held = {name: value for name, value in vars(result).items() if name.endswith("_") and name != "solver_"}
        arrays = [np.ravel(np.concatenate(v) if isinstance(v, list) else v) for _, v in sorted(held.items())]
        return [x for a in arrays if a.dtype.kind in "fiu" for x in a.tolist()], [
            a.tolist() for a in arrays if a.dtype.kind in "OU"
        ]
    if isinstance(result, dict) and "accuracy" in result:
        return [result["accuracy"]], []
    if isinstance(result, dict) and "counts" in result:
        return [*result["counts"], result["below"], result["above"]], []
    if isinstance(result, RandomForestRegressor):
        return [int(tree.predict([[0.0]])[0]) for tree in result.estimators_], []
    if isinstance(result, Averaging):
        return [float(model.predict([[0.0]])[0]) for model in result.members], [len(result.members)]
    if isinstance(result, Ensemble):
        return list(result.predict_proba([0])[0]), [m.classes_.tolist() for m in result.members]
    if isinstance(result, pa.Table) and "row" in result.column_names:
        return result["value"].to_pylist(), [result["row"].to_pylist()]
    if isinstance(result, pa.Table):
        return result["x"].to_pylist(), [result.column_names]
    if isinstance(result, dict) and "count" in result:
        return list(result.values()), list(result)
    if isinstance(result, dict) and "r" in result:
        return list(result["r"].ravel()), [result["rows"]]
    if isinstance(result, dict):
        return [*result["w"], *result["b"]], list(result)
    return list(np.ravel(result)), []


@pytest.mark.parametrize("name", registry.built_in("reducers"))
class TestEveryReducer(ReducerContract):
    @pytest.fixture
    def reducer(self, name):
        return registry.load("reducers", name)()

    @pytest.fixture
    def values(self, name):
        return EXAMPLES[name][0]

    @pytest.fixture
    def expected(self, name):
        return EXAMPLES[name][1]

    def same(self, left, right, exact):
        return same_result(left, right, exact)


def same_result(left, right, exact):
    """As data; of dicts of figures those that both have."""
    if isinstance(left, dict) and isinstance(right, dict) and not exact and FIGURES & left.keys() & right.keys():
        both = sorted(left.keys() & right.keys())
        return same_data([left[name] for name in both], [right[name] for name in both], exact)
    if isinstance(left, dict) and FIGURES & left.keys():
        return same_data(left, right, exact)
    (a, other_a), (b, other_b) = flat(left), flat(right)
    if other_a and other_b and other_a != other_b:
        return False
    return a == b or (not exact and len(a) == len(b) and np.allclose(a, b, rtol=1e-12))


@pytest.mark.parametrize("name", registry.names("reducers"))
def test_the_laws_hold(name):
    check_laws(name, EXAMPLES[name][0], same=same_result)


class Range:
    """A user's own, which derives from nothing."""

    name = "range"
    commutative = exact = mergeable = True

    def create_accumulator(self):
        return {"low": np.full(1, np.inf), "high": np.full(1, -np.inf)}

    def add_input(self, accumulator, value):
        return self.merge_accumulators(accumulator, {"low": value.min(keepdims=True), "high": value.max(keepdims=True)})

    def merge_accumulators(self, left, right):
        return {"low": np.minimum(left["low"], right["low"]), "high": np.maximum(left["high"], right["high"])}

    def extract_output(self, accumulator):
        return float(accumulator["high"][0] - accumulator["low"][0])


def test_the_laws_hold_for_a_reducer_of_the_users_own():
    check_laws(Range, CHUNKS)


class Forgetful(Range):
    def merge_accumulators(self, left, right):
        return right


class Changing(Range):
    def merge_accumulators(self, left, right):
        left["low"] -= 1.0
        return super().merge_accumulators(left, right)


class First(Range):
    def merge_accumulators(self, left, right):
        return right if np.isinf(left["low"][0]) else left


class Locked(Range):
    def create_accumulator(self):
        return {**super().create_accumulator(), "lock": open}


class Total:
    """Another one, right as it stands; those below are not."""

    commutative = mergeable = True
    exact = False

    def create_accumulator(self):
        return None

    def add_input(self, accumulator, value):
        return self.merge_accumulators(accumulator, float(np.sum(value)))

    def merge_accumulators(self, left, right):
        return (right if left is None else left) if left is None or right is None else self.both(left, right)

    def both(self, left, right):
        return left + right

    def extract_output(self, accumulator):
        return accumulator


class Average(Total):
    def both(self, left, right):
        return (left + right) / 2


class Undefined(Total):
    def both(self, left, right):
        return left + right + (np.inf - np.inf)


class Latest(Total):
    def both(self, left, right):
        return right


class Counting(Total):
    def __init__(self):
        self.rows = 0

    def add_input(self, accumulator, value):
        self.rows += len(value)
        return super().add_input(accumulator, value)

    def extract_output(self, accumulator):
        return accumulator / max(self.rows, 1)


class Sorting(Total):
    def add_input(self, accumulator, value):
        value.sort()
        return super().add_input(accumulator, value)


class Exactly(Total):
    exact = True


class Drawing(Total):
    def both(self, left, right):
        return left + right + np.random.default_rng().random()


class Rounding(Total):
    def serialize(self, accumulator):
        return super().serialize(None if accumulator is None else round(accumulator, 1))


class Unready(Total):
    def merge_accumulators(self, left, right):
        return left + right

    def add_input(self, accumulator, value):
        return float(np.sum(value)) + (accumulator or 0.0)


@pytest.mark.parametrize(
    ("broken", "law", "fewest"),
    [
        (Forgetful, "identity", "one output"),
        (Changing, "arguments are left alone", "2 outputs"),
        (First, "commutativity", "2 outputs"),
        (Locked, "serialize round trip: range raised ConfigError.*without pickle", "one output"),
        (Average, "associativity", "3 outputs"),
        (Undefined, "raised ProgramError: NaN reached the reducer", "2 outputs"),
        (Latest, "commutativity", "2 outputs"),
        (Counting, "nothing outside the accumulator", "one output"),
        (Sorting, "outputs are left alone", "one output"),
        (Exactly, "associativity.*declared exact, so to the bit", "3 outputs"),
        (Drawing, "the same every time", "2 outputs"),
        (Rounding, "serialize round trip", "one output"),
        (Unready, "identity: Unready raised TypeError", "one output"),
    ],
)
def test_a_broken_law_is_named_with_the_fewest_outputs_that_show_it(broken, law, fewest):
    values = [np.array(chunk) for chunk in ([0.1], [0.2], [0.3], [9.0, -1.0, 0.25])]
    with pytest.raises(AssertionError, match=rf"^.*{law}.*The fewest that show it, {fewest}: array"):
        check_laws(broken, values)


class Spoiling(TreeSum):
    """Merges into the wrong side."""

    def merge_into(self, left, right):
        right += left
        return right


def test_a_merge_into_the_wrong_side_is_named():
    with pytest.raises(AssertionError, match="merging in place leaves the right side alone"):
        check_laws(Spoiling, values=[np.full(3, float(i)) for i in range(1, 6)])
