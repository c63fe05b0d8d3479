"""Loaded by every worker process of a cluster that is started here (a Dask preload)."""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the driver: a terminal sends it to every process, and the driver stops its workers in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
