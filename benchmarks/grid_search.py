"""A grid of uneven cost, cross-validated: planned by a pilot beside the order of the grid, in joblib and in plain Dask.

    python -m benchmarks.grid_search [--workers 2] [--rows 800] [--rounds 1]

Two grids: C of a support vector machine (fits grow with C; a pilot measures them), and trees of a forest (declared: a fit
takes as long as its trees). All three ways use the same number of
processes of one thread and fit the same models; the pilot's seconds count in the planned search. The last lines say what the
order alone is worth: a list schedule of the measured fits in the order of the grid, and longest first.
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import joblib
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from benchmarks.versions import versions
from partitioner.search import GridSearch

FOLDS = 3
GRIDS: dict[str, tuple[Any, dict[str, list[Any]], Any]] = {
    "C of an SVM": (SVC(kernel="linear"), {"C": [1.0, 3.0, 10.0, 30.0, 100.0]}, "pilot"),
    "trees of a forest": (
        RandomForestClassifier(random_state=0),
        {"n_estimators": [10, 30, 90, 270, 810]},
        lambda parameters: parameters["n_estimators"] / 200,
    ),
}


def list_schedule(seconds: Sequence[float], workers: int) -> float:
    """Makespan where each next fit goes to the first free worker."""
    free = [0.0] * workers
    for each in seconds:
        heapq.heappush(free, heapq.heappop(free) + each)
    return max(free)


def timed(search: Any, x: Any, y: Any) -> tuple[float, Any]:
    """Seconds of a search without its refit."""
    began = time.perf_counter()
    found = search.fit(x, y)
    return time.perf_counter() - began, found


def with_joblib(model: Any, grid: Any, cost: Any, x: Any, y: Any, workers: int) -> tuple[float, Any]:
    """scikit-learn's own: joblib's processes, the order of the grid."""
    joblib.Parallel(n_jobs=workers)(joblib.delayed(abs)(i) for i in range(workers))  # they start before the clock
    return timed(GridSearchCV(model, grid, cv=FOLDS, refit=False, n_jobs=workers), x, y)


def with_dask(client: Client) -> Callable[..., tuple[float, Any]]:
    """Plain Dask under joblib, the order of the grid."""

    def run(model: Any, grid: Any, cost: Any, x: Any, y: Any, workers: int) -> tuple[float, Any]:
        with joblib.parallel_config("dask", client=client):
            return timed(GridSearchCV(model, grid, cv=FOLDS, refit=False), x, y)

    return run


def planned(client: Client, folder: str) -> Callable[..., tuple[float, Any]]:
    """The drop-in, on the same cluster."""

    def run(model: Any, grid: Any, cost: Any, x: Any, y: Any, workers: int) -> tuple[float, Any]:
        search = GridSearch(
            model, grid, cv=FOLDS, refit=False, engine=client, cost=cost, settings={"checkpoint": folder}
        )
        return timed(search, x, y)

    return run


def main() -> None:
    """Print seconds of the three ways, and what the order alone is worth."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(versions("scikit-learn", "joblib", "dask"))
    x, y = make_classification(given.rows, 20, n_informative=8, flip_y=0.15, random_state=0)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(given.workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        ways = {"joblib": with_joblib, "plain Dask": with_dask(client), "planned": planned(client, folder)}
        for title, (model, grid, cost) in GRIDS.items():
            compare(title, model, grid, cost, x, y, given.workers, given.rounds, ways)


def compare(
    title: str,
    model: Any,
    grid: Any,
    cost: Any,
    x: Any,
    y: Any,
    workers: int,
    rounds: int,
    ways: dict[str, Callable[..., Any]],
) -> None:
    """One grid, each way ``rounds`` times in turn, the least counts."""
    print(f"\n{title}: {grid}, {FOLDS} folds, {len(x)} rows, {workers} workers")
    least: dict[str, float] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds, found = way(model, grid, cost, x, y, workers)
            least[name] = min(seconds, least.get(name, np.inf))
    for name, seconds in least.items():
        print(f"  {name:12} {seconds:8.2f} s   {seconds / least['planned']:.2f} x planned")
    results = found.cv_results_
    fits = [float(t) for t in np.repeat(results["mean_fit_time"] + results["mean_score_time"], FOLDS)]
    for count in sorted({workers, 4, 8}):
        in_order, longest_first = list_schedule(fits, count), list_schedule(sorted(fits, reverse=True), count)
        said = f"{in_order:8.2f} s, longest first {longest_first:.2f} s: {in_order / longest_first:.2f} x"
        print(f"  order alone on {count} workers: {said}")
    bound = max(sum(fits) / workers, max(fits))
    print(f"  bound        {bound:8.2f} s   the plan, by its own costs: gap {found.plan_.gap:.1%}")


if __name__ == "__main__":
    main()
