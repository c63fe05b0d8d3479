"""Imported by a server process before it forks workers: builds the program there."""

from __future__ import annotations

import partitioner.attempt.run  # noqa: F401  what every worker needs
from partitioner.engines import preload

preload.found = preload.build_here()
