"""Some rows of a dataset, by their numbers; and a dataset whose pieces are known by the keys and watermarks in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from partitioner.errors import DataError
from partitioner.frames import decoded
from partitioner.model import Dataset, Fragment, Fragments
from partitioner.model.data import Ints
from partitioner.model.source import Source
from partitioner.output.tracking import Tracking
from partitioner.stages.scanning import Scan, digest_of, scanned


class Told:
    """What tells the content of every file apart, as this process read it; travels empty."""

    def __init__(self, contents: Mapping[str, str] | None = None) -> None:
        self.contents = contents

    def __reduce__(self) -> tuple[Any, ...]:
        return Told, ()


@dataclass(frozen=True, slots=True, eq=False)
class Scanned(Source):
    """A source whose keys and watermarks were read; ``fragments`` are those of ``inner``, in which they were read."""

    inner: Source
    fragments: Fragments
    schema: pa.Schema | None
    tracking: Tracking
    divisible_by: str | None = None
    told: Told = field(default_factory=Told)

    def narrowed(self) -> bool:
        """Filters are applied within it."""
        return True

    def within(self) -> Dataset:
        """The dataset that was read."""
        return Dataset(self.inner, self.fragments, self.schema, self.divisible_by)

    def contents(self) -> dict[str, str]:
        """Digests of keys and watermarks, of which one changes with the data; read again where this process did not."""
        if self.told.contents is None:
            self.told.contents = scanned(self.within(), self.tracking).contents
        return dict(self.told.contents)

    def fingerprints(self) -> dict[str, str]:
        """Those of the inner source."""
        return self.inner.fingerprints()

    def fingerprint(self, fragment: Fragment) -> str:
        """That of the inner source."""
        return self.inner.fingerprint(self.fragments[fragment.section])


@dataclass(frozen=True, slots=True, eq=False)
class PieceSource(Scanned):
    """All rows; ``digests`` tell the pieces apart, and ``section`` of a fragment is the number of its piece."""

    digests: tuple[str, ...] = ()

    name: ClassVar[str] = "pieces"

    @classmethod
    def of(cls, dataset: Dataset, scan: Scan, tracking: Tracking) -> Dataset:
        """A dataset seen so: a fragment for each piece."""
        inner = dataset.fragments
        seen = cls(
            dataset.source, inner, dataset.schema, tracking, dataset.divisible_by, Told(scan.contents), scan.digests
        )
        numbers = np.arange(len(inner), dtype=np.int32)
        zero = np.zeros(len(inner), np.int64)
        fragments = replace(inner, section=numbers, start=zero, stop=inner.stop - inner.start)
        return Dataset(seen, fragments, dataset.schema, dataset.divisible_by)

    def describe(self) -> Dataset:
        """As they were read."""
        dataset = self.within()
        return PieceSource.of(dataset, scanned(dataset, self.tracking), self.tracking)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a piece, or a part of it."""
        inner = self.fragments[fragment.section]
        start, stop = inner.start + fragment.start, inner.start + fragment.stop
        yield from self.inner.read(replace(inner, start=start, stop=stop, rows=fragment.rows), columns)

    def tells_sections(self) -> bool:
        """It does."""
        return True

    def section_content(self, fragment: Fragment) -> str:
        """The digest of the keys and watermarks of a piece."""
        return self.digests[fragment.section]


@dataclass(frozen=True, slots=True, eq=False)
class PickedSource(Scanned):
    """The rows with the numbers ``picks`` of each inner fragment (None: all of its rows; absent: none).

    ``before`` int64[fragments]: picked rows of earlier fragments. ``rows`` int64[fragments] of the inner fragments, each
    read whole unless ``cuttable``; then the keys that it holds must be those of ``keys``, a digest by fragment.
    """

    picks: Mapping[int, Ints | None] = field(default_factory=dict)
    before: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    rows: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    keys: Mapping[int, str] = field(default_factory=dict)
    cuttable: bool = False

    name: ClassVar[str] = "picked"

    @classmethod
    def of(cls, dataset: Dataset, scan: Scan, tracking: Tracking, wanted: Ints) -> Dataset:
        """The rows of a dataset with the numbers ``wanted``, ascending."""
        first, inner = scan.first, dataset.fragments
        cuts = np.searchsorted(wanted, first)
        counts = np.diff(cuts)
        picks: dict[int, Ints | None] = {}
        for i in np.flatnonzero(counts).tolist():
            whole = int(counts[i]) == int(scan.rows[i])
            picks[i] = None if whole else wanted[cuts[i] : cuts[i + 1]] - first[i]
        cuttable = dataset.divisible_by == "rows" and bool((inner.rows >= 0).all())
        checked = {} if cuttable or not tracking.key else picks
        digests = {i: _digest_of(scan, tracking, wanted[cuts[i] : cuts[i + 1]]) for i in checked}
        about = dataset.source, inner, dataset.schema, tracking, dataset.divisible_by, Told(scan.contents)
        made = cls(*about, picks, cuts[:-1], scan.rows, digests, cuttable)
        return made.describe()

    @property
    def picked(self) -> Ints:
        """The numbers, in the whole input, of the rows picked."""
        first = np.concatenate([[0], np.cumsum(self.rows)]).astype(np.int64)
        parts = [
            first[i] + (np.arange(self.rows[i]) if rows is None else rows) for i, rows in sorted(self.picks.items())
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def describe(self) -> Dataset:
        """A fragment for each inner one with rows that are picked; bytes and features are shared out by rows."""
        index = np.array(sorted(self.picks), np.int64)
        held = self.fragments.take(index)
        counts = np.diff(np.append(self.before, len(self.picked)))[index]
        share = counts / np.maximum(self.rows[index], 1)
        fragments = replace(
            held,
            section=index.astype(np.int32),
            start=np.zeros(len(index), np.int64),
            stop=counts,
            rows=counts,
            bytes=np.ceil(held.bytes * share).astype(np.int64),
            features={name: values * share for name, values in held.features.items()},
        )
        return Dataset(self, fragments, self.schema, "rows" if self.cuttable else None)

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows picked, in input order. Raises DataError where others lie there by now."""
        i, start, stop = fragment.section, fragment.start, fragment.stop
        rows = self.picks[i]
        places = np.arange(start, stop) if rows is None else rows[start:stop]
        inner, at = self.fragments[i], 0
        if self.cuttable and len(places):
            at = int(places[0])
            span = int(places[-1]) + 1 - at
            inner = replace(inner, start=inner.start + at, stop=inner.start + at + span, rows=span)
        check = _Check(self.tracking, self.keys.get(i, ""), columns)
        found = 0
        for batch in self.inner.read(inner, check.wanted):
            low, high = np.searchsorted(places, [at, at + batch.num_rows])
            mine = places[low:high] - at
            at += batch.num_rows
            found += len(mine)
            if len(mine):
                whole = len(mine) == batch.num_rows
                yield check.seen(batch if whole else batch.take(pa.array(mine)))
        if found != len(places) or not check.right():
            raise DataError(
                f"{self.fragments[i].name} holds other rows than when the run was planned; start the command again."
            )

    def places(self, fragment: Fragment) -> Ints:
        """Where the rows stand among those picked."""
        return np.arange(fragment.start, fragment.stop) + int(self.before[fragment.section])


class _Check:
    """Whether the rows of a fragment that is read whole have the keys of when it was planned; nothing where it is cut."""

    def __init__(self, tracking: Tracking, digest: str, columns: Sequence[str] | None) -> None:
        self._key, self._digest = tracking.key if digest else (), digest
        self._columns, self._found = columns, list[pa.Table]()

    @property
    def wanted(self) -> list[str] | None:
        """Columns to read: those asked for, and the key."""
        return None if self._columns is None else list(dict.fromkeys([*self._columns, *self._key]))

    def seen(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The columns asked for."""
        if self._key:
            self._found.append(pa.Table.from_batches([batch]).select(list(self._key)))
        return batch if self._columns is None else batch.select(list(self._columns))

    def right(self) -> bool:
        """Asked after the last batch."""
        if not self._key or not self._found:
            return True
        held = pa.concat_tables(self._found)
        columns = [decoded(held[name]) for name in self._key]
        return digest_of(pa.table(columns, names=[f"key{i}" for i in range(len(columns))])) == self._digest


def _digest_of(scan: Scan, tracking: Tracking, rows: Ints) -> str:
    return digest_of(scan.table.select(tracking.names).take(pa.array(rows)))
