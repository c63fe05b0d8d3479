"""The fork server of this process, from which the workers of a local Dask cluster are forked."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import Any

import dask
import distributed.utils

from partitioner.interrupts import held_back

MODULES = ["partitioner.engines.preloaded"]

STOP_SECONDS = 10.0
"""The server ends with the last process that was forked from it. One that a program left behind is not waited for longer."""

_server: Any = forkserver._forkserver


_taken = threading.Lock()


@contextmanager
def running() -> Iterator[None]:
    """Workers of clusters that are started in the block are forked from a server, which begins to load now.

    They wait for it where they are forked, so the cluster may start at once. A process has one fork server, which holds one
    program: where there is one already, workers are started as ever.
    """
    if _server._forkserver_pid is not None or not _taken.acquire(blocking=False):
        yield
        return
    before = _server._preload_modules
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        distributed.utils._forkserver_preload_set = (
            True  # else Dask would set its own list, and import pandas for it here
        )
        multiprocessing.get_context("forkserver").set_forkserver_preload(MODULES)
        with _environment(), held_back():
            forkserver.ensure_running()
        try:
            yield
        finally:
            _stop()
            _server._preload_modules = before
            _taken.release()


@contextmanager
def _environment() -> Iterator[None]:
    """What a worker has to find in its environment, for forked ones have that of the server: also where modules are."""
    asked = dask.config.get("distributed.nanny.pre-spawn-environ")
    told = {name: str(value) for name, value in asked.items() if value is not None and name not in os.environ}
    path, before = os.pathsep.join(p or os.getcwd() for p in sys.path), os.environ.get("PYTHONPATH")
    os.environ.update({**told, "PYTHONPATH": path})
    try:
        yield
    finally:
        for name in told:
            os.environ.pop(name)
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _stop() -> None:
    if _server._forkserver_pid is None:
        return
    late = threading.Timer(STOP_SECONDS, os.kill, (_server._forkserver_pid, signal.SIGKILL))
    late.daemon = True
    late.start()
    try:
        _server._stop()
    finally:
        late.cancel()
