"""Fingerprint every file of a corpus, to find what was copied: a CPU-bound program over truly skewed input.

Winnowing (Schleimer, Wilkerson, Aiken: Local algorithms for document fingerprinting, 2003): of every ``WINDOW`` neighbouring
hashes of so many bytes the smallest is kept. Two files share a fingerprint wherever they share a long enough passage, and
the smallest fingerprints of a file are a sketch: those of two files agree in about the share of what the files have in
common.

    make run
    partitioner run conf/quickstart.yaml
"""

from __future__ import annotations

from collections import deque
from heapq import nsmallest
from zlib import crc32

import pandas as pd

SHORT, LONG = 16, 64
"""Bytes of what is hashed: an expression, and a line or two."""

WINDOW = 32
SKETCH = 8


def fingerprint(files: pd.DataFrame) -> pd.DataFrame:
    """Per file: path, bytes, how many short and long fingerprints, and the ``SKETCH`` smallest long ones in hexadecimal."""
    return pd.DataFrame(
        [{"path": path, **sketch(text.encode())} for path, text in zip(files["path"], files["text"], strict=True)]
    )


def sketch(data: bytes) -> dict[str, object]:
    """The figures of one file."""
    short, long = winnowed(data, SHORT), winnowed(data, LONG)
    return {
        "bytes": len(data),
        "short": len(short),
        "long": len(long),
        "sketch": " ".join(f"{value:08x}" for value in nsmallest(SKETCH, long)),
    }


def winnowed(data: bytes, gram: int) -> set[int]:
    """The distinct fingerprints of ``data``; none where it is shorter than ``gram`` bytes."""
    kept: set[int] = set()
    window: deque[tuple[int, int]] = deque()  # candidates, hashes ascending; the first is the smallest of the window
    last = max(len(data) - gram, -1)
    for at in range(last + 1):
        value = crc32(data[at : at + gram])
        while window and window[-1][1] >= value:
            window.pop()
        window.append((at, value))
        if window[0][0] <= at - WINDOW:
            window.popleft()
        if at >= WINDOW - 1 or at == last:
            kept.add(window[0][1])
    return kept
