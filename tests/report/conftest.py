"""Run directories made by hand: the same files a run leaves, with times and outcomes that a test chooses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partitioner.coordinator.execute import write_plan
from partitioner.model import CommitRecord, CostFacts, Explanation, Fragment, Fragments, Plan, SubTasks, Worker, Workers
from partitioner.store.run_directory import RunDirectory

T0 = 1_700_000_000.0  # Unix time at which every hand-made run starts
Line = Mapping[str, Any]


def plan_of(seconds: Sequence[float], workers: int = 2, unit: str = "seconds", rows: int = 10) -> Plan:
    """Sub-task i on worker i modulo ``workers``, one after the other; one fragment of ``rows`` rows each."""
    n = len(seconds)
    fragments = Fragments.of([Fragment(i, "data.parquet", -1, i * rows, (i + 1) * rows, rows, 80) for i in range(n)])
    tasks = SubTasks.build(
        seconds,
        memory_bytes=np.full(n, 5e7),
        fragments=fragments,
        offsets=np.arange(n + 1),
        fragment_index=np.arange(n),
    )
    where = np.arange(n, dtype=np.int32) % workers
    start = np.array([sum(seconds[k] for k in range(i % workers, i, workers)) for i in range(n)], np.float64)
    makespan = float((start + tasks.seconds).max()) if n else 0.0
    return Plan(
        tasks=tasks,
        workers=Workers.of([Worker(f"w{j}", host="localhost") for j in range(workers)]),
        worker=where,
        start=start,
        finish=start + tasks.seconds,
        makespan=makespan,
        lower_bound=makespan,
        gap=0.0,
        utilization=1.0,
        objective="makespan",
        value=makespan,
        algorithm="lpt",
        about=Explanation(cost=CostFacts("declared", unit)),
    )


def record(i: int, worker: str, start: float, finish: float, number: int = 0, **changes: Any) -> CommitRecord:
    """Sub-task i, committed by its attempt ``number``; ``start`` and ``finish`` in seconds since ``T0``."""
    facts: dict[str, Any] = {
        "task_key": f"t{i:06d}",
        "attempt_id": f"t{i:06d}-a{number}",
        "worker_id": worker,
        "path": f"part-t{i:06d}.parquet",
        "rows_in": 10,
        "rows_out": 10,
        "rows_written": 10,
        "quarantined": 0,
        "segments": ((0, 10),),
        "bytes_read": 80,
        "seconds": finish - start,
        "cpu_seconds": finish - start,
        "load_seconds": 0.0,
        "read_seconds": 0.0,
        "peak_memory_bytes": 100_000_000,
        "started": T0 + start,
        "finished": T0 + finish,
        "digest": "0",
        "measured": {"baseline_memory_bytes": 60_000_000.0},
    }
    return CommitRecord(**{**facts, **changes})


def line(what: str, at: float, **facts: Any) -> Line:
    """A line of the ledger, ``at`` seconds after ``T0``."""
    return {"what": what, "time": T0 + at, **facts}


def ran(made: CommitRecord, asked: str = "") -> list[Line]:
    """The lines of an attempt that committed."""
    start, finish = made.started - T0, made.finished - T0
    return [
        line("submitted", start - 0.01, attempt=made.attempt_id, worker=asked or made.worker_id),
        line("started", start, attempt=made.attempt_id, worker=made.worker_id),
        line("finished", finish, attempt=made.attempt_id, worker=made.worker_id),
    ]


def write_run(path: Path, plan: Plan | None, lines: Sequence[Line], records: Sequence[CommitRecord]) -> RunDirectory:
    """A run directory at ``path``; without a plan it stopped before placing three sub-tasks."""
    run = RunDirectory(str(path))
    run.create({"run_id": run.run_id, "config": {"program": "<jobs:f>", "dataset": "data.parquet", "task_cpus": 1.0}})
    run.write_tasks((plan or plan_of([1.0, 1.0, 1.0])).tasks)
    if plan is not None:
        write_plan(run, plan)
    if lines:
        ordered = sorted(lines, key=lambda each: each["time"])
        run.files.put("ledger/0-000000.jsonl", "\n".join(json.dumps(each) for each in ordered).encode())
    for made in records:
        run.commit(made)
    return run


class Hands:
    """What tests build runs with."""

    plan_of = staticmethod(plan_of)
    record = staticmethod(record)
    line = staticmethod(line)
    ran = staticmethod(ran)
    write_run = staticmethod(write_run)
    T0 = T0


@pytest.fixture(scope="session")
def hands() -> type[Hands]:
    return Hands


@pytest.fixture
def troubled(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Four sub-tasks on two workers: one fails once, one is lost once, one runs elsewhere than asked; 12 s in all."""

    def make(message: str = "disk hiccup", quarantined: int = 0) -> RunDirectory:
        records = [
            record(0, "w0", 1.0, 3.0),
            record(1, "w1", 5.0, 9.0, number=1, rows_out=10 - quarantined, quarantined=quarantined),
            record(2, "w0", 3.0, 7.0),
            record(3, "w0", 8.0, 12.0, number=1),
        ]
        lines = [
            line("session", 0.0, engine="dask", workers=["w0", "w1"], committed=0),
            *(each for made in records for each in ran(made, asked="w1" if made.task_key == "t000002" else "")),
            line("submitted", 0.5, attempt="t000001-a0", worker="w1"),
            line("started", 1.0, attempt="t000001-a0", worker="w1"),
            line("failed", 2.0, attempt="t000001-a0", worker="w1", error={"type": "OSError", "message": message}),
            line("submitted", 2.0, attempt="t000003-a0", worker="w1"),
            line("started", 2.5, attempt="t000003-a0", worker="w1"),
            line("worker_lost", 4.0, attempt="", worker="w1"),
            line("end", 12.0),
        ]
        run = write_run(tmp_path / "run-1", plan_of([2.0, 4.0, 4.0, 2.0]), lines, records)
        run.files.put("attempts/t000001-a0.log", f"printed before: {message}".encode())
        return run

    return make
