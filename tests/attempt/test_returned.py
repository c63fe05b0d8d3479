"""What programs return: every form becomes rows, everything else one sentence."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from partitioner.attempt.returned import to_record_batch, to_record_batches
from partitioner.errors import ProgramError
from tests.test_import import loaded_by


@dataclasses.dataclass
class Answer:
    text: str
    score: float


class Columns(NamedTuple):
    label: list[int]
    score: list[float]


DAY = datetime.date(2026, 11, 21)
TWO = {"a": [1, 2], "b": ["x", "y"]}
ANSWERS = {"text": ["x", "y"], "score": [0.5, 1.0]}

FORMS: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "pandas frame": (pd.DataFrame(TWO), TWO),
    "pandas text after concat": (
        pd.concat([pd.DataFrame({"b": ["x"]}), pd.DataFrame({"b": ["y"]})]),
        {"b": ["x", "y"]},
    ),
    "pandas text after groupby.apply": (
        pd.DataFrame({"g": [1, 2], "b": ["x", "y"]})
        .groupby("g")[["b"]]
        .apply(lambda part: part)
        .reset_index(drop=True),
        {"b": ["x", "y"]},
    ),
    "pandas named index": (pd.DataFrame(TWO).set_index("b"), {"b": ["x", "y"], "a": [1, 2]}),
    "pandas unnamed index": (pd.DataFrame(TWO, index=[7, 9]), TWO),
    "pandas series": (pd.Series([1, 2], name="a"), {"a": [1, 2]}),
    "pandas series of groups": (pd.DataFrame(TWO).groupby("b")["a"].sum(), TWO | {"a": [1, 2]}),
    "pandas text series in chunks": (
        pd.concat([pd.Series(["x"]), pd.Series(["y"])]),
        {"result": ["x", "y"]},
    ),
    "pandas categories": (pd.DataFrame({"c": pd.Categorical(["x", "y"])}), {"c": ["x", "y"]}),
    "pandas columns that are numbers": (pd.DataFrame([[1, 2]]), {"0": [1], "1": [2]}),
    "polars frame": (pl.DataFrame(TWO), TWO),
    "polars lazy frame": (pl.DataFrame(TWO).lazy(), TWO),
    "polars series": (pl.Series("a", [1, 2]), {"a": [1, 2]}),
    "Arrow table in chunks": (pa.concat_tables([pa.table({"a": [1]}), pa.table({"a": [2]})]), {"a": [1, 2]}),
    "Arrow batch": (pa.RecordBatch.from_pydict(TWO), TWO),
    "Arrow reader": (pa.RecordBatchReader.from_batches(*(lambda t: (t.schema, t.to_batches()))(pa.table(TWO))), TWO),
    "Arrow array": (pa.array([1, 2]), {"result": [1, 2]}),
    "Arrow chunked array": (pa.chunked_array([[1], [2]]), {"result": [1, 2]}),
    "numpy, one dimension": (np.array([1, 2]), {"result": [1, 2]}),
    "numpy, two": (np.array([[1, 2], [3, 4]]), {"result": [[1, 2], [3, 4]]}),
    "numpy, three": (np.arange(8).reshape(2, 2, 2), {"result": [[0, 1, 2, 3], [4, 5, 6, 7]]}),
    "numpy structured": (np.array([(1, "x"), (2, "y")], [("a", "i8"), ("b", "U1")]), TWO),
    "numpy masked": (np.ma.array([1, 2], mask=[False, True]), {"result": [1, None]}),
    "numpy masked, two": (np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]]), {"result": [[1, None], [3, 4]]}),
    "numpy objects": (np.array(["x", None], object), {"result": ["x", None]}),
    "dict of columns": ({"a": [1, 2], "b": np.array(["x", "y"])}, TWO),
    "dict with one value for all": ({"a": [1, 2], "model": "m1"}, {"a": [1, 2], "model": ["m1", "m1"]}),
    "dict with one day for all": ({"a": [1, 2], "day": DAY}, {"a": [1, 2], "day": [DAY, DAY]}),
    "dict with one Arrow scalar": ({"a": [1, 2], "b": pa.scalar(5)}, {"a": [1, 2], "b": [5, 5]}),
    "dict of matrices": ({"e": np.ones((2, 2))}, {"e": [[1.0, 1.0], [1.0, 1.0]]}),
    "dict of series and polars": ({"a": pd.Series([1, 2]), "b": pl.Series(["x", "y"])}, TWO),
    "list of dicts": ([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], TWO),
    "list of ragged dicts": ([{"a": 1}, {"b": "y", "a": 2}, None], {"a": [1, 2, None], "b": [None, "y", None]}),
    "list of ragged lists": ([[1], [], [2, 3]], {"result": [[1], [], [2, 3]]}),
    "list of arrays": ([np.array([1, 2]), np.array([3])], {"result": [[1, 2], [3]]}),
    "list of numbers": ([1, 2], {"result": [1, 2]}),
    "list of numpy numbers": ([np.float32(1), np.float32(2)], {"result": [1.0, 2.0]}),
    "list of texts": (["x", None], {"result": ["x", None]}),
    "list of tuples": ([("x", 1), ("y", 2)], {"result_0": ["x", "y"], "result_1": [1, 2]}),
    "list of frames": ([pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})], {"a": [1, 2]}),
    "tuple of frames": ((pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]})), {"a": [1, 2]}),
    "list of dataclasses": ([Answer("x", 0.5), Answer("y", 1.0)], ANSWERS),
    "dataclass of columns": (Answer(["x", "y"], [0.5, 1.0]), ANSWERS),  # type: ignore[arg-type]
    "tuple of columns": ((np.array([1, 2]), ["x", "y"]), {"result_0": [1, 2], "result_1": ["x", "y"]}),
    "tuple of values": ((1, 2), {"result": [1, 2]}),
    "named tuple of columns": (Columns([1, 2], [0.5, 1.0]), {"label": [1, 2], "score": [0.5, 1.0]}),
    "nested": ([{"a": {"b": np.array([1])}}], {"a": [{"b": [1]}]}),
    "range": (range(2), {"result": [0, 1]}),
    "numpy of the other byte order": (np.array([1, 2], ">i4"), {"result": [1, 2]}),
    "list of dates and times": (
        [DAY, datetime.datetime(2026, 11, 21, 5)],
        {"result": [datetime.datetime(2026, 11, 21), datetime.datetime(2026, 11, 21, 5)]},
    ),
    "list of dicts with NaN for a missing text": ([{"a": "x"}, {"a": float("nan")}], {"a": ["x", None]}),
    "sparse pandas frame": (pd.DataFrame({"s": pd.arrays.SparseArray([0, 1])}), {"s": [0, 1]}),
    "sparse pandas series": ({"s": pd.Series(pd.arrays.SparseArray([0.0, 1.0]))}, {"s": [0.0, 1.0]}),
    "pandas index of levels": (pd.MultiIndex.from_tuples([(1, "x"), (2, "y")], names=["a", "b"]), TWO),
    "list of dicts with pandas' nulls": (
        [{"a": 1, "t": pd.NaT}, {"a": pd.NA, "t": pd.NaT}],
        {"a": [1, None], "t": [None] * 2},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_rows(form: str) -> None:
    value, expected = FORMS[form]
    assert to_record_batch(value).to_pydict() == expected


REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": (
        None,
        "the program returned None (is a return statement missing?); for reducer 'concat' return a DataFrame",
    ),
    "one number": (1.5, "returned float; for reducer 'concat' return"),
    "one text": ("x", "returned str; "),
    "one numpy number": (np.float64(1), "returned numpy float64; "),
    "an array of no dimension": (np.array(1), "returned one int64; "),
    "a set": ({1, 2}, "returned set; "),
    "an object": (object(), "returned object; "),
    "columns of two lengths": ({"a": [1], "b": [1, 2]}, r"its columns differ in length: {'a': 1, 'b': 2}"),
    "mixed values": ([1, "x"], "returned a list that has no table form: Could not convert 'x' with type str"),
    "mixed column": (pd.DataFrame({"a": [1, "x"]}, dtype=object), "returned a pandas DataFrame that has no table form"),
    "complex numbers": (np.array([1j]), "complex128 numbers have no column type"),
    "a dict as a column": ({"a": [1, 2], "b": {"x": 1, "y": 2}}, "a column is a dict, which has no order of rows"),
    "a set as a column": ({"a": [1, 2], "b": {1, 2}}, "a column is a set, which has no order of rows"),
    "keys that are one column as text": ({1: [1], "1": [2]}, "two of its keys are the same column as text: 1, '1'."),
    "a frame beside a column": ((pd.DataFrame({"a": [1], "b": [2]}), [1]), "returned a tuple that has no table form"),
    "columns of one name": (pa.table([[1], [2]], ["a", "a"]), "returned more than one column named 'a'"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_everything_else_is_one_sentence(form: str) -> None:
    value, message = REFUSED[form]
    with pytest.raises(ProgramError) as refused:
        to_record_batch(value)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_an_iterator_raises_is_an_error_of_the_program() -> None:
    def parts() -> Iterator[list[int]]:
        yield [1]
        raise ValueError("a bad row")

    with pytest.raises(ValueError, match=r"^a bad row$"):
        to_record_batch(parts())


def test_an_iterator_is_taken_one_by_one() -> None:
    taken = []

    def parts() -> Iterator[dict[str, list[int]]]:
        for i in range(3):
            taken.append(i)
            yield {"a": [i]}

    batches = to_record_batches(parts())
    assert next(batches).to_pydict() == {"a": [0]}
    assert taken == [0]
    assert [b.to_pydict() for b in batches] == [{"a": [1]}, {"a": [2]}]


@pytest.mark.parametrize("value", ["[1, 2]", "['x']", "{'a': [1], 'b': ['x']}", "[{'a': 1}]"])
def test_common_forms_load_no_pandas(value: str) -> None:
    start = "from partitioner.frames import on_demand; on_demand(); import pyarrow as pa\n"
    code = f"from partitioner.attempt.returned import to_record_batch\nto_record_batch({value})"
    assert "pandas" not in loaded_by(start + code)
