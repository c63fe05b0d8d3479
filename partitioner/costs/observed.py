"""Measurements of a run, from its sub-tasks and commit records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from partitioner.costs.measurements import Measurements, Timing
from partitioner.costs.terms import Term, columns
from partitioner.model import CommitRecord, Dataset, SubTasks


def observed(
    dataset: Dataset,
    tasks: SubTasks,
    records: Sequence[CommitRecord],
    terms: Sequence[Term],
    worker_class: Mapping[str, str] | None = None,
) -> Measurements:
    """One measurement per committed whole sub-task: its terms summed over its fragments, its timing from the record.

    Per-row terms are there where the fragments carry them (``attach`` before splitting). Parts left by bisection and
    quarantine are passed over, for they ran less than the sub-task. ``worker_class`` maps worker ids.
    """
    if tasks.fragments is None:
        raise ValueError("observed() needs sub-tasks that hold fragments")
    features = tasks.fragments.features
    cut = replace(dataset, fragments=tasks.fragments)
    base = {"rows", "bytes", *features}
    known = [t for t in terms if (t.name in features if t.per_row else t.feature in base)]
    per_fragment = columns(cut, known)
    owner = np.repeat(np.arange(len(tasks)), np.diff(tasks.offsets))
    index = {key: i for i, key in enumerate(tasks.task_id.to_pylist())}
    whole = [r for r in records if r.task_key in index and not r.quarantined and r.seconds > 0]
    which = np.array([index[r.task_key] for r in whole], np.int64)
    sums = {
        name: np.bincount(owner, values[tasks.fragment_index], len(tasks)).astype(np.float64)[which]
        for name, values in per_fragment.items()
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
