"""The line every benchmark prints: on what its figures were measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform


def versions(*packages: str) -> str:
    """Python, packages and cores, for example ``Python 3.11.2, dask 2026.8.0, 2 cores``."""
    named = [f"{p} {importlib.metadata.version(p)}" for p in ("batch-partitioner", *packages)]
    return ", ".join([f"Python {platform.python_version()}", *named, f"{os.cpu_count()} cores, {platform.system()}"])
