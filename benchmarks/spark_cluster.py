"""The Spark session of the benchmarks: a ``local-cluster`` of executors of one core, warmed up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

import partitioner as pt
from benchmarks.stage import same
from partitioner.engines.spark_executors import StatusStore
from partitioner.engines.spark_session import Session, wait_for_executors


@contextlib.contextmanager
def cluster(executors: int = 3, memory: int = 1024, **conf: Any) -> Iterator[Any]:
    """A session with so many executors of one core and ``memory`` MiB."""
    session = Session(
        None, f"local-cluster[{executors},1,{memory}]", {"spark.ui.enabled": False, **conf}, 0.5, "benchmark"
    )
    session.context.setLogLevel("OFF")
    store = StatusStore(session)
    try:
        wait_for_executors(session, lambda: len(store.executors()), 240.0)
        yield session.spark
    finally:
        session.close()


def warm_up(engine: Any, checkpoint: str) -> None:
    """One small run on every executor, or worker of another engine."""
    rows = pa.table({"x": range(30)})
    pt.run(
        rows,
        same,
        batch_format="arrow",
        max_tasks=9,
        engine=engine,
        checkpoint=checkpoint,
        progress=False,
        report=False,
    )
