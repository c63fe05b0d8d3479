"""The independent checker: recomputes a plan from its assignments alone, sharing no code with the algorithms.

It reads tasks, workers and the (worker, start, finish) triples, and says everything that is wrong.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from partitioner.model import Plan, SubTasks, Workers

RELATIVE = 1e-6


def violations(plan: Plan, limit: int = 20) -> list[str]:
    """Sentences about everything that ``plan`` breaks, at most ``limit``; empty where the plan is sound."""
    tasks, workers = plan.tasks, plan.workers
    n = len(tasks)
    if not (len(plan.worker) == len(plan.start) == len(plan.finish) == n):
        return [f"{n} tasks but {len(plan.worker)} assignments"]
    if n == 0:
        return [] if plan.makespan == 0 else ["an empty plan must have makespan 0"]
    if np.any((plan.worker < 0) | (plan.worker >= len(workers))):
        return ["an assignment names a worker that does not exist"]
    found = _durations(plan)
    found += _eligibility(plan)
    found += _dependencies(plan)
    for j in np.unique(plan.worker).tolist():
        found += _capacity(plan, int(j))
        if len(found) >= limit:
            break
    found += _figures(plan)
    return found[:limit]


def check(plan: Plan) -> None:
    """AssertionError with what is wrong, where something is."""
    wrong = violations(plan)
    assert not wrong, "; ".join(wrong)


def expected_seconds(tasks: SubTasks, workers: Workers, i: int, j: int) -> float:
    """Seconds of task i on worker j by the definition: per class where given, else seconds / speed."""
    by_class = tasks.seconds_by_class.get(workers.worker_class[j])
    return float(by_class[i]) if by_class is not None else float(tasks.seconds[i]) / float(workers.speed[j])


def _slack(value: float) -> float:
    return RELATIVE * max(1.0, abs(value))


def _durations(plan: Plan) -> list[str]:
    found = []
    tasks, workers = plan.tasks, plan.workers
    expected = tasks.seconds / workers.speed[plan.worker]
    for name, column in tasks.seconds_by_class.items():
        here = np.array([workers.worker_class[j] == name for j in range(len(workers))])[plan.worker]
        expected = np.where(here, column, expected)
    lasting = plan.finish - plan.start
    wrong = ~(np.abs(lasting - expected) <= RELATIVE * np.maximum(1.0, np.maximum(np.abs(expected), plan.finish)))
    early = plan.start < np.maximum(tasks.release, 0.0) - RELATIVE
    for i in np.flatnonzero(wrong)[:5].tolist():
        found.append(f"task {_id(plan, i)} lasts {lasting[i]} s instead of {expected[i]} s")
    for i in np.flatnonzero(early)[:5].tolist():
        found.append(f"task {_id(plan, i)} starts at {plan.start[i]} before its release {tasks.release[i]}")
    return found


def _eligibility(plan: Plan) -> list[str]:
    found = []
    for label, wanted in plan.tasks.requires.items():
        has = np.array([label in labels for labels in plan.workers.labels])
        for i in np.flatnonzero(wanted & ~has[plan.worker])[:5].tolist():
            found.append(f"task {_id(plan, i)} needs label {label!r}, its worker lacks it")
    if plan.tasks.hard_deadline is not None:
        late = plan.tasks.hard_deadline & (plan.finish > plan.tasks.deadline * (1 + RELATIVE))
        found += [f"task {_id(plan, i)} misses its hard deadline" for i in np.flatnonzero(late)[:5].tolist()]
    return found


def _dependencies(plan: Plan) -> list[str]:
    edges = plan.tasks.edges
    if not len(edges):
        return []
    delay = edges.delay if len(edges.delay) else np.zeros(len(edges))
    ready = plan.finish[edges.source] + delay
    wrong = plan.start[edges.target] < ready - RELATIVE * np.maximum(1.0, ready)
    return [
        f"task {_id(plan, int(edges.target[e]))} starts before {_id(plan, int(edges.source[e]))} and its delay are over"
        for e in np.flatnonzero(wrong)[:5].tolist()
    ]


def _capacity(plan: Plan, j: int) -> list[str]:
    """Sweep over starts and finishes on one worker: every resource at every instant."""
    tasks, worker = plan.tasks, plan.workers[j]
    mine = np.flatnonzero((plan.worker == j) & (plan.finish > plan.start))
    alone = np.flatnonzero(plan.worker == j)
    limits = {"cpus": worker.cpus, "memory_bytes": worker.memory_bytes, **dict.fromkeys(tasks.resources, 0.0)}
    limits |= worker.resources
    columns = {"cpus": tasks.cpus, "memory_bytes": tasks.memory_bytes, **tasks.resources}
    found = []
    for name, column in columns.items():
        cap = limits[name]
        peak = _peak(plan.start[mine], plan.finish[mine], column[mine]) if len(mine) else 0.0
        peak = max(peak, float(column[alone].max()))
        if peak > cap + RELATIVE * max(1.0, cap):
            found.append(f"worker {worker.worker_id} holds {peak} of {name}, its capacity is {cap}")
    return found + _gpus(plan, j, alone)


def _peak(start: np.ndarray, finish: np.ndarray, amount: np.ndarray) -> float:
    """The largest sum of amounts at any instant; a finish frees before a start at the same moment (within rounding)."""
    if not np.any(amount > 0):
        return 0.0
    close = 1e-9 * max(1.0, float(finish.max()))
    ends = np.maximum(finish - close, (start + finish) / 2)
    times = np.concatenate([start, ends])
    change = np.concatenate([amount, -amount])
    order = np.lexsort((change, times))
    return float(np.cumsum(change[order]).max())


def _gpus(plan: Plan, j: int, mine: np.ndarray) -> list[str]:
    """Whether the tasks of one worker can be given devices, each the same ones from start to finish."""
    tasks, worker = plan.tasks, plan.workers[j]
    using = [int(i) for i in mine if tasks.gpus[i] > 0 or tasks.gpu_memory_bytes[i] > 0]
    if not using:
        return []
    chosen = plan.reasons.get("gpu_devices", {})
    using.sort(key=lambda i: (plan.start[i], plan.finish[i], i))
    running: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
    for i in using:
        given = chosen.get(_id(plan, i))
        share = float(tasks.gpus[i]) if tasks.gpus[i] < 1 else 1.0
        memory, start = float(tasks.gpu_memory_bytes[i]), float(plan.start[i])
        count = max(1, round(float(tasks.gpus[i])))
        open_now = []
        for d in range(int(worker.gpus + 1e-9)):
            running[d] = [r for r in running[d] if r[0] > start + 1e-9 * max(1.0, start)]
            used = sum(r[1] for r in running[d])
            filled = sum(r[2] for r in running[d])
            if used + share <= 1 + RELATIVE and filled + memory <= worker.gpu_memory_bytes * (1 + RELATIVE):
                open_now.append((1 - used, d))
        able = [d for _, d in sorted(open_now)]
        take = list(given) if given is not None else able[:count]
        if len(set(take)) < count or not set(take) <= set(able):
            return [f"worker {worker.worker_id} has no {count} GPU(s) for task {_id(plan, i)} at {start} s"]
        for d in take:
            running[d].append((float(plan.finish[i]), share, memory))
    return []


def _figures(plan: Plan) -> list[str]:
    """Makespan, bound, gap and utilization that the plan claims."""
    found = []
    last = float(plan.finish.max())
    if abs(plan.makespan - last) > _slack(last):
        found.append(f"makespan {plan.makespan} is said, the last finish is {last}")
    if plan.lower_bound > plan.makespan * (1 + RELATIVE):
        found.append(f"lower bound {plan.lower_bound} above the makespan {plan.makespan}")
    if plan.lower_bound > 0 and abs(plan.gap - (plan.makespan / plan.lower_bound - 1)) > RELATIVE:
        found.append(f"gap {plan.gap} does not follow from makespan and bound")
    if not 0 <= plan.utilization <= 1:
        found.append(f"utilization {plan.utilization} outside [0, 1]")
    return found


def _id(plan: Plan, i: int) -> str:
    return str(plan.tasks.task_id[i].as_py())
