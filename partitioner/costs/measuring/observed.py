"""Measurements of a run, from its sub-tasks and commit records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.costs.fitting.terms import Term, columns
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.model import CommitRecord, Dataset, SubTasks

READ_AT_MOST = 600

LEARNED_AT_MOST = 50_000
"""Sub-tasks, evenly spread, that a run teaches a cost model by: far more than it has coefficients."""


def observed(
    dataset: Dataset,
    tasks: SubTasks,
    records: Sequence[CommitRecord],
    terms: Sequence[Term],
    worker_class: Mapping[str, str] | None = None,
) -> Measurements:
    """One measurement per committed whole sub-task: its terms summed over its fragments, its timing from the record.

    Per-row terms are read again for the fragments as they were cut, for at most ``READ_AT_MOST`` sub-tasks. Parts left by
    bisection and quarantine are passed over, for they ran less than the sub-task. ``worker_class`` maps worker ids.
    """
    if tasks.fragments is None:
        raise ValueError("observed() needs sub-tasks that hold fragments")
    records = list(records[:: -(-len(records) // LEARNED_AT_MOST)] if len(records) > LEARNED_AT_MOST else records)
    among = pc.index_in(pa.array([r.task_key for r in records], pa.string()), value_set=tasks.task_id).to_pylist()
    index = {r.task_key: i for r, i in zip(records, among, strict=True) if i is not None}
    whole = [r for r in records if r.task_key in index and not r.quarantined and r.seconds > 0]
    base = {"rows", "bytes", *tasks.fragments.features}
    known = [t for t in terms if t.per_row or t.feature in base]
    if any(t.per_row for t in known) and len(whole) > READ_AT_MOST:
        whole = [whole[i] for i in np.linspace(0, len(whole) - 1, READ_AT_MOST).astype(int)]
    which = np.array([index[r.task_key] for r in whole], np.int64)
    held = [tasks.fragments_of(int(i)) for i in which]
    owner = np.repeat(np.arange(len(which)), [len(h) for h in held])
    cut = replace(dataset, fragments=tasks.fragments.take(np.concatenate([*held, np.empty(0, np.int64)])))
    sums = {
        name: np.bincount(owner, values, len(which)).astype(np.float64) for name, values in columns(cut, known).items()
    }
    classes = worker_class or {}
    order = np.argsort([r.started for r in whole], kind="stable")
    timings = [
        Timing(
            seconds=whole[i].seconds,
            cpu_seconds=_cpu_seconds(whole[i]),
            read_seconds=0.0,  # of a sub-task reading is part of the seconds: it reads what its bytes say
            load_seconds=whole[i].load_seconds,
            baseline_memory_bytes=whole[i].measured.get("baseline_memory_bytes", 0.0),
            peak_memory_bytes=float(whole[i].peak_memory_bytes),
            worker_class=classes.get(whole[i].worker_id, ""),
            process=whole[i].worker_id,
        )
        for i in order
    ]
    return Measurements.of({name: values[order] for name, values in sums.items()}, timings)


def _cpu_seconds(record: CommitRecord) -> float:
    """Of the attempt: its own thread's where others ran in the process meanwhile."""
    shared = bool(record.measured.get("shared", 0.0))
    return record.measured.get("thread_cpu_seconds", 0.0) if shared else record.cpu_seconds
