"""``neighbors``: the nearest rows of some queries, over all rows: each part keeps its nearest, and those are merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, ProgramError
from partitioner.model.data import Floats
from partitioner.model.given import check_number
from partitioner.reducers.base import Reducer
from partitioner.reducers.models.rows import Layout

WIDE = (
    16  # features from which on a product of matrices is worth it: it finds candidates, the distances are not from it
)
FEWER = 4  # and where it rules out three rows in four
CELLS = 1 << 22  # distances worked on at once: 32 MiB
METRICS = ("euclidean", "cityblock", "chebyshev", "cosine", "sqeuclidean", "canberra", "braycurtis", "correlation")


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Of ``rows`` rows, by query the ``distances`` float64[m, c], ascending, and the ``places`` int64[m, c] of c of them."""

    rows: int
    distances: Floats
    places: Any


class Neighbors(Reducer):
    """The program returns tables or float64[n, f]; ``queries`` is float64[m, f], ``k`` how many of each.

    The result is that of scikit-learn's ``NearestNeighbors(k).fit(all rows).kneighbors(queries)``: ``distances`` [m, k] and
    ``indices`` [m, k], places in the input's order; of equal distances the earlier row. ``metric``: ``"euclidean"``,
    ``"cityblock"``, ``"chebyshev"``, ``"cosine"`` and others of scipy's ``cdist``. ``features`` as in ``Layout``.
    """

    name = "neighbors"
    takes = "data"
    exact = mergeable = True
    per_key = False

    def __init__(
        self,
        queries: Any = ((0.0,),),
        k: int = 5,
        metric: str = "euclidean",
        features: str | Sequence[str] | None = None,
    ) -> None:
        self.queries = np.asarray(queries, np.float64)
        if self.queries.ndim != 2 or not np.isfinite(self.queries).all():
            raise ConfigError(f"queries have shape {self.queries.shape}; give finite rows of a matrix, (m, f).")
        check_number("k", k, whole=True)
        if k < 1:
            raise ConfigError(f"k is {k}; give 1 or more neighbours.")
        if metric not in METRICS:
            raise ConfigError(f"metric is {metric!r}; it is {', '.join(METRICS)}.")
        self.k, self.metric = k, metric
        self.layout = Layout.of(features)

    def create_accumulator(self) -> Nearest:
        """No rows."""
        queries = len(self.queries)
        return Nearest(0, np.empty((queries, 0)), np.empty((queries, 0), np.int64))

    def add_input(self, accumulator: Nearest, value: Any) -> Nearest:
        """With the rows of one output. Raises ProgramError where they have other features than the queries."""
        rows = self.layout.read(value, self.name).x
        if len(rows) and rows.shape[1] != self.queries.shape[1]:
            raise ProgramError(
                f"The program returned rows of {rows.shape[1]} features and the queries have "
                f"{self.queries.shape[1]}; return the same."
            )
        step = max(1, CELLS // max(1, len(self.queries)))
        for start in range(0, len(rows), step):
            accumulator = self.merge_accumulators(accumulator, self._nearest(rows[start : start + step]))
        return accumulator

    def merge_accumulators(self, left: Nearest, right: Nearest) -> Nearest:
        """The nearest of both; the rows of ``right`` come after those of ``left``."""
        distances = np.hstack([left.distances, right.distances])
        places = np.hstack([left.places, right.places + left.rows])
        return self._best(left.rows + right.rows, distances, places)

    def extract_output(self, accumulator: Nearest) -> dict[str, Any]:
        """``distances`` float64[m, k], ascending, ``indices`` int64[m, k], and ``rows``, how many were searched.

        With fewer than k rows they are as wide as there are rows.
        """
        return {"distances": accumulator.distances, "indices": accumulator.places, "rows": accumulator.rows}

    def _nearest(self, rows: Floats) -> Nearest:
        from scipy.spatial.distance import cdist

        if self.metric == "euclidean" and rows.shape[1] >= WIDE and len(rows) > 4 * self.k:
            chosen = _candidates(self.queries, rows, self.k)
            if chosen.sum() * FEWER <= chosen.size:
                return self._of_candidates(rows, chosen)
        distances = cdist(self.queries, rows, self.metric)
        places = np.broadcast_to(np.arange(len(rows)), distances.shape)
        if len(rows) > 4 * self.k:  # those beyond the k-th distance are out; of equal ones all stay for the sort
            bound = np.partition(distances, self.k - 1, axis=1)[:, self.k - 1 : self.k]
            width = int((distances <= bound).sum(axis=1).max())
            if width < len(rows):
                places = np.sort(np.argpartition(distances, width - 1, axis=1)[:, :width], axis=1)
                distances = np.take_along_axis(distances, places, axis=1)
        return self._best(len(rows), distances, places)

    def _of_candidates(self, rows: Floats, chosen: Any) -> Nearest:
        """The nearest among the rows that are ``chosen`` for each query, bool[m, n]."""
        from scipy.spatial.distance import cdist

        distances = np.empty((len(self.queries), self.k))
        places = np.empty(distances.shape, np.int64)
        for i, query in enumerate(self.queries):
            mine = np.flatnonzero(chosen[i])
            found = cdist(query[None], rows[mine], self.metric)[0]
            order = np.argsort(found, kind="stable")[: self.k]
            distances[i], places[i] = found[order], mine[order]
        return Nearest(len(rows), distances, places)

    def _best(self, rows: int, distances: Floats, places: Any) -> Nearest:
        order = np.argsort(distances, axis=1, kind="stable")[:, : self.k]
        return Nearest(rows, np.take_along_axis(distances, order, axis=1), np.take_along_axis(places, order, axis=1))


def _candidates(queries: Floats, rows: Floats, k: int) -> Any:
    """bool[m, n]: rows that may be among the ``k`` nearest of a query, by squared distances from a product of matrices.

    They are wrong by at most gamma_(f + 4) (|q| + |x|)^2 (Higham 2002, section 3.1), so what is ruled out is surely farther.
    """
    left, right = np.einsum("ij,ij->i", queries, queries), np.einsum("ij,ij->i", rows, rows)
    squared = left[:, None] + right[None, :] - 2.0 * (queries @ rows.T)
    scale = 2.0 * (rows.shape[1] + 4) * float(np.finfo(np.float64).eps)
    doubt = scale * (np.sqrt(left)[:, None] + np.sqrt(right)[None, :]) ** 2
    bound = np.partition(squared + doubt, k - 1, axis=1)[:, k - 1 : k]
    return squared - doubt <= bound
