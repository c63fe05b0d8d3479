"""Rows from many files in a new order, as files: those that need no change are taken as they are."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from partitioner.errors import DataError
from partitioner.frames import UNFIT
from partitioner.model.data import Ints
from partitioner.output.schemas import fitted
from partitioner.output.versions import home
from partitioner.storage import Directory, read_parquet

FILE_BYTES = 128 << 20
"""Stored bytes of a file that is written here, about: it and what it is made of are in memory."""

SMALL_BYTES = 1 << 20
"""Stored bytes below which a file joins neighbours that are written, and one of this run is written with them anyway."""


@dataclass(frozen=True, slots=True, eq=False)
class Files:
    """Files to take rows from: ``names`` below the output, ``rows`` and stored ``bytes`` int64[n], ``sha256``; those from
    number ``own`` on are of this run; those of ``narrow`` are not in ``schema``, and are written again in it."""

    names: Sequence[str]
    rows: Ints
    bytes: Ints
    sha256: Sequence[str]
    own: int
    narrow: frozenset[str] = field(default_factory=frozenset)
    schema: pa.Schema | None = None


@dataclass(slots=True)
class _Group:
    """Neighbouring rows that become one file; ``taken`` is the number of the file that holds just them, -1 for none."""

    start: int
    stop: int
    taken: int = -1

    @property
    def rows(self) -> int:
        return self.stop - self.start


def woven(
    output: Directory, number: int, files: Files, file: Ints, row: Ints
) -> tuple[list[dict[str, Any]], Ints, Ints]:
    """Files that hold row ``row[i]`` of file ``file[i]``, for all i in order; and for each where it lies in them."""
    groups = _cut(_joined(_groups(files, file, row), files), files)
    made: list[dict[str, Any]] = []
    held: dict[int, pa.Table] = {}
    for k, group in enumerate(groups):
        if group.taken >= 0:
            name, sha = files.names[group.taken], files.sha256[group.taken]
            made.append({"stored": name, "rows": group.rows, "sha256": sha})
            continue
        numbers = np.unique(file[group.start : group.stop]).tolist()
        held = {n: held[n] if n in held else read_parquet(output.get(files.names[n])) for n in numbers}
        table = _gathered(held, file[group.start : group.stop], row[group.start : group.stop])
        if files.schema is not None:
            table = fitted(table, files.schema, "rows that are kept")
        made.append(_written(output, f"{home(number)}/woven-{k:06d}.parquet", table))
    sizes = np.array([group.rows for group in groups], np.int64)
    starts = np.cumsum(sizes) - sizes
    return made, np.repeat(np.arange(len(groups)), sizes), np.arange(len(file)) - np.repeat(starts, sizes)


def _groups(files: Files, file: Ints, row: Ints) -> list[_Group]:
    """Files that are wanted whole and in order, and between them what is to be written."""
    if not len(file):
        return []
    begins = np.append(0, np.flatnonzero((np.diff(file) != 0) | (np.diff(row) != 1)) + 1)
    sizes = np.diff(np.append(begins, len(file)))
    of = file[begins]
    whole = (row[begins] == 0) & (sizes == files.rows[of]) & ((of < files.own) | (files.bytes[of] >= SMALL_BYTES))
    whole &= np.array([name not in files.narrow for name in files.names], bool)[of]
    found: list[_Group] = []
    for i in np.flatnonzero(whole | np.append(True, whole[:-1])).tolist():
        taken = int(of[i]) if whole[i] else -1
        if found:
            found[-1].stop = int(begins[i])
        found.append(_Group(int(begins[i]), len(file), taken))
    return found


def _joined(groups: Sequence[_Group], files: Files) -> list[_Group]:
    """What is written takes in small neighbours, so that nights of few rows do not leave a file each."""
    found: list[_Group] = []
    for group in groups:
        found.append(group)
        while len(found) > 1 and _together(found[-2], found[-1], files):
            last = found.pop()
            found[-1] = _Group(found[-1].start, last.stop)
    return found


def _together(left: _Group, right: _Group, files: Files) -> bool:
    if left.taken >= 0 and right.taken >= 0:
        return False
    if left.taken < 0 and right.taken < 0:
        return True
    return int(files.bytes[max(left.taken, right.taken)]) < SMALL_BYTES


def _cut(groups: Sequence[_Group], files: Files) -> list[_Group]:
    """Groups that are written, in files of some size."""
    per_row = float(files.bytes.sum()) / max(int(files.rows.sum()), 1)
    most = max(int(FILE_BYTES / max(per_row, 1e-9)), 1)
    found = []
    for group in groups:
        pieces = 1 if group.taken >= 0 else -(-group.rows // most)
        if pieces == 1:
            found.append(group)
            continue
        bounds = np.linspace(group.start, group.stop, pieces + 1).astype(int).tolist()
        found += [_Group(a, b) for a, b in pairwise(bounds)]
    return found


def _gathered(tables: Mapping[int, pa.Table], file: Ints, row: Ints) -> pa.Table:
    """The rows, each file read once."""
    parts, places = [], []
    for number, table in tables.items():
        mine = np.flatnonzero(file == number)
        parts.append(table.replace_schema_metadata(None).take(pa.array(row[mine])))
        places.append(mine)
    try:
        together = pa.concat_tables(parts, promote_options="permissive").unify_dictionaries()
    except UNFIT as error:
        raise DataError(
            f"rows that ran now do not fit those that are kept: {str(error).partition(chr(10))[0]}. Return the same types "
            "every night, or make the output anew with mode='overwrite'."
        ) from error
    back = np.empty(len(file), np.int64)
    back[np.concatenate(places)] = np.arange(len(file))
    return together.take(pa.array(back))


def _written(output: Directory, name: str, table: pa.Table) -> dict[str, Any]:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", write_page_checksum=True)
    output.put(name, out.getvalue())
    return {"stored": name, "rows": table.num_rows, "sha256": hashlib.sha256(out.getvalue()).hexdigest()}
