"""Ray Data: ``python -m benchmarks.peer_programs.ray_data WORKLOAD FOLDER WORKERS THREADS``."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd
import ray

from benchmarks.peer_programs.work import FRAME, PARTS, nap, told


def main() -> None:
    """As a user writes it, and tuned: more blocks."""
    workload, folder, slots = sys.argv[1], sys.argv[2], int(sys.argv[3]) * int(sys.argv[4])
    ray.init(num_cpus=slots, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    warm: Any = ray.remote(nap)
    ray.get([warm.remote(0.2) for _ in range(slots)])  # every worker process is up
    work, blocks = FRAME[workload], PARTS
    if workload == "sleeps":
        blocks = len(pd.read_parquet(folder))

    def plain() -> Any:
        return ray.data.read_parquet(folder).map_batches(work, batch_format="pandas").to_pandas()["out"]

    def tuned() -> Any:
        data = ray.data.read_parquet(folder).repartition(blocks)
        return data.map_batches(work, batch_format="pandas", batch_size=None).to_pandas()["out"]

    told("as written", plain, "ray")
    told(f"tuned: {blocks} blocks", tuned, "ray")
    ray.shutdown()


if __name__ == "__main__":
    main()
