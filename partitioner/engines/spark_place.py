"""Where on a cluster a Spark task runs, asked from within its Python worker."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from partitioner.engines.spark_names import JVM
from partitioner.errors import StorageFailed
from partitioner.model import Attempt, Event, EventKind, Failure
from partitioner.store.run_directory import RunDirectory

HELD_SECONDS = 0.5
"""An attempt that reached a worker it is to avoid keeps that one's core busy for so long, so that the next one, which waits
for a better worker, is not brought there at once; twice as long at each try, up to 32 times."""


def devices_of(context: Any) -> Mapping[str, tuple[str, ...]]:
    """Addresses of the devices that Spark gave this task, by resource name."""
    if context is None:
        return {}
    return {name: tuple(info.addresses) for name, info in context.resources().items()}


@lru_cache(maxsize=1)
def executor_id() -> str | None:
    """The id of the executor that this Python worker belongs to, None in local mode.

    Spark does not tell Python workers; every executor carries the id on its command line.
    """
    import psutil

    with contextlib.suppress(psutil.Error):
        for process in above():
            words: list[str] = process.cmdline()
            if "--executor-id" in words[:-1]:
                return words[words.index("--executor-id") + 1]
    return None


def above() -> Iterator[Any]:
    """The processes that this Python worker belongs to, the nearest first; the last ones are the JVM and what started it."""
    import psutil

    yield from psutil.Process().parents()
    if named := os.environ.get(JVM):
        yield (jvm := psutil.Process(int(named)))
        yield from jvm.parents()


def begins(attempt: Attempt) -> None:
    """Leave a mark that the program is called from now on, where a death would be held against its rows."""
    if _is_marked(attempt):
        with contextlib.suppress(StorageFailed):  # its own output will say that the store takes nothing
            RunDirectory(attempt.run_url).files.put(_mark_of(attempt), b"")


def gone(attempt: Attempt) -> Event:
    """Spark started the task of an attempt again. Where that had begun nothing, because its executor died while the Python
    process came up, nobody is charged: of executors that die sooner than they start no row would be innocent.
    """
    began = not _is_marked(attempt) or RunDirectory(attempt.run_url).files.exists(_mark_of(attempt))
    why = Failure("Spark started the task again: the process that ran it died or the task was killed", charged=began)
    return Event(EventKind.LOST, attempt.attempt_id, attempt.worker_id, error=why)


def _mark_of(attempt: Attempt) -> str:
    return f"begun/{attempt.epoch}-{attempt.attempt_id}"


def _is_marked(attempt: Attempt) -> bool:
    """A first attempt at a whole sub-task leaves no mark, for each is a request to the store: one death settles nothing."""
    return attempt.number > 0 or attempt.care.rows is not None


def handed_back(attempt: Attempt, here: str) -> Event:
    """Spark brought an attempt to a worker that is left out, or that had failed on it: nobody is charged for that."""
    time.sleep(HELD_SECONDS * 2 ** min(attempt.number, 5))
    why = Failure(f"it was brought to {here}, which is to leave it alone", "Misplaced", charged=False)
    return Event(EventKind.CANCELLED, attempt.attempt_id, here, error=why)
