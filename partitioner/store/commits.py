"""Commit records as columns, for runs of so many sub-tasks that a Python object for each is too slow and too large."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.frames import to_numpy
from partitioner.model import CommitRecord
from partitioner.storage import Directory, read_parquet
from partitioner.store.commit_log import records_of

_FIRST = {"task_key": pa.string(), "split": pa.bool_(), "part": pa.string()}


class Commits(Mapping[str, CommitRecord]):
    """Sub-task to record. Of those in segments only the keys are read at once; a loose one counts before its segment.

    ``loose`` are the records that lie one by one; a key there with None is taken back.
    """

    def __init__(self, files: Directory, names: Sequence[str], loose: Mapping[str, CommitRecord | None]) -> None:
        self._files = files
        self._names: list[str] = []
        tables: list[pa.Table] = []
        for name in names:
            try:
                tables.append(read_parquet(files.get(name), list(_FIRST)))
                self._names.append(name)
            except (pa.ArrowException, OSError, ValueError, KeyError):
                print(f"{name} is torn; its sub-tasks are looked up in their outputs", file=sys.stderr)
        self._ends = np.cumsum([table.num_rows for table in tables])
        self._held: dict[int, pa.Table] = {}
        self._asked: tuple[pa.Array, npt.NDArray[np.bool_]] | None = None
        keys = pa.concat_tables(tables) if tables else pa.table({n: pa.array([], t) for n, t in _FIRST.items()})
        self._keys: pa.ChunkedArray = keys["task_key"]
        counts = ~_among(self._keys, list(loose))
        if pc.count_distinct(self._keys).as_py() != len(self._keys):  # gathered twice: the later one counts
            last = {key: i for i, key in enumerate(self._keys.to_pylist())}
            counts &= np.isin(np.arange(len(self._keys)), list(last.values()))
        self._rows = np.flatnonzero(counts)
        odd = to_numpy(pc.or_(keys["split"].cast(pa.bool_()), pc.not_equal(keys["part"], "null")))
        self._odd = self._rows[odd[self._rows]]
        self.loose = {key: record for key, record in loose.items() if record is not None}

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all segments, read anew each time: nothing of it is kept."""
        return pa.concat_tables([read_parquet(self._files.get(name), list(names)) for name in self._names])

    def total(self, name: str) -> int:
        """The sum of a field over all records."""
        kept = self.columns([name])[name].take(pa.array(self._rows))
        return int(pc.sum(kept).as_py() or 0) + total([*self.loose.values()], name)

    def rows(self, rows: npt.NDArray[np.int64]) -> Iterator[CommitRecord]:
        """The records at some rows of the segments, in that order; two segments are held at a time."""
        segment = np.searchsorted(self._ends, rows, side="right")
        for start, stop in _stretches(segment):
            number = int(segment[start])
            first = int(self._ends[number - 1]) if number else 0
            yield from records_of(self._segment(number).take(pa.array(rows[start:stop] - first)))

    def _segment(self, number: int) -> pa.Table:
        if number not in self._held:
            while len(self._held) > 1:
                self._held.pop(next(iter(self._held)))
            self._held[number] = read_parquet(self._files.get(self._names[number]))
        return self._held[number]

    def apart(self) -> list[CommitRecord]:
        """Records of sub-tasks that were split, and of their parts."""
        held = [r for r in self.loose.values() if r.split or r.part is not None]
        return [*self.rows(self._odd), *held]

    def done(self, task_ids: pa.Array) -> npt.NDArray[np.bool_]:
        """Which of the sub-tasks are committed and were not split."""
        if self._asked is not None and self._asked[0].equals(task_ids):
            return self._asked[1]
        whole = [key for key, record in self.loose.items() if not record.split]
        split = [r.task_key for r in self.apart() if r.split]
        found: npt.NDArray[np.bool_] = _among(task_ids, self._keys.take(pa.array(self._rows))) | _among(task_ids, whole)
        self._asked = (task_ids, found & ~_among(task_ids, split))
        return self._asked[1]

    def in_order(self, task_ids: pa.Array, more: Mapping[str, CommitRecord]) -> Records:
        """All records in sub-task order, with ``more`` of this session; parts in the place of their sub-task.

        Every sub-task must have one.
        """
        loose = [*{**more, **self.loose}.values()]
        where = pc.index_in(task_ids, self._keys.take(pa.array(self._rows)))
        place = np.full(len(task_ids), -1, np.int64)
        known = to_numpy(where.is_valid())
        place[known] = self._rows[to_numpy(where.drop_null())]
        own = {r.task_key: -2 - i for i, r in enumerate(loose)}
        apart = {r.whole for r in [*self.apart(), *loose] if r.task_key != r.whole}
        index = pc.index_in(pa.array([*own.keys(), *apart], pa.string()), task_ids).to_pylist()
        for at, code in zip(index, own.values(), strict=False):
            if at is not None:
                place[at] = code
        return self._with_parts(task_ids, place, loose, sorted(apart))

    def _with_parts(
        self, task_ids: pa.Array, place: npt.NDArray[np.int64], loose: list[CommitRecord], apart: Sequence[str]
    ) -> Records:
        held = [*loose, *self.rows(self._odd)]
        ends, codes = [], []
        for key in apart:
            at = pc.index(task_ids, key).as_py() + 1
            mine = [
                (r.part, -2 - i) for i, r in enumerate(held) if r.whole == key and r.part is not None and not r.split
            ]
            ends += [at] * len(mine)
            codes += [code for _, code in sorted(mine)]
        whole = np.insert(place, np.array(ends, np.int64), codes) if codes else place
        return Records(self, whole[whole != -1], held)

    def __len__(self) -> int:
        return len(self._rows) + len(self.loose)

    def __iter__(self) -> Iterator[str]:
        yield from self._keys.take(pa.array(self._rows)).to_pylist()
        yield from self.loose

    def __contains__(self, key: object) -> bool:
        return key in self.loose or self._at(str(key)) is not None

    def __getitem__(self, key: str) -> CommitRecord:
        if key in self.loose:
            return self.loose[key]
        at = self._at(key)
        if at is None:
            raise KeyError(key)
        return next(self.rows(np.array([at])))

    def _at(self, key: str) -> int | None:
        found = int(pc.index(self._keys, key).as_py())  # -1, which is no row, where there is none
        return found if found in self._rows else None


def _among(keys: Any, wanted: Any) -> npt.NDArray[np.bool_]:
    values = wanted if isinstance(wanted, pa.ChunkedArray | pa.Array) else pa.array(wanted, pa.string())
    return to_numpy(pc.is_in(keys, value_set=values))


def _stretches(values: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """[start, stop) of equal neighbours."""
    cuts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return [(a, b) for a, b in pairwise(cuts) if a < b]


MOST_SLICES = 1000
"""Stretches of records in order that are joined without a copy; of more, rows are taken one by one."""


class Records(Sequence[CommitRecord]):
    """Records in sub-task order, as objects only while one looks at them."""

    def __init__(self, commits: Commits, place: npt.NDArray[np.int64], loose: Sequence[CommitRecord]) -> None:
        self._commits, self._place, self._loose = (
            commits,
            place,
            loose,
        )  # place: row of a segment, or -2 - index in loose

    def __len__(self) -> int:
        return len(self._place)

    @overload
    def __getitem__(self, index: int) -> CommitRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> CommitRecord | Records:
        if isinstance(index, slice):
            return Records(self._commits, self._place[index], self._loose)
        at = int(self._place[index])
        return self._loose[-2 - at] if at < 0 else next(self._commits.rows(np.array([at])))

    def __iter__(self) -> Iterator[CommitRecord]:
        rows = self._commits.rows(self._place[self._place >= 0])
        for at in self._place.tolist():
            yield self._loose[-2 - at] if at < 0 else next(rows)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some fields (none that are nested) of all records, in order."""
        kept = self._commits.columns(names)
        own = {name: [getattr(record, name) for record in self._loose] for name in names}
        both = pa.concat_tables([kept, pa.table(own, schema=kept.schema)])
        where = np.where(self._place < 0, kept.num_rows - 2 - self._place, self._place)
        cuts = [0, *(np.flatnonzero(np.diff(where) != 1) + 1).tolist(), len(where)]
        if len(where) and len(cuts) < MOST_SLICES:  # nearly always in order: nothing is copied then
            return pa.concat_tables([both.slice(where[a], b - a) for a, b in pairwise(cuts)])
        return both.take(pa.array(where))


def total(records: Sequence[CommitRecord], name: str) -> int:
    """The sum of a field."""
    if isinstance(records, Records):
        return int(pc.sum(records.columns([name])[name]).as_py() or 0)
    return sum(getattr(record, name) for record in records)
