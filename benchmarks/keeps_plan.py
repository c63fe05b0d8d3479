"""Does a run keep its plan? Simulated runs of random plans beside the plan, and beside list schedules that know the truth.

python -m benchmarks.keeps_plan [--plans 1000] [--noise 0.3] [--slower 4] [--shared 0] [--changes 0] [--intervals]

Three rows: durations exactly as predicted (the run takes what was planned); lognormal noise; one worker that is slower
than declared from half of the plan on. The last two are compared with the best of several list schedules that know the
true durations beforehand, and when which worker becomes slow. Then how often the intervals held the truth: of the ETA, asked
when 10, 50 and 90 % of the work are done, and of the plan. ``--intervals``: these alone.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.eta_asked import Asker, held
from benchmarks.versions import versions
from partitioner.coordinator.driver import drive
from partitioner.coordinator.eta import Eta
from partitioner.coordinator.policy import Policy
from partitioner.coordinator.state import initial
from partitioner.engines.simulated import SimulatedEngine
from partitioner.engines.simulated_world import Faults
from partitioner.model import Plan, SubTasks, Worker, Workers
from partitioner.model.explanation import NINETY, CostFacts
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.simulation import simulate

HORIZONS = (1.0, 1.01, 1.02, 1.05, 1.1, 1.2, 1.5, 2.0, math.inf)
"""Of the lower bound: what would end later is not started on that worker (a list schedule each; the best counts)."""


def random_plan(seed: int) -> Plan:
    """Heavy-tailed sub-tasks, 10 to 40 for every slot, on 2 to 8 workers; by ``seed`` with unequal speeds, memory, cores."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 9))
    cpus = float(rng.choice([1, 1, 2, 4, 8]))
    speeds = rng.choice([0.5, 1.0, 2.0], m) if seed % 3 == 1 else np.ones(m)
    workers = Workers.of(
        Worker(f"w{j}", cpus=cpus, speed=float(speeds[j]), memory_bytes=cpus * 1e9 if seed % 4 == 2 else math.inf)
        for j in range(m)
    )
    n = int(rng.integers(10, 41) * m * cpus)
    seconds = np.minimum(rng.lognormal(1.0, rng.choice([0.3, 0.8, 1.3]), n), 60.0)
    several = np.minimum(rng.choice([1.0, 1.0, 1.0, 2.0], n), cpus) if seed % 5 == 3 else np.ones(n)
    memory = rng.uniform(0.1e9, 1.3e9, n) if seed % 4 == 2 else np.zeros(n)
    tasks = SubTasks.build(seconds, cpus=several, memory_bytes=np.minimum(memory, cpus * 1e9))
    return Lpt().place(tasks, workers)


def true_seconds(plan: Plan, faults: Faults, seed: int) -> np.ndarray:
    """float64[n] what every sub-task takes at reference speed in the simulation of that seed."""
    return plan.tasks.seconds * [faults.noise_of(seed, key) for key in plan.tasks.task_id.to_pylist()]


def best_known(plan: Plan, faults: Faults, seed: int) -> float:
    """Makespan of the best of several list schedules, longest first, that know the true durations."""
    seconds = true_seconds(plan, faults, seed)
    truth = plan.tasks.with_columns(seconds=seconds)
    best = math.inf if faults.slowdowns else Lpt().place(truth, plan.workers).makespan
    work = float((seconds * plan.tasks.cpus).sum() / (plan.workers.speed * plan.workers.cpus).sum())
    bound = max(work, float(seconds.max() / plan.workers.speed.max()))
    return min(best, *(_List(plan, seconds, faults).run(bound * factor) for factor in HORIZONS))


class _List:
    """Whenever something ends, the longest sub-task that fits goes to the worker that ends it first, by ``horizon``."""

    def __init__(self, plan: Plan, seconds: np.ndarray, faults: Faults) -> None:
        self.tasks, self.workers, self.faults, self.seconds = plan.tasks, plan.workers, faults, seconds
        self.cpus = plan.workers.cpus.tolist()
        self.memory = plan.workers.memory_bytes.tolist()
        self.slowed = {name for name, _, _ in faults.slowdowns}

    def finish(self, i: int, j: int, now: float) -> float:
        seconds, name = self.seconds[i] / self.workers.speed[j], self.workers.worker_id[j]
        return self.faults.finish(name, now, seconds) if name in self.slowed else now + seconds

    def run(self, horizon: float) -> float:
        waiting = np.argsort(-self.seconds, kind="stable").tolist()
        running: list[tuple[float, int, int]] = []
        now = last = 0.0
        while waiting or running:
            waiting = self._start(waiting, running, now, horizon)
            if not running:
                return math.inf
            now, i, j = heapq.heappop(running)
            last = max(last, now)
            self.cpus[j] += self.tasks.cpus[i]
            self.memory[j] += self.tasks.memory_bytes[i]
        return last

    def _start(
        self, waiting: list[int], running: list[tuple[float, int, int]], now: float, horizon: float
    ) -> list[int]:
        left = []
        for at, i in enumerate(waiting):
            free = [j for j, cpus in enumerate(self.cpus) if cpus > 1e-9]
            if not free:
                return left + waiting[at:]
            able = [
                (self.finish(i, j, now), j)
                for j in free
                if self.tasks.cpus[i] <= self.cpus[j] + 1e-9
                and self.tasks.memory_bytes[i] <= self.memory[j] * (1 + 1e-9)
            ]
            end, j = min(able, default=(math.inf, -1))
            if j < 0 or end > horizon:
                left.append(i)
                continue
            self.cpus[j] -= self.tasks.cpus[i]
            self.memory[j] -= self.tasks.memory_bytes[i]
            heapq.heappush(running, (end, i, j))
        return left


@dataclass(frozen=True, slots=True)
class Outcome:
    """``ratio`` of the run's makespan to what it is compared with; ``moved`` share of the sub-tasks."""

    ratio: float
    moved: float


def exactly(seed: int) -> Outcome:
    """The run of a plan that predicts every duration, beside the plan."""
    plan = random_plan(seed)
    run = simulate(plan)
    return Outcome(run.makespan / plan.makespan, run.moved / len(plan))


def noisily(seed: int, noise: float = 0.3) -> Outcome:
    """The run with lognormal noise, beside the best list schedule that knows it."""
    plan, faults = random_plan(seed), Faults(noise=noise)
    run = simulate(plan, faults, seed)
    return Outcome(run.makespan / best_known(plan, faults, seed), run.moved / len(plan))


def slowed(seed: int, slower: float = 4.0) -> Outcome:
    """The run where one worker is slower from half of the plan on, beside the best list schedule that knows it."""
    plan = random_plan(seed)
    faults = Faults(slowdowns=((plan.workers.worker_id[0], plan.makespan / 2, slower),))
    run = simulate(plan, faults, seed)
    return Outcome(run.makespan / best_known(plan, faults, seed), run.moved / len(plan))


def told(seed: int, noise: float = 0.3, shared: float = 0.0, changes: int = 0) -> list[tuple[float, Eta]]:
    """At each question, seconds that were left in truth, and what was said.

    All durations are off by ``shared`` together, by another draw of it after each of so many ``changes``.
    """
    plan, rng = doubting(random_plan(seed), shared), np.random.default_rng(seed)
    slower = np.exp(shared * rng.standard_normal(changes + 1)).tolist()
    spell = plan.makespan / (changes + 1)
    every = tuple((name, k * spell, factor) for k, factor in enumerate(slower) for name in plan.workers.worker_id)
    faults = Faults(noise=noise, slowdowns=every if shared else ())
    engine = SimulatedEngine(plan.workers, faults, seed)
    asker = Asker(float(plan.tasks.seconds.sum()), engine.clock)
    drive(engine, initial(plan, "simulated://", Policy()), [asker], engine.clock)
    return asker.answers


def doubting(plan: Plan, shared: float) -> Plan:
    """The plan of a cost model that says so much of all its seconds together."""
    work = {"seconds": 1.0, "low": 0.0, "high": 1 + NINETY * math.sqrt(math.expm1(shared**2))}
    cost = CostFacts("doubting", details={"work": work})
    return replace(plan, about=replace(plan.about, cost=cost))


def table(seeds: Sequence[int], rows: Sequence[tuple[str, Callable[[int], Outcome]]]) -> None:
    """Print mean, 95th percentile and worst ratio of every row."""
    print(f"{'durations':44}{'mean':>9}{'p95':>9}{'worst':>9}{'moved':>8}")
    for name, how in rows:
        outcomes = [how(seed) for seed in seeds]
        ratios = np.array([o.ratio for o in outcomes])
        moved = float(np.mean([o.moved for o in outcomes]))
        print(
            f"{name:44}{ratios.mean():9.4f}{np.quantile(ratios, 0.95):9.4f}{ratios.max():9.4f}{moved:8.1%}", flush=True
        )
        if name.startswith("exactly"):
            print(f"{'':4}within 1e-6 of the plan: {int((np.abs(ratios - 1) <= 1e-6).sum())} of {len(ratios)}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--noise", type=float, default=0.3)
    parser.add_argument("--slower", type=float, default=4.0)
    parser.add_argument("--shared", type=float, default=0.0, help="by how much all durations are off together, in logs")
    parser.add_argument("--changes", type=int, default=0, help="how often they change that in the course of a run")
    parser.add_argument("--intervals", action="store_true")
    options = parser.parse_args()
    print(versions("numpy"))
    rows = [
        ("exactly as predicted, beside the plan", exactly),
        (f"noise {options.noise:g}, beside who knows it", lambda seed: noisily(seed, options.noise)),
        (f"a worker {options.slower:g} x slower from half-way on", lambda seed: slowed(seed, options.slower)),
    ]
    if not options.intervals:
        table(range(options.first, options.first + options.plans), rows)
    seeds = range(options.first, options.first + min(100, options.plans))
    held([told(seed, options.noise, options.shared, options.changes) for seed in seeds])


if __name__ == "__main__":
    main()
