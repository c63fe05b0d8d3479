"""Rows told by a key and a watermark: what a version of an output knows of the rows of its input, and which are as then.

``incremental={"key": "id", "watermark": "updated_at"}``: a row is the same if there was one with its key and its watermark.
``incremental={"watermark": "updated_at"}`` looks at the watermark alone: rows above the highest one are new.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from partitioner.config import Repeating
from partitioner.frames import UNFIT, to_numpy
from partitioner.model.data import Ints
from partitioner.output.versions import home
from partitioner.storage import Directory, read_parquet

MARK = "watermark"
"""The column of the watermark in tables of rows; those of the key are ``key0``, ``key1``, ..."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """How rows are told: columns of the ``key``, none where the watermark alone counts, and of the ``watermark``."""

    key: tuple[str, ...]
    watermark: str

    @property
    def columns(self) -> list[str]:
        """What is read of the input."""
        return list(dict.fromkeys([*self.key, self.watermark]))

    @property
    def names(self) -> list[str]:
        """Columns of the key in tables of rows."""
        return [f"key{i}" for i in range(len(self.key))]

    def to_json(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"key": list(self.key), "watermark": self.watermark}


def tracking_of(config: Repeating) -> Tracking | None:
    """How mode incremental tells rows; None where it goes by files."""
    if config.incremental is None or config.mode != "incremental":
        return None
    return Tracking(tuple(config.incremental["key"]), config.incremental["watermark"])


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The rows of the input of a version: ``table`` n rows in input order, with their key and watermark, the ``file`` (index
    in the manifest; -1 in quarantine) and the ``row`` in it that came of each, and ``aside`` (index of the quarantine file,
    -1 for none). Where the watermark alone counts one line, with the highest. ``seconds`` that sub-tasks took for all
    ``rows``.
    """

    table: pa.Table
    rows: int = 0
    seconds: float = 0.0
    aside: tuple[str, ...] = ()

    @classmethod
    def nothing(cls) -> Known:
        """Of no output."""
        return cls(pa.table({}))

    def column(self, name: str) -> Ints:
        """``file``, ``row`` or ``aside``."""
        return to_numpy(self.table[name]).astype(np.int64)

    @property
    def seconds_per_row(self) -> float:
        """Measured when they ran."""
        return self.seconds / max(self.rows, 1)


def store(output: Directory, number: int, tracking: Tracking, known: Known) -> dict[str, Any]:
    """Write what a version knows of its rows; what its manifest says of that."""
    out = io.BytesIO()
    pq.write_table(known.table, out, compression="zstd", write_page_checksum=True)
    name, data = f"{home(number)}/rows.parquet", out.getvalue()
    output.put(name, data)
    facts = {"stored": name, "sha256": hashlib.sha256(data).hexdigest(), "rows": known.rows, "seconds": known.seconds}
    return {**tracking.to_json(), **facts, "aside": list(known.aside)}


def known_rows(output: Directory, manifest: Mapping[str, Any], tracking: Tracking) -> Known | str:
    """What a version knows of its rows, or why nothing of it can be used, in words."""
    told = manifest.get("rows")
    if told is None:
        return "what wrote the output last kept no keys and watermarks"
    if {name: told[name] for name in ("key", "watermark")} != tracking.to_json():
        return "rows were told by other columns then"
    try:
        data = output.get(told["stored"])
    except FileNotFoundError:
        return f"{told['stored']} is gone"
    if hashlib.sha256(data).hexdigest() != told["sha256"]:
        return f"{told['stored']} is damaged"
    return Known(read_parquet(data), int(told["rows"]), float(told["seconds"]), tuple(told["aside"]))


def codes_of(columns: Sequence[pa.ChunkedArray]) -> Ints:
    """int64[n]: equal numbers for rows that are equal in all columns, of whatever types."""
    codes = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        coded = column.combine_chunks()
        coded = pa.concat_arrays(coded.chunks) if isinstance(coded, pa.ChunkedArray) else coded
        coded = coded.dictionary_decode() if isinstance(coded, pa.DictionaryArray) else coded
        found = coded.dictionary_encode()
        codes = codes * max(len(found.dictionary), 1) + to_numpy(found.indices).astype(np.int64)
        if len(columns) > 1:
            codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return codes


def repeated(table: pa.Table, tracking: Tracking) -> tuple[int, int] | None:
    """Two rows with the same key; None where there are none."""
    codes = codes_of([table[name] for name in tracking.names])
    order = np.argsort(codes, kind="stable")
    twice = np.flatnonzero(np.diff(codes[order]) == 0)
    return (int(order[twice[0]]), int(order[twice[0] + 1])) if len(twice) else None


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """``held`` int64[n]: for each row the one of before with its key and watermark, -1 where there is none; how many rows
    have a key of before with another watermark (``changed``), and how many of before have a key that is ``gone``."""

    held: Ints
    changed: int = 0
    gone: int = 0


def matches(now: pa.Table, before: pa.Table, tracking: Tracking) -> Matches | str:
    """The rows of two nights side by side; or in words why they cannot be compared."""
    if not now.num_rows or not before.num_rows:
        return Matches(np.full(now.num_rows, -1, np.int64), 0, before.num_rows)
    columns = []
    for name in [*tracking.names, MARK]:
        kind, then = now.schema.field(name).type, before.schema.field(name).type
        try:
            columns.append((now[name], before[name].cast(kind)))
        except UNFIT:
            return f"a column of key or watermark has another type: {then} then, {kind} now"
    codes = codes_of([pa.chunked_array([*a.chunks, *b.chunks], a.type) for a, b in columns[:-1]])
    ours, theirs = codes[: now.num_rows], codes[now.num_rows :]
    place = np.full(int(codes.max(initial=-1)) + 1, -1, np.int64)
    place[theirs] = np.arange(len(theirs))
    held: Ints = place[ours]
    there = np.flatnonzero(held >= 0)
    marks, marks_then = columns[-1]
    same = pc.equal(marks.take(pa.array(there)), marks_then.take(pa.array(held[there])))
    other = there[to_numpy(same.cast(pa.int8())) == 0]
    held[other] = -1
    return Matches(held, len(other), len(theirs) - len(there))
