"""Fractional GPUs on the openb trace: makespan over the bound on 60 nodes, and fragmentation as pods arrive one by one.

    python -m benchmarks.gpu_placement [--data ../shared/data] [--nodes 60] [--seconds 60]

Durations are deletion - scheduled time of the trace, capped at one day. Pods that none of the chosen nodes can hold are
left out and counted. On line nothing ends: pods of the whole trace arrive in order, drawn again in random order when
the trace is over, until the first does not fit; what is printed is the share of GPUs then unallocated.
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
from pathlib import Path

import numpy as np

from partitioner import registry
from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement.check import violations
from partitioner.placement.problem import Problem
from partitioner.placement.schedules.cluster_state import ClusterState
from partitioner.placement.schedules.packing import Packing
from partitioner.placement.subset import take_tasks

DAY = 86_400.0
MIB = 2.0**20


def nodes(folder: Path, count: int | None) -> Workers:
    """GPU nodes of the trace; ``count`` of them evenly spaced over the list, so that every model takes part."""
    rows = list(csv.DictReader((folder / "openb_node_list_gpu_node.csv").open()))
    if count is not None:
        rows = [rows[i] for i in np.linspace(0, len(rows) - 1, count).round().astype(int)]
    return Workers.of(
        Worker(
            r["sn"],
            cpus=float(r["cpu_milli"]) / 1000,
            memory_bytes=float(r["memory_mib"]) * MIB,
            gpus=float(r["gpu"]),
            worker_class=r["model"],
        )
        for r in rows
    )


def pods(folder: Path, models: set[str], variant: str = "default") -> SubTasks:
    """Pods of the trace; a GPU model in ``gpu_spec`` restricts where one runs."""
    rows = list(csv.DictReader((folder / f"openb_pod_list_{variant}.csv").open()))
    rows = [r for r in rows if r["deletion_time"] and r["scheduled_time"]]
    seconds = np.array([min(DAY, max(1.0, float(r["deletion_time"]) - float(r["scheduled_time"]))) for r in rows])
    allowed = [set(r["gpu_spec"].split("|")) - {""} for r in rows]
    by_class = {m: np.where([not a or m in a for a in allowed], seconds, np.nan) for m in sorted(models)}
    share = [float(r["gpu_milli"] or 0) / 1000 for r in rows]
    return SubTasks.build(
        seconds,
        [r["name"] for r in rows],
        cpus=[float(r["cpu_milli"]) / 1000 for r in rows],
        memory_bytes=[float(r["memory_mib"]) * MIB for r in rows],
        gpus=[float(r["num_gpu"] or 0) * (s if 0 < s < 1 else 1.0) for r, s in zip(rows, share, strict=True)],
        seconds_by_class=by_class,
    )


def offline(folder: Path, count: int, limit: float, names: list[str]) -> None:
    """Makespan over the lower bound for each algorithm."""
    workers = nodes(folder, count)
    tasks = pods(folder, set(workers.worker_class))
    able = np.isfinite(Problem(tasks, workers).fastest)
    tasks = take_tasks(tasks, np.flatnonzero(able))
    print(
        f"{len(tasks)} pods on {count} nodes with {workers.gpus.sum():.0f} GPUs; {int((~able).sum())} pods fit on none"
    )
    print(f"{'algorithm':22s} {'makespan s':>11s} {'bound s':>11s} {'ratio':>7s} {'seconds':>8s}  bound by")
    for name in names:
        begun = time.monotonic()
        plan = registry.load("placements", name)().place(tasks, workers, time_limit=limit)
        wrong = violations(plan)
        ratio = plan.makespan / plan.lower_bound
        print(
            f"{name:22s} {plan.makespan:11.0f} {plan.lower_bound:11.0f} {ratio:7.4f} {time.monotonic() - begun:8.1f}  "
            f"{plan.about.bound_by}{' INVALID ' + wrong[0] if wrong else ''}",
            flush=True,
        )


def best_fit(state: ClusterState, i: int, able: np.ndarray) -> int:
    """The fitting worker with the least left over, as Kubernetes' most-allocated score."""
    free = np.where(np.isfinite(state.free[able]), state.free[able], 0.0) / state.largest
    left = free.sum(axis=1) + state.share[able].sum(axis=1) / max(1, state.share.shape[1])
    return int(able[int(np.argmin(left))])


def online(folder: Path, seeds: int) -> None:
    """Share of GPUs unallocated when the first pod does not fit, per rule and trace variant."""
    workers = nodes(folder, None)
    rules = {
        "best_fit": best_fit,
        "dot_product": registry.load("placements", "dot_product")(),
        "fragmentation_aware": registry.load("placements", "fragmentation_aware")(),
    }
    print(f"\non line, {len(workers)} nodes, {workers.gpus.sum():.0f} GPUs")
    print("share of GPUs unallocated at the first pod that fits nowhere")
    for variant in ("default", "gpushare40", "gpuspec33"):
        tasks = pods(folder, set(workers.worker_class), variant)
        problem = Problem(tasks, workers)
        able = np.flatnonzero(np.isfinite(problem.fastest))
        for name, rule in rules.items():
            found = [_arrivals(problem, able, rule, seed) for seed in range(seeds)]
            print(
                f"{variant:12s} {name:22s} mean {np.mean(found):.4f}  worst {max(found):.4f}  ({seeds} orders)",
                flush=True,
            )


def _arrivals(problem: Problem, able: np.ndarray, rule: object, seed: int) -> float:
    state, draw = ClusterState(problem), np.random.default_rng(seed)
    choose = rule.choose if isinstance(rule, Packing) else rule
    if isinstance(rule, Packing):
        rule.prepare(problem)
    while True:
        for i in draw.permutation(able).tolist():
            where = np.flatnonzero(state.fits(i))
            if not len(where):
                return float(state.share.sum() / state.devices.sum())
            state.take(i, choose(state, i, where))  # type: ignore[operator]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--nodes", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--orders", type=int, default=3)
    parser.add_argument("--algorithms", default="lpt,dot_product,fragmentation_aware,auto")
    parser.add_argument("--skip-online", action="store_true")
    given = parser.parse_args()
    print(f"Python {platform.python_version()}, numpy {np.__version__}")
    folder = given.data / "gpu_trace_openb"
    offline(folder, given.nodes, given.seconds, given.algorithms.split(","))
    if not given.skip_online:
        online(folder, given.orders)


if __name__ == "__main__":
    main()
