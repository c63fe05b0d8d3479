"""Arrow to numpy and back as Arrow itself does it, without loading pandas."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt.formats import column_to_numpy
from partitioner.frames import doubles, to_array, to_numpy, vectors

COLUMNS = [
    pa.array([1, 2, 3]),
    pa.array([1, None, 3], pa.int32()),
    pa.array([1.5, None, float("nan")], pa.float32()),
    pa.array([], pa.int8()),
    pa.array([True, False]),
    pa.array([True, None]),
    pa.array(["a", None, "ä"]),
    pa.array([b"x", b""], pa.large_binary()),
    pa.array([[1, 2], None, []]),
    pa.array([datetime(2026, 1, 2), None]),
    pa.array([date(2026, 1, 2)]),
    pa.array([{"a": 1}]),
    pa.array(["x", "y", "x"]).dictionary_encode(),
    pa.nulls(2),
    pa.array([1, 2, 3, 4]).slice(1, 2),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: str(c.type))
def test_columns_become_what_arrow_makes_of_them(column: pa.Array) -> None:
    expected, result = column.to_numpy(zero_copy_only=False), to_numpy(column)
    assert result.dtype == expected.dtype
    assert repr(result.tolist()) == repr(expected.tolist())


@pytest.mark.parametrize("chunks", [[], [[1, 2]], [[1], [2, 3]]])
def test_chunks_are_joined(chunks: list[list[int]]) -> None:
    column = pa.chunked_array(chunks, pa.int64())
    assert to_numpy(column).tolist() == [v for chunk in chunks for v in chunk]


@pytest.mark.parametrize(
    "values",
    [
        [1, 2],
        [1, None],
        [1.5, float("nan")],
        [1, 2.5],
        ["a", None],
        [b"x"],
        [True, None],
        [],
        [None],
        [[1.0, 2.0], None, []],
        [["a"], [None]],
        [[]],
        [{"a": 1}],
        [np.float32(1.5)],
        [np.int64(3), 4],
        [datetime(2026, 1, 2)],
        [2**62, -1],
    ],
    ids=repr,
)
@pytest.mark.parametrize("nan_is_null", [True, False])
def test_lists_become_what_arrow_infers(values: list[Any], nan_is_null: bool) -> None:
    expected, result = pa.array(values, from_pandas=nan_is_null), to_array(values, nan_is_null)
    assert result.type == expected.type
    assert repr(result.to_pylist()) == repr(expected.to_pylist())


def test_large_integers_become_the_nearest_doubles() -> None:
    assert doubles(pa.array([2**60 + 1, None])).to_pylist() == [float(2**60), None]


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.large_list(pa.float32()), pa.list_(pa.float64(), 2)])
def test_lists_of_equal_length_are_a_matrix(kind: pa.DataType) -> None:
    column = pa.array([[1, 2], [3, 4], [5, 6]], kind)
    assert vectors(column.slice(1)).tolist() == [[3.0, 4.0], [5.0, 6.0]]
    assert vectors(pa.chunked_array([column, column.slice(2)])).tolist() == [[1, 2], [3, 4], [5, 6], [5, 6]]


@pytest.mark.parametrize(
    ("rows", "why"),
    [([[1], [1, 2, 3]], r"different lengths \(1 to 3\)"), ([[1, 2], None], "1 nulls instead of vectors")],
)
def test_what_only_adds_up_to_a_matrix_is_none(rows: list[Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        vectors(pa.array(rows))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(pa.float32(), [[1.0, 2.0], [np.nan, np.nan]]), (pa.int64(), [[1.0, 2.0], [np.nan, np.nan]])],
)
def test_a_null_vector_is_nan_throughout(kind: pa.DataType, expected: list[list[float]]) -> None:
    np.testing.assert_array_equal(column_to_numpy(pa.array([[1, 2], None], pa.list_(kind, 2))), expected)
