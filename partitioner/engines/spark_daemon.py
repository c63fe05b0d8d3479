"""The parent of Spark's Python workers on a machine: imports, builds the program where it may be, then forks as Spark asks.

Sessions that are started here name it by themselves; in a session of yours set ``spark.python.daemon.module`` to
``partitioner.engines.spark_daemon`` before it starts.
"""

from __future__ import annotations

import importlib

if __name__ == "__main__":
    importlib.import_module("partitioner.engines.spark_task")
    for name in ("partitioner.attempt.run", "connectors.parquet"):  # what every worker needs
        importlib.import_module(name)

    from partitioner.attempt import garbage
    from partitioner.engines import preload

    preload.found = preload.load_here()

    from pyspark.daemon import manager

    garbage.worker()
    garbage.settle()  # a collection in a forked worker would write to every page that it shares with the others
    manager()
