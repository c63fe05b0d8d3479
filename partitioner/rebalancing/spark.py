"""Rebalance on Spark: costs and targets in ``mapInArrow``, rows to their partition by ``repartitionById``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.engines.spark_imports import TaskContext
from partitioner.errors import DataError
from partitioner.rebalancing.cost import RowCost
from partitioner.rebalancing.keys import Routes, buckets_for, routes
from partitioner.rebalancing.rows import HEAVY, Stretches, candidates, stretches

TARGET, HASH = "__partition", "__hash"


def rebalance(frame: Any, cost: RowCost, by: Sequence[str], partitions: int | None) -> Any:
    """See ``partitioner.rebalance``."""
    if not hasattr(frame, "_jdf"):
        raise DataError("rebalance needs a classic Spark DataFrame; Spark Connect gives no access to partitions.")
    from pyspark.sql import functions as f
    from pyspark.sql.types import IntegerType, StructType

    count = partitions or frame.rdd.getNumPartitions()
    if by:
        keyed = frame.withColumn(HASH, f.xxhash64(*by))
        route: Any = partial(_to_routes, cost_routes(keyed, cost, count))
    else:
        keyed = _settled(frame)
        route = partial(_to_stretches, cost, cost_stretches(keyed, cost, count))
    schema = StructType([*frame.schema.fields]).add(TARGET, IntegerType(), False)
    return keyed.mapInArrow(route, schema).repartitionById(count, f.col(TARGET)).drop(TARGET)


def _settled(frame: Any) -> Any:
    """The frame, kept where computing it again would cut its partitions elsewhere: Spark samples for a range anew."""
    level = frame.storageLevel
    ranged = "rangepartitioning(" in frame._jdf.queryExecution().executedPlan().toString()
    if not ranged or level.useMemory or level.useDisk:
        return frame
    print("rebalance keeps the sorted or range-partitioned frame it was given (unpersist() it later)", file=sys.stderr)
    return frame.persist()


def cost_routes(keyed: Any, cost: RowCost, partitions: int) -> Routes:
    """Costs by hash of the key, summed by Spark; only heavy keys and buckets come to the driver."""
    from pyspark.sql import functions as f

    costs = keyed.mapInArrow(partial(_key_costs, cost), f"{HASH} long, cost double")
    sums = costs.groupBy(HASH).agg(f.sum("cost").alias("cost")).persist()
    try:
        total = sums.agg(f.sum("cost")).first()[0] or 0.0
        limit, buckets = total / (HEAVY * partitions), buckets_for(partitions)
        heavy = sums.where(f.col("cost") > limit).toArrow()
        # The hash as an unsigned number, taken modulo buckets without leaving signed arithmetic.
        bucket = f.pmod(
            f.pmod(f.col(HASH), f.lit(buckets)) + f.lit(2**64 % buckets) * (f.col(HASH) < 0).cast("long"), buckets
        )
        light = sums.where(f.col("cost") <= limit).groupBy(bucket.alias("b")).agg(f.sum("cost").alias("cost")).toArrow()
    finally:
        sums.unpersist()
    filled = np.zeros(buckets)
    filled[light["b"].to_numpy()] = light["cost"].to_numpy()
    return routes(heavy[HASH].to_numpy().view(np.uint64), heavy["cost"].to_numpy(), filled, partitions)


def cost_stretches(frame: Any, cost: RowCost, partitions: int) -> Stretches:
    """One line per input partition with its cost, one per row that may be heavy."""
    looked = frame.mapInArrow(
        partial(_partition_costs, cost, partitions), "part int, whole boolean, cost double"
    ).toArrow()
    part, costs = looked["part"].to_numpy().astype(np.int64), looked["cost"].to_numpy()
    whole = looked["whole"].to_numpy()
    sums = np.zeros(int(part.max(initial=-1)) + 1)
    sums[part[whole]] = costs[whole]
    return stretches(sums, part[~whole], costs[~whole], partitions)


def _key_costs(cost: RowCost, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        table = pa.table({HASH: batch.column(HASH), "cost": cost(batch)})
        summed = table.group_by(HASH).aggregate([("cost", "sum")])
        yield from pa.table({HASH: summed[HASH], "cost": summed["cost_sum"]}).to_batches()


def _partition_costs(cost: RowCost, partitions: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    found = [cost(batch) for batch in batches]
    costs = np.concatenate(found) if found else np.zeros(0)
    values = np.append(candidates(costs, partitions), costs.sum())
    part = pa.array(np.full(len(values), _partition()), pa.int32())
    whole = pa.array(np.arange(len(values)) == len(values) - 1)
    yield pa.RecordBatch.from_arrays([part, whole, pa.array(values)], ["part", "whole", "cost"])


def _to_stretches(cost: RowCost, where: Stretches, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    router = where.router(_partition())
    for batch in batches:
        yield batch.append_column(TARGET, pa.array(router.targets(cost(batch)), pa.int32()))


def _to_routes(where: Routes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        hashes = batch.column(HASH).to_numpy().view(np.uint64)
        kept = batch.select([name for name in batch.schema.names if name != HASH])
        yield kept.append_column(TARGET, pa.array(where.targets(hashes), pa.int32()))


def _partition() -> int:
    context = TaskContext.get()
    return context.partitionId() if context is not None else 0
