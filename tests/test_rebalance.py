"""Partitions of equal cost: the laws of the targets, and frames of both engines before and after."""

from __future__ import annotations

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import partitioner as pt
from partitioner.errors import ConfigError, CostError, DataError
from partitioner.rebalancing.cost import RowCost
from partitioner.rebalancing.keys import routes
from partitioner.rebalancing.rows import Stretches, candidates, level, stretches

COSTS = st.lists(
    st.lists(st.floats(0, 1e6).map(lambda x: round(x, 3)), max_size=60).map(np.array), min_size=1, max_size=6
)


def stretches_of(parts: list[np.ndarray], partitions: int) -> Stretches:
    found = [candidates(costs, partitions) for costs in parts]
    where = np.repeat(np.arange(len(parts)), [len(f) for f in found])
    return stretches(np.array([p.sum() for p in parts]), where, np.concatenate(found), partitions)


@given(COSTS, st.integers(1, 7))
@settings(deadline=None, max_examples=150)
def test_the_largest_partition_is_level_up_to_one_light_row_and_the_rule_of_longest_first(parts, partitions) -> None:
    parts = [np.asarray(p, np.float64) for p in parts]
    where = stretches_of(parts, partitions)
    loads = np.zeros(partitions)
    for i, costs in enumerate(parts):
        np.add.at(loads, where.router(i).targets(costs), costs)
    every = np.concatenate(parts)
    even, first = every.sum() / partitions, np.append(np.sort(every)[::-1], np.zeros(partitions + 1))
    bound = max(even, first[0], first[partitions - 1] + first[partitions])  # two of so many share a partition
    assert loads.sum() == pytest.approx(every.sum())
    assert loads.max() <= (1.5 * bound if first[0] > even / 50 else even) + even / 50 + 1e-6


def test_targets_of_a_partition_read_in_pieces_are_those_of_the_whole() -> None:
    costs = np.arange(40.0)
    where = stretches_of([costs], 3)
    router = where.router(0)
    pieces = [router.targets(costs[:7]), router.targets(costs[7:])]
    assert np.concatenate(pieces).tolist() == where.router(0).targets(costs).tolist()


def test_rows_in_another_order_are_balanced_as_well() -> None:
    parts = [np.array([900.0, 1.0, 2.0, 800.0, 900.0]), np.arange(50.0)]
    where = stretches_of(parts, 4)
    loads = np.zeros(4)
    for i, costs in enumerate(parts):
        np.add.at(loads, where.router(i).targets(costs[::-1]), costs[::-1])
    assert sorted(loads.tolist()) == [948.0, 960.0, 960.0, 960.0]


@pytest.mark.parametrize(
    ("loads", "light", "height"), [([0, 0], 6, 3.0), ([10, 0, 2], 4, 3.0), ([5, 5], 0, 5.0), ([9, 1, 1], 20, 31 / 3)]
)
def test_light_cost_fills_up_to_a_level(loads, light, height) -> None:
    assert level(np.array(loads, np.float64), light) == pytest.approx(height)


def test_a_heavy_key_is_alone_and_the_others_share_the_rest() -> None:
    heavy = np.array([2**63 + 5, 7], np.uint64)
    where = routes(heavy, np.array([50.0, 20.0]), np.full(8, 5.0), 3)
    assert where.targets(np.array([2**63 + 5, 7], np.uint64)).tolist() == [0, 1]
    assert 0 not in where.targets(np.arange(8, 16).astype(np.uint64))


def test_rows_named_as_a_column_are_that_column() -> None:
    batch = pa.record_batch({"rows": [3.0, 4.0]})
    assert RowCost.of("rows", ["rows"])(batch).tolist() == [3.0, 4.0]
    assert RowCost.of("rows", ["x"])(batch).tolist() == [1.0, 1.0]


def test_cost_by_formula_and_by_function() -> None:
    batch = pa.record_batch({"text": ["a", "bcd", None]})
    assert RowCost.of("2 * len(text)", ["text"])(batch).tolist() == [2.0, 6.0, 0.0]
    assert RowCost.of(lambda df: df["text"].fillna("").str.len(), ["text"])(batch).tolist() == [1.0, 3.0, 0.0]


def test_bad_costs_are_named() -> None:
    with pytest.raises(CostError, match=r"a row costs -1.0.*'x': 3"):
        RowCost.of("2 - x", ["x"])(pa.record_batch({"x": [1, 3]}))
    with pytest.raises(CostError, match="shape"):
        RowCost.of(lambda df: [1.0], ["x"])(pa.record_batch({"x": [1, 3]}))


def test_bad_arguments_are_refused() -> None:
    frame = dd.from_pandas(pd.DataFrame({"size": [1, 2]}), npartitions=1)
    with pytest.raises(DataError, match="takes a Spark or Dask DataFrame"):
        pt.rebalance(pd.DataFrame({"x": [1]}))
    with pytest.raises(ConfigError, match="Did you mean 'size'"):
        pt.rebalance(frame, cost="sise * 2")
    with pytest.raises(ConfigError, match="Did you mean 'size'"):
        pt.rebalance(frame, by="sice")
    with pytest.raises(ConfigError, match="partitions is 0"):
        pt.rebalance(frame, partitions=0)
    with pytest.raises(ConfigError, match="aggregates"):
        pt.rebalance(frame, cost="max(size)")


PANDAS_3 = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas")


def skewed() -> pd.DataFrame:
    """4,000 rows: key 0 has half of them; costs from 1 to 1,000, the dear ones all at the end."""
    n = 4000
    key = np.where(np.arange(n) % 2 == 0, 0, np.arange(n) % 97 + 1)
    return pd.DataFrame({"id": np.arange(n), "key": key, "cost": np.geomspace(1, 1000, n).round(2)})


def dask_frame() -> dd.DataFrame:
    return dd.from_pandas(skewed(), npartitions=8)


def spark_frame(spark):
    rows = skewed()
    frame = spark.createDataFrame(pa.Table.from_pandas(rows, preserve_index=False))
    return frame.repartitionByRange(8, "id")


def dask_loads(frame: dd.DataFrame, column: str = "cost") -> list[float]:
    return frame.map_partitions(lambda p: pd.Series([float(p[column].sum())]), meta=(None, float)).compute().tolist()


def spark_loads(frame) -> list[float]:
    def total(batches):
        yield pa.record_batch({"load": [float(sum(b.column("cost").to_numpy().sum() for b in batches))]})

    return frame.mapInArrow(total, "load double").toArrow()["load"].to_pylist()


def skew(loads: list[float]) -> float:
    return max(loads) / (sum(loads) / len(loads))


def test_dask_partitions_have_equal_cost_and_the_same_rows() -> None:
    frame = dask_frame()
    balanced = pt.rebalance(frame, cost="cost", partitions=5)
    assert skew(dask_loads(frame)) > 4
    assert skew(dask_loads(balanced)) < 1.02
    assert balanced.npartitions == 5
    found = balanced.compute().sort_values("id").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, skewed())


def test_dask_keeps_keys_together_and_balances_the_others() -> None:
    balanced = pt.rebalance(dask_frame(), by="key", partitions=4)
    keys = balanced.map_partitions(lambda p: pd.Series([set(p["key"])]), meta=(None, object)).compute().tolist()
    assert sum(len(k) for k in keys) == len(set().union(*keys)) == 98
    sizes = sorted(balanced.map_partitions(len).compute().tolist())
    assert sizes[-1] == 2000
    assert sizes[2] <= 1.1 * (2000 / 3)


def test_dask_keeps_a_named_index() -> None:
    frame = dd.from_pandas(skewed().set_index("id"), npartitions=3)
    balanced = pt.rebalance(frame, cost="cost").compute()
    pd.testing.assert_frame_equal(balanced.sort_index(), skewed().set_index("id"))


@pytest.mark.spark
@PANDAS_3
def test_spark_partitions_have_equal_cost_and_the_same_rows(spark) -> None:
    frame = spark_frame(spark)
    balanced = pt.rebalance(frame, cost="cost", partitions=5)
    assert skew(spark_loads(frame)) > 4
    loads = spark_loads(balanced)
    assert (len(loads), skew(loads) < 1.02) == (5, True)
    assert balanced.columns == ["id", "key", "cost"]
    pd.testing.assert_frame_equal(balanced.orderBy("id").toArrow().to_pandas(), skewed())


@pytest.mark.spark
@PANDAS_3
def test_spark_keeps_keys_together_and_balances_the_others(spark) -> None:
    balanced = pt.rebalance(spark_frame(spark), by="key", partitions=4)

    def keys(batches):
        found = [k for b in batches for k in b.column("key").to_pylist()]
        yield pa.record_batch({"rows": [len(found)], "keys": [len(set(found))]})

    found = balanced.mapInArrow(keys, "rows long, keys long").toArrow().to_pandas()
    assert found["keys"].sum() == 98
    sizes = sorted(found["rows"])
    assert sizes[-1] == 2000
    assert sizes[2] <= 1.1 * (2000 / 3)
