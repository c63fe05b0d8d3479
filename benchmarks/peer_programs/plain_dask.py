"""Plain Dask: ``python -m benchmarks.peer_programs.plain_dask WORKLOAD FOLDER WORKERS THREADS``."""

from __future__ import annotations

import sys
from typing import Any

import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster

from benchmarks.peer_programs.work import FRAME, PARTS, nap, told


def main() -> None:
    """As a user writes it, and tuned: the longest first, or more partitions."""
    workload, folder, workers, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    meta = {"out": "float64"}
    with (
        LocalCluster(n_workers=workers, threads_per_worker=threads, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(abs, range(100), pure=False))
        if workload == "sleeps":
            seconds = pd.read_parquet(folder)["s"].tolist()

            def napped(order: list[float]) -> Any:
                return client.gather(client.map(nap, order, pure=False))

            told("as written", lambda: napped(seconds), "dask")
            told("tuned: longest first", lambda: napped(sorted(seconds, reverse=True)), "dask")
            return
        frame = dd.read_parquet(folder)
        told("as written", lambda: frame.map_partitions(FRAME[workload], meta=meta).compute()["out"], "dask")
        finer = frame.repartition(npartitions=PARTS)
        told(
            f"tuned: repartition({PARTS})",
            lambda: finer.map_partitions(FRAME[workload], meta=meta).compute()["out"],
            "dask",
        )


if __name__ == "__main__":
    main()
