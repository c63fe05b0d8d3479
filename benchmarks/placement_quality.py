"""How close each placement algorithm comes to the optimum or its bound, on public instance sets.

    python -m benchmarks.placement_quality [--sets stg,rcpsp_j30] [--algorithms heft,auto] [--seconds 10] [--every 5]
    python -m benchmarks.placement_quality --tables results.jsonl [more.jsonl ...]

Each plan goes through the independent checker. The reference of an instance is its published lower bound or optimum, or
the largest bound that any plan of the same run proved. Ratios are makespan / reference. ``seconds`` is wall time per
instance, ``cpu`` the processor seconds of it (all threads), which tells how much of a time limit a busy machine gave.
``--out`` appends one JSON line per plan; ``--tables`` prints the tables of such files and runs nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.instances import SETS, Instance
from benchmarks.versions import versions
from partitioner import registry
from partitioner.errors import ConfigError
from partitioner.placement.base import Algorithm
from partitioner.placement.check import violations
from partitioner.placement.problem import Problem

SECONDS = {"pcmax_franca": 5.0, "gpu_trace_openb": 60.0}
OTHERWISE = 10.0
NEAR = 1 + 1e-9
Row = dict[str, Any]


def solvers(names: Iterable[str], instance: Instance) -> Iterator[Algorithm]:
    """The algorithms that declare everything the instance needs."""
    problem = Problem(instance.tasks, instance.workers)
    for name in names:
        algorithm: Algorithm = registry.load("placements", name)()
        if not algorithm.refusals(problem):
            yield algorithm


def run(group: str, instance: Instance, algorithm: Algorithm, limit: float) -> Row:
    """One plan and its figures; a plan that the checker refuses stops the benchmark."""
    wall, cpu = time.monotonic(), time.process_time()
    plan = algorithm.place(instance.tasks, instance.workers, time_limit=limit if algorithm.anytime else None)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    wrong = violations(plan)
    if wrong:
        raise SystemExit(f"{algorithm.name} on {instance.name}: {wrong[0]}")
    return {
        "set": group,
        "instance": instance.name,
        "algorithm": algorithm.name,
        "makespan": plan.makespan,
        "lower_bound": plan.lower_bound,
        "proven": plan.proven_optimal,
        "winner": plan.about.portfolio.winner if plan.about.portfolio else "",
        "known_lower": instance.known_lower,
        "known_upper": instance.known_upper,
        "limit": limit if algorithm.anytime else None,
        "seconds": wall,
        "cpu": cpu,
    }


def references(rows: list[Row]) -> dict[str, float]:
    """Per instance the value that makespans are divided by."""
    best: dict[str, float] = defaultdict(float)
    for row in rows:
        best[row["instance"]] = max(best[row["instance"]], row["lower_bound"], row["known_lower"] or 0.0)
    return best


def table(group: str, rows: list[Row]) -> Iterator[str]:
    """Lines of Markdown: one row per algorithm, the best mean first."""
    reference = references(rows)
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_name[row["algorithm"]].append(row)
    yield f"### {group}, {len(reference)} instances"
    yield ""
    yield "| algorithm | instances | mean ratio | worst | proven optimal | limit s | seconds | cpu |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    lines = []
    for name, mine in by_name.items():
        ratios = [row["makespan"] / reference[row["instance"]] for row in mine]
        limit = mine[0]["limit"]
        figures = [
            f"`{name}`",
            str(len(mine)),
            f"{mean(ratios):.4f}",
            f"{max(ratios):.4f}",
            f"{mean(row['proven'] for row in mine):.0%}",
            f"{limit:g}" if limit else "-",
            f"{mean(row['seconds'] for row in mine):.3f}",
            f"{mean(row['cpu'] for row in mine):.3f}",
        ]
        lines.append((-len(mine), mean(ratios), "| " + " | ".join(figures) + " |"))
    yield from (line for _, _, line in sorted(lines))
    yield ""
    yield from asks(rows, by_name)


def overview(rows: list[Row]) -> Iterator[str]:
    """One Markdown row per algorithm, one column per set: mean ratio / worst ratio / processor seconds (instances)."""
    groups = list(dict.fromkeys(row["set"] for row in rows))
    cells: dict[str, dict[str, str]] = defaultdict(dict)
    for group in groups:
        inside = [row for row in rows if row["set"] == group]
        reference = references(inside)
        for name in {row["algorithm"] for row in inside}:
            mine = [row for row in inside if row["algorithm"] == name]
            ratios = [row["makespan"] / reference[row["instance"]] for row in mine]
            part = "" if len(mine) == len(reference) else f" ({len(mine)} of {len(reference)})"
            cells[name][group] = f"{mean(ratios):.4f} / {max(ratios):.3f} / {mean(r['cpu'] for r in mine):.3f}{part}"
    yield "| algorithm | " + " | ".join(groups) + " |"
    yield "|---" * (len(groups) + 1) + "|"
    for name in sorted(cells):
        yield f"| `{name}` | " + " | ".join(cells[name].get(group, "-") for group in groups) + " |"


def asks(rows: list[Row], by_name: dict[str, list[Row]]) -> Iterator[str]:
    """What is asked of ``auto`` and of the searches: beside HEFT, and optima reached."""
    heft = {row["instance"]: row["makespan"] for row in by_name.get("heft", [])}
    reference = references(rows)
    for name in ("auto", "graph_search", "cp_sat"):
        mine = by_name.get(name, [])
        with_optimum = [row for row in mine if row["known_upper"] is not None]
        if with_optimum:
            reached = mean(row["makespan"] <= row["known_upper"] * NEAR for row in with_optimum)
            yield f"- `{name}`: best known makespan reached on {reached:.1%} of {len(with_optimum)}"
        if mine and mine[0]["instance"] in heft and len(with_optimum) < len(mine):
            gain = [heft[row["instance"]] / row["makespan"] - 1 for row in mine]
            saved = [1 - row["makespan"] / heft[row["instance"]] for row in mine]
            room = [heft[row["instance"]] / reference[row["instance"]] - 1 for row in mine]
            yield (
                f"- `{name}` beside HEFT on {len(mine)}: HEFT is {mean(gain):.2%} longer on average "
                f"({mean(saved):.2%} of its makespan saved), at least {min(gain):.2%} on each; "
                f"HEFT is {mean(room):.2%} above the bounds, so no plan gains more than that"
            )
    yield ""


def measure(given: argparse.Namespace) -> list[Row]:
    """Run everything that the options ask for."""
    rows: list[Row] = []
    names = given.algorithms.split(",") if given.algorithms else registry.names("placements")
    left_out = set(given.without.split(","))
    for group in given.sets.split(","):
        limit = given.seconds or SECONDS.get(group, OTHERWISE)
        chosen = (i for i in SETS[group](given.data) if not given.instances or i.name in given.instances.split(","))
        for instance in itertools.islice(chosen, 0, None, given.every):
            for algorithm in solvers([n for n in names if n not in left_out], instance):
                try:
                    row = run(group, instance, algorithm, limit)
                except ConfigError as error:  # an exact method that gives up within its own limits
                    print(f"{instance.name}: {error}", file=sys.stderr)
                    continue
                rows.append(row)
                if given.out:
                    with given.out.open("a") as lines:
                        lines.write(json.dumps(row) + "\n")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the instance sets")
    parser.add_argument("--sets", default=",".join(SETS), help="comma-separated")
    parser.add_argument("--algorithms", default="", help="comma-separated; by default all that support an instance")
    parser.add_argument("--without", default="", help="comma-separated names to leave out")
    parser.add_argument("--seconds", type=float, help="time limit of the algorithms that use one")
    parser.add_argument("--every", type=int, default=1, help="only every k-th instance of each set")
    parser.add_argument("--instances", default="", help="comma-separated names; by default all of a set")
    parser.add_argument("--out", type=Path, help="append one JSON line per plan to this file")
    parser.add_argument("--tables", type=Path, nargs="+", help="print the tables of such files")
    given = parser.parse_args()
    if given.tables:
        rows = [json.loads(line) for file in given.tables for line in file.read_text().splitlines()]
    else:
        rows = measure(given)
    print(versions("numpy", "scipy", "ortools", "deap"))
    for group in dict.fromkeys(row["set"] for row in rows):
        print()
        print("\n".join(table(group, [row for row in rows if row["set"] == group])))
    print("\n".join(overview(rows)))


if __name__ == "__main__":
    main()
