"""A grid of uneven cost, cross-validated: planned, beside the order of the grid in joblib and in plain Dask.

    python -m benchmarks.grid_search [--workers 2] [--rows 1000] [--rounds 1] [--stand-in 8]

Two grids: C of a support vector machine, and trees of a forest, both four times as much at each step. All three ways use
the same number of processes of one thread and fit the same models; nothing is declared and no pilot runs. Then what more
slots would give than this machine has cores: a stand-in for a fit that sleeps, on ``--stand-in`` slots (0: left out).
The last lines of each say what the order alone is worth: a list schedule of the measured fits in the order of the grid,
and longest first.
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
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from benchmarks.versions import versions
from partitioner.search import GridSearch

FOLDS = 3


class StandIn(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Sleeps for its ``n_estimators`` in hundredths of a second, as a fit would take on a machine of its own."""

    def __init__(self, n_estimators: int = 10) -> None:
        self.n_estimators = n_estimators

    def fit(self, x: Any, y: Any) -> StandIn:
        """Nothing but the time."""
        self.classes_ = np.unique(y)
        time.sleep(self.n_estimators / 100)
        return self

    def predict(self, x: Any) -> Any:
        """The first class."""
        return np.full(len(x), self.classes_[0])


GRIDS: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "C of an SVM": (SVC(kernel="linear"), {"C": [0.5, 2.0, 8.0, 32.0]}),
    "trees of a forest": (RandomForestClassifier(random_state=0), {"n_estimators": [10, 40, 160, 640]}),
}
STAND_IN = (StandIn(), {"n_estimators": [round(10 * 1.5**k) for k in range(10)]})


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


def with_joblib(model: Any, grid: Any, x: Any, y: Any, workers: int) -> tuple[float, Any]:
    """scikit-learn's own: joblib's processes, the order of the grid."""
    joblib.Parallel(n_jobs=workers)(joblib.delayed(abs)(i) for i in range(workers))  # they start before the clock
    return timed(GridSearchCV(model, grid, cv=FOLDS, refit=False, n_jobs=workers), x, y)


def with_dask(client: Client) -> Callable[..., tuple[float, Any]]:
    """Plain Dask under joblib, the order of the grid."""

    def run(model: Any, grid: Any, x: Any, y: Any, workers: int) -> tuple[float, Any]:
        with joblib.parallel_config("dask", client=client):
            return timed(GridSearchCV(model, grid, cv=FOLDS, refit=False), x, y)

    return run


def planned(client: Client, folder: str) -> Callable[..., tuple[float, Any]]:
    """The drop-in, on the same cluster."""

    def run(model: Any, grid: Any, x: Any, y: Any, workers: int) -> tuple[float, Any]:
        search = GridSearch(model, grid, cv=FOLDS, refit=False, engine=client, settings={"checkpoint": folder})
        began = time.time()
        seconds, found = timed(search, x, y)
        first, last = min(r.started for r in found.run_.records), max(r.finished for r in found.run_.records)
        said = f"first fit after {first - began:.2f} s, {began + seconds - last:.2f} s from the last one's end to the answer"
        print(f"  planned: {said}")
        return seconds, found

    return run


def main() -> None:
    """Print seconds of the three ways, and what the order alone is worth."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--stand-in", type=int, default=8)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(versions("scikit-learn", "joblib", "dask"))
    x, y = make_classification(given.rows, 20, n_informative=8, flip_y=0.15, random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        for title, (model, grid) in GRIDS.items():
            compare(title, model, grid, x, y, given.workers, given.rounds, folder)
        if given.stand_in:
            compare("a stand-in that sleeps", *STAND_IN, x[:100], y[:100], given.stand_in, given.rounds, folder)


def compare(title: str, model: Any, grid: Any, x: Any, y: Any, workers: int, rounds: int, folder: str) -> None:
    """One grid, each way ``rounds`` times in turn, the least counts."""
    print(f"\n{title}: {grid}, {FOLDS} folds, {len(x)} rows, {workers} workers", flush=True)
    least: dict[str, float] = {}
    with LocalCluster(workers, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        ways = {"joblib": with_joblib, "plain Dask": with_dask(client), "planned": planned(client, folder)}
        for _ in range(rounds):
            for name, way in ways.items():
                seconds, found = way(model, grid, x, y, workers)
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
    print(f"  bound        {bound:8.2f} s")


if __name__ == "__main__":
    main()
