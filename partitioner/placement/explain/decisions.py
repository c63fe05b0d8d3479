"""Why each sub-task went where it did: the worker, the runner-up and by how much it lost, the binding constraint."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from partitioner.model import Plan
from partitioner.placement.problem import TOLERANCE, Problem
from partitioner.placement.schedules.timeline import Timeline, timeline_of

_MOST_CANDIDATES = 12


@dataclass(frozen=True, slots=True)
class Decision:
    """One assignment explained; times in ``unit``, that of the plan's costs.

    ``runner_up``: the other worker on which the task would finish first with all else left in place, empty where no other
    can run it; it would finish ``lost_by`` later (negative: earlier, the plan accepts that for the sake of the whole).
    ``binding``: what kept the task from another worker or an earlier start: dependency, release, cpus, memory, gpu,
    gpu memory, label, class, a named resource, locality, or none.
    """

    task_id: str
    worker_id: str
    start: float
    finish: float
    runner_up: str
    lost_by: float
    binding: str
    unit: str = "s"

    def __str__(self) -> str:
        lost = _signed(self.lost_by, self.unit)
        rival = f"next {self.runner_up}, {lost}" if self.runner_up else "no other worker can run it"
        when = f"{self.start:.4g} to {self.finish:.4g} {self.unit}"
        return f"{self.task_id} on {self.worker_id}, {when}; {rival}; binding: {self.binding}"


def decisions(plan: Plan, limit: int) -> list[str]:
    """One line per assignment for the first ``limit`` sub-tasks."""
    reader = Decider(plan)
    return [str(reader.decide(i)) for i in range(min(limit, len(plan)))]


class Decider:
    """Explains assignments of one plan; timelines of the workers it looks at are kept between calls."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.problem = Problem(plan.tasks, plan.workers)
        self.begin = float(plan.start.min(initial=np.inf))  # processes start and load the program before
        self.load = np.bincount(plan.worker, weights=plan.finish - plan.start, minlength=len(plan.workers))
        self._timelines: dict[int, Timeline] = {}

    def decide(self, i: int) -> Decision:
        """The decision on sub-task i."""
        plan = self.plan
        j = int(plan.worker[i])
        rival, finish = self._runner_up(i, j)
        return Decision(
            task_id=str(plan.tasks.task_id[i].as_py()),
            worker_id=plan.workers.worker_id[j],
            start=float(plan.start[i]),
            finish=float(plan.finish[i]),
            runner_up="" if rival < 0 else plan.workers.worker_id[rival],
            lost_by=0.0 if rival < 0 else finish - float(plan.finish[i]),
            binding=self._binding(i, j),
            unit=plan.unit,
        )

    def _ready(self, i: int) -> float:
        after = [float(self.plan.finish[p]) + d for p, d, _ in self.problem.parents.rows(i)]
        return max([self.begin, float(self.problem.release[i]), *after])

    def _runner_up(self, i: int, j: int) -> tuple[int, float]:
        """The best other worker, of the least loaded ones that can run the task: (worker or -1, finish there)."""
        times = self.problem.times_of(i)[self.problem.group_of]
        able = np.flatnonzero(np.isfinite(times))
        able = able[able != j]
        able = able[np.argsort(self.load[able] + times[able], kind="stable")][:_MOST_CANDIDATES]
        ready = self._ready(i)
        best = (-1, np.inf)
        for other in able.tolist():
            seconds = float(times[other])
            finish = self._timeline(other).earliest(i, ready, seconds) + seconds
            if finish < best[1]:
                best = (other, finish)
        return best

    def _timeline(self, j: int) -> Timeline:
        """Everything the plan runs on worker j."""
        if j not in self._timelines:
            line = timeline_of(self.problem, int(self.problem.group_of[j]))
            mine = np.flatnonzero(self.plan.worker == j)
            for i in mine[np.argsort(self.plan.start[mine], kind="stable")].tolist():
                line.reserve(i, float(self.plan.start[i]), float(self.plan.finish[i] - self.plan.start[i]))
            self._timelines[j] = line
        return self._timelines[j]

    def _binding(self, i: int, j: int) -> str:
        """The first that applies: a predecessor, the release, what shuts out most workers, locality."""
        start = float(self.plan.start[i])
        close = 1e-9 * max(1.0, start)
        for parent, delay, _ in self.problem.parents.rows(i):
            if start > 0 and abs(float(self.plan.finish[parent]) + delay - start) <= close:
                return f"dependency on {self.plan.tasks.task_id[parent].as_py()}"
        if start > 0 and abs(float(self.problem.release[i]) - start) <= close:
            return "release"
        shut = self._shut_out(i)
        if shut:
            return max(shut, key=lambda name: shut[name])
        hosts = self.plan.tasks.preferred_host
        return "locality" if hosts and hosts[i] and hosts[i] == self.plan.workers.host[j] else "none"

    def _shut_out(self, i: int) -> dict[str, int]:
        """How many workers each constraint alone makes impossible for task i."""
        problem, found = self.problem, {}
        size = problem.size
        names = {"memory_bytes": "memory"}
        for k, resource in enumerate(problem.resources):
            found[names.get(resource, resource)] = int(
                size[problem.demand[i, k] > problem.capacity[:, k] * (1 + TOLERANCE)].sum()
            )
        if problem.uses_gpu[i]:
            found["gpu"] = int(size[(problem.devices < problem.gpus[i]) | (problem.devices == 0)].sum())
            found["gpu memory"] = int(size[problem.gpu_memory[i] > problem.device_memory * (1 + TOLERANCE)].sum())
        labels = [self.plan.workers.labels[int(f)] for f in problem.first]
        for label, wanted in self.plan.tasks.requires.items():
            if wanted[i]:
                found[f"label {label}"] = int(sum(s for s, has in zip(size, labels, strict=True) if label not in has))
        found["class"] = int(sum(s for g, s in enumerate(size.tolist()) if np.isnan(problem.raw_times_on(g)[i])))
        return {name: count for name, count in found.items() if count}


def _signed(seconds: float, unit: str) -> str:
    """Later, earlier or equal, in words."""
    if abs(seconds) < 1e-9:
        return "equally good"
    if seconds > 0:
        return f"{seconds:.4g} {unit} later"
    return f"{-seconds:.4g} {unit} earlier, given up for the rest of the plan"
