"""Clocks of workers that are wrong: their times are told on the driver's clock, which wrote the ledger.

An attempt begins after it was handed over and ends before its end was heard of. By these two each clock of a worker is
known within an interval, as Cristian's algorithm bounds it (Distributed Computing 3, 1989); the shift nearest to none is
taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import inf

from partitioner.model import CommitRecord

APART = 5.0
"""Seconds: a busy driver notes what it does and hears later than it happens, so less is not held to be the clock's."""

Seen = tuple[float, float]
"""When an attempt was handed over, and when its end was heard of: Unix seconds of the driver, 0 where never."""


def ahead(records: Iterable[CommitRecord], seen: Mapping[str, Seen]) -> dict[str, float]:
    """Worker to the seconds that its clock is ahead of the driver's (behind: below 0), of those whose clock is wrong.

    ``seen`` by attempt.
    """
    bounds: dict[str, tuple[float, float]] = {}
    for record in records:
        handed, heard = seen.get(record.attempt_id, (0.0, 0.0))
        if not record.started or not (handed and heard):
            continue
        least, most = bounds.get(record.worker_id, (-inf, inf))
        bounds[record.worker_id] = max(least, record.finished - heard), min(most, record.started - handed)
    found = {worker: least if least > 0 else min(most, 0.0) for worker, (least, most) in bounds.items()}
    return {worker: seconds for worker, seconds in found.items() if abs(seconds) > APART}


def on_the_drivers(record: CommitRecord, clocks: Mapping[str, float]) -> CommitRecord:
    """The record with its times on the driver's clock."""
    seconds = clocks.get(record.worker_id)
    if seconds is None or not record.started:
        return record
    return replace(record, started=record.started - seconds, finished=record.finished - seconds)


def sentences(clocks: Mapping[str, float]) -> tuple[str, ...]:
    """What there is to say of them."""
    return tuple(
        f"The clock of worker {worker} is about {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}; its times are "
        "shown on the driver's clock."
        for worker, seconds in sorted(clocks.items())
    )
