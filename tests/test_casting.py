"""Rows in the columns of a schema, as tables and as batches."""

import pickle

import pyarrow as pa
import pytest

from partitioner.casting import Misfit, cast_into

WANTED = pa.schema([("b", pa.float64()), ("c", pa.string())])


@pytest.mark.parametrize("kind", [pa.table, pa.record_batch])
def test_columns_come_in_order_cast_and_null_where_they_lack(kind: type) -> None:
    held = cast_into(kind({"a": [1, 2], "b": [3, 4]}), WANTED)
    assert type(held) is type(kind({"a": [1]}))
    assert held.schema == WANTED
    assert held.to_pydict() == {"b": [3.0, 4.0], "c": [None, None]}


def test_rows_without_columns_are_as_many() -> None:
    assert cast_into(pa.record_batch({"a": [1, 2]}), pa.schema([])).num_rows == 2


def test_a_value_that_does_not_fit_is_told_by_its_column_also_from_another_process() -> None:
    with pytest.raises(Misfit) as caught:
        cast_into(pa.table({"b": [2**53 + 1]}), WANTED)
    there = pickle.loads(pickle.dumps(caught.value))
    assert str(there) == str(caught.value)
    assert str(there).startswith("column 'b' is int64 and does not fit exactly into double: Integer value")
    assert (there.column, there.own, there.wanted) == ("b", pa.int64(), pa.float64())
