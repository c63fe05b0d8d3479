"""Processes that hold more after every sub-task: a program that keeps what it makes (a cache, a list, a leak).

A pilot cannot tell: its pieces are few and small. What a process holds in any case, and what its allocator keeps after the
first sub-tasks, does not count: a process grows where the second half of its sub-tasks adds much as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from partitioner.model import CommitRecord
from partitioner.report.words import size

FEWEST = 6
"""Sub-tasks of a worker from which halves can be told apart."""

NOTICEABLE = 0.1
"""Of what the process held at first, that each half adds."""


def sentences(records: Iterable[CommitRecord]) -> tuple[str, ...]:
    """What there is to say, of the worker that grew most; nothing where attempts shared a process."""
    held: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        before = record.measured.get("baseline_memory_bytes", 0.0)
        if record.started and before and not record.measured.get("shared"):
            held.setdefault(record.worker_id, []).append((record.started, before))
    grown = max(((*_growth([b for _, b in sorted(seen)]), worker) for worker, seen in held.items()), default=None)
    if grown is None or grown[0] <= 0:
        return ()
    added, count, worker = grown
    return (
        f"The process of worker {worker} held {size(added)} more after {count} sub-tasks than after the first: the program "
        "keeps what it makes. The plan's memory is that of one sub-task, and such a process ends where the machine's memory "
        "does: keep less, or use more and smaller workers.",
    )


def _growth(held: list[float]) -> tuple[float, int]:
    """Bytes that were added since the second sub-task began, 0 where either half added little; and how many there were."""
    if len(held) < FEWEST:
        return 0.0, len(held)
    first, middle, last = held[1], held[len(held) // 2], held[-1]
    grows = min(middle - first, last - middle) > NOTICEABLE * held[0]
    return (last - first if grows else 0.0), len(held) - 1
