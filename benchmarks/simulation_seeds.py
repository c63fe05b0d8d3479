"""Seeds of the simulation: ``python -m benchmarks.simulation_seeds --seeds 10000 --tasks 200``.

Each seed is a plan of up to ``--tasks`` sub-tasks and faults of every kind; the laws of ``partitioner.testing.seeds`` are
checked after every step. Prints steps per second, runs that ended, runs that stopped in order (resumable), and violations;
of the first violation the shortest history that still breaks the law. Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from partitioner.testing.seeds import Played, run_seed, shrunk


def main() -> int:
    """Play the seeds and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    began = time.perf_counter()
    if asked.processes > 1:
        with ProcessPoolExecutor(asked.processes) as pool:
            found: Iterable[Played] = list(pool.map(partial(run_seed, tasks=asked.tasks), seeds, chunksize=8))
    else:
        found = [run_seed(seed, asked.tasks) for seed in seeds]
    return tell(list(found), seeds, asked.tasks, time.perf_counter() - began)


def tell(found: list[Played], seeds: range, tasks: int, seconds: float) -> int:
    """Figures, then the story of the first broken law."""
    ends = Counter("broken" if p.broken else "stopped" if p.stopped else "done" for p in found)
    steps = sum(p.steps for p in found)
    print(
        f"{len(found)} seeds x up to {tasks} sub-tasks: {steps} steps, {steps / seconds:.0f} steps/s in {seconds:.1f} s"
    )
    print(f"done {ends['done']}, stopped in order {ends['stopped']}, violations {ends['broken']}")
    for seed, played in zip(seeds, found, strict=True):
        if played.broken:
            story, again = shrunk(seed, tasks)
            print(f"seed {seed}: {played.broken}\nwith {story.faults}\n" + "\n".join(again.history[-80:]))
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
