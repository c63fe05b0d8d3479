"""The commit record of an attempt: what its output says of itself, and what it measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from partitioner.attempt.tally import Tally
from partitioner.measure import Measurement
from partitioner.model import Attempt, CommitRecord


def is_split(facts: Mapping[str, Any]) -> bool:
    """Whether a committed output says that its sub-task was split into parts."""
    return bool(facts.get("split"))


def part_of(facts: Mapping[str, Any]) -> tuple[int, int] | None:
    """The rows of its sub-task that a committed output holds, None for all of them."""
    rows = facts.get("part")
    return None if rows is None else (int(rows[0]), int(rows[1]))


def record_of(
    attempt: Attempt, facts: dict[str, Any], tally: Tally, measurement: Measurement, load_seconds: float, started: float
) -> CommitRecord:
    """The commit record: the facts of the output that counts, and what this attempt measured."""
    return CommitRecord(
        task_key=attempt.task_key,
        attempt_id=attempt.attempt_id,
        worker_id=attempt.worker_id,
        path=facts["path"],
        rows_in=facts["rows_in"],
        rows_out=facts["rows_out"],
        rows_written=facts["rows_written"],
        quarantined=facts["quarantined"],
        segments=tuple((int(a), int(b)) for a, b in facts["segments"]),
        bytes_read=facts["bytes_read"],
        seconds=measurement.wall_seconds,
        cpu_seconds=measurement.cpu_seconds,
        load_seconds=load_seconds,
        read_seconds=tally.read_seconds,
        peak_memory_bytes=measurement.peak_memory_bytes,
        started=started,
        finished=time.time(),
        digest=facts["digest"],
        measured=measurement.to_measured(),
        size=facts["size"],
        tag=facts["tag"],
        quarantine=tally.quarantine_path if tally.quarantine_digest == facts["quarantine_digest"] else "",
        quarantine_digest=facts["quarantine_digest"],
        inputs=tuple((int(a), int(b), int(c)) for a, b, c in facts.get("inputs", ())),
        left_out=tuple((int(a), int(b)) for a, b in facts.get("left_out", ())),
        contents=tuple(map(str, facts.get("contents", ()))),
        part=part_of(facts),
        split=is_split(facts),
    )
