"""Rebalance on Dask: costs and targets in ``map_partitions``, rows to their partition by an index of known divisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from partitioner.rebalancing.cost import RowCost
from partitioner.rebalancing.keys import Routes, buckets_for, routes
from partitioner.rebalancing.rows import HEAVY, Stretches, candidates, stretches

TARGET = "__partition"
_KEYS = pd.DataFrame({"hash": np.zeros(0, np.uint64), "cost": np.zeros(0)})
_COSTS = pd.DataFrame({"part": np.zeros(0, np.int64), "whole": np.zeros(0, bool), "cost": np.zeros(0)})


def rebalance(frame: Any, cost: RowCost, by: Sequence[str], partitions: int | None) -> Any:
    """See ``partitioner.rebalance``. A named index is kept, an unnamed one numbered anew in each partition."""
    count = partitions or frame.npartitions
    index = frame.index.name
    rows = frame.reset_index(drop=index is None)
    meta = rows._meta.assign(**{TARGET: np.zeros(0, np.int64)})
    if by:
        marked = rows.map_partitions(_to_routes, list(by), cost_routes(rows, cost, list(by), count), meta=meta)
    else:
        marked = rows.map_partitions(_to_stretches, cost, cost_stretches(rows, cost, count), meta=meta)
    moved = (
        marked.set_index(TARGET, divisions=list(range(count + 1))) if count > 1 else marked.repartition(npartitions=1)
    )
    meta = frame._meta.reset_index(drop=True) if index is None else frame._meta
    return moved.map_partitions(_restored, index, meta=meta)


def cost_routes(rows: Any, cost: RowCost, by: list[str], partitions: int) -> Routes:
    """Costs by hash of the key, summed by Dask; only heavy keys and buckets come to this process."""
    sums = rows.map_partitions(_key_costs, cost, by, meta=_KEYS).groupby("hash")["cost"].sum(split_out=rows.npartitions)
    sums = sums.reset_index().persist()
    limit, buckets = float(sums["cost"].sum().compute()) / (HEAVY * partitions), buckets_for(partitions)
    heavy = sums[sums["cost"] > limit].compute()
    light = sums[sums["cost"] <= limit].map_partitions(_bucket_costs, buckets, meta=_COSTS[["part", "cost"]]).compute()
    filled = np.zeros(buckets)
    np.add.at(filled, light["part"].to_numpy(), light["cost"].to_numpy())
    return routes(heavy["hash"].to_numpy(np.uint64), heavy["cost"].to_numpy(), filled, partitions)


def cost_stretches(rows: Any, cost: RowCost, partitions: int) -> Stretches:
    """One line per input partition with its cost, one per row that may be heavy."""
    looked = rows.map_partitions(_partition_costs, cost, partitions, meta=_COSTS).compute()
    part, whole, costs = (looked[name].to_numpy() for name in ("part", "whole", "cost"))
    sums = np.zeros(rows.npartitions)
    sums[part[whole]] = costs[whole]
    return stretches(sums, part[~whole], costs[~whole], partitions)


def _row_costs(rows: pd.DataFrame, cost: RowCost) -> Any:
    if cost.function is not None or cost.formula is None:
        return cost(pa.Table.from_pandas(rows, preserve_index=False))
    return cost(pa.Table.from_pandas(rows[list(cost.formula.names)], preserve_index=False))


def _hashes(rows: pd.DataFrame, by: list[str]) -> Any:
    return pd.util.hash_pandas_object(rows[by], index=False).to_numpy(np.uint64)


def _key_costs(rows: pd.DataFrame, cost: RowCost, by: list[str]) -> pd.DataFrame:
    keyed = pd.DataFrame({"hash": _hashes(rows, by), "cost": _row_costs(rows, cost)})
    return keyed.groupby("hash").sum().reset_index()


def _bucket_costs(sums: pd.DataFrame, buckets: int) -> pd.DataFrame:
    part = (sums["hash"].to_numpy(np.uint64) % np.uint64(buckets)).astype(np.int64)
    return pd.DataFrame({"part": part, "cost": sums["cost"].to_numpy()})


def _partition_costs(
    rows: pd.DataFrame, cost: RowCost, partitions: int, partition_info: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    costs = _row_costs(rows, cost)
    values = np.append(candidates(costs, partitions), costs.sum())
    whole = np.arange(len(values)) == len(values) - 1
    return pd.DataFrame({"part": _number(partition_info), "whole": whole, "cost": values})


def _to_stretches(
    rows: pd.DataFrame, cost: RowCost, where: Stretches, partition_info: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    return rows.assign(**{TARGET: where.router(_number(partition_info)).targets(_row_costs(rows, cost))})


def _to_routes(rows: pd.DataFrame, by: list[str], where: Routes) -> pd.DataFrame:
    return rows.assign(**{TARGET: where.targets(_hashes(rows, by))})


def _number(partition_info: Mapping[str, Any] | None) -> int:
    return int(partition_info["number"]) if partition_info else 0


def _restored(rows: pd.DataFrame, index: str | None) -> pd.DataFrame:
    kept = rows.reset_index(drop=True).drop(columns=TARGET, errors="ignore")
    return kept if index is None else kept.set_index(index)
