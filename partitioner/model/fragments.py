"""Fragments: the readable pieces that a dataset is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partitioner.frames import to_numpy
from partitioner.model.data import Codes, Floats, Ints


@dataclass(frozen=True, slots=True)
class Fragment:
    """One readable piece of a dataset: the row view of a line of ``Fragments``.

    ``start`` and ``stop`` are half-open and counted in rows of ``section`` or in bytes of the file, as the connector
    declares (``Dataset.divisible_by``). ``section`` numbers the parts that a file has by itself, such as the row
    groups of Parquet; -1 where it has none. ``rows`` is -1 where only reading would tell.
    """

    index: int
    path: str
    section: int
    start: int
    stop: int
    rows: int
    bytes: int
    features: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How messages name it: path, row group where there is one, range."""
        group = f" row group {self.section}" if self.section >= 0 else ""
        return f"{self.path}{group} [{self.start}:{self.stop}]"


@dataclass(frozen=True, slots=True, eq=False)
class Fragments:
    """Columnar fragments, n of them, in input order.

    ``paths`` are the distinct files; ``path_index`` int32[n] points into them; ``section`` int32[n]; ``start``, ``stop``,
    ``rows`` and ``bytes`` int64[n] as in ``Fragment``; ``features`` float64[n] each, declared per-fragment columns
    (column bytes, text length, pixels) that cost models may use.
    """

    paths: tuple[str, ...]
    path_index: Codes
    section: Codes
    start: Ints
    stop: Ints
    rows: Ints
    bytes: Ints
    features: Mapping[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, fragments: list[Fragment]) -> Fragments:
        """Columns from row views; ``index`` is ignored, list order is input order."""
        paths = tuple(dict.fromkeys(f.path for f in fragments))
        code = {path: i for i, path in enumerate(paths)}
        names = fragments[0].features.keys() if fragments else ()
        numbers: dict[str, Any] = {
            c: np.array([getattr(f, c) for f in fragments], np.int64) for c in ("start", "stop", "rows", "bytes")
        }
        return cls(
            paths,
            np.array([code[f.path] for f in fragments], np.int32),
            np.array([f.section for f in fragments], np.int32),
            features={k: np.array([f.features[k] for f in fragments], np.float64) for k in names},
            **numbers,
        )

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, i: int) -> Fragment:
        return Fragment(
            int(i),
            self.paths[self.path_index[i]],
            int(self.section[i]),
            int(self.start[i]),
            int(self.stop[i]),
            int(self.rows[i]),
            int(self.bytes[i]),
            {k: float(v[i]) for k, v in self.features.items()},
        )

    def take(self, indices: npt.ArrayLike) -> Fragments:
        """The fragments at ``indices``, in that order (repeats allowed)."""
        i = np.asarray(indices, np.int64)
        return replace(
            self,
            **{c: getattr(self, c)[i] for c in ("path_index", "section", "start", "stop", "rows", "bytes")},
            features={k: v[i] for k, v in self.features.items()},
        )

    def cut(self, pieces: Ints) -> tuple[Fragments, Ints]:
        """Divide fragment i into ``pieces[i]`` near-equal ranges (never more than its length).

        Returns the finer fragments, still in input order, and for each the index of the fragment it came from.
        Rows, bytes and features are shared out by range length, with totals of rows and bytes kept exactly.
        """
        length = self.stop - self.start
        pieces = np.clip(pieces, 1, np.maximum(length, 1))
        origin = np.repeat(np.arange(len(self)), pieces)
        rank = np.arange(len(origin)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        k = pieces[origin]

        def share(total: Ints) -> tuple[Ints, Ints]:
            return total[origin] * rank // k, total[origin] * (rank + 1) // k

        low, high = share(length)
        base = self.start[origin]
        rows_low, rows_high = share(np.maximum(self.rows, 0))
        known = self.rows[origin] >= 0
        # Where the range is counted in rows, the piece's rows are exactly its range.
        by_rows = known & (self.rows[origin] == length[origin])
        rows = np.where(by_rows, high - low, rows_high - rows_low)
        bytes_low, bytes_high = share(self.bytes)
        part = (high - low) / np.maximum(length[origin], 1)
        finer = replace(
            self,
            path_index=self.path_index[origin],
            section=self.section[origin],
            start=base + low,
            stop=base + high,
            rows=np.where(known, rows, -1),
            bytes=bytes_high - bytes_low,
            features={name: v[origin] * part for name, v in self.features.items()},
        )
        return finer, origin

    def to_arrow(self) -> pa.Table:
        """A table with one row per fragment; features become columns named ``feature:<name>``."""
        columns: dict[str, Any] = {
            "path": pa.DictionaryArray.from_arrays(pa.array(self.path_index), pa.array(self.paths, pa.string()))
        }
        columns |= {c: pa.array(getattr(self, c)) for c in ("section", "start", "stop", "rows", "bytes")}
        columns |= {f"feature:{k}": pa.array(v) for k, v in self.features.items()}
        return pa.table(columns)

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Fragments:
        """The inverse of ``to_arrow``."""
        path = table["path"].combine_chunks()
        if isinstance(path, pa.ChunkedArray):  # an empty table keeps its chunking
            path = pa.concat_arrays(path.chunks) if path.num_chunks else pa.array([], path.type)
        path = path if isinstance(path, pa.DictionaryArray) else path.dictionary_encode()
        numbers: dict[str, Any] = {c: to_numpy(table[c]).astype(np.int64) for c in ("start", "stop", "rows", "bytes")}
        section = "section" if "section" in table.column_names else "unit"  # its name in older runs
        return cls(
            tuple(path.dictionary.to_pylist()),
            to_numpy(path.indices).astype(np.int32),
            to_numpy(table[section]).astype(np.int32),
            features={c[8:]: to_numpy(table[c]) for c in table.column_names if c.startswith("feature:")},
            **numbers,
        )
