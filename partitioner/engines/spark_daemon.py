"""The parent of Spark's Python workers on a machine: imports, builds the program where it may be, then forks as Spark asks.

Sessions that are started here name it by themselves; in a session of yours set ``spark.python.daemon.module`` to
``partitioner.engines.spark_daemon`` before it starts.
"""

from __future__ import annotations

from partitioner.engines.spark_parent import load, replaced

if __name__ == "__main__" and not replaced():
    load()

    from pyspark.daemon import manager

    manager()
