"""Imported by a server process before it forks Dask workers: builds the program, and imports what every worker needs."""

from __future__ import annotations

import connectors.parquet  # noqa: F401
import partitioner.attempt.run  # noqa: F401
from partitioner.attempt import garbage
from partitioner.engines import preload

preload.found = preload.load_here(beside="distributed")
garbage.worker()
garbage.settle()  # a collection in a forked worker would write to every page that it shares with the others
