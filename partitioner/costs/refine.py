"""Fragments cut so fine that costs inside of them are known, and put together again once they are in sub-tasks.

A fragment's cost is shared by length when it is cut, and skewed rows make that wrong. Where a cost has per-row terms,
reading them tells the terms of any piece. Pieces of one fragment that stay neighbours in a sub-task become one again, so
that a row group is decoded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from partitioner.costs.formula import parse
from partitioner.costs.terms import Term, attach, row_values
from partitioner.model import Dataset, Fragments, SubTasks
from partitioner.model.data import Floats, Ints

PIECES = 2000
"""Fragments to aim for: cuts then fall within a two-thousandth of the dataset."""


def refine(
    dataset: Dataset, terms: Sequence[Term], weights: Sequence[float] | None = None, pieces: int = PIECES
) -> Dataset:
    """The dataset in about ``pieces`` fragments that carry the exact per-row terms as features.

    Fragments are cut into pieces of equal cost, ``weights`` times the terms, and a row that costs more than a piece stands
    alone, so that no later cut divides what cannot be divided. Where there are no per-row terms, as many fragments already,
    or fragments that cannot be cut by rows, features are attached and nothing is cut. Reads the terms' columns, once.
    """
    per_row = [t for t in terms if t.per_row and t.name not in dataset.fragments.features]
    f = dataset.fragments
    if not per_row or len(f) >= pieces or dataset.divisible_by != "rows" or not len(f):
        return attach(dataset, terms)
    weight = {t.name: w for t, w in zip(terms, weights or [1.0] * len(terms), strict=True)}
    share = (f.stop - f.start) / max(int((f.stop - f.start).sum()), 1)
    cuts: list[Ints] = []
    values: dict[str, list[Floats]] = {t.name: [] for t in per_row}
    for i in range(len(f)):
        prefix = _prefix_sums(dataset, i, per_row)
        cost = np.sum([weight[name] * p for name, p in prefix.items()], axis=0)
        edges = _equal_cost(cost, max(round(pieces * float(share[i])), 1))
        cuts.append(edges)
        for name, p in prefix.items():
            values[name].append(np.diff(p[edges]))
    finer = _cut_at(f, cuts)
    features = {**finer.features, **{name: np.concatenate(v) for name, v in values.items()}}
    return replace(dataset, fragments=replace(finer, features=features))


def _prefix_sums(dataset: Dataset, i: int, terms: Sequence[Term]) -> dict[str, Floats]:
    """float64[rows + 1] per term: its sum over the rows of fragment ``i`` before each."""
    needed = list(dict.fromkeys(name for t in terms for name in parse(t.formula).names))
    batches = list(dataset.source.read(dataset.fragments[i], needed))
    table = pa.Table.from_batches(batches) if batches else pa.table({})
    return {t.name: np.concatenate([[0.0], np.cumsum(row_values(t, table))]) for t in terms}


def _equal_cost(prefix: Floats, count: int) -> Ints:
    """Row numbers, 0 and the last included, that cut into ``count`` pieces of equal cost, rows above that on their own."""
    rows = len(prefix) - 1
    target = float(prefix[-1]) / count
    even = np.searchsorted(prefix, target * np.arange(1, count)) if target > 0 else np.arange(1, count) * rows // count
    heavy = np.flatnonzero(np.diff(prefix) > max(target, 1e-300))
    return np.unique(np.concatenate([[0, rows], even, heavy, heavy + 1])).astype(np.int64)


def _cut_at(f: Fragments, cuts: list[Ints]) -> Fragments:
    """Fragment i cut at the row numbers ``cuts[i]``; bytes and features shared by rows, totals of bytes kept exactly."""
    origin = np.repeat(np.arange(len(f)), [len(c) - 1 for c in cuts])
    low = np.concatenate([c[:-1] for c in cuts])
    high = np.concatenate([c[1:] for c in cuts])
    length = np.maximum(f.stop - f.start, 1)[origin]
    return replace(
        f.take(origin),
        start=f.start[origin] + low,
        stop=f.start[origin] + high,
        rows=high - low,
        bytes=f.bytes[origin] * high // length - f.bytes[origin] * low // length,
        features={name: v[origin] * ((high - low) / length) for name, v in f.features.items()},
    )


def coalesce(tasks: SubTasks) -> SubTasks:
    """The same sub-tasks over fewer fragments: neighbours of one file, unit and sub-task, end to start, become one.

    Rows, bytes and features add up; fragments stay in input order and sub-tasks hold the same rows.
    """
    f, index = tasks.fragments, tasks.fragment_index
    if f is None or len(index) < 2:
        return tasks
    owner = np.repeat(np.arange(len(tasks)), np.diff(tasks.offsets))
    a, b = index[:-1], index[1:]
    joined = (owner[:-1] == owner[1:]) & (b == a + 1) & (f.path_index[a] == f.path_index[b]) & (f.unit[a] == f.unit[b])
    joined &= f.stop[a] == f.start[b]
    if not joined.any():
        return tasks
    first = np.flatnonzero(np.append(True, ~joined))
    last = np.append(first[1:], len(index)) - 1
    merged = _merged(f, index, first, last)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(index[first], kind="stable")] = np.arange(len(first))
    counts = np.bincount(owner[first], minlength=len(tasks))
    return tasks.with_columns(
        fragments=merged.take(np.argsort(index[first], kind="stable")),
        fragment_index=rank,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )


def _merged(f: Fragments, index: Ints, first: Ints, last: Ints) -> Fragments:
    """One fragment per run of positions ``first..last`` of ``index``."""
    rows = np.add.reduceat(np.maximum(f.rows[index], 0), first)
    unknown = np.add.reduceat((f.rows[index] < 0).astype(np.int64), first) > 0
    return replace(
        f.take(index[first]),
        stop=f.stop[index[last]],
        rows=np.where(unknown, -1, rows),
        bytes=np.add.reduceat(f.bytes[index], first),
        features={name: np.add.reduceat(v[index], first) for name, v in f.features.items()},
    )
