"""Less of a dataset: ``filter`` keeps rows, ``sample`` a share of them, ``limit`` the first. In that order, on the workers.

A filter is a pyarrow expression, a text such as ``"x > 3 and name in ['a', 'b']"``, or pyarrow's list of triples. Row groups
whose statistics rule it out are not read. A sample is decided by the place of a row, so that it is the same on every engine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.model import Dataset, Fragment
from partitioner.model.source import Source
from partitioner.stages.filters import Filter


def less_of(dataset: Dataset, keep: Filter | None, share: float | None, limit: int | None, seed: int) -> Dataset:
    """The rows that are wanted. DataError where the filter names a column that is not there.

    A source that a run directory held, narrowed when the run began, is taken as it is: a sample of a sample is another.
    """
    if dataset.source.narrowed():
        return dataset
    if keep is not None:
        dataset = _filtered(dataset, keep)
    if share is not None and share < 1:
        dataset = _sampled(dataset, share, seed)
    return dataset if limit is None else _limited(dataset, limit)


@dataclass(frozen=True, slots=True)
class _Narrowed(Source):
    """A source behind which another one lies; files and fingerprints are that one's."""

    inner: Source

    def narrowed(self) -> bool:
        """It is."""
        return True

    def fingerprints(self) -> dict[str, str]:
        """Those of the inner source."""
        return self.inner.fingerprints()

    def contents(self) -> dict[str, str]:
        """Those of the inner source."""
        return self.inner.contents()

    def fingerprint(self, fragment: Fragment) -> str:
        """That of the inner source."""
        return self.inner.fingerprint(fragment)

    def tells_sections(self) -> bool:
        """As the inner source does."""
        return self.inner.tells_sections()

    def section_content(self, fragment: Fragment) -> str:
        """That of the inner source."""
        return self.inner.section_content(fragment)


@dataclass(frozen=True, slots=True)
class FilteredSource(_Narrowed):
    """The rows for which ``keep`` is true; null is not."""

    keep: Filter

    def describe(self) -> Dataset:
        """The fragments that may hold rows to keep."""
        return _filtered(self.inner.describe(), self.keep)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one fragment that are kept, with the columns asked for."""
        # An expression of pyarrow's does not say which columns it reads.
        known = columns is not None and self.keep.columns
        asked = list(dict.fromkeys([*(columns or ()), *self.keep.columns])) if known else None
        for batch in self.inner.read(fragment, asked):
            table = pa.Table.from_batches([batch]).filter(self.keep.expression)
            for kept in table.combine_chunks().to_batches():
                if kept.num_rows:
                    yield kept if columns is None else kept.select(list(columns))


def _filtered(dataset: Dataset, keep: Filter) -> Dataset:
    if dataset.schema is not None:
        keep = keep.fitted(dataset.schema)
    fragments = dataset.fragments.take(dataset.source.matching(dataset.fragments, keep.expression))
    unknown = replace(fragments, rows=np.full(len(fragments), -1, np.int64))
    return replace(dataset, source=FilteredSource(dataset.source, keep), fragments=unknown)


@dataclass(frozen=True, slots=True)
class SampledSource(_Narrowed):
    """Each row with probability ``share``, by ``seed`` and the row's place: file below ``root``, row group, number."""

    share: float
    seed: int
    root: str = ""

    def describe(self) -> Dataset:
        """All fragments, of fewer rows."""
        return _sampled(self.inner.describe(), self.share, self.seed)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The sampled rows of one fragment."""
        place = fragment.path.removeprefix(self.root)
        key = hashlib.sha256(f"{self.seed}:{place}:{fragment.section}".encode()).digest()
        salt = np.frombuffer(key[:8], np.uint64)[0]
        at = fragment.start
        for batch in self.inner.read(fragment, columns):
            places = np.arange(at, at + batch.num_rows, dtype=np.uint64)
            at += batch.num_rows
            chosen = np.flatnonzero(_mixed(places ^ salt) < np.uint64(int(self.share * 2**64 - 1)))
            if len(chosen):
                yield batch.take(pa.array(chosen))


def _root(paths: Sequence[str]) -> str:
    """The directory that all files are in, to the last slash: a sample is the same wherever the data lies."""
    shared = os.path.commonprefix(list(paths))  # noqa: RUF071 - URLs too; it is cut at a slash
    return shared[: shared.rfind("/") + 1]


def _mixed(values: Any) -> Any:
    """splitmix64 (Steele, Lea, Flood 2014, doi:10.1145/2714064.2660195): equal bits in, independent bits out."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _sampled(dataset: Dataset, share: float, seed: int) -> Dataset:
    """Where rows have no number (text cut at bytes, filtered rows) fragments stay whole: there the place is counted."""
    fragments = dataset.fragments
    numbered = dataset.divisible_by == "rows" and bool((fragments.rows >= 0).all())
    unknown = replace(fragments, rows=np.full(len(fragments), -1, np.int64))
    source = SampledSource(dataset.source, share, seed, _root(fragments.paths))
    return replace(dataset, source=source, fragments=unknown, divisible_by=dataset.divisible_by if numbered else None)


@dataclass(frozen=True, slots=True)
class LimitedSource(_Narrowed):
    """No more than ``most`` rows of the one fragment in which the limit falls: (path, row group, start)."""

    most: Mapping[tuple[str, int, int], int]
    limit: int

    def describe(self) -> Dataset:
        """The fragments up to the limit."""
        return _limited(self.inner.describe(), self.limit)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of one fragment, up to its limit."""
        left = self.most.get((fragment.path, fragment.section, fragment.start))
        for batch in self.inner.read(fragment, columns):
            if left is None:
                yield batch
                continue
            if left <= 0:
                return
            yield batch.slice(0, left)
            left -= batch.num_rows


def _limited(dataset: Dataset, limit: int) -> Dataset:
    """Whole fragments up to the limit; the one in which it falls is cut by rows, or else read up to it."""
    fragments = dataset.fragments
    rows = fragments.rows.copy()
    total = 0
    for i in range(len(fragments)):
        if rows[i] < 0:
            rows[i] = _count(dataset.source, fragments[i], limit - total)
        total += int(rows[i])
        if total >= limit:
            return _ending(dataset, i, rows, limit - (total - int(rows[i])), limit)
    return replace(dataset, fragments=replace(fragments, rows=rows)) if (rows >= 0).all() else dataset


def _ending(dataset: Dataset, last: int, rows: Any, left: int, limit: int) -> Dataset:
    """The fragments up to ``last``, of which ``left`` rows count."""
    kept = dataset.fragments.take(range(last + 1))
    share = left / max(int(rows[last]), 1)
    known = rows[: last + 1].copy()
    known[last] = left
    size, stop = kept.bytes.copy(), kept.stop.copy()
    size[last] = int(size[last] * share)
    features = {name: np.append(v[:-1], v[-1] * share) for name, v in kept.features.items()}
    if dataset.divisible_by == "rows" and bool((dataset.fragments.rows[: last + 1] >= 0).all()):
        stop[last] = kept.start[last] + left
        return replace(dataset, fragments=replace(kept, rows=known, bytes=size, stop=stop, features=features))
    most = {(kept.paths[kept.path_index[last]], int(kept.section[last]), int(kept.start[last])): left}
    return replace(
        dataset,
        source=LimitedSource(dataset.source, most, limit),
        fragments=replace(kept, rows=known, bytes=size, features=features),
        divisible_by=None,
    )


def _count(source: Source, fragment: Fragment, enough: int) -> int:
    """The rows of a fragment that says none: read until they are ``enough``."""
    found = 0
    for batch in source.read(fragment):
        found += batch.num_rows
        if found >= enough:
            break
    return found
