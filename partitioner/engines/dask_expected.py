"""The workers of a Dask cluster that would be started on this machine, from the options alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from distributed.worker_memory import parse_memory_limit

from partitioner.errors import ConfigError
from partitioner.model import Worker, Workers

LOOPBACK = "127.0.0.1"

MOST_HERE = 4096
"""Worker processes of one machine: a figure above is a mistake, and it would run out of process numbers first."""


def expected(options: Mapping[str, Any]) -> Workers | None:
    """By name as Dask numbers them, each with the memory that Dask gives it; None where a cluster that runs must be asked.

    Raises ConfigError for counts below 1 and for a memory limit that Dask does not understand.
    """
    if options.get("client") is not None or options.get("address") is not None:
        return None
    threads = whole("threads_per_worker", options.get("threads_per_worker", 1))
    memory = memory_of(options.get("memory_limit", "auto"), threads)
    speeds = {str(k): float(v) for k, v in (options.get("speeds") or {}).items()}
    return Workers.of(
        Worker(str(i), float(threads), memory, speed=speeds.get(str(i), 1.0), host=LOOPBACK)
        for i in range(worker_count(options.get("workers")))
    )


def worker_count(workers: Any) -> int:
    """Worker processes of a cluster to start here: those asked for, else one per core and at least 2."""
    count = max(2, os.cpu_count() or 1) if workers is None else whole("workers", workers)
    if count > MOST_HERE:
        raise ConfigError(
            f"engine option workers is {count}; at most {MOST_HERE} processes are started on one machine. For a larger "
            "cluster give its address."
        )
    return count


def whole(option: str, value: Any) -> int:
    """A count of at least 1. ConfigError names the option otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"engine option {option} is {value!r}; a Dask cluster needs a whole number of at least 1.")
    return value


def memory_of(limit: Any, threads: int) -> float:
    """Bytes of one worker, as Dask reckons them; infinity where the limit is switched off."""
    try:
        return float(parse_memory_limit(limit, threads, logger=logging.getLogger(__name__)) or "inf")
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"engine option memory_limit is {limit!r}, which Dask does not understand ({error}); "
            "write 'auto', a size such as '2GB', a share such as 0.5, or bytes."
        ) from None
