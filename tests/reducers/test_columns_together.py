"""Covariance and correlation, the rows with the largest values, the most frequent values."""

from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from partitioner.choices import choose
from partitioner.errors import ConfigError, ProgramError
from tests.reducers import reducing

RNG = np.random.default_rng(3)


def reduced(spec, values):
    return reducing.reduced(choose("reducers", spec), *values)


def offset():
    x = RNG.normal(size=(900, 2))
    return 1e8 + 1e-3 * np.column_stack([x[:, 0], x.sum(axis=1)])


def truth(values):
    """The covariance of the exact numbers."""
    a, b = ([Fraction(v) for v in column.tolist()] for column in values.T)
    n = len(a)
    return float((sum(x * y for x, y in zip(a, b, strict=True)) - sum(a) * sum(b) / n) / (n - 1))


def test_a_covariance_at_a_large_offset_is_that_of_the_exact_numbers_in_every_cut():
    values = offset()
    found = {reduced("covariance", np.array_split(values, parts))[0, 1] for parts in (1, 2, 13, 50)}
    assert found == {truth(values)}


def test_sums_about_the_mean_are_as_accurate_as_numpy_at_a_large_offset():
    values = offset()
    error = abs(reduced({"reducer": "covariance", "exact": False}, np.array_split(values, 13))[0, 1] - truth(values))
    assert error <= abs(np.cov(values.T)[0, 1] - truth(values)) + 1e-10 * truth(values)


@pytest.mark.parametrize("exact", [True, False])
def test_correlations_are_those_of_numpy(exact):
    values = RNG.normal(size=(500, 4)) @ RNG.normal(size=(4, 4))
    found = reduced({"reducer": "correlation", "exact": exact}, np.array_split(values, 6))
    np.testing.assert_allclose(found, np.corrcoef(values.T), rtol=1e-11)
    assert np.diagonal(found).tolist() == [1.0] * 4


def test_the_covariance_of_tables_is_that_of_pandas_with_its_names():
    frame = pd.DataFrame(RNG.normal(size=(50, 3)), columns=list("abc"))
    found = pd.DataFrame(reduced({"reducer": "covariance", "columns": ["c", "a"]}, [frame[:20], frame[20:]]))
    pd.testing.assert_frame_equal(found, frame[["c", "a"]].cov(), rtol=1e-12)


def test_a_column_that_never_changes_has_no_correlation():
    found = reduced("correlation", [{"a": [1.0, 2.0], "b": [5.0, 5.0]}])
    assert found["a"]["a"] == 1.0
    assert np.isnan([found["a"]["b"], found["b"]["b"]]).all()


def test_products_too_large_for_doubles_are_summed_too():
    values = np.array([[1e200, 1.0], [-1e200, 3.0]])
    assert reduced("covariance", [values[:1], values[1:]]).tolist() == [[np.inf, -2e200], [-2e200, 2.0]]


def test_a_missing_value_stops_or_leaves_its_row_out():
    tables = [pa.table({"a": [1.0, 2.0, None], "b": [1.0, 3.0, 9.0]})]
    with pytest.raises(ProgramError, match="column 'a' of row 2"):
        reduced("covariance", tables)
    assert reduced({"reducer": "covariance", "nan": "omit"}, tables)["a"]["b"] == 1.0


def test_covariance_of_every_key():
    found = reduced(
        {"reducer": "by_key", "inner": "covariance"}, [{"key": [1, 1, 2], "a": [1.0, 3, 0], "b": [2.0, 8, 0]}]
    )
    assert found.to_pylist()[0] == {"key": 1, "a": {"a": 2.0, "b": 6.0}, "b": {"a": 6.0, "b": 18.0}}


def test_the_largest_rows_are_those_of_pandas():
    frame = pd.DataFrame({"id": range(300), "value": RNG.integers(0, 20, 300)})
    found = reduced({"reducer": "top_k", "k": 25}, [frame[i : i + 40] for i in range(0, 300, 40)])
    assert found["id"].to_pylist() == frame.nlargest(25, "value")["id"].tolist()
    found = reduced({"reducer": "top_k", "k": 25, "largest": False}, [frame[i : i + 7] for i in range(0, 300, 7)])
    assert found["id"].to_pylist() == frame.nsmallest(25, "value")["id"].tolist()


def test_nulls_and_nan_are_never_among_the_largest():
    found = reduced({"reducer": "top_k", "by": "x", "k": 9}, [{"x": [1.0, np.nan]}, pa.table({"x": [None, 2.0]})])
    assert found.to_pydict() == {"x": [2.0, 1.0]}


def test_text_and_dates_have_an_order_and_lists_none():
    assert reduced({"reducer": "top_k", "k": 1}, [["b", "c"], ["a"]]).to_pydict() == {"value": ["c"]}
    with pytest.raises(ProgramError, match="no order"):
        reduced("top_k", [{"value": [[1], [2]]}])


def test_columns_of_the_rows_can_be_chosen_and_the_ordering_one_stays():
    found = reduced({"reducer": "top_k", "by": "x", "columns": ["name"]}, [{"x": [1], "name": ["a"], "other": [2]}])
    assert found.to_pydict() == {"x": [1], "name": ["a"]}


def test_the_best_of_every_key():
    found = reduced(
        {"reducer": "by_key", "inner": {"reducer": "top_k", "by": "x", "k": 1}}, [{"key": [1, 1], "x": [4, 7]}]
    )
    assert found.to_pydict() == {"key": [1], "top_k": [[{"x": 7}]]}


def test_counts_of_frequent_values_lie_within_their_bounds():
    values = RNG.zipf(1.3, 100_000) % 50_000
    found = reduced({"reducer": "frequent_items", "precision": 10, "k": 20}, np.array_split(values, 10))
    true = dict(zip(*(a.tolist() for a in np.unique(values, return_counts=True)), strict=True))
    assert all(item["low"] <= true[item["value"]] <= item["high"] for item in found["items"])
    assert 0 < found["error"] <= 3.5 / 2**10 * len(values)
    told = {item["value"] for item in found["items"]}
    least = min(item["low"] for item in found["items"])
    assert all(value in told for value, count in true.items() if count > least + found["error"])


def test_few_values_are_counted_exactly_and_keep_their_types():
    found = reduced({"reducer": "frequent_items", "column": "v", "k": 2}, [pa.table({"v": [2, None, 2]}), {"v": [3]}])
    assert found == {
        "items": [{"value": 2, "count": 2, "low": 2, "high": 2}, {"value": 3, "count": 1, "low": 1, "high": 1}],
        "error": 0,
        "rows": 3,
    }


@pytest.mark.parametrize("spec", [{"reducer": "top_k", "k": 0}, {"reducer": "frequent_items", "precision": 3}])
def test_settings_that_cannot_be_are_refused(spec):
    with pytest.raises(ConfigError, match=list(spec)[1]):
        choose("reducers", spec)
