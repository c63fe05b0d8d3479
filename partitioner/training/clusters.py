"""k-means in rounds, seeded by k-means|| (Bahmani et al., "Scalable k-means++", 2012), which needs five rounds, not k."""

from __future__ import annotations

from typing import Any

import numpy as np

from partitioner import config as configuration
from partitioner.attempt.rounds import RoundProgram
from partitioner.attempt.surroundings import task_context
from partitioner.errors import ConfigError, DataError
from partitioner.iteration.page import write_report
from partitioner.iteration.progress import RoundLine
from partitioner.iteration.session import Session, opened
from partitioner.model.data import Floats
from partitioner.model.given import check_number
from partitioner.reducers.tree_sum import TreeSum
from partitioner.sizes import parse_bytes
from partitioner.training.design import Design
from partitioner.training.logistic import Fitted

SEEDING_ROUNDS = 5  # enough in the paper's experiments, with 2 k points a round
DRAWN_PER_ROUND = 2  # times k


class Clusters(TreeSum):
    """Sums by cluster; rows that were drawn are kept one after the other."""

    name = "clusters"
    commutative = False

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Sums added, drawn rows joined."""
        if left is None or right is None:
            return left if right is None else right
        joined = {key: np.concatenate([left[key], right[key]]) for key in left if key == "drawn"}
        rest = [{key: held[key] for key in held if key != "drawn"} for held in (left, right)]
        return {**super().merge_accumulators(*rest), **joined}


class Distances(RoundProgram):
    """One partition: what ``state["do"]`` asks for, by the nearest of ``state["centers"]``."""

    def __init__(self, design: Design) -> None:
        self.design = design

    def prepare(self, batch: Any) -> Any:
        """float64[n, f]."""
        x = self.design.matrix(batch)
        return x if isinstance(x, np.ndarray) else x.toarray()

    def __call__(self, data: Any, state: Any) -> Any:
        """Sums over the rows of the partition."""
        return _STEPS[state["do"]](data, state)


def _first(x: Floats, state: Any) -> dict[str, Any]:
    """A few random rows of the partition, of which the driver draws one."""
    rows = np.random.default_rng(task_context().seed).choice(len(x), min(len(x), 4), replace=False)
    return {"drawn": x[np.sort(rows)], "n": len(x)}


def _draw(x: Floats, state: Any) -> dict[str, Any]:
    """Each row by chance, in proportion to its squared distance; ``loss`` is their sum."""
    _, apart = nearest_centers(x, state["centers"])
    chance = np.random.default_rng(task_context().seed).random(len(x))
    share = state["wanted"] * apart / state["cost"] if state["cost"] > 0 else np.zeros(len(x))
    return {"loss": float(apart.sum()), "drawn": x[chance < share]}


def _weigh(x: Floats, state: Any) -> dict[str, Any]:
    """How many rows are nearest to each center, their sum, and the ``loss``."""
    near, apart = nearest_centers(x, state["centers"])
    k = len(state["centers"])
    sums = np.zeros((k, x.shape[1]))
    np.add.at(sums, near, x)
    return {"loss": float(apart.sum()), "sums": sums, "counts": np.bincount(near, minlength=k)}


_STEPS = {"first": _first, "draw": _draw, "weigh": _weigh}


def nearest_centers(x: Floats, centers: Floats) -> tuple[Any, Floats]:
    """Index of the nearest center of each row, and the squared distance to it."""
    from sklearn.metrics import pairwise_distances_argmin_min

    if x.shape[1] != centers.shape[1]:
        raise DataError(f"the centers have {centers.shape[1]} features, and the rows {x.shape[1]}; give one for each.")
    near, apart = pairwise_distances_argmin_min(x, centers, metric="sqeuclidean")
    return near, apart


def fit_kmeans(
    dataset: Any,
    clusters: int,
    features: Any = None,
    *,
    tolerance: float = 1e-4,
    rounds: int = 300,
    initial: Any = None,
    cache: Any = None,
    resume: str | None = None,
    **options: Any,
) -> Fitted:
    """k-means of all the data, which stays on the workers; the result is a real ``KMeans``.

    ``initial``: float64[clusters, f] to start from; by default k-means||. ``tolerance``: the loss changes by at most that
    share of it. ``features`` and ``options`` as for ``fit_logistic``. Raises ConfigError for settings that cannot be.
    """
    for name, value, whole in (("clusters", clusters, True), ("tolerance", tolerance, False), ("rounds", rounds, True)):
        check_number(name, value, whole)
    if initial is not None and (np.ndim(initial) != 2 or len(initial) != clusters):
        raise ConfigError(f"initial has the shape {np.shape(initial)} for {clusters} clusters; give a center for each.")
    if clusters < 1:
        raise ConfigError(f"clusters is {clusters}; at least 1 is needed.")
    program = {"program": Distances, "arguments": {"design": Design.of(features, None)}, "batch_format": "arrow"}
    config = configuration.make({"dataset": dataset, "reducer": Clusters(), **program, **options})
    with opened(config, resume, None if cache is None else parse_bytes(cache)) as session:
        centers = _seeds(session, clusters) if initial is None else np.asarray(initial, np.float64)
        with RoundLine(config.progress, rounds) as line:
            centers, loss, steps = _lloyd(session, centers, tolerance, rounds, line)
        directory = session.directory
        if config.report:
            write_report(directory.files, directory.run_id, session.rounds, steps < rounds)
        return Fitted(_model(centers, loss, steps), loss, tuple(session.rounds), directory.run_id, directory.url)


def _seeds(session: Session, k: int) -> Floats:
    """k-means||: candidates in a few rounds, weighted by the rows nearest to them, then k of them by weighted k-means++."""
    from sklearn.cluster import KMeans

    seed = session.config.seed
    first = session({"do": "first"})
    if first["n"] < k:
        raise ConfigError(f"clusters is {k}, and the dataset has {first['n']} rows; give at most as many.")
    candidates = first["drawn"][[np.random.default_rng(seed).integers(len(first["drawn"]))]]
    cost = session({"do": "weigh", "centers": candidates})["loss"]
    for _ in range(SEEDING_ROUNDS):
        found = session({"do": "draw", "centers": candidates, "cost": cost, "wanted": DRAWN_PER_ROUND * k})
        candidates, cost = np.concatenate([candidates, found["drawn"]]), found["loss"]
    if len(np.unique(candidates, axis=0)) < k:
        candidates = np.concatenate([candidates, first["drawn"]])
    weights = session({"do": "weigh", "centers": candidates})["counts"]
    if len(candidates) <= k:
        return np.asarray(candidates)
    return np.asarray(KMeans(k, n_init=5, random_state=seed).fit(candidates, sample_weight=weights).cluster_centers_)


def _lloyd(
    session: Session, centers: Floats, tolerance: float, rounds: int, line: RoundLine
) -> tuple[Floats, float, int]:
    """Lloyd's rounds until the loss stays; a cluster without rows keeps its center."""
    before = np.inf
    step = 0
    while step < rounds:
        step += 1
        found = session({"do": "weigh", "centers": centers})
        session.note_loss(found["loss"])
        line.show(session.rounds)
        counts = found["counts"]
        moved = np.where(counts[:, None] > 0, found["sums"] / np.maximum(counts, 1)[:, None], centers)
        if before - found["loss"] <= tolerance * found["loss"] or np.array_equal(moved, centers):
            break
        before, centers = found["loss"], moved
    return centers, float(found["loss"]), step


def _model(centers: Floats, loss: float, steps: int) -> Any:
    """A fitted KMeans with these centers: one step from them over themselves leaves them where they are."""
    from sklearn.cluster import KMeans

    model = KMeans(len(centers), init=centers, n_init=1, max_iter=1).fit(centers)
    model.cluster_centers_, model.inertia_, model.n_iter_ = centers, loss, steps
    return model
