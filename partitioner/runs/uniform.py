"""One type a column in all files of an output, also where the schema widened after some of them were committed.

A reader that takes the types of the first file (pyarrow, pandas, DuckDB, Spark) would else fail at others, or round them.
The driver writes the narrower files again, which runs no program, and their commit records after them. Where it dies in
between, a resume finds a file that is not the one of its record, and runs that sub-task again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from partitioner.attempt.job import Job
from partitioner.model import CommitRecord
from partitioner.output import schemas
from partitioner.storage import Directory
from partitioner.store.commits import Records
from partitioner.store.run_directory import RunDirectory

MOST_BYTES = 4 << 30
"""Stored bytes of narrower files that are written again, about half a minute's; more stay as they are, and that is said."""


def in_one_schema(directory: RunDirectory, job: Job, records: Sequence[CommitRecord]) -> Sequence[CommitRecord]:
    """The records, after narrower files were written again in the schema that all sub-tasks came to agree on.

    Raises RunFailed, before anything is written, for a value that the wider type does not hold exactly.
    """
    if not job.reducer.rows or isinstance(records, Records):  # of so many only what changed the schema would be read
        return records
    files = Directory(job.sink.url)
    held = [r for r in records if not r.split]
    names, schema = schemas.narrower(directory.files, files, [r.path for r in held])
    bare = schemas.without_columns(files, [r.path for r in held if not r.rows_written])
    narrow = {r.task_key: r for r in held if r.path in names | bare}
    if not narrow or schema is None:
        return records
    schemas.check_fits(directory.files, files, [(r.path, r.task_key) for r in held if r.rows_written])
    if (size := sum(r.size for r in narrow.values())) > MOST_BYTES:
        print(
            f"{len(narrow)} of {len(held)} output files ({size / 2**30:.1f} GiB) were written before the columns widened to "
            f"those of the others, and stay so: read them with run.result, or with this schema: {schema}",
            file=sys.stderr,
        )
        return records
    mended = {}
    for key, record in narrow.items():
        facts = job.sink.recast(record, partial(schemas.fitted, schema=schema, where=f"sub-task {key}"))
        mended[key] = replace(record, digest=facts["digest"], size=facts["size"], tag=facts["tag"])
        directory.recommit(mended[key])
    return [mended.get(r.task_key, r) for r in records]
