"""Rows back in the order of the input where a split had put them together by weight: by the place of each row.

Files are taken together as far as their rows lie between each other in the input, so that no more than that is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from partitioner.errors import DataError
from partitioner.model import CommitRecord, Fragment, SubTasks
from partitioner.model.data import Ints
from partitioner.model.source import Source

Piece = tuple[int, int, int, int, int]
"""File, first row in it, rows, and the least and greatest place of these rows in the input."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrangement:
    """Which rows of the input the rows of every file are; ``groups`` of pieces in input order, no two of
    which overlap; ``index`` of every sub-task by its id."""

    source: Source
    tasks: SubTasks
    records: tuple[CommitRecord, ...]
    groups: tuple[tuple[Piece, ...], ...]
    index: Mapping[str, int]

    @classmethod
    def of(cls, source: Source, tasks: SubTasks, records: Sequence[CommitRecord]) -> Arrangement | None:
        """None where fragments in order are the input in order."""
        assert tasks.fragments is not None
        if not len(tasks.fragments) or source.places(tasks.fragments[0]) is None:
            return None
        index = {key: i for i, key in enumerate(tasks.task_id.to_pylist())}
        made = cls(source, tasks, tuple(records), (), index)
        pieces = [piece for file in range(len(records)) for piece in made._pieces(file, index[records[file].whole])]
        groups: list[list[Piece]] = []
        reached = -1
        for piece in sorted(pieces, key=lambda p: p[3]):
            if piece[3] > reached:
                groups.append([])
            groups[-1].append(piece)
            reached = max(reached, piece[4])
        return replace(made, groups=tuple(tuple(group) for group in groups))

    def table(self, group: int, read: Callable[[int], pa.Table]) -> pa.Table:
        """The rows of one group in input order; ``read`` gives the rows of a file."""
        tables, places = [], []
        for file, first, rows, _, _ in sorted(self.groups[group]):
            tables.append(read(file).slice(first, rows))
            places.append(self._written(file, self.index[self.records[file].whole])[first : first + rows])
        order = np.argsort(np.concatenate(places), kind="stable")
        return pa.concat_tables(tables, promote_options="permissive").take(pa.array(order))

    def places_of(self, file: int) -> tuple[Ints, Ints]:
        """Of the rows of a file, and of those that were set aside: which rows of the input they are."""
        record = self.records[file]
        task = self.index[record.whole]
        self._check(file, task)
        written = self._written(file, task)
        if not record.quarantined:
            return written, np.empty(0, np.int64)
        read = np.concatenate(list(self._kept_of_fragments(replace(record, left_out=()), task)))
        return written, np.setdiff1d(read, written)

    def _check(self, file: int, task: int) -> None:
        record, read = self.records[file], len(self._written(file, task))
        if read != record.rows_written:
            raise DataError(
                f"the output of sub-task {record.task_key} has {record.rows_written} rows for {read} rows read, so "
                "that it cannot be put back in order; return one row per input row, or set preserve_order=False."
            )

    def _pieces(self, file: int, task: int) -> Iterator[Piece]:
        """A piece per fragment of the input that the rows of a file are of."""
        record = self.records[file]
        self._check(file, task)
        first = 0
        for places in self._kept_of_fragments(record, task):
            if len(places):
                yield file, first, len(places), int(places.min()), int(places.max())
                first += len(places)

    def _written(self, file: int, task: int) -> Ints:
        """The places of the rows of a file, as they lie in it."""
        found = list(self._kept_of_fragments(self.records[file], task))
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def _kept_of_fragments(self, record: CommitRecord, task: int) -> Iterator[Ints]:
        """Of every fragment of a sub-task, the places of the rows that a record holds: its part, but what was set aside."""
        if record.split:
            return
        start, stop = record.part or (0, np.iinfo(np.int64).max)
        aside = np.concatenate([np.arange(a, b) for a, b in record.left_out]) if record.left_out else np.empty(0)
        before = 0
        for fragment in self._fragments(task):
            places = self.source.places(fragment)
            assert places is not None, "asked before"
            position = before + np.arange(len(places))
            before += len(places)
            mine = (position >= start) & (position < stop) & ~np.isin(position - start, aside)
            yield places[mine]

    def _fragments(self, task: int) -> Iterator[Fragment]:
        assert self.tasks.fragments is not None
        for i in self.tasks.fragments_of(task).tolist():
            yield self.tasks.fragments[i]
