"""The columns of a version of an output: what runs on top of it agrees with them, or says what does not fit."""

from __future__ import annotations

import base64
import sys

import pyarrow as pa

from partitioner.attempt.agreement import Agreement
from partitioner.attempt.job import Job
from partitioner.config import RunConfig
from partitioner.output.exporting import home_of
from partitioner.output.modes import Target, base_of
from partitioner.output.schemas import said
from partitioner.output.showing import schema_of
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory


def begin_with_kept(config: RunConfig, directory: RunDirectory, target: Target) -> None:
    """Where rows of the version before stay, their columns and types are those that sub-tasks of this run agree with.

    So whole numbers of tonight become the doubles of last night, and text in their place is an error before anything is
    committed.
    """
    keeps = config.mode == "append" or target.base_known or target.kept or target.sections
    base = base_of(Directory(str(home_of(config))), target.base) if keeps and target.number else None
    if base is None or base.manifest is None:
        return
    schema = said(base.manifest) or agreed_by(RunDirectory(base.run))
    if schema is not None:
        Agreement(directory.files).begin(schema, f"version {base.number} of the output")


def mended(config: RunConfig, directory: RunDirectory, target: Target, job: Job) -> None:
    """Where what says the columns of sub-tasks is torn it is made again, of kept rows and of what is committed."""
    agreement = Agreement(directory.files)
    if not job.reducer.rows or not agreement.forget_torn():
        return
    begin_with_kept(config, directory, target)
    files, records = Directory(job.sink.url), directory.commits()
    for key in sorted(records):
        if records[key].rows_written:
            agreement.admit(schema_of(files, [records[key].path]), key)
    print("the columns that sub-tasks return were torn; they are taken from what is committed", file=sys.stderr)


def agreed_by(run: RunDirectory) -> pa.Schema | None:
    """The columns of a run; None where it returned none."""
    agreed = Agreement(run.files).newest()
    return None if agreed is None else agreed.schema


def said_of(run: RunDirectory) -> dict[str, str]:
    """What a manifest says of the columns of its rows, in Arrow's own encoding."""
    schema = agreed_by(run)
    return {} if schema is None else {"schema": base64.b64encode(schema.serialize().to_pybytes()).decode()}
