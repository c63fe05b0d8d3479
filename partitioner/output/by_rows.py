"""A version of an output put together row by row: what ran now, and what is kept of rows with the same key and watermark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import RunFailed
from partitioner.frames import to_numpy
from partitioner.model import CommitRecord, SubTasks
from partitioner.model.data import Ints
from partitioner.model.source import Source
from partitioner.output.arranged import Arrangement
from partitioner.output.assembly import COUNTS, Part
from partitioner.output.schemas import narrower
from partitioner.output.tracking import MARK, Known
from partitioner.output.weaving import Files, woven
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory

HELD = "held"
"""In ``rows.parquet`` of a run: the row of the version before that is kept for this one, -1 where it runs."""


def assembled_by_rows(
    output: Directory,
    number: int,
    directory: RunDirectory,
    before: Sequence[Mapping[str, Any]],
    known: Known,
    source: Source,
    tasks: SubTasks,
    records: Sequence[CommitRecord],
) -> tuple[list[dict[str, Any]], list[Part], Known]:
    """Files with the rows of the input in its order, one part that says so, and what the version knows of its rows.

    ``before`` are the files of the version that this one starts from, and ``known`` what that one knew.
    """
    table = directory.read_table("rows")
    held = to_numpy(table[HELD]).astype(np.int64)
    file, row, aside, asides = _places(directory, len(before), known, held, source, tasks, records)
    there = np.flatnonzero(file >= 0)
    files, file[there], row[there] = woven(
        output, number, _files(directory, output, before, records), file[there], row[there]
    )
    used, codes = np.unique(aside[aside >= 0], return_inverse=True)
    aside[aside >= 0] = codes
    kept = tuple(asides[i] for i in used.tolist())
    n, out = len(held), len(there)
    counts = dict(zip(COUNTS, (n, out, out, n - out), strict=True))
    pieces = tuple((str(f["stored"]), 0, int(f["rows"])) for f in files)
    seconds = known.seconds_per_row * int((held >= 0).sum()) + sum(r.seconds for r in records)
    columns = {"file": file.astype(np.int32), "row": row, "aside": aside.astype(np.int32)}
    rows = table.drop_columns([HELD])
    for name, values in columns.items():
        rows = rows.append_column(name, pa.array(values))
    return files, [Part("", "", counts, kept, pieces)], Known(rows, n, seconds, kept)


def _places(
    directory: RunDirectory,
    own: int,
    known: Known,
    held: Ints,
    source: Source,
    tasks: SubTasks,
    records: Sequence[CommitRecord],
) -> tuple[Ints, Ints, Ints, list[str]]:
    """File and row that came of each row of the input, or the quarantine file it is in; and these files."""
    file, row, aside = (np.full(len(held), -1, np.int64) for _ in range(3))
    old = np.flatnonzero(held >= 0)
    for values, name in ((file, "file"), (row, "row"), (aside, "aside")):
        if len(old):
            values[old] = known.column(name)[held[old]]
    asides, ran = list(known.aside), np.flatnonzero(held < 0)
    index = {key: i for i, key in enumerate(tasks.task_id.to_pylist())}
    arrangement = Arrangement(source, tasks, tuple(records), (), index)
    for i, record in enumerate(records):
        if record.split:
            continue
        written, quarantined = arrangement.places_of(i)
        file[ran[written]], row[ran[written]] = own + i, np.arange(len(written))
        if len(quarantined):
            aside[ran[quarantined]] = len(asides)
            asides.append(f"{directory.url}/{record.quarantine}")
    lost = np.flatnonzero((file < 0) & (aside < 0))
    if len(lost):
        raise RunFailed(
            f"row {lost[0]} of the input is neither in the output nor in quarantine, of {len(lost)} such rows. Nothing is "
            "published; please report this."
        )
    return file, row, aside, asides


def _files(
    directory: RunDirectory, output: Directory, before: Sequence[Mapping[str, Any]], records: Sequence[CommitRecord]
) -> Files:
    names = [str(f["stored"]) for f in before] + [r.path for r in records]
    rows = [int(f["rows"]) for f in before] + [r.rows_written for r in records]
    sizes = [int(f["size"]) for f in before] + [r.size for r in records]
    digests = [str(f["sha256"]) for f in before] + [r.digest for r in records]
    narrow, schema = narrower(directory.files, output, names)
    return Files(names, np.array(rows, np.int64), np.array(sizes, np.int64), digests, len(before), narrow, schema)


def highest(directory: RunDirectory, known: Known, records: Sequence[CommitRecord], rows: int) -> Known:
    """What a version of so many rows knows where the watermark alone counts: the highest one."""
    marks = directory.read_table("rows").select([MARK])
    return Known(marks, rows, known.seconds + sum(r.seconds for r in records))
