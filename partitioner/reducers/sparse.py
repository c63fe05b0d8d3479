"""Exact totals of sparse matrices: the same bits as of the dense matrix, in the memory of what is not zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from partitioner.model.data import Floats
from partitioner.reducers.exact import BLOCK, exact_products, exact_sums
from partitioner.reducers.totals import Totals
from partitioner.reducers.weighted_totals import WeightedTotals


def sparse_totals(x: Any) -> Totals:
    """Counts and sums by column of a sparse matrix of finite numbers, n rows and f columns; no squares."""
    n, f = x.shape
    columns = x.tocsc()
    sums = [0] * f
    for some, (values,) in _blocks(columns.indptr, columns.data):
        _put(sums, some, exact_sums(values))
    return Totals((n,) * f, tuple(sums), None, (0.0,) * f, (f,), None)


def sparse_weighted_totals(x: Any, weights: Floats) -> WeightedTotals:
    """The same of rows with float64[n] ``weights``, 0 or more."""
    columns = x.tocsc()
    sums = [0] * x.shape[1]
    for some, (values, of_rows) in _blocks(columns.indptr, columns.data, weights[columns.indices]):
        _put(sums, some, exact_products(of_rows, values))
    (mass,) = exact_sums(weights[:, None])
    return WeightedTotals((mass,) * x.shape[1], tuple(sums), None)


def _blocks(starts: Any, *entries: Floats) -> Iterator[tuple[Any, list[Floats]]]:
    """Columns with about as many entries each, and those entries as dense blocks below each other, zeros at their ends."""
    counts = np.diff(starts)
    order = np.argsort(-counts, kind="stable")
    order = order[: np.count_nonzero(counts)]
    while len(order):
        longest = int(counts[order[0]])
        some, order = np.split(order, [max(1, BLOCK // longest)])
        lengths = counts[some]
        place = np.repeat(np.arange(len(some)), lengths)
        row = np.arange(len(place)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        found = []
        for values in entries:
            block = np.zeros((longest, len(some)))
            block[row, place] = values[row + starts[some][place]]
            found.append(block)
        yield some, found


def _put(sums: list[int], columns: Any, found: list[int]) -> None:
    for column, value in zip(columns.tolist(), found, strict=True):
        sums[column] = value
