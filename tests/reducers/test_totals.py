from fractions import Fraction
from math import fsum

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.errors import ConfigError, ProgramError
from partitioner.reducers.count import Count
from partitioner.reducers.max import Max
from partitioner.reducers.mean import Mean
from partitioner.reducers.min import Min
from partitioner.reducers.sum import Sum
from partitioner.reducers.variance import Variance
from tests.reducers.reducing import reduced


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (pa.table({"a": [1, 2, 3]}), 3),
        (pa.record_batch({"a": [1, 2]}), 2),
        (pa.array([1, None]), 2),
        (pd.DataFrame({"a": [1, 2]}), 2),
        (np.zeros((4, 2)), 4),
        ([1, 2, 3], 3),
        (5, 1),
        ("abc", 1),
        (None, 1),
        ({"a": np.zeros(3), "b": [1, 2, 3]}, 3),
        ({"loss": 0.5}, 1),
        ({}, 0),
    ],
)
def test_count_counts_rows(value, rows):
    assert reduced(Count(), value) == rows


def test_mean_of_numbers():
    assert reduced(Mean(), 1, 2.0, np.float32(6)) == 3.0


def test_mean_of_arrays_is_over_their_first_axis():
    assert reduced(Mean(), np.array([[1.0, 10.0], [3.0, 30.0]]), np.array([[5.0, 50.0]])).tolist() == [3.0, 30.0]


def test_mean_of_tables_is_by_column_and_leaves_nulls_out():
    first, second = pa.table({"a": [1, None], "b": [1, 2]}), pa.table({"a": [5, 6], "b": [3, 6]})
    assert reduced(Mean(), first, second) == {"a": 4.0, "b": 3.0}


def test_mean_of_data_frames_is_by_column():
    assert reduced(Mean(), pd.DataFrame({"a": [1.0, 2.0]}), pd.DataFrame({"a": [6.0]})) == {"a": 3.0}


def test_mean_of_a_series_leaves_missing_values_out():
    assert reduced(Mean(), pd.Series([1.0, np.nan, 2.0])) == 1.5


def test_mean_of_nothing_is_nan():
    assert np.isnan(Mean().extract_output(Mean().create_accumulator()))
    assert np.isnan(reduced(Mean(), np.array([])))


def test_mean_of_an_all_null_column_is_nan():
    assert np.isnan(reduced(Mean(), pa.table({"a": pa.array([None, None], pa.float64())}))["a"])


def test_variance_is_that_of_the_sample_unless_told_otherwise():
    assert reduced(Variance(), [1.0, 2.0], [6.0]) == 7.0
    assert reduced(Variance(ddof=0), [1.0, 2.0], [6.0]) == pytest.approx(14 / 3)


def test_variance_of_one_observation_is_nan():
    assert np.isnan(reduced(Variance(), 3.0))


def test_variance_does_not_cancel_around_a_large_mean():
    # The textbook sum of squares minus square of sums loses every digit here.
    chunks = [1e9 + np.array([4.0, 7.0]), 1e9 + np.array([13.0, 16.0])]
    assert reduced(Variance(), *chunks) == 30.0


def test_a_negative_ddof_is_refused():
    with pytest.raises(ConfigError, match="ddof = -1"):
        Variance(ddof=-1)


def test_text_is_refused():
    with pytest.raises(ProgramError, match="returned str; the reducer needs numbers"):
        reduced(Mean(), "three")


def test_a_text_column_is_refused_by_name():
    with pytest.raises(ProgramError, match="Column 'b' of the program's output is string"):
        reduced(Mean(), pa.table({"a": [1], "b": ["x"]}))


def test_outputs_with_other_columns_are_refused():
    with pytest.raises(ProgramError, match="columns a first and columns b later"):
        reduced(Mean(), pa.table({"a": [1]}), pa.table({"b": [1]}))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=8), min_size=1, max_size=12))
def test_mean_and_variance_are_those_of_numpy(chunks):
    arrays = [np.array(chunk, float) for chunk in chunks]
    everything = np.concatenate(arrays)
    if len(everything) > 1:
        assert reduced(Mean(), *arrays) == pytest.approx(everything.mean(), rel=1e-9, abs=1e-6)
        assert reduced(Variance(), *arrays) == pytest.approx(everything.var(ddof=1), rel=1e-9, abs=1e-6)


def test_only_the_columns_asked_for_are_reduced():
    assert reduced(Mean(columns=["a"]), pa.table({"a": [1, 3], "note": ["x", "y"]})) == {"a": 2.0}


def test_a_column_that_is_not_there_names_the_nearest():
    with pytest.raises(ProgramError, match=r"no column 'price'; it has prices\. Did you mean 'prices'"):
        reduced(Mean(columns=["price"]), pa.table({"prices": [1]}))


def test_a_dict_of_columns_is_a_table():
    assert reduced(Mean(), {"a": np.array([1.0, 3.0]), "b": [5, 5]}) == {"a": 2.0, "b": 5.0}


def test_a_dict_of_numbers_is_one_row():
    assert reduced(Mean(), {"loss": 0.5}, {"loss": 1.5}) == {"loss": 1.0}


def test_columns_that_are_not_asked_for_may_be_anything():
    assert reduced(Mean(columns=["a"]), {"a": [1.0], "vectors": np.zeros((1, 3))}) == {"a": 1.0}


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ProgramError, match="a dict that is no table"):
        reduced(Mean(), {"a": [1.0], "b": [1.0, 2.0]})


def test_min_max_and_sum_per_column():
    tables = [pa.table({"a": [3.0, None], "b": [1, 2]}), pa.table({"a": [-1.0, 7.0], "b": [5, 6]})]
    assert [reduced(r(), *tables) for r in (Min, Max, Sum)] == [
        {"a": -1.0, "b": 1.0},
        {"a": 7.0, "b": 6.0},
        {"a": 9.0, "b": 14.0},
    ]


def partitionings(values, count=100):
    """The same numbers in many orders of cuts, into 1 to 60 parts."""
    rng = np.random.default_rng(8)
    for parts in np.linspace(1, 60, count).astype(int):
        cuts = np.sort(rng.integers(0, len(values) + 1, parts - 1))
        yield np.split(values, cuts)


def test_one_variance_over_a_hundred_partitionings_and_more_exact_than_numpy():
    values = 1e8 + 1e-3 * np.random.default_rng(1).normal(size=3000)
    exact = [Fraction(v) for v in values.tolist()]
    mean = sum(exact) / len(exact)
    truth = float(sum((v - mean) ** 2 for v in exact) / (len(exact) - 1))
    found = {reduced(Variance(), *parts) for parts in partitionings(values)}
    assert found == {truth}
    assert abs(values.var(ddof=1) / truth - 1) > 0


@pytest.mark.parametrize("values", [[1e16, 1.0, -1e16], [1.0, 1e100, 1.0, -1e100], [5e-324, 1e308, -1e308], [0.1] * 10])
def test_sums_and_means_are_rounded_once(values):
    numbers = np.array(values * 25)
    for parts in partitionings(numbers, 20):
        assert reduced(Sum(), *parts) == fsum(values * 25)
        assert reduced(Mean(), *parts) == float(sum(map(Fraction, values * 25)) / len(numbers))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=12), st.integers(0, 12))
def test_exact_for_all_doubles_there_are(values, cut):
    exact = [Fraction(v) for v in values]
    mean = sum(exact) / len(exact)
    variance = sum((v - mean) ** 2 for v in exact) / (len(exact) - 1)
    parts = [np.array(values[:cut]), np.array(values[cut:])]
    assert Fraction(reduced(Mean(), *parts)) == Fraction(nearest_double(mean))
    # Squares below 2^-1127 are cut off there: far below the smallest double.
    assert reduced(Variance(), *parts) == pytest.approx(nearest_double(variance), rel=1e-15, abs=5e-324)


def nearest_double(number):
    try:
        return float(number)
    except OverflowError:
        return np.inf


def test_nan_stops_by_default_and_is_named():
    with pytest.raises(ProgramError, match="NaN in column 'a', row 1"):
        reduced(Mean(), pa.table({"a": np.array([1.0, np.nan])}))


def test_nan_may_be_left_out_or_let_through():
    assert reduced(Mean(nan="omit"), np.array([1.0, np.nan, 3.0])) == 2.0
    assert np.isnan(reduced(Mean(nan="propagate"), np.array([1.0, np.nan, 3.0])))
    assert reduced(Min(nan="omit"), np.array([1.0, np.nan])) == 1.0


def test_an_unknown_policy_for_nan_is_refused():
    with pytest.raises(ConfigError, match="nan = 'drop'"):
        Mean(nan="drop")


def test_infinities_are_numbers():
    assert reduced(Mean(), [np.inf, 1.0]) == np.inf
    assert np.isnan(reduced(Sum(nan="propagate"), [np.inf], [-np.inf]))
