"""This library on Dask: ``python -m benchmarks.peer_programs.ours WORKLOAD FOLDER WORKERS THREADS``."""

from __future__ import annotations

import sys
import tempfile
from typing import Any

from distributed import Client, LocalCluster

import partitioner as pt
from benchmarks.peer_programs.work import FRAME, told

TUNED: dict[str, Any] = {
    "sleeps": {"model": "declared", "seconds": "s"},
    "text": "2.5e-6 * len(text)",
    "documents": "2.5e-6 * len(text)",
}
"""What a user who knows the work says of it."""


def main() -> None:
    """Without a word about costs, and with one."""
    workload, folder, workers, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with (
        LocalCluster(n_workers=workers, threads_per_worker=threads, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        tempfile.TemporaryDirectory() as home,
    ):
        client.gather(client.map(abs, range(100), pure=False))

        def run(cost: Any) -> Any:
            return pt.run(
                folder,
                FRAME[workload],
                cost=cost,
                engine=client,
                checkpoint=home,
                progress=False,
                report=False,
            ).result.to_pandas()["out"]

        names = ("batch-partitioner", "dask")
        told("as written: cost auto, first run", lambda: run({"model": "auto", "store": f"{home}/p.sqlite"}), *names)
        told("as written: cost auto, second run", lambda: run({"model": "auto", "store": f"{home}/p.sqlite"}), *names)
        told("tuned: cost declared", lambda: run(TUNED[workload]), *names)


if __name__ == "__main__":
    main()
