"""``partitioner explain RUN TASK``: the life of one sub-task, from the ledger and the commit records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from partitioner.coordinator import ledger
from partitioner.errors import ConfigError, in_one_line, nearest
from partitioner.report.clocks import on_the_drivers
from partitioner.report.history import history
from partitioner.store.run_directory import RunDirectory


def explain(
    run_dir: Annotated[str, typer.Argument(help="Run directory.", metavar="RUN")],
    task: Annotated[str, typer.Argument(help="Sub-task, such as t000012, or a part of one.", metavar="TASK")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Tell a sub-task's life: where it was tried, what went wrong, which rung of the failure ladder came next, and why."""
    lines = life(RunDirectory(run_dir), task)
    began = lines[0]["time"] if lines else 0.0
    for line in lines:
        typer.echo(json.dumps(line) if as_json else f"{line['time'] - began:10.3f} s  {line['text']}")


def life(run: RunDirectory, task: str) -> list[dict[str, Any]]:
    """What happened to a sub-task and its parts, in order: Unix time and a sentence. ConfigError for an unknown one."""
    run.description()
    known = run.read_table("tasks")["task_id"].to_pylist()
    if task.partition(".")[0] not in known:
        there = f"{known[0]} to {known[-1]}" if known else "none"
        raise ConfigError(f"run {run.run_id} has no sub-task {task!r}; it has {there}.{nearest(task, known)}")
    found = [{"time": float(line["time"]), "text": text} for line in ledger.read(run) for text in _told(line, task)]
    commits = run.commits()
    wrong = history(ledger.read(run), commits).clocks
    for key, record in sorted(commits.items()):
        if _is_of(key, task):
            at = on_the_drivers(record, wrong).finished or (found[-1]["time"] if found else 0.0)
            found.append({"time": at, "text": _committed(key, record)})
    return sorted(found, key=lambda line: line["time"])


def _is_of(key: str, task: str) -> bool:
    return key == task or key.startswith(f"{task}.")


def _told(line: dict[str, Any], task: str) -> Iterator[str]:
    """What a line of the ledger says of the sub-task."""
    if line["what"] == "rung":
        if _is_of(line["task"], task):
            yield f"{line['task']} {line['rung']} after {line['worker']}: {line['reason']}"
        return
    attempt = str(line.get("attempt", ""))
    if not _is_of(attempt.rpartition("-a")[0], task):
        return
    error = line.get("error") or {}
    why = in_one_line(f": {error.get('type', '')} {error.get('message', '')}") if error else ""
    yield f"{attempt} {line['what']}{' on ' + line['worker'] if line.get('worker') else ''}{why}"


def _committed(key: str, record: Any) -> str:
    if record.split:
        return f"{key} is given up to its parts"
    aside = f", {record.quarantined} set aside" if record.quarantined else ""
    return (
        f"{key} committed by {record.attempt_id} on {record.worker_id}: {record.rows_out} of {record.rows_in} rows{aside}, "
        f"{record.seconds:.3f} s, {record.peak_memory_bytes / 1e6:.0f} MB at the peak"
    )
