"""A local Dask cluster that starts although a worker process dies while it does."""

from __future__ import annotations

from typing import Any

from distributed import LocalCluster

from partitioner.errors import EngineLost

STARTS = 3
"""Times that a cluster is started: a process that was killed once, for memory say, may live the next time."""


def started(**options: Any) -> LocalCluster:
    """A ``LocalCluster`` of these options. Raises EngineLost where its worker processes die each time."""
    for left in reversed(range(STARTS)):
        try:
            return LocalCluster(**options)
        except RuntimeError as error:  # what a nanny says whose process ended before it was a worker
            if not left:
                raise EngineLost(
                    f"no cluster of {options['n_workers']} Dask workers could be started here in {STARTS} tries: their "
                    f"processes ended at once ({error}). Where they were killed for memory, ask for fewer workers."
                ) from error
    raise AssertionError("the last try returns or raises")
