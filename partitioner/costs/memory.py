"""The stand-in for memory where nothing was measured: a multiple of the bytes to read."""

from __future__ import annotations

import numpy as np

from partitioner.errors import ConfigError
from partitioner.model import Fragments
from partitioner.model.data import Floats

MEMORY_PER_BYTE = 4.0
"""Bytes held per byte described: the rows decoded, the program's copy, its output, and as much again for slack."""

WRITING_BYTES = 24e6
"""What a sub-task holds besides its rows, and neither a process that has begun nor a piece of a pilot does: the plan's
tables, and the writer of the output. The processes of ``make run`` grow by 15 to 30 MB between the pilot's last piece and
their largest sub-task."""


def from_bytes(fragments: Fragments, memory_per_byte: float = MEMORY_PER_BYTE) -> Floats:
    """float64[n] bytes: ``memory_per_byte`` times the bytes of each fragment (negative, unknown sizes count as 0)."""
    return memory_per_byte * np.maximum(fragments.bytes, 0).astype(np.float64)


def positive(name: str, value: float | None) -> None:
    """ConfigError unless ``value`` is None or a finite number of at least 0."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value) or value < 0:
        raise ConfigError(f"{name} = {value!r}; it is a finite number of at least 0. Correct it or leave it out.")
