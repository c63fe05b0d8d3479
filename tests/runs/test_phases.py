"""Where the seconds between call and result went: every one has a name, those of starting, trying and ending too."""

from __future__ import annotations

import time

import pyarrow as pa

import partitioner as pt
from partitioner.engines.serial import SerialEngine
from partitioner.report.facts import read

NAPS = 0.02


class Slow(SerialEngine):
    """Takes its time to start and to end."""

    def __init__(self) -> None:
        super().__init__()
        time.sleep(NAPS)

    def close(self) -> None:
        time.sleep(NAPS)


def nap(batch: pa.RecordBatch) -> pa.RecordBatch:
    time.sleep(NAPS)
    return batch


def test_every_phase_of_a_run_is_told_under_its_name(checkpoint: str) -> None:
    table = pa.table({"x": range(4)})
    done = pt.run(
        table, nap, cost="rows", max_tasks=2, batch_format="arrow", engine=Slow, checkpoint=checkpoint, progress=False
    )
    facts = read(done.directory)
    assert list(facts.phases) == [
        "imports and settings",
        "describe",
        "engine start",
        "program load",
        "plan",
        "trial",
        "run",
        "reduce",
        "engine end",
        "learn",
        "report",
    ]
    slow = {name for name, seconds in facts.phases.items() if seconds >= NAPS}
    assert slow >= {"engine start", "trial", "run", "engine end"}
    assert facts.total_seconds is not None
    assert sum(facts.phases.values()) <= facts.total_seconds
