"""Records in columns, as very many of them are held."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from partitioner.model import CommitRecord
from partitioner.store.commit_log import encoded
from partitioner.store.commits import Commits, Records
from partitioner.store.run_directory import RunDirectory


def as_columns(home: Path, records: list[CommitRecord], ids: list[str]) -> Records:
    run = RunDirectory(str(home))
    run.files.put("records/1.parquet", encoded(records))
    return Commits(run.files, run.files.names("records"), {}).in_order(pa.array(ids), {})


KEYS = [f"t{i:06d}" for i in range(4)]
