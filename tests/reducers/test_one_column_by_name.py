"""A text names one column; it is not read letter by letter."""

import pyarrow as pa
import pytest

from connectors.csv import CsvSource
from connectors.memory import MemorySource
from partitioner.choices import choose
from partitioner.config import make
from partitioner.errors import ConfigError

TABLE = pa.table({"id": [3.0, 1.0, 2.0], "i": [10.0, 20.0, 30.0], "d": [7.0, 7.0, 7.0]})


@pytest.mark.parametrize("name", ["sum", "mean", "variance", "min", "max", "quantiles", "histogram", "covariance"])
def test_a_reducer_looks_at_the_column_named(name):
    reducer = choose("reducers", {"reducer": name, "columns": "id"})
    found = reducer.extract_output(reducer.add_input(reducer.create_accumulator(), TABLE))
    assert list(found) == ["id"]


def test_rows_of_top_k_keep_the_column_named():
    reducer = choose("reducers", {"reducer": "top_k", "by": "i", "k": 1, "columns": "id"})
    assert reducer.extract_output(reducer.add_input(None, TABLE)).to_pylist() == [{"i": 30.0, "id": 2.0}]


def test_a_connector_reads_the_column_named():
    assert MemorySource(TABLE, columns="id").describe().schema.names == ["id"]


def test_csv_has_one_name_for_its_column_and_one_text_for_null(tmp_path):
    (tmp_path / "a.csv").write_text("1\nNA\n")
    source = CsvSource(str(tmp_path / "a.csv"), header=False, column_names="ab", null_values="NA")
    dataset = source.describe()
    rows = [r for f in dataset.fragments for b in dataset.source.read(f) for r in b.to_pylist()]
    assert rows == [{"ab": 1}, {"ab": None}]


@pytest.mark.parametrize("setting", ["columns", "partition_by", "retry_on"])
def test_a_setting_that_is_a_list_takes_one_name(setting):
    assert getattr(make({"dataset": "x.parquet", "program": "m:f", setting: "OSError"}), setting) == ["OSError"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"reducer": "mean", "columns": 5}, "columns is 5; give the name of a column"),
        ({"reducer": "mean", "columns": []}, "give the name of a column"),
        ({"reducer": "min", "columns": ["a", 3]}, r"columns is \['a', 3\]"),
        ({"reducer": "quantiles", "at": "0.5"}, "at is '0.5'; give shares"),
        ({"reducer": "histogram", "edges": 3}, "edges are 3; give at least two"),
        ({"reducer": "histogram", "edges": "low"}, "edges are 'low'; give numbers"),
    ],
)
def test_what_names_no_column_is_refused(spec, message):
    with pytest.raises(ConfigError, match=message):
        choose("reducers", spec)


def test_one_share_is_a_quantile():
    reducer = choose("reducers", {"reducer": "quantiles", "at": 0.5, "columns": "id"})
    assert reducer.extract_output(reducer.add_input(reducer.create_accumulator(), TABLE)) == {"id": [2.0]}
