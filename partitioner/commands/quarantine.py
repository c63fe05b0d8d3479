"""``partitioner quarantine``: the rows that were set aside, and another try once the program or the rows are mended."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from partitioner.attempt.isolate import ERROR_COLUMN
from partitioner.costs.resolve import resolve as model_of
from partitioner.errors import ConfigError
from partitioner.running import run_config
from partitioner.runs.quarantine import rows_of
from partitioner.runs.repair import check_mergeable
from partitioner.runs.repair import merge as merge_rows
from partitioner.runs.resume import from_directory
from partitioner.runs.run import Run
from partitioner.security import trust
from partitioner.store.run_directory import RunDirectory

quarantine_app = typer.Typer(no_args_is_help=True, help="Rows that were set aside with their errors.")


def retry(directory: RunDirectory, merge: bool = False, **changes: object) -> Run:
    """A new run of the same program (imported afresh where it has a name) over the quarantined rows alone.

    With ``merge`` the rows that are good now are added to the run's own output, after the others, and only what failed
    again is in its quarantine from then on. Raises ConfigError where there is nothing to try, or the output is another
    run's by now.
    """
    rows = rows_of(directory).drop_columns([ERROR_COLUMN])
    if not rows.num_rows:
        raise ConfigError(f"run {directory.run_id} has no quarantined rows; there is nothing to try again.")
    told = directory.description()["config"].get("cost")
    # Numbers are of the fragments of the whole input, and a pilot would fail on rows that are not mended.
    cost = {} if isinstance(told, str) and not _measured(told) else {"cost": "bytes"}
    config = from_directory(directory, {**_OF_ALL_ROWS, **cost, "dataset": rows, **changes})
    if merge:
        check_mergeable(directory)
    retried = run_config(config)
    if merge:
        merge_rows(directory, retried)
    return retried


def _measured(cost: str) -> bool:
    """Whether a model of ours runs the program; code that the setting names is not imported before it is checked."""
    live = cost.startswith("<")  # an object, of which only its type was written down
    return not live and not trust.named_in({"cost": cost}) and model_of(cost).measures


_OF_ALL_ROWS: dict[str, object] = {
    "columns": None,
    "filter": None,
    "sample": None,
    "limit": None,
    "max_quarantined": None,
    "output": None,
    "format": None,
    "partition_by": [],
    "rows_per_file": None,
    "bytes_per_file": None,
    "mode": "error",
    "incremental": None,
    "name": None,
}
"""Settings that were about the whole input, or its output: the rows set aside are what is left of them, and all are tried.
A retry has no name, so that a schedule goes on with its own run."""


@quarantine_app.command("list")
def list_rows(
    run_dir: Annotated[str, typer.Argument(help="Run directory.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per row.")] = False,
) -> None:
    """Show the quarantined rows of a run, with the error of each."""
    table = rows_of(RunDirectory(run_dir))
    for row in table.to_pylist():
        if as_json:
            typer.echo(json.dumps(row, default=str))
        else:
            error = row.pop(ERROR_COLUMN)
            typer.echo(f"{error}\n    {str(row)[:200]}")
    if not as_json:
        typer.echo(f"{table.num_rows} quarantined rows")


@quarantine_app.command("retry")
def retry_rows(
    run_dir: Annotated[str, typer.Argument(help="Run directory.")],
    merge: Annotated[bool, typer.Option(help="Add the rows that are good now to the output of the run.")] = True,
) -> None:
    """Run the program again over the quarantined rows alone; what is good now is added to the run's output."""
    finished = retry(RunDirectory(run_dir), merge)
    typer.echo(str(finished.report))
    typer.echo(f"result: {finished.result!r}")
    if finished.exit_code:
        raise typer.Exit(finished.exit_code)
