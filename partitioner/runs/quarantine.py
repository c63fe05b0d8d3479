"""The rows that a run set aside, with their errors."""

from __future__ import annotations

import pyarrow as pa

from partitioner.attempt.isolate import ERROR_COLUMN
from partitioner.errors import DamagedOutput, clause
from partitioner.runs.repair import rest_of, version_of
from partitioner.storage import Directory, read_parquet
from partitioner.store.run_directory import RunDirectory


def rows_of(directory: RunDirectory) -> pa.Table:
    """All rows that a run's output lacks, in their order, with the column ``_error``: quarantined by its committed
    sub-tasks, or, where it added to an output, by runs before it.

    Raises ConfigError where it is no run, DamagedOutput where a file of them is gone or torn.
    """
    directory.description()
    tables = [_read(directory, place, name) for place, name in _files_of(rest_of(directory))]
    return (
        pa.concat_tables(tables, promote_options="permissive")
        if tables
        else pa.table({ERROR_COLUMN: pa.array([], pa.string())})
    )


def _read(directory: RunDirectory, place: Directory, name: str) -> pa.Table:
    try:
        return read_parquet(place.get(name))
    except (pa.ArrowException, OSError) as error:
        raise DamagedOutput(
            f"{place.url}/{name} is missing or torn ({clause(error)}); a resume makes it again where its run is unfinished: "
            f"partitioner resume {directory.url}"
        ) from error


def _files_of(directory: RunDirectory) -> list[tuple[Directory, str]]:
    """Files with the rows that a run's output lacks: also those of earlier runs whose rows it kept."""
    commits = directory.commits()
    own = directory.quarantine_files([commits[key] for key in sorted(commits)])
    manifest = version_of(directory)
    if manifest is None or "inputs" not in manifest or "rows" in manifest:  # rows told by key come and go one by one
        return [(directory.files, name) for name in own]
    urls = dict.fromkeys(url for part in manifest["inputs"] for url in part["quarantine"])
    return [
        (RunDirectory(home).files, f"quarantine/{name}")
        for home, _, name in (u.rpartition("/quarantine/") for u in urls)
    ]
