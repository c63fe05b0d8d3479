"""Rows into tables that have types: each value exactly, or a refusal that names the column."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from connectors.table_types import exactly, plain, wanted
from partitioner.errors import DataError

D = Decimal
TAKEN: dict[str, tuple[Any, Any, list[Any]]] = {
    "whole doubles among whole numbers": (pa.int64(), [1.0, 2.0], [1, 2]),
    "whole numbers among doubles": (pa.float64(), [2], [2.0]),
    "small numbers among large ones": (pa.int64(), pa.array([1], pa.int32()), [1]),
    "large types of small numbers": (pa.int16(), [7], [7]),
    "doubles that floats hold": (pa.float32(), [0.5, float("inf")], [0.5, float("inf")]),
    "whole numbers among decimals": (pa.decimal128(5, 2), [3], [D("3.00")]),
    "fewer digits": (pa.decimal128(5, 2), [D("1.5")], [D("1.50")]),
    "days among times": (pa.timestamp("us"), [datetime.date(2026, 1, 1)], [datetime.datetime(2026, 1, 1)]),
    "nulls": (pa.string(), pa.nulls(1), [None]),
    "categories": (pa.string(), pa.array(["a"]).dictionary_encode(), ["a"]),
    "text among categories": (pa.dictionary(pa.int32(), pa.string()), ["a"], ["a"]),
}


def through(kind: pa.DataType, values: Any) -> list[Any]:
    rows = pa.table({"x": values})
    types = wanted("table t", pa.schema([("x", kind)]), plain(rows.schema))
    return [v for part in exactly("table t", iter([rows]), types) for v in part["x"].to_pylist()]


@pytest.mark.parametrize("case", TAKEN)
def test_what_fits_exactly_takes_the_type_of_the_table(case: str) -> None:
    kind, values, expected = TAKEN[case]
    assert through(kind, values) == expected


REFUSED: dict[str, tuple[Any, Any]] = {
    "a fraction among whole numbers": (pa.int64(), [1.5]),
    "a number beyond the type": (pa.int16(), [70_000]),
    "more digits than a double has": (pa.float64(), [2**53 + 1]),
    "more digits than a float has": (pa.float32(), [0.1]),
    "digits among text": (pa.string(), [5]),
    "text among whole numbers": (pa.int64(), ["012"]),
    "doubles among decimals": (pa.decimal128(5, 1), [1.26]),
    "more digits than a decimal has": (pa.decimal128(5, 1), [D("1.26")]),
    "times among days": (pa.date32(), [datetime.datetime(2026, 1, 1, 5)]),
    "another clock": (pa.timestamp("us"), pa.array([0], pa.timestamp("us", "UTC"))),
    "numbers among times": (pa.timestamp("us"), [5]),
    "numbers among truths": (pa.bool_(), [2]),
    "bytes among text": (pa.string(), [b"x"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_change_is_refused_with_its_column(case: str) -> None:
    kind, values = REFUSED[case]
    with pytest.raises(DataError, match=r"^table t does not take the rows: its column 'x' is ") as refused:
        through(kind, values)
    assert "\n" not in str(refused.value)


def test_types_that_tables_lack_become_ones_that_hold_them() -> None:
    kinds = [pa.uint32(), pa.uint64(), pa.float16(), pa.timestamp("ns", "Europe/Berlin"), pa.string_view(), pa.uuid()]
    found = plain(pa.schema([(str(i), kind) for i, kind in enumerate([*kinds, pa.null()])]), uuid=False, null=True)
    expected = [pa.int64(), pa.int64(), pa.float32(), pa.timestamp("us", "UTC"), pa.large_string(), pa.binary(16)]
    assert found.types == [*expected, pa.string()]


@pytest.mark.parametrize("values", [pa.array([2**64 - 1], pa.uint64()), pa.array([1], pa.timestamp("ns"))], ids=str)
def test_a_value_that_these_do_not_hold_is_refused(values: pa.Array) -> None:
    rows = pa.table({"x": values})
    with pytest.raises(DataError, match="does not fit exactly"):
        list(exactly("table t", iter([rows]), plain(rows.schema)))


def test_structs_keep_fields_that_the_table_has_not() -> None:
    rows = pa.table({"x": [{"a": 1, "b": 2}]})
    types = wanted("table t", pa.schema([("x", pa.struct([("a", pa.int64())]))]), rows.schema)
    assert [v for part in exactly("table t", iter([rows]), types) for v in part["x"].to_pylist()] == [{"a": 1, "b": 2}]
