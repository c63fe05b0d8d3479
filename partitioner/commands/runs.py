"""``partitioner runs``: the runs below a directory, with their state."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from partitioner.errors import DamagedRun
from partitioner.output.modes import runs_below
from partitioner.store.lease import holder
from partitioner.store.run_directory import RunDirectory


def runs(
    checkpoint: Annotated[str, typer.Argument(help="Directory that holds the run directories.")] = "runs",
    name: Annotated[str | None, typer.Option("--name", help="Only runs of this name.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The last so many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per run.")] = False,
) -> None:
    """List runs, the last one first: running, unfinished (can be resumed), or finished."""
    found: list[dict[str, Any]] = []
    for run in runs_below(checkpoint):
        try:
            facts = facts_of(run)
        except DamagedRun:  # one torn run hides no other
            facts = {**dict.fromkeys(_COLUMNS), "run_id": run.run_id, "run_directory": run.url, "state": "damaged"}
        if name is None or facts["name"] == name:
            found.append(facts)
        if len(found) == limit:
            break
    if as_json:
        for facts in found:
            typer.echo(json.dumps(facts, default=str))
        return
    if not found:
        typer.echo(f"no run {f'named {name} ' if name else ''}below {checkpoint}")
        return
    table = Table("run", "name", "state", "committed", "rows", "in quarantine", "output", box=None, pad_edge=False)
    for column in table.columns:
        column.no_wrap, column.overflow = True, "ignore"  # an id that is cut off cannot be typed
    for facts in found:
        table.add_row(*(str("" if facts[key] is None else facts[key]) for key in _COLUMNS))
    Console(width=UNCUT, soft_wrap=True).print(table)


UNCUT = 400
"""Columns of a line that is never cut: a terminal wraps it, a pipe keeps it."""

_COLUMNS = ("run_id", "name", "state", "committed", "rows", "quarantined", "output")


def facts_of(run: RunDirectory) -> dict[str, Any]:
    """One run in plain values; ``state`` is ``running``, ``unfinished`` or ``finished``; DamagedRun where it is torn."""
    config = run.description().get("config")
    if not isinstance(config, dict):
        raise run.damaged("run.json")
    ended = run.finished()
    who = None if ended else holder(run.files)
    running = who is not None and not who.dead
    counts = {} if ended is None else ended["counts"]
    done = sum(entry.name.endswith(".json") for entry in run.files.entries("commits"))
    return {
        "run_id": run.run_id,
        "run_directory": run.url,
        "name": config.get("name"),
        "state": "finished" if ended else "running" if running else "unfinished",
        "holder": str(who) if running else None,
        "committed": done,
        "rows": counts.get("rows_written"),
        "quarantined": counts.get("quarantined"),
        "mode": config.get("mode", "error"),
        "output": config.get("output"),
    }
