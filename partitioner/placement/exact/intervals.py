"""The interval model of CP-SAT: optional intervals on lanes, with every constraint that placement knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from partitioner.model.data import Ints
from partitioner.placement.exact.lanes import Lane, lanes_of, whole_units
from partitioner.placement.exact.ticks import Ticks
from partitioner.placement.problem import Problem
from partitioner.placement.schedule import Schedule


class IntervalModel:
    """Variables and constraints for one problem; ``objective`` terms are added by the caller.

    ``start`` and ``end`` per task; ``on[i]`` maps a lane index to the boolean that task i runs there; ``used[i]`` maps
    (worker, device) to the boolean that task i holds that device. ``horizon`` ticks bound every end; ``apart``: every
    worker is a lane of its own.
    """

    def __init__(self, problem: Problem, ticks: Ticks, horizon: int, apart: bool = False) -> None:
        self.problem, self.ticks, self.horizon = problem, ticks, horizon
        self.model = cp_model.CpModel()
        transfers = bool(np.any(problem.parents.transfer > 0))
        self.lanes = lanes_of(problem, apart or transfers)
        self.on: list[dict[int, Any]] = [{} for _ in range(problem.n)]
        self.used: list[dict[tuple[int, int], Any]] = [{} for _ in range(problem.n)]
        self.seconds = [ticks.down(np.nan_to_num(problem.times_on(g), posinf=0.0)) for g in range(problem.groups)]
        self._intervals: list[dict[int, Any]] = [{} for _ in range(problem.n)]
        release = ticks.down(np.maximum(problem.release, 0.0))
        latest = self._latest_ends()
        self.start = [self.model.new_int_var(int(release[i]), horizon, f"start {i}") for i in range(problem.n)]
        self.end = [self.model.new_int_var(0, int(latest[i]), f"end {i}") for i in range(problem.n)]
        for i in range(problem.n):
            self._add_task(i)
        for lane in range(len(self.lanes)):
            self._add_capacity(lane)
        self._add_links()

    def _latest_ends(self) -> Ints:
        problem = self.problem
        latest = np.full(problem.n, self.horizon, np.int64)
        for i in np.flatnonzero(problem.hard).tolist():
            latest[i] = min(self.horizon, int(self.ticks.down(problem.deadline[i : i + 1])[0]))
        return latest

    def _add_task(self, i: int) -> None:
        able = [k for k, lane in enumerate(self.lanes) if np.isfinite(self.problem.times_on(lane.group)[i])]
        for k in able:
            seconds = int(self.seconds[self.lanes[k].group][i])
            here = self.model.new_bool_var(f"{i} on {k}") if len(able) > 1 else self.model.new_constant(1)
            self.on[i][k] = here
            self._intervals[i][k] = self.model.new_optional_interval_var(self.start[i], seconds, self.end[i], here, "")
        self.model.add_exactly_one(self.on[i].values())

    def _add_capacity(self, k: int) -> None:
        lane = self.lanes[k]
        tasks = [i for i in range(self.problem.n) if k in self.on[i] and self.seconds[lane.group][i] > 0]
        intervals = [self._intervals[i][k] for i in tasks]
        if lane.limit == 1:
            self.model.add_no_overlap(intervals)
        elif lane.limit > 1:
            self.model.add_cumulative(intervals, [1] * len(tasks), lane.limit)
        else:
            self._add_resources(lane, tasks, intervals)
        if self.problem.uses_gpu.any():
            self._add_devices(k)

    def _add_resources(self, lane: Lane, tasks: list[int], intervals: list[Any]) -> None:
        for r in range(len(self.problem.resources)):
            units, limit = whole_units(self.problem.demand[tasks, r], float(self.problem.capacity[lane.group, r]))
            heavy = np.flatnonzero(units > 0).tolist()
            if int(units.sum()) > limit:
                self.model.add_cumulative([intervals[a] for a in heavy], [int(units[a]) for a in heavy], limit)

    def _add_devices(self, k: int) -> None:
        lane, problem = self.lanes[k], self.problem
        (worker,) = lane.workers
        devices = range(int(problem.devices[lane.group]))
        tasks = [i for i in range(problem.n) if k in self.on[i] and problem.uses_gpu[i]]
        share = np.where(problem.gpus[tasks] < 1, problem.gpus[tasks], 1.0)
        shares, whole = whole_units(share, 1.0)
        memory, room = whole_units(problem.gpu_memory[tasks], float(problem.device_memory[lane.group]))
        held: list[list[Any]] = [[] for _ in devices]
        for i in tasks:
            flags = [self.model.new_bool_var(f"{i} holds {d} of {worker}") for d in devices]
            self.used[i] |= {(worker, d): flags[d] for d in devices}
            self.model.add(sum(flags) == max(1, round(float(problem.gpus[i]))) * self.on[i][k])
            seconds = int(self.seconds[lane.group][i])
            for d in devices:
                held[d].append(self.model.new_optional_interval_var(self.start[i], seconds, self.end[i], flags[d], ""))
        for d in devices:
            self.model.add_cumulative(held[d], shares.tolist(), whole)
            if np.any(memory > 0):
                self.model.add_cumulative(held[d], memory.tolist(), room)

    def _add_links(self) -> None:
        links = self.problem.parents
        delay, transfer = self.ticks.down(links.delay), self.ticks.down(links.transfer)
        for i in range(self.problem.n):
            for e in range(int(links.offset[i]), int(links.offset[i + 1])):
                parent = int(links.task[e])
                ready = self.end[parent] + int(delay[e])
                if transfer[e]:
                    ready += int(transfer[e]) * (1 - self._together(parent, i))
                self.model.add(self.start[i] >= ready)

    def _together(self, a: int, b: int) -> Any:
        """A boolean that may be true only when both run on one worker."""
        same = self.model.new_bool_var(f"{a} with {b}")
        for k in self.on[a].keys() | self.on[b].keys():
            one, other = self.on[a].get(k, 0), self.on[b].get(k, 0)
            self.model.add(one == other).only_enforce_if(same)
        return same

    def add_makespan(self, least: int) -> Any:
        """The variable of the last end; each lane's work fits below it times what the lane holds at once."""
        last = self.model.new_int_var(min(least, self.horizon), self.horizon, "makespan")
        for i in range(self.problem.n):
            self.model.add(self.end[i] <= last)
        for k, lane in enumerate(self.lanes):
            if lane.limit:
                work = [
                    int(self.seconds[lane.group][i]) * self.on[i][k] for i in range(self.problem.n) if k in self.on[i]
                ]
                self.model.add(sum(work) <= lane.limit * last)
        return last

    def add_hint(self, schedule: Schedule) -> None:
        """Where to start the search: a feasible schedule."""
        for i in range(self.problem.n):
            self.model.add_hint(self.start[i], int(self.ticks.down(schedule.start[i : i + 1])[0]))
            self.model.add_hint(self.end[i], int(self.ticks.down(schedule.finish[i : i + 1])[0]))
            if len(self.on[i]) > 1:
                for k, flag in self.on[i].items():
                    self.model.add_hint(flag, int(int(schedule.worker[i]) in self.lanes[k].workers))
