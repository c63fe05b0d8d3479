"""Planning time, peak memory and gap for a million sub-tasks: seconds and bytes of one process per line.

    python -m benchmarks.plan_scale [--tasks 1000000]

Each case runs in a process of its own, so that the peak memory is its own. Durations are log-normal (median e seconds,
sigma 1); memory is log-normal around 2 GB (sigma 0.6, at most 12 GB) on workers of 16 GB; speeds are 1, 1.5 and 2.
``checker`` is the part of the CPU seconds that the independent checker of the plan took.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from typing import Any

import numpy as np

from benchmarks.versions import versions
from partitioner import registry
from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement import soundness

CASES = (
    ("lpt", 1_000, False),
    ("least_loaded", 1_000, False),
    ("round_robin", 1_000, False),
    ("auto", 1_000, False),
    ("lpt", 1_000, True),
    ("auto", 1_000, True),
    ("lpt", 10_000, False),
    ("dimension_exchange", 10_000, False),
    ("dimension_exchange", 10_000, True),
    ("lpt", 10_000, True),
)


def instance(n: int, m: int, demanding: bool) -> tuple[SubTasks, Workers]:
    """``demanding``: four cores, three speeds and memory per worker; else equal workers of one core."""
    draw = np.random.default_rng(0)
    seconds = draw.lognormal(1, 1, n)
    if not demanding:
        return SubTasks.build(seconds), Workers.identical(m)
    memory = np.minimum(draw.lognormal(np.log(2e9), 0.6, n), 12e9)
    speeds = (1.0, 1.5, 2.0)
    workers = Workers.of(Worker(f"w{j}", cpus=4.0, memory_bytes=16e9, speed=speeds[j % 3]) for j in range(m))
    return SubTasks.build(seconds, memory_bytes=memory), workers


def timed_checker() -> list[float]:
    """CPU seconds of every call of the independent checker from now on, which every plan passes through."""
    seconds: list[float] = []
    check = soundness.check_schedule

    def timed(*arguments: Any) -> None:
        begun = time.process_time()
        check(*arguments)
        seconds.append(time.process_time() - begun)

    soundness.check_schedule = timed
    return seconds


def measure(name: str, n: int, m: int, demanding: bool) -> None:
    """Print one line of the table."""
    tasks, workers = instance(n, m, demanding)
    algorithm = registry.load("placements", name)()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    checking = timed_checker()
    wall, cpu = time.monotonic(), time.process_time()
    plan = algorithm.place(tasks, workers)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    what = "4 cpus, 3 speeds, memory" if demanding else "equal, 1 cpu"
    notes = (
        f"  {plan.about.notes['messages']} messages, {plan.about.notes['groups']} groups"
        if "messages" in plan.about.notes
        else ""
    )
    print(
        f"{name:13s} {n:>9,d} {m:>7,d}  {what:25s} {wall:7.2f} {cpu:7.2f} {plan.gap:9.4%} {sum(checking) / cpu:7.1%} "
        f"{before:7.0f} {peak:7.0f}{notes}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    parser.add_argument("--only", help="just this algorithm")
    given = parser.parse_args()
    print(versions("numpy", "pyarrow"))
    print(f"{'algorithm':13s} {'tasks':>9s} {'workers':>7s}  {'workers have':25s} {'wall s':>7s} {'cpu s':>7s} {'gap':>9s}"
        f" {'checker':>7s}"
          f" {'MB in':>7s} {'MB peak':>7s}")  # fmt: skip
    context = multiprocessing.get_context("spawn")
    for name, m, demanding in CASES:
        if given.only in (None, name):
            process = context.Process(target=measure, args=(name, given.tasks, m, demanding))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
