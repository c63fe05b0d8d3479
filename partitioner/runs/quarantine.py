"""The rows that a run set aside, with their errors."""

from __future__ import annotations

import pyarrow as pa

from partitioner.attempt.isolate import ERROR_COLUMN
from partitioner.errors import DamagedOutput
from partitioner.model import CommitRecord
from partitioner.runs.integrity import rows_aside
from partitioner.runs.repair import rest_of, version_of
from partitioner.store.run_directory import RunDirectory


def rows_of(directory: RunDirectory) -> pa.Table:
    """All rows that a run's output lacks, in their order, with the column ``_error``: quarantined by its committed
    sub-tasks, or, where it added to an output, by runs before it.

    Raises ConfigError where it is no run, DamagedOutput where a file of them is gone, torn or another's.
    """
    directory.description()
    tables = [_read(run, name, record) for run, name, record in _files_of(rest_of(directory))]
    return (
        pa.concat_tables(tables, promote_options="permissive")
        if tables
        else pa.table({ERROR_COLUMN: pa.array([], pa.string())})
    )


def _read(run: RunDirectory, name: str, record: CommitRecord | None) -> pa.Table:
    """``record`` lists the file."""
    try:
        if record is None:
            raise DamagedOutput("no commit record of its run lists it")
        return rows_aside(run, record)
    except DamagedOutput as error:
        raise DamagedOutput(
            f"{run.url}/{name}: {error}. Restore it, or have it made again: by a new run or, where its run is unfinished, "
            f"by partitioner resume {run.url}"
        ) from error


def _files_of(directory: RunDirectory) -> list[tuple[RunDirectory, str, CommitRecord | None]]:
    """Files with the rows that a run's output lacks, with the records that list them: also those of earlier runs whose
    rows it kept."""
    manifest = version_of(directory)
    if manifest is None or "inputs" not in manifest or "rows" in manifest:  # rows told by key come and go one by one
        held = _listed(directory)
        return [(directory, name, held[name]) for name in held]
    urls = dict.fromkeys(url for part in manifest["inputs"] for url in part["quarantine"])
    places = [(home, f"quarantine/{name}") for home, _, name in (url.rpartition("/quarantine/") for url in urls)]
    runs = {home: RunDirectory(home) for home, _ in places}
    lists = {home: _listed(run) for home, run in runs.items()}
    return [(runs[home], name, lists[home].get(name)) for home, name in places]


def _listed(run: RunDirectory) -> dict[str, CommitRecord]:
    """Name of each file of quarantined rows to the record that lists it, in the order of sub-tasks."""
    commits = run.commits()
    return {name: commits[key] for key in sorted(commits) for name in run.quarantine_files([commits[key]])}
