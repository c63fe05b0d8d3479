import datetime as dt
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from connectors.memory import MemorySource
from connectors.parquet import ParquetSource
from partitioner.errors import ConfigError, DataError


class Point(NamedTuple):
    a: int
    s: str


@dataclass
class Reading:
    a: int
    s: str


DAY = dt.date(2026, 11, 21)
NOON = dt.datetime(2026, 11, 22, 12)
AWARE = NOON.replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (pd.DataFrame({"a": [1, 2], "s": ["x", None]}), [{"a": 1, "s": "x"}, {"a": 2, "s": None}]),
        (pd.DataFrame({"a": [1]}, index=pd.Index(["i"], name="key")), [{"a": 1, "key": "i"}]),
        (pd.DataFrame({"a": [1, 2], "key": [0, 1]}).set_index("key"), [{"a": 1, "key": 0}, {"a": 2, "key": 1}]),
        ([pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2.5]})], [{"a": 1.0}, {"a": 2.5}]),
        (pa.table({"a": [1, 2, 3]}).to_batches(max_chunksize=2), [{"a": 1}, {"a": 2}, {"a": 3}]),
        (pa.table({"a": [1, 2]}), [{"a": 1}, {"a": 2}]),
        (pa.record_batch({"a": [1]}), [{"a": 1}]),
        (np.array([1.5, 2.5]), [{"value": 1.5}, {"value": 2.5}]),
        (np.array([[1, 2], [3, 4]]), [{"features": [1, 2]}, {"features": [3, 4]}]),
        (np.array([1, 2], ">i4"), [{"value": 1}, {"value": 2}]),
        (np.array(["2026-11"], "datetime64[M]"), [{"value": dt.date(2026, 11, 1)}]),
        (np.array([[1, 2]], "timedelta64[D]"), [{"features": [dt.timedelta(1), dt.timedelta(2)]}]),
        (np.ma.masked_array([1, 2], [False, True]), [{"value": 1}, {"value": None}]),
        (np.ma.masked_array([[1, 2], [3, 4]], [[0, 1], [0, 0]]), [{"features": [1, None]}, {"features": [3, 4]}]),
        (np.ones((1, 2, 2), np.float32), [{"features": [1.0, 1.0, 1.0, 1.0]}]),
        (np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]), [{"a": 1, "b": 2.5}]),
        ({"a": [1, 2], "m": np.eye(2)}, [{"a": 1, "m": [1.0, 0.0]}, {"a": 2, "m": [0.0, 1.0]}]),
        ([{"a": 1}, {"b": "x"}], [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        ([{"t": "x"}, {"t": float("nan")}], [{"t": "x"}, {"t": None}]),
        ([{"t": AWARE, "n": pd.NA}, {"t": pd.NaT, "n": 1}], [{"t": AWARE, "n": None}, {"t": None, "n": 1}]),
        ([DAY, NOON, None], [{"value": dt.datetime(2026, 11, 21)}, {"value": NOON}, {"value": None}]),
        ([{"d": np.datetime64("2026-11-21")}, {"d": None}], [{"d": DAY}, {"d": None}]),
        ([np.eye(2), np.ones((1, 2))], [{"value": [[1.0, 0.0], [0.0, 1.0]]}, {"value": [[1.0, 1.0]]}]),
        (pd.DataFrame({"s": pd.arrays.SparseArray([0, 0, 1])}), [{"s": 0}, {"s": 0}, {"s": 1}]),
        ([Point(1, "x"), Point(2, "y")], [{"a": 1, "s": "x"}, {"a": 2, "s": "y"}]),
        ([Reading(1, "x")], [{"a": 1, "s": "x"}]),
        ([(1, 2), (3, 4)], [{"value": [1, 2]}, {"value": [3, 4]}]),
    ],
    ids=[
        "pandas",
        "pandas index",
        "pandas range as index",
        "list of pandas",
        "list of batches",
        "table",
        "batch",
        "vector",
        "matrix",
        "numbers of the other byte order",
        "months",
        "days that pass",
        "masked vector",
        "masked matrix",
        "tensor",
        "structured",
        "mapping",
        "records",
        "records with NaN for a missing text",
        "records with what pandas has for none",
        "dates and times",
        "days of numpy",
        "matrices",
        "sparse pandas",
        "named tuples",
        "dataclasses",
        "pairs",
    ],
)
def test_what_people_hold_becomes_rows(data, expected):
    assert MemorySource(data).table.to_pylist() == expected


def test_a_bundled_set():
    dataset = MemorySource("sklearn://digits").describe()
    assert dataset.schema == pa.schema({"features": pa.list_(pa.float64(), 64), "target": pa.int64()})
    assert dataset.rows == 1797


def test_a_bundled_set_in_columns():
    table = MemorySource("sklearn://iris", layout="columns").table
    assert table.column_names == [
        "sepal length (cm)",
        "sepal width (cm)",
        "petal length (cm)",
        "petal width (cm)",
        "target",
    ]


def test_a_bunch_of_frames():
    from sklearn.datasets import load_wine

    table = MemorySource(load_wine(as_frame=True)).table
    assert (table.num_rows, table.num_columns, table.column_names[-1]) == (178, 14, "target")


def test_an_unknown_bundled_set_lists_those_there_are():
    with pytest.raises(DataError, match=r"'sklearn://digit' is no bundled set.*Did you mean 'digits'"):
        MemorySource("sklearn://digit")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": [1], "b": [1, 2]}, r"columns differ in length: \{'a': 1, 'b': 2\}"),
        (pd.DataFrame({0: [1]}), "column 0 is not named by a string"),
        (object(), r"The data given \(object\) has no table form"),
        (pa.table([[1], [2]], names=["a", "a"]), "more than one column named 'a'"),
        ({"a": [1, "x"]}, "has no table form"),
        ([{"a": 2**70}], "has no table form: column 'a': Python int too large"),
        ({"r1": {"a": 1}}, "its column 'r1' is a dict, which has no order of rows"),
        ({"a": [1, 2], "b": 5}, "its column 'b' is one int; give a value for each row"),
        (pd.DataFrame(index=range(3)), "it has 3 rows and no column; use frame.reset_index"),
        ([DAY, AWARE], "some of its times have a zone and others, or dates, have none"),
        ([AWARE, NOON], "some of its times have a zone"),
        (
            [pa.table({"a": [1]}), pa.table({"b": [1]})],
            "entry 0 has the columns a, and entry 1 has b; make them the same",
        ),
        ([(1, "x"), (2, "y")], r"tuples of values of several types, without names\. Give dicts, named tuples"),
    ],
)
def test_what_has_no_table_form_is_refused(data, message):
    with pytest.raises(DataError, match=message):
        MemorySource(data)


def test_an_unknown_layout_is_refused():
    with pytest.raises(ConfigError, match=r"layout 'column' is not one of vector, columns\. Did you mean 'columns'\?"):
        MemorySource([{"a": 1}], layout="column")


def test_fragments_are_row_ranges():
    fragments = MemorySource(np.arange(130)).describe().fragments
    assert (fragments.start[:3].tolist(), fragments.stop[-1], len(fragments)) == ([0, 3, 6], 130, 44)
    assert int(fragments.bytes.sum()) == 130 * 8


def test_many_rows_make_more_fragments_not_larger_ones():
    fragments = MemorySource(np.zeros(10_000_000, np.int8)).describe().fragments
    assert (len(fragments), fragments.rows.max()) == (153, 65_536)


def test_no_rows_are_an_empty_dataset(tmp_path):
    source = MemorySource(pa.table({"a": pa.array([], pa.int64())}))
    assert (len(source.describe().fragments), source.describe().rows) == (0, 0)
    assert (len(source.materialise(tmp_path).describe().fragments)) == 0


def test_materialised_rows_schema_and_fragments_are_the_same(tmp_path):
    source = MemorySource({"a": np.arange(1000), "m": np.ones((1000, 3), np.float32)})
    stored = source.materialise(tmp_path / "run")
    assert isinstance(stored, ParquetSource)
    before, after = source.describe(), stored.describe()
    assert after.schema == before.schema
    assert after.fragments.rows.tolist() == before.fragments.rows.tolist()


def test_the_same_content_is_stored_once(tmp_path):
    first = MemorySource({"a": [1, 2]}).materialise(tmp_path)
    written = (tmp_path / first.paths[0]).stat().st_mtime_ns
    again = MemorySource(pa.table({"a": pa.chunked_array([[1], [2]])})).materialise(tmp_path)
    other = MemorySource({"a": [1, 3]}).materialise(tmp_path)
    assert again == first
    assert (tmp_path / first.paths[0]).stat().st_mtime_ns == written
    assert other != first


def test_columns_limit_what_is_stored(tmp_path):
    stored = MemorySource({"a": [1], "b": [2]}, columns=["b"]).materialise(tmp_path)
    assert stored.describe().schema.names == ["b"]
