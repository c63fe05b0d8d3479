"""``partitioner diff RUN RUN``: two runs side by side."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from partitioner.outlook.difference import difference
from partitioner.outlook.difference_text import text
from partitioner.store.run_directory import RunDirectory


def diff(
    before: Annotated[str, typer.Argument(help="Run directory of the earlier run.", metavar="RUN")],
    after: Annotated[str, typer.Argument(help="Run directory of the later run.", metavar="RUN")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")] = False,
) -> None:
    """Compare two runs: settings, input, code, predicted and actual, sub-tasks that got slower, workers, rows."""
    found = difference(RunDirectory(before), RunDirectory(after))
    typer.echo(json.dumps(found.to_json(), default=str) if as_json else text(found))
