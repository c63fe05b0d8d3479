"""What a worker process has loaded is kept out of sight of its garbage collector.

A full collection looks at every object there is. Imports and a program are half a million objects that stay, and a program
that makes many of its own (parsers, trees, JSON) has them looked at again and again: a third of its seconds, in a process
that has loaded pandas and Dask. Spark's daemon collects after every task besides, 30 to 50 ms of rest for a slot.
"""

from __future__ import annotations

import gc
import sys
import threading

from partitioner.attempt import job

GROWN = 1.02
"""Modules beside those of last time from which a process is settled again: a first call often imports some."""

_lock = threading.Lock()
_driver = False
_worker = False
_modules = 0
_built = 0


def driver() -> None:
    """This process is the user's own, and its collector stays as it is, also where workers are threads of it."""
    global _driver
    _driver = True


def worker() -> None:
    """This process runs attempts and nothing else that matters."""
    global _worker
    _worker = True


def settle() -> None:
    """In a worker process, once a program was built or much was imported: later collections pass over all that is there.

    Programs that were kept for earlier runs and are dropped by now are looked at once more, so that none stays for ever.
    """
    global _modules, _built
    if not _worker or _driver:
        return
    if job.built() == _built and len(sys.modules) <= GROWN * _modules:
        return
    if not _lock.acquire(blocking=False):
        return  # a neighbour is at it
    try:
        if job.built() // job.KEPT_JOBS != _built // job.KEPT_JOBS:
            gc.unfreeze()
        _built, _modules = job.built(), len(sys.modules)
        gc.collect()
        gc.freeze()
    finally:
        _lock.release()
