"""The columns of a version of an output: what runs on top of it agrees with them, or says what does not fit."""

from __future__ import annotations

import base64

import pyarrow as pa

from partitioner.attempt.agreement import Agreement
from partitioner.config import RunConfig
from partitioner.output.exporting import home_of
from partitioner.output.modes import Target, base_of
from partitioner.output.schemas import said
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
        Agreement(directory.files).begin(schema, f"(version {base.number} of the output)")


def agreed_by(run: RunDirectory) -> pa.Schema | None:
    """The columns of a run; None where it returned none."""
    agreed = Agreement(run.files).newest()
    return None if agreed is None else agreed.schema


def said_of(run: RunDirectory) -> dict[str, str]:
    """What a manifest says of the columns of its rows, in Arrow's own encoding."""
    schema = agreed_by(run)
    return {} if schema is None else {"schema": base64.b64encode(schema.serialize().to_pybytes()).decode()}
