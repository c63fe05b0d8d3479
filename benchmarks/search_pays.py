"""What some milliseconds of search gain on top of lpt, and so what the default placement of a run should be.

    python -m benchmarks.search_pays [--seeds 5]

Mean gap to the lower bound and mean CPU milliseconds of planning, by tasks and slots. Durations are log-normal (median e
seconds, sigma 1); ``speeds``: workers of speed 1, 1.5 and 2; ``cores``: workers of four cores.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.versions import versions
from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement.algorithms.lpt import Lpt
from partitioner.placement.algorithms.refined_lpt import RefinedLpt
from partitioner.placement.base import Algorithm

SIZES = ((30, 4), (100, 8), (100, 20), (500, 40), (2000, 40), (2000, 100), (5000, 100))


def workers_of(kind: str, slots: int) -> Workers:
    """So many slots of one kind."""
    if kind == "cores":
        return Workers.identical(slots // 4, cpus=4.0)
    speeds = (1.0, 1.5, 2.0) if kind == "speeds" else (1.0,)
    return Workers.of(Worker(f"w{j}", speed=speeds[j % len(speeds)]) for j in range(slots))


def measured(algorithm: Algorithm, tasks: SubTasks, workers: Workers) -> tuple[float, float]:
    """(gap, CPU milliseconds)."""
    begun = time.process_time()
    plan = algorithm.place(tasks, workers)
    return plan.gap, (time.process_time() - begun) * 1e3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    print(versions("numpy"))
    print("| workers | tasks | slots | lpt: gap, ms | refined_lpt: gap, worst, ms |\n|---|---|---|---|---|")
    for kind in ("equal", "cores", "speeds"):
        for n, slots in SIZES:
            workers = workers_of(kind, slots)
            tasks = [SubTasks.build(np.random.default_rng(seed).lognormal(1, 1, n)) for seed in seeds]
            plain = np.array([measured(Lpt(), each, workers) for each in tasks])
            fine = np.array([measured(RefinedLpt(), each, workers) for each in tasks])
            print(
                f"| {kind} | {n} | {slots} | {plain[:, 0].mean():.3%}, {plain[:, 1].mean():.0f} | "
                f"{fine[:, 0].mean():.3%}, {fine[:, 0].max():.3%}, {fine[:, 1].mean():.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
