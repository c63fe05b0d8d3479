"""Public scheduling instances as sub-tasks and workers, read from a data folder that is not part of the project.

Every loader yields ``Instance`` values: what to place, where, and the makespan that the set's authors or their solvers
report, where they do. ``SETS`` names the loaders; each takes the data folder.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.gpu_placement import nodes, pods
from partitioner.model import Edges, SubTasks, Worker, Workers
from partitioner.placement.problem import Problem
from partitioner.placement.subset import take_tasks

SPEEDS = (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0)


@dataclass(frozen=True, slots=True)
class Instance:
    """One problem: ``known_lower`` and ``known_upper`` bracket the optimal makespan in seconds, where known."""

    name: str
    tasks: SubTasks
    workers: Workers
    known_lower: float | None = None
    known_upper: float | None = None


def speed_workers(speeds: tuple[float, ...] = SPEEDS) -> Workers:
    """One-task workers of the given speeds."""
    return Workers.of(Worker(f"w{j}", speed=s) for j, s in enumerate(speeds))


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def pcmax_franca(data: Path) -> Iterator[Instance]:
    """Identical workers, independent tasks: a file holds the number of machines, of jobs, and the times."""
    folder = data / "scheduling" / "pcmax_franca"
    for row in _table(folder / "bounds.csv"):
        numbers = np.array((folder / row["file"]).read_text().split(), np.float64)
        tasks = SubTasks.build(numbers[2 : 2 + int(numbers[1])])
        known = float(row["lower_bound"]), float(row["upper_bound"])
        yield Instance(row["file"].removesuffix(".txt"), tasks, Workers.identical(int(numbers[0])), *known)


def perfect_fit(data: Path) -> Iterator[Instance]:
    """Generated: m full bins of one second cut into three parts each at random, m = 20, 29, ... 83; the optimum is 1."""
    for m in range(20, 84, 9):
        rng = np.random.default_rng(m)
        cuts = np.sort(rng.random((m, 2)), axis=1)
        parts = np.diff(np.column_stack([np.zeros(m), cuts, np.ones(m)]), axis=1).ravel()
        yield Instance(f"perfect_{m}", SubTasks.build(rng.permutation(parts)), Workers.identical(m), 1.0, 1.0)


def rcmax_from_gap(data: Path) -> Iterator[Instance]:
    """Unrelated workers, independent tasks: a row per machine, a column per job."""
    folder = data / "scheduling" / "rcmax_from_gap"
    for row in _table(folder / "bounds.csv"):
        times = np.loadtxt(folder / row["file"], delimiter=",", ndmin=2)
        by_class = {f"machine-{j}": line for j, line in enumerate(times)}
        tasks = SubTasks.build(times.mean(axis=0), seconds_by_class=by_class)
        workers = Workers.of(Worker(name, worker_class=name) for name in by_class)
        known = float(row["lower_bound"]), float(row["upper_bound"])
        yield Instance(row["file"].removesuffix(".csv"), tasks, workers, *known)


def stg(data: Path) -> Iterator[Instance]:
    """Random task graphs without transfers on eight workers of speeds 1, 1, 1, 1, 2, 2, 4, 4."""
    for path in sorted((data / "scheduling" / "stg").glob("*/*.stg")):
        yield Instance(f"{path.parent.name}_{path.stem}", _read_stg(path), speed_workers())


def _read_stg(path: Path) -> SubTasks:
    rows = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")][1:]
    ends = [(int(p), int(row[0])) for row in rows for p in row[3:]]
    return SubTasks.build([float(row[1]) for row in rows], edges=_edges(ends))


def _edges(ends: list[tuple[int, int]], moved: list[float] | None = None) -> Edges:
    pairs = np.array(ends, np.int64).reshape(-1, 2)
    zero = np.zeros(len(pairs))
    return Edges(pairs[:, 0], pairs[:, 1], zero, zero if moved is None else np.array(moved, np.float64))


def wfinstances(data: Path) -> Iterator[Instance]:
    """Traces of real workflow runs on the same eight workers; edges carry the bytes of the files that pass along them."""
    folder = data / "wfinstances"
    for row in _table(folder / "INDEX.csv"):
        workflow = json.loads((folder / f"{row['instance']}.json").read_text())["workflow"]
        yield Instance(row["instance"], _read_workflow(workflow), speed_workers())


def _read_workflow(workflow: dict[str, object]) -> SubTasks:
    specification, execution = workflow["specification"], workflow["execution"]
    assert isinstance(specification, dict)
    assert isinstance(execution, dict)
    seconds = {t["id"]: float(t.get("runtimeInSeconds", 0.0)) for t in execution["tasks"]}
    rows = specification["tasks"]
    index = {t["id"]: i for i, t in enumerate(rows)}
    size = {f["id"]: float(f["sizeInBytes"]) for f in specification.get("files", [])}
    ends, moved = [], []
    for i, task in enumerate(rows):
        needed = set(task.get("inputFiles", []))
        for parent in dict.fromkeys(task.get("parents", [])):
            passed = needed & set(rows[index[parent]].get("outputFiles", []))
            ends.append((index[parent], i))
            moved.append(sum(size.get(f, 0.0) for f in passed))
    return SubTasks.build([seconds.get(t["id"], 0.0) for t in rows], list(index), edges=_edges(ends, moved))


def rcpsp_j30(data: Path) -> Iterator[Instance]:
    """Projects of 30 activities: dependencies, and four shared resources that are one worker's capacities."""
    folder = data / "scheduling" / "rcpsp_j30"
    optimum = {row["problem"]: float(row["optimum"]) for row in _table(folder / "optimum.csv")}
    for name, best in optimum.items():
        tasks, worker = _read_project((folder / name).read_text())
        yield Instance(name.removesuffix(".sm"), tasks, Workers.of([worker]), best, best)


def _read_project(text: str) -> tuple[SubTasks, Worker]:
    lines = [line.split() for line in text.splitlines()]
    at = {row[0]: k for k, row in enumerate(lines) if row}
    count = next(int(row[-1]) for row in lines if row[:1] == ["jobs"])
    follows = lines[at["PRECEDENCE"] + 2 :][:count]
    needs = np.array(lines[at["REQUESTS/DURATIONS:"] + 3 :][:count], np.float64)
    limits = [float(x) for x in lines[at["RESOURCEAVAILABILITIES:"] + 2]]
    ends = [(int(row[0]) - 1, int(s) - 1) for row in follows for s in row[3:]]
    names = [f"R{k + 1}" for k in range(len(limits))]
    tasks = SubTasks.build(
        needs[:, 2],
        cpus=np.zeros(count),
        resources={name: needs[:, 3 + k] for k, name in enumerate(names)},
        edges=_edges(ends),
    )
    return tasks, Worker("project", resources=dict(zip(names, limits, strict=True)))


def gpu_trace_openb(data: Path, count: int = 60) -> Iterator[Instance]:
    """Pods of a production trace, all there at the start, on ``count`` of its GPU nodes; those that fit on none left out."""
    folder = data / "gpu_trace_openb"
    workers = nodes(folder, count)
    tasks = pods(folder, set(workers.worker_class))
    able = np.flatnonzero(np.isfinite(Problem(tasks, workers).fastest))
    yield Instance(f"openb_default_{count}", take_tasks(tasks, able), workers)


SETS: dict[str, Callable[[Path], Iterator[Instance]]] = {
    "pcmax_franca": pcmax_franca,
    "perfect_fit": perfect_fit,
    "rcmax_from_gap": rcmax_from_gap,
    "stg": stg,
    "wfinstances": wfinstances,
    "rcpsp_j30": rcpsp_j30,
    "gpu_trace_openb": gpu_trace_openb,
}
