"""The commands ``partitioner place`` and ``partitioner compare``; errors are raised for the command line to map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from partitioner.placement.api import Comparison
from partitioner.placement.api import compare as compare_tables
from partitioner.placement.api import place as place_tables

Tasks = Annotated[Path, typer.Option("--tasks", help="CSV or Parquet: task_id, seconds and demands.")]
WorkersFile = Annotated[Path, typer.Option("--workers", help="CSV or Parquet: worker_id, cpus and capacities.")]
EdgesFile = Annotated[
    Path | None, typer.Option("--edges", help="CSV or Parquet: source,target[,delay_seconds][,bytes].")
]
ObjectiveName = Annotated[
    str, typer.Option("--objective", help="makespan, money, ... or weighted:makespan=1,money=0.5.")
]
TimeLimit = Annotated[float | None, typer.Option("--time-limit", help="Seconds for planning, above 0.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
Bandwidth = Annotated[float, typer.Option("--bandwidth", help="Bytes per second between workers, for edge bytes.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def place(
    tasks: Tasks,
    workers: WorkersFile,
    edges: EdgesFile = None,
    algorithm: Annotated[str, typer.Option("--algorithm", help="A name from 'partitioner list placements'.")] = "auto",
    objective: ObjectiveName = "makespan",
    time_limit: TimeLimit = None,
    seed: Seed = 0,
    bandwidth: Bandwidth = float("inf"),
    json_out: Json = False,
    explain: Annotated[int, typer.Option("--explain", help="How many assignments to explain.")] = 20,
) -> None:
    """Assign sub-tasks to workers: tables in, a plan with its lower bound out."""
    plan = place_tables(tasks, workers, edges, algorithm, objective, seed, time_limit, bandwidth)
    typer.echo(dumps(plan.to_json()) if json_out else plan.explain(explain))


def compare(
    tasks: Tasks,
    workers: WorkersFile,
    edges: EdgesFile = None,
    algorithm: Annotated[list[str] | None, typer.Option("--algorithm", help="Only these; all by default.")] = None,
    objective: ObjectiveName = "makespan",
    time_limit: TimeLimit = None,
    seed: Seed = 0,
    bandwidth: Bandwidth = float("inf"),
    json_out: Json = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write the comparison as a page.")] = None,
) -> None:
    """Run every applicable algorithm on the same tables and show them side by side."""
    result: Comparison = compare_tables(
        tasks, workers, edges, algorithm or None, objective, seed, time_limit, bandwidth
    )
    if html is not None:
        html.write_text(result.to_html(), encoding="utf-8")
    typer.echo(dumps(result.to_json()) if json_out else result.to_text())


def dumps(values: dict[str, Any]) -> str:
    """JSON that every reader accepts: infinities and NaN become null."""
    try:
        return json.dumps(values, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(values), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
