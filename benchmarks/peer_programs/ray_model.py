"""A model in Ray Data's actors: ``python -m benchmarks.peer_programs.ray_model MEGABYTES LOAD SLOTS``."""

from __future__ import annotations

import json
import sys
import time

import ray

from benchmarks.preload_model import Model


def main() -> None:
    """As a user writes it: one actor a slot, each of which builds the model."""
    megabytes, load, slots = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    began = time.time()
    ray.init(num_cpus=slots, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.from_items([{"x": x} for x in range(slots * 4)], override_num_blocks=slots * 4)
    frame = rows.map_batches(
        Model,
        fn_constructor_args=[megabytes, load],
        batch_format="pyarrow",
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=slots),
        num_cpus=1,
    ).to_pandas()
    first = frame.groupby("pid")["at"].min()
    told = {
        "version": ray.__version__,
        "actors": len(first),
        "seconds": float(first.max() - began),
        "held": float(frame.groupby("pid")["pss"].last().sum()),
    }
    print("PEER " + json.dumps(told), flush=True)
    ray.shutdown()


if __name__ == "__main__":
    main()
