"""The command ``partitioner report``: a finished, failed or running run, from its directory alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from partitioner.report.report import Report
from partitioner.store.run_directory import RunDirectory


def report(
    run_dir: Annotated[str, typer.Argument(help="Run directory.", metavar="RUN_DIR")],
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the report as one page that needs no network.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")] = False,
) -> None:
    """Predicted against actual of a run: a table, JSON, or a page. Works for runs that failed or still go on."""
    found = Report.of(RunDirectory(run_dir))
    if html is not None:
        found.save(html)
    if as_json:
        typer.echo(json.dumps(found.to_json(), default=str, allow_nan=False))
        return
    typer.echo(str(found))
    if html is not None:
        typer.echo(f"page: {html.absolute()}")
