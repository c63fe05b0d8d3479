import numpy as np
import pyarrow as pa
import pytest

from partitioner.costs.bytes import Bytes
from partitioner.costs.rows import Rows
from partitioner.errors import ConfigError, CostError
from partitioner.testing.costs import sample_dataset
from partitioner.testing.tables import TableSource


def test_rows_without_a_rate_are_shares_in_rows():
    costs = Rows().estimate(sample_dataset())
    assert costs.seconds.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert costs.unit == "rows"


def test_rows_with_a_rate_are_seconds():
    costs = Rows(seconds_per_row=0.5).estimate(sample_dataset())
    assert costs.seconds.tolist() == [0.5, 1.0, 1.5, 2.0]
    assert costs.unit == "seconds"


def test_bytes_with_a_rate_are_seconds_and_memory_is_a_multiple():
    dataset = sample_dataset()
    costs = Bytes(seconds_per_byte=2.0, memory_per_byte=3.0).estimate(dataset)
    np.testing.assert_array_equal(costs.seconds, 2.0 * dataset.fragments.bytes)
    np.testing.assert_array_equal(costs.memory_bytes, 3.0 * dataset.fragments.bytes)


def test_unknown_rows_are_refused_with_the_remedy():
    dataset = TableSource(pa.table({"n": [1, 2, 3]})).dataset([1, 2], known=False)
    with pytest.raises(CostError, match=r"2 of 2 fragments.*part-0.*cost='bytes'"):
        Rows().estimate(dataset)


def test_unknown_rows_are_counted_when_asked():
    dataset = TableSource(pa.table({"n": [1, 2, 3]})).dataset([1, 2], known=False)
    assert Rows(count=True).estimate(dataset).seconds.tolist() == [1.0, 2.0]


def test_a_negative_rate_is_refused():
    with pytest.raises(ConfigError, match=r"seconds_per_row = -1"):
        Rows(seconds_per_row=-1)


def test_an_empty_dataset_costs_nothing():
    dataset = TableSource(pa.table({"n": pa.array([], pa.int64())})).dataset([])
    assert len(Rows().estimate(dataset)) == 0
    assert len(Bytes().estimate(dataset)) == 0
