"""Everything a report needs, read once from the run directory."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partitioner.coordinator import ledger
from partitioner.errors import ConfigError, DamagedRun
from partitioner.frames import to_numpy
from partitioner.model import Attempt, CommitRecord
from partitioner.report import clocks
from partitioner.report.history import FAILED, History, history
from partitioner.storage import read_parquet
from partitioner.store.run_directory import RunDirectory

Floats = npt.NDArray[np.float64]
QUARANTINE_FILES = 500  # errors are tallied over this many files at most
LOGS, LOG_CHARACTERS = 40, 6000


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """One run as its directory tells it. Columns have one entry per sub-task, in sub-task order; NaN where unknown.

    ``predicted`` in the unit of the cost model at reference speed, ``unit`` its name (empty: not written down);
    ``seconds`` measured by the attempt that committed; ``predicted_memory`` and ``peak_memory`` bytes;
    ``planned_worker`` and ``worker`` ids, empty where unknown; ``plan`` the figures of the last session's plan;
    ``errors`` of quarantined rows with how often each came; ``logs`` of failed attempts, their last characters;
    ``phases`` seconds by name between the call and the result, ``total_seconds`` from one to the other;
    ``merging`` what merging partial results on workers took, in words, empty where the driver merged them;
    ``drift`` what a learning cost model said of this run against its profile, where costs moved.
    """

    run_id: str
    url: str
    description: Mapping[str, Any]
    plan: Mapping[str, Any]
    keys: tuple[str, ...]
    predicted: Floats
    predicted_memory: Floats
    planned_worker: tuple[str, ...]
    seconds: Floats
    peak_memory: Floats
    baseline_memory: Floats
    worker: tuple[str, ...]
    commits: Mapping[str, CommitRecord]
    history: History
    errors: tuple[tuple[str, int], ...]
    error_files: tuple[int, int]
    logs: Mapping[str, str]
    drift: tuple[str, ...]
    phases: Mapping[str, float] = field(default_factory=dict)
    total_seconds: float | None = None
    merging: str = ""

    @property
    def unit(self) -> str:
        """``seconds``, or the name of what the cost model counted instead."""
        return str(self.plan.get("reasons", {}).get("cost unit", ""))

    @property
    def chosen(self) -> str:
        """What ``cost="auto"`` chose, and why; empty for other models."""
        return str(self.plan.get("reasons", {}).get("cost chosen", ""))

    @property
    def config(self) -> Mapping[str, Any]:
        """The settings of the run."""
        return dict(self.description.get("config", {}))


def read(run: RunDirectory) -> Facts:
    """Read a run that is done, failed, or still going on. Raises ConfigError where the directory holds no run."""
    place = run.files.local_path
    if place is not None and not os.path.isdir(place):  # opening it would make the directory
        raise ConfigError(f"{run.url} does not exist; give the directory of a run, such as runs/<run id>.")
    description = run.description()
    tasks = run.read_table("tasks").select(["task_id", "seconds", "memory_bytes"])
    keys = tuple(tasks["task_id"].to_pylist())
    commits = run.commits()
    told = history(ledger.read(run), commits)
    if told.clocks:
        commits = {key: clocks.on_the_drivers(record, told.clocks) for key, record in commits.items()}
    nothing = np.full(len(keys), np.nan)
    plan, workers = _plan(run, len(keys))
    failed = [t.attempt_id for t in told.tries if t.outcome == FAILED]
    errors, files = _errors(run, commits)
    return Facts(
        run_id=run.run_id,
        url=run.url,
        description=description,
        plan=plan,
        keys=keys,
        predicted=to_numpy(tasks["seconds"]).astype(np.float64),
        predicted_memory=to_numpy(tasks["memory_bytes"]).astype(np.float64),
        planned_worker=workers,
        seconds=_column(keys, commits, lambda r: r.seconds, nothing),
        peak_memory=_column(keys, commits, lambda r: r.peak_memory_bytes, nothing),
        baseline_memory=_column(keys, commits, lambda r: r.measured.get("baseline_memory_bytes", 0.0), nothing),
        worker=tuple(commits[k].worker_id if k in commits and commits[k].started else "" for k in keys),
        commits=commits,
        history=told,
        errors=errors,
        error_files=files,
        logs=_logs(run, failed),
        drift=_drift(run),
        merging=_merging(run),
        phases=plan.get("phases") or dict(plan.get("reasons", {}).get("start", {})),
        total_seconds=plan.get("total_seconds"),
    )


def _merging(run: RunDirectory) -> str:
    """The plan of the merges and what came of it."""
    home = RunDirectory(f"{run.url}/merge")
    if not run.files.exists("merge/plan.json"):
        return ""
    reasons = json.loads(home.files.get("plan.json"))["reasons"]
    done = list(home.commits().values())
    took = sum(r.seconds for r in done)
    peak = max((r.peak_memory_bytes for r in done), default=0)
    actual = f"{len(done)} merges took {took:.3g} s of slots, peak memory {peak / 1e6:.3g} MB"
    return f"{reasons['merge']} ({reasons['fan-in']}); {actual}."


def _drift(run: RunDirectory) -> tuple[str, ...]:
    if not run.files.exists("drift.json"):
        return ()
    return tuple(report["message"] for report in json.loads(run.files.get("drift.json")) if report["drifted"])


def _column(
    keys: tuple[str, ...], commits: Mapping[str, CommitRecord], value: Callable[[CommitRecord], float], empty: Floats
) -> Floats:
    """One measured figure per sub-task; NaN where it did not commit or only its output, not its attempt, is known."""
    column = empty.copy()
    for i, key in enumerate(keys):
        record = commits.get(key)
        if record is not None and record.seconds > 0:
            column[i] = value(record)
    return column


def _plan(run: RunDirectory, n: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Figures and workers of the last plan; empty where the run stopped before it had one."""
    plan = run.plan()
    try:
        table = run.read_table("plan") if isinstance(plan.get("reasons"), dict) else None
    except DamagedRun:
        table = None
    if table is None:
        return {}, ("",) * n
    return plan, tuple(table["worker_id"].to_pylist())


def _errors(
    run: RunDirectory, commits: Mapping[str, CommitRecord]
) -> tuple[tuple[tuple[str, int], ...], tuple[int, int]]:
    """Errors of quarantined rows, the most frequent first, and how many files of how many were read for it.

    Errors that differ in numbers only count as one kind, shown by the first of them.
    """
    names = run.quarantine_files(commits.values())
    tally: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name in names[:QUARANTINE_FILES]:
        for error in _errors_in(run, name):
            kind = re.sub(r"\d+", "#", str(error))
            tally[kind] += 1
            first.setdefault(kind, str(error))
    return tuple((first[kind], n) for kind, n in tally.most_common()), (min(len(names), QUARANTINE_FILES), len(names))


def _errors_in(run: RunDirectory, name: str) -> list[str]:
    """The errors of one file of quarantined rows; one that is gone or torn is told as one, or the report would die of it."""
    try:
        return [str(error) for error in read_parquet(run.files.get(name), ["_error"])["_error"].to_pylist()]
    except FileNotFoundError:
        return [f"unknown: the file {name} of these rows is gone"]
    except (pa.ArrowException, OSError, KeyError):
        return [f"unknown: the file {name} of these rows is torn"]


def _logs(run: RunDirectory, attempts: list[str]) -> dict[str, str]:
    """The end of what the first failed attempts printed, their traceback included."""
    logs = {}
    for attempt in attempts[:LOGS]:
        try:
            logs[attempt] = run.files.get(Attempt.log_of(attempt)).decode(errors="replace")[-LOG_CHARACTERS:]
        except FileNotFoundError:
            continue
    return logs
