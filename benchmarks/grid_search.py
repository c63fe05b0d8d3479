"""A grid of uneven cost, cross-validated: planned, beside the order of the grid in joblib and in plain Dask.

    python -m benchmarks.grid_search [--workers 2] [--rows 2000] [--rounds 1] [--stand-in 8] [--only svm]

Two grids: C of a support vector machine, and trees of a forest, both four times as much at each step. All three ways use
the same number of processes of one thread and fit the same models; nothing is declared and no pilot runs. Before the clock
each way runs a small search of the same model, which starts and warms all of its processes. Then what more slots would
give than this machine has cores: a stand-in for a fit that sleeps, on ``--stand-in`` slots (0: left out). The last lines of
each say what the order alone is worth: a list schedule of the measured fits in the order of the grid, and longest first;
and what the planned search lost beside its own order: before the first fit, between fits, after the last.
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
    """Sleeps for its ``n_estimators`` in thirtieths of a second, as a fit would take on a machine of its own."""

    def __init__(self, n_estimators: int = 10) -> None:
        self.n_estimators = n_estimators

    def fit(self, x: Any, y: Any) -> StandIn:
        """Nothing but the time."""
        self.classes_ = np.unique(y)
        time.sleep(self.n_estimators / 30)
        return self

    def predict(self, x: Any) -> Any:
        """The first class."""
        return np.full(len(x), self.classes_[0])


Grid = dict[str, list[Any]]

GRIDS: dict[str, tuple[str, Any, Grid, Grid]] = {
    "svm": ("C of an SVM", SVC(kernel="linear"), {"C": [0.5, 2.0, 8.0, 32.0]}, {"C": [1e-3, 2e-3]}),
    "forest": (
        "trees of a forest",
        RandomForestClassifier(random_state=0),
        {"n_estimators": [10, 40, 160, 640]},
        {"n_estimators": [1, 2]},
    ),
}
"""By name: title, model, grid, and a small grid for warming."""

STAND_IN = (
    "a stand-in that sleeps",
    StandIn(),
    {"n_estimators": [round(10 * 1.5**k) for k in range(10)]},
    {"n_estimators": list(range(1, 9))},
)
WARM_ROWS = 60
"""Of the small search: its fits take milliseconds."""


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
        return timed(search, x, y)

    return run


def lost(found: Any, seconds: float, workers: int) -> str:
    """Where the seconds of a planned search went that are not those of its fits."""
    records = found.run_.records
    first, last = min(r.started for r in records), max(r.finished for r in records)
    busy, fits = sum(r.finished - r.started for r in records), sum(fit_seconds(found))
    parts = {
        "before the first fit and after the last": seconds - (last - first),
        "in attempts beside their fits, by slot": (busy - fits) / workers,
        "slots without an attempt, by slot": last - first - busy / workers,
    }
    return "; ".join(f"{value:.2f} s {name}" for name, value in parts.items())


def fit_seconds(found: Any) -> list[float]:
    """Of each fit with its score, those of one set of parameters in the mean."""
    results = found.cv_results_
    return [float(t) for t in np.repeat(results["mean_fit_time"] + results["mean_score_time"], FOLDS)]


def main() -> None:
    """Print seconds of the three ways, and what the order alone is worth."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--stand-in", type=int, default=8)
    parser.add_argument("--only", choices=[*GRIDS, "none"])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(versions("scikit-learn", "joblib", "dask"))
    x, y = make_classification(given.rows, 20, n_informative=8, flip_y=0.15, random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        for name, grid in GRIDS.items():
            if given.only in (None, name):
                compare(*grid, x, y, given.workers, given.rounds, folder)
        if given.stand_in:
            compare(*STAND_IN, x[:100], y[:100], given.stand_in, given.rounds, folder)


def compare(
    title: str, model: Any, grid: Grid, small: Grid, x: Any, y: Any, workers: int, rounds: int, folder: str
) -> None:
    """One grid, each way ``rounds`` times in turn, the least counts."""
    print(f"\n{title}: {grid}, {FOLDS} folds, {len(x)} rows, {workers} workers", flush=True)
    least: dict[str, tuple[float, Any]] = {}
    with LocalCluster(workers, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        ways = {"joblib": with_joblib, "plain Dask": with_dask(client), "planned": planned(client, folder)}
        for name, way in ways.items():
            cold, _ = way(model, small, x[:WARM_ROWS], y[:WARM_ROWS], workers)
            print(f"  {name:12} {cold:8.2f} s for a small search, processes cold")
        for _ in range(rounds):
            for name, way in ways.items():
                one = way(model, grid, x, y, workers)
                least[name] = min(one, least.get(name, one), key=lambda pair: pair[0])
    ours, found = least["planned"]
    for name, (seconds, _) in least.items():
        print(f"  {name:12} {seconds:8.2f} s   {seconds / ours:.2f} x planned")
    tell(found, ours, workers)


def tell(found: Any, seconds: float, workers: int) -> None:
    """What the order alone is worth, the bound, and what the planned search lost."""
    fits = fit_seconds(found)
    for count in sorted({workers, 4, 8}):
        in_order, longest_first = list_schedule(fits, count), list_schedule(sorted(fits, reverse=True), count)
        said = f"{in_order:8.2f} s, longest first {longest_first:.2f} s: {in_order / longest_first:.2f} x"
        print(f"  order alone on {count} workers: {said}")
    print(f"  bound        {max(sum(fits) / workers, max(fits)):8.2f} s")
    print(f"  lost: {lost(found, seconds, workers)}", flush=True)


if __name__ == "__main__":
    main()
