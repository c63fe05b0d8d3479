"""Checks before and after an algorithm runs: what cannot be placed is said up front, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from partitioner.errors import ConfigError, InfeasiblePlan, nearest
from partitioner.model import Plan, Workers
from partitioner.model.data import Floats
from partitioner.model.tasks import Bools
from partitioner.placement.options import number
from partitioner.placement.problem import TOLERANCE, Problem

if TYPE_CHECKING:
    from partitioner.placement.schedule import Schedule


def check_feasible(problem: Problem) -> None:
    """Raise what no algorithm could mend: bad numbers, no workers, a cycle, a task too big, an impossible deadline."""
    _check_numbers(problem)
    if not problem.m:
        raise InfeasiblePlan(f"{problem.n} tasks but no workers. Add at least one worker.")
    stuck = np.flatnonzero(np.isinf(problem.fastest))
    if len(stuck):
        raise InfeasiblePlan(_why_stuck(problem, int(stuck[0])) + _and_more(len(stuck)))
    if problem.has_edges:
        _ = problem.topological
    if problem.hard.any():
        _check_deadline_bounds(problem)


def _check_numbers(problem: Problem) -> None:
    """Every number that a Python caller passed; tables name row and column before this."""
    tasks, workers = problem.tasks, problem.workers
    columns = {
        "memory_bytes": tasks.memory_bytes,
        "cpus": tasks.cpus,
        "gpus": tasks.gpus,
        "gpu_memory_bytes": tasks.gpu_memory_bytes,
        "release_seconds": tasks.release,
        **{f"resource:{k}": v for k, v in tasks.resources.items()},
    }
    ids = tasks.task_id
    for name, column in columns.items():
        _refuse(name, column, ~(np.isfinite(column) & (column >= 0)), "task", lambda i: str(ids[i].as_py()))
    timed = {"seconds": tasks.seconds, **{f"seconds:{k}": v for k, v in tasks.seconds_by_class.items()}}
    for name, column in timed.items():
        wrong = (column < 0) | np.isinf(column)
        if name == "seconds" and not tasks.seconds_by_class:
            wrong |= np.isnan(column)
        _refuse(name, column, wrong, "task", lambda i: str(ids[i].as_py()))
    _refuse("priority", tasks.priority, ~np.isfinite(tasks.priority), "task", lambda i: str(ids[i].as_py()))
    late = np.isnan(tasks.deadline) | (tasks.deadline <= 0)
    _refuse("deadline_seconds", tasks.deadline, late, "task", lambda i: str(ids[i].as_py()), "above 0")
    whole = (tasks.gpus > 1) & (np.abs(tasks.gpus - np.round(tasks.gpus)) > TOLERANCE)
    _refuse("gpus", tasks.gpus, whole, "task", lambda i: str(ids[i].as_py()), "a fraction below 1 or a whole number")
    check_workers(workers)


def check_workers(workers: Workers, usable: bool = False) -> None:
    """ConfigError for capacities and speeds that are no numbers of a worker, and for ids that appear twice.

    ``usable``: also for cores without end, and for workers without memory, which no cut of an input fits.
    """
    capacities = {
        "cpus": workers.cpus,
        "memory_bytes": workers.memory_bytes,
        "gpus": workers.gpus,
        "gpu_memory_bytes": workers.gpu_memory_bytes,
        "price_per_hour": workers.price_per_hour,
        **{f"resource:{k}": v for k, v in workers.resources.items()},
    }
    for name, column in capacities.items():
        _refuse(name, column, np.isnan(column) | (column < 0), "worker", lambda j: workers.worker_id[j])
    speed = workers.speed
    _refuse("speed", speed, ~(np.isfinite(speed) & (speed > 0)), "worker", lambda j: workers.worker_id[j], "above 0")
    if len(set(workers.worker_id)) < len(workers):
        name, times = Counter(workers.worker_id).most_common(1)[0]
        raise ConfigError(
            f"worker {name!r} is there {times} times; worker_id tells workers apart, so give each its own."
        )
    if usable:
        _refuse("cpus", workers.cpus, np.isinf(workers.cpus), "worker", lambda j: workers.worker_id[j])
        empty = workers.memory_bytes <= 0
        _refuse("memory_bytes", workers.memory_bytes, empty, "worker", lambda j: workers.worker_id[j], "above 0")


def _refuse(
    name: str,
    column: Floats,
    wrong: Bools,
    kind: str,
    label: Callable[[int], str],
    limit: str = "finite and at least 0",
) -> None:
    """ConfigError naming the first wrong entry of a column, its row and the limit."""
    bad = np.flatnonzero(wrong)
    if len(bad):
        i = int(bad[0])
        raise ConfigError(
            f"{kind} {label(i)!r} (row {i + 1}), column {name!r}: {column[i]} is not allowed, it must be {limit}"
            f"{_and_more(len(bad))}"
        )


def _and_more(count: int) -> str:
    return f" ({count - 1} more like it)" if count > 1 else ""


def _why_stuck(problem: Problem, i: int) -> str:
    """Name the resource, the demand and the largest capacity; else labels, class, or their combination."""
    name = str(problem.tasks.task_id[i].as_py())
    head = f"No worker can hold task {name!r}: "
    for k, resource in enumerate(problem.resources):
        most = float(problem.capacity[:, k].max())
        if problem.demand[i, k] > most * (1 + TOLERANCE):
            return f"{head}it needs {resource} = {problem.demand[i, k]:g}, the largest worker has {most:g}."
    if problem.uses_gpu[i]:
        devices = int(problem.devices.max())
        if problem.gpus[i] > devices or not devices:
            return f"{head}it needs gpus = {problem.gpus[i]:g}, the largest worker has {devices:g}."
        memory = float(problem.device_memory[problem.devices > 0].max())
        if problem.gpu_memory[i] > memory * (1 + TOLERANCE):
            return (
                f"{head}it needs gpu_memory_bytes = {problem.gpu_memory[i]:g} on one GPU, the largest has {memory:g}."
            )
    wanted = sorted(label for label, column in problem.tasks.requires.items() if column[i])
    present = frozenset().union(*problem.workers.labels)
    absent = [label for label in wanted if label not in present]
    if absent:
        return f"{head}it requires the label {absent[0]!r}, which no worker has (labels: {sorted(present)})."
    return (
        f"{head}each worker lacks something (labels required: {wanted or 'none'}; "
        "demands, labels and worker classes with seconds must all be met by one worker)."
    )


def _check_deadline_bounds(problem: Problem) -> None:
    """Hard deadlines that even an empty cluster could not meet."""
    from partitioner.placement.bounds.combinatorial import earliest_finishes

    earliest = earliest_finishes(problem)
    bad = np.flatnonzero(problem.hard & (earliest > problem.deadline * (1 + TOLERANCE)))
    if len(bad):
        i = int(bad[0])
        raise InfeasiblePlan(
            f"The hard deadline {problem.deadline[i]:g} s of task {problem.tasks.task_id[i].as_py()!r} cannot be met: "
            f"release, dependencies and its time on the fastest worker alone take until {earliest[i]:g} s"
            f"{_and_more(len(bad))}. Move the deadline or the release, or add a faster worker."
        )
    last = float(problem.deadline[problem.hard].max())
    due = problem.hard & (problem.deadline <= last)
    work = float(problem.fastest[due].sum())
    slots = float(problem.m) if problem.slots is None else float(len(problem.slots))
    if problem.slots is not None and work > slots * last * (1 + TOLERANCE):
        raise InfeasiblePlan(
            f"{int(due.sum())} tasks with hard deadlines up to {last:g} s hold {work:g} s of work, "
            f"but {slots:g} slots offer only {slots * last:g} s by then. Move deadlines, or add workers."
        )


def check_hard_deadlines(problem: Problem, schedule: Schedule, algorithm: str) -> None:
    """InfeasiblePlan where the schedule found misses a hard deadline; says that this is not a proof."""
    if not problem.hard.any():
        return
    late = np.flatnonzero(problem.hard & (schedule.finish > problem.deadline * (1 + TOLERANCE)))
    if len(late):
        i = int(late[np.argmax(schedule.finish[late] - problem.deadline[late])])
        over = schedule.finish[i] - problem.deadline[i]
        raise InfeasiblePlan(
            f"Task {problem.tasks.task_id[i].as_py()!r} would finish at {schedule.finish[i]:g} s, {over:g} s after its "
            f"hard deadline {problem.deadline[i]:g} s{_and_more(len(late))}. {algorithm!r} found no plan that meets it; "
            "this is not a proof that there is none. Give a longer time limit, algorithm 'cp_sat', or more workers."
        )


def check_load_bound(plan: Plan, bound: float, weights: Mapping[str, float] | None = None) -> None:
    """InfeasiblePlan where the weighted seconds of the tasks of one worker exceed ``bound``.

    Per worker: sum of weight x (finish - start) over its tasks <= bound; ``weights`` by task id, 1 where not given.
    """
    number("load bound", bound, 0, above=True)
    names = plan.tasks.task_id.to_pylist()
    known = {name: number(f"load weight of task {name!r}:", value, 0) for name, value in (weights or {}).items()}
    if stranger := sorted(set(known) - set(names)):
        close = nearest(stranger[0], names[:5000])
        raise ConfigError(f"load weights name task {stranger[0]!r}, which is not among the tasks.{close}")
    weight = np.array([known.get(name, 1.0) for name in names], np.float64)
    load = np.bincount(plan.worker, weights=weight * (plan.finish - plan.start), minlength=len(plan.workers))
    over = np.flatnonzero(load > bound * (1 + TOLERANCE))
    if len(over):
        j = int(load.argmax())
        raise InfeasiblePlan(
            f"Worker {plan.workers.worker_id[j]!r} carries a weighted load of {load[j]:g} s, the load bound is {bound:g} s"
            f"{_and_more(len(over))}. Add workers or raise the bound."
        )
