from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.errors import ConfigError, ProgramError
from partitioner.reducers.by_key import ByKey
from tests.merge_programs import Texts
from tests.reducers.reducing import reduced


def test_each_key_has_a_row_of_its_own_result():
    table = reduced(ByKey("k", "mean"), pa.table({"k": ["b", "a"], "x": [1, 2]}), pa.table({"k": ["b"], "x": [5]}))
    assert table.to_pydict() == {"k": ["a", "b"], "x": [2.0, 3.0]}


@pytest.mark.parametrize("inner", ["mean", {"reducer": "quantiles", "at": 0.5}])
def test_keys_may_be_unsigned_beyond_63_bits_or_views_of_text(inner):
    large = pa.array([2**63 + 5, 1, 2**63 + 5], pa.uint64())
    found = reduced(ByKey("k", inner), pa.table({"k": large, "x": [1.0, 2.0, 1.0]}))
    assert found["k"].to_pylist() == [1, 2**63 + 5]
    texts = pa.table({"k": pa.array(["b", "a", "b"]).cast(pa.string_view()), "x": [1.0, 2.0, 1.0]})
    assert reduced(ByKey("k", inner), texts, texts)["k"].to_pylist() == ["a", "b"]


def test_a_result_that_is_a_number_is_named_after_the_reducer():
    assert reduced(ByKey("k", "count"), pa.table({"k": [1, 1, 2]})).to_pydict() == {"k": [1, 2], "count": [2, 1]}


class Nameless:
    """A reducer of a user's that declares no name."""

    def create_accumulator(self):
        return 0

    def add_input(self, accumulator, value):
        return accumulator + len(value["x"])

    def merge_accumulators(self, left, right):
        return left + right

    def extract_output(self, accumulator):
        return accumulator


def test_a_result_of_a_reducer_without_a_name_is_named_after_its_class():
    reducer = ByKey("k", Nameless)
    table = reducer.extract_output(
        reducer.add_input(reducer.create_accumulator(), {"k": ["a", "b", "a"], "x": [1, 2, 3]})
    )
    assert table.to_pydict() == {"k": ["a", "b"], "Nameless": [2, 1]}


def test_options_of_the_inner_reducer_are_given_with_it():
    reducer = ByKey("k", {"reducer": "variance", "ddof": 0, "columns": ["x"]})
    assert reduced(reducer, {"k": [1, 1], "x": [1, 3], "note": ["p", "q"]}).to_pydict() == {"k": [1], "x": [1.0]}


def test_null_and_nan_are_one_key_and_come_last():
    frame = pd.DataFrame({"k": [np.nan, 1.0], "x": [1, 2]})
    table = reduced(ByKey("k", "count"), frame, pa.table({"k": [float("nan"), None], "x": [1, 2]}))
    assert table.to_pydict() == {"k": [1.0, None], "count": [1, 3]}


class Listing(Texts):
    mergeable = False


def test_the_algebra_is_that_of_the_inner_reducer():
    assert (ByKey("k", "count").commutative, ByKey("k", Listing()).commutative) == (True, False)
    assert (ByKey("k", "count").mergeable, ByKey("k", Listing()).mergeable) == (True, False)


def test_of_nothing_is_an_empty_table():
    assert reduced(ByKey("k")).num_rows == 0


def test_an_output_without_the_key_names_the_nearest():
    with pytest.raises(ProgramError, match=r"no column 'user' to reduce by; it has users, x\. Did you mean 'users'"):
        reduced(ByKey("user"), {"users": [1], "x": [2]})


def test_what_is_no_table_is_refused():
    with pytest.raises(ProgramError, match="returned list; by_key needs a table"):
        reduced(ByKey("k"), [1, 2])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.floats(-1e3, 1e3)), min_size=1, max_size=12), min_size=1, max_size=6
    )
)
def test_means_are_those_of_pandas(parts):
    frames = [pd.DataFrame(part, columns=["k", "x"]) for part in parts]
    expected = pd.concat(frames).groupby("k")["x"].mean()
    found = reduced(ByKey("k", "mean"), *frames)
    assert found["k"].to_pylist() == expected.index.tolist()
    np.testing.assert_allclose(found["x"].to_numpy(), expected, rtol=1e-9, atol=1e-9)


def test_several_statistics_of_every_key_at_once():
    inner = {
        "reducer": "several",
        "of": {"rows": "count", "mean": "mean", "var": "variance", "low": "min", "high": "max"},
    }
    table = reduced(ByKey("k", inner), {"k": [1, 1, 2], "x": [1.0, 3.0, 5.0]}, {"k": [2, 1], "x": [6.0, 2.0]})
    assert table.to_pydict() == {
        "k": [1, 2],
        "rows": [3, 2],
        "mean_x": [2.0, 5.5],
        "var_x": [1.0, 0.5],
        "low_x": [1.0, 5.0],
        "high_x": [3.0, 6.0],
    }


@pytest.mark.parametrize("parts", [1, 7])
def test_many_keys_agree_with_pandas(parts):
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(
        {"k": rng.integers(0, 500, 20_000), "x": 1e6 + rng.normal(size=20_000), "y": rng.random(20_000)}
    )
    frame.loc[rng.random(20_000) < 0.1, "y"] = None
    inner = {"reducer": "several", "of": {"m": "mean", "v": "variance", "s": "sum"}}
    found = reduced(ByKey("k", inner), *(frame[i::parts] for i in range(parts))).to_pandas().set_index("k")
    expected = frame.groupby("k").agg(["mean", "var", "sum"])
    for column in "xy":
        for ours, theirs in (("m", "mean"), ("v", "var"), ("s", "sum")):
            np.testing.assert_allclose(found[f"{ours}_{column}"], expected[column][theirs], rtol=1e-9)


def test_keys_of_text_with_nulls_keep_their_order():
    tables = [pa.table({"k": ["b", None], "x": [1.0, 2.0]}), pa.table({"k": ["a", None], "x": [3.0, 4.0]})]
    assert reduced(ByKey("k", "sum"), *tables).to_pydict() == {"k": ["a", "b", None], "x": [3.0, 1.0, 6.0]}


def test_a_mean_of_a_key_is_not_lost_beside_a_large_number():
    # In doubles 1e16 + 1 is 1e16: what is lost of the sum is kept beside it.
    parts = [pa.table({"k": [0], "x": [v]}) for v in (1e16, 1.0, 1.0, -1e16)]
    assert reduced(ByKey("k", "sum"), *parts).to_pydict() == {"k": [0], "x": [2.0]}


@pytest.mark.parametrize("inner", ["concat", "by_key"])
def test_what_cannot_be_inside_is_refused_before_anything_runs(inner):
    with pytest.raises(ConfigError, match=f"by_key cannot hold '{inner}'"):
        ByKey("k", inner)


@pytest.mark.parametrize("inner", ["mean", "quantiles"])
def test_keys_of_two_types_are_refused(inner):
    tables = [pa.table({"k": [1], "x": [1.0]}), pa.table({"k": ["a"], "x": [1.0]})]
    with pytest.raises(ProgramError, match=r"int.* str.*return one type"):
        reduced(ByKey("k", inner), *tables)


def test_lists_are_no_keys():
    with pytest.raises(ProgramError, match="is list<item: int64>; keys are numbers, text"):
        reduced(ByKey("k"), pa.table({"k": [[1]], "x": [1.0]}))


@pytest.mark.parametrize("inner", ["count", {"reducer": "several", "of": {"count": "count"}}])
def test_a_result_does_not_take_the_place_of_its_key(inner):
    with pytest.raises(ProgramError, match="A result of by_key is called 'count', as its key is"):
        reduced(ByKey("count", inner), pa.table({"count": [7, 7]}))


def test_a_data_frame_of_two_types_in_a_column_is_refused():
    with pytest.raises(ProgramError, match="a column of several types"):
        reduced(ByKey("k"), pd.DataFrame({"k": [1, "a"], "x": [1.0, 2.0]}))


@pytest.mark.parametrize("cuts", [[0, 6], [0, 1, 2, 3, 4, 5, 6]])
def test_an_infinity_makes_of_its_key_what_it_makes_of_the_whole(cuts):
    inf = float("inf")
    table = pa.table({"k": [1, 1, 2, 2, 3, 3], "x": [inf, 1.0, inf, -inf, 1.0, 3.0]})
    parts = [table.slice(a, b - a) for a, b in pairwise(cuts)]
    of = {"s": "sum", "m": "mean", "v": "variance"}
    found = reduced(ByKey("k", {"reducer": "several", "of": of}), *parts).to_pydict()
    np.testing.assert_array_equal(found["s_x"], [inf, np.nan, 4.0])
    np.testing.assert_array_equal(found["m_x"], [inf, np.nan, 2.0])
    np.testing.assert_array_equal(found["v_x"], [np.nan, np.nan, 2.0])


class SumOfX:
    """A user's, written for what the program returns: its x has a sum."""

    def create_accumulator(self):
        return 0.0

    def add_input(self, accumulator, value):
        return accumulator + float(value["x"].sum())

    def merge_accumulators(self, left, right):
        return left + right

    def extract_output(self, accumulator):
        return accumulator


@pytest.mark.parametrize("inner", [SumOfX, {"reducer": "several", "of": {"total": SumOfX, "n": "count"}}])
@pytest.mark.parametrize("kind", [pd.DataFrame, lambda columns: {n: np.array(c) for n, c in columns.items()}])
def test_a_users_reducer_gets_the_rows_of_a_key_as_the_program_returned_them(kind, inner):
    outputs = [kind({"k": ["b", "a", "b"], "x": [1.0, 2.0, 4.0]}), kind({"k": ["a"], "x": [8.0]})]
    found = reduced(ByKey("k", inner), *outputs)
    assert [found["k"].to_pylist(), found.column(1).to_pylist()] == [["a", "b"], [10.0, 5.0]]
    assert found.column_names in (["k", "SumOfX"], ["k", "total", "n"])


def test_a_users_reducer_that_takes_no_tables_is_told_what_it_is_given():
    said = r"'SumOfX' cannot take the rows of one key, .* as a pyarrow\.Table with columns x: AttributeError"
    with pytest.raises(ProgramError, match=said):
        reduced(ByKey("k", SumOfX), pa.table({"k": ["b", "a"], "x": [1.0, 2.0]}))
