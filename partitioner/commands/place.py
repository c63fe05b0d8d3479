"""The commands ``partitioner place`` and ``partitioner compare``; errors are raised for the command line to map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from partitioner.errors import ConfigError
from partitioner.placement.api import Comparison
from partitioner.placement.api import compare as compare_tables
from partitioner.placement.api import place as place_tables
from partitioner.report.report import write_page
from partitioner.security import safe_yaml

Tasks = Annotated[Path, typer.Option("--tasks", help="CSV or Parquet: task_id, seconds and demands.")]
WorkersFile = Annotated[Path, typer.Option("--workers", help="CSV or Parquet: worker_id, cpus and capacities.")]
EdgesFile = Annotated[
    Path | None, typer.Option("--edges", help="CSV or Parquet: source,target[,delay_seconds][,bytes].")
]
ObjectiveName = Annotated[
    str, typer.Option("--objective", help="makespan, money, ... or weighted:makespan=1,money=0.5.")
]
TimeLimit = Annotated[float | None, typer.Option("--time-limit", help="Seconds for planning, above 0.")]
Steps = Annotated[
    int | None, typer.Option("--steps", help="Instead: what may be done, in about microseconds, counted.")
]
Name = Annotated[str, typer.Option("--algorithm", help="A name of 'partitioner list placements', or module:Class.")]
Options = Annotated[list[str] | None, typer.Option("--option", help="key=value of the algorithm; may be repeated.")]
LoadBound = Annotated[float | None, typer.Option("--load-bound", help="Most seconds of work for one worker.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]
Bandwidth = Annotated[float, typer.Option("--bandwidth", help="Bytes per second between workers, for edge bytes.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


def place(
    tasks: Tasks,
    workers: WorkersFile,
    edges: EdgesFile = None,
    algorithm: Name = "auto",
    objective: ObjectiveName = "makespan",
    time_limit: TimeLimit = None,
    seed: Seed = 0,
    bandwidth: Bandwidth = float("inf"),
    steps: Steps = None,
    option: Options = None,
    load_bound: LoadBound = None,
    json_out: Json = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print the plan as a Mermaid gantt chart.")] = False,
    flow: Annotated[bool, typer.Option("--flow", help="Print the stages of the plan as a Mermaid flow chart.")] = False,
    explain: Annotated[int, typer.Option("--explain", help="How many assignments to explain.")] = 20,
) -> None:
    """Assign sub-tasks to workers: tables in, a plan with its lower bound out."""
    if json_out + mermaid + flow > 1:
        raise ConfigError("--json, --mermaid and --flow: give one of them.")
    chosen = {"placement": algorithm, **options_of(option or [])}
    plan = place_tables(tasks, workers, edges, chosen, objective, seed, time_limit, bandwidth, load_bound, steps=steps)
    if mermaid or flow:
        typer.echo(plan.to_mermaid("flow" if flow else "gantt"))
    else:
        typer.echo(dumps(plan.to_json()) if json_out else plan.explain(explain))


def options_of(settings: list[str]) -> dict[str, Any]:
    """Options by name from ``key=value``, the values as YAML (``share=0.2``, ``weights={w0: 2, w1: 1}``)."""
    options: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--option {setting!r}: write key=value, for example --option share=0.2.")
        options[key.strip()] = safe_yaml.read(text, f"--option {key.strip()}")
    return options


def compare(
    tasks: Tasks,
    workers: WorkersFile,
    edges: EdgesFile = None,
    algorithm: Annotated[list[str] | None, typer.Option("--algorithm", help="Only these; all by default.")] = None,
    objective: ObjectiveName = "makespan",
    time_limit: TimeLimit = None,
    seed: Seed = 0,
    bandwidth: Bandwidth = float("inf"),
    steps: Steps = None,
    json_out: Json = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write the comparison as a page.")] = None,
) -> None:
    """Run every applicable algorithm on the same tables and show them side by side."""
    result: Comparison = compare_tables(
        tasks, workers, edges, algorithm or None, objective, seed, time_limit, bandwidth, steps
    )
    if html is not None:
        write_page(html, result.to_html())
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
