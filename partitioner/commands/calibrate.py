"""The commands about costs: ``partitioner calibrate`` and ``partitioner profile``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from partitioner.costs.measuring.profile import ProfileStore
from partitioner.errors import ConfigError, nearest

profile_app = typer.Typer(no_args_is_help=True, help="Costs learned from earlier runs: list, show, forget.")

Store = Annotated[
    str | None, typer.Option("--store", help="Profile store; PARTITIONER_PROFILES or the user's by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]


def calibrate(
    conf: Annotated[Path, typer.Argument(help="YAML configuration.", metavar="CONF")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value on top of the file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the pilot of a configuration, as a plan does, and show what its program costs."""
    from partitioner import config as configuration
    from partitioner.costs.calibrated import Calibrated
    from partitioner.stages import start as starting
    from partitioner.stages import steps as stages
    from partitioner.stages.resolved import resolve

    config = configuration.load_config(conf, settings or [])
    if config.program is None:
        raise ConfigError(f"{conf} names no program to calibrate; add 'program: package.module:name'.")
    parts = resolve(config)
    parts = replace(parts, model=parts.model if isinstance(parts.model, Calibrated) else Calibrated())
    described = stages.describe(parts)
    with starting.tried_here(parts, described.job, stages.workers_of(parts, None)) as started:
        costs = stages.cost(parts, described, started).costs
    facts = {
        "fragments": len(costs),
        "seconds": float(costs.seconds.sum()),
        "seconds_low": None if costs.seconds_low is None else float(costs.seconds_low.sum()),
        "seconds_high": None if costs.seconds_high is None else float(costs.seconds_high.sum()),
        **costs.details,
    }
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        _show(facts)


def _show(facts: dict[str, Any]) -> None:
    console = Console()
    if "coefficients" not in facts:
        console.print(f"nothing is measured: {'; '.join(facts['notes'])}")
        return
    table = Table("term", "coefficient", "90 % interval", "unit", title="Seconds")
    for name, c in facts["coefficients"].items():
        table.add_row(name, f"{c['value']:.3g}", f"{c['low']:.3g} to {c['high']:.3g}", c["unit"])
    console.print(table)
    memory = facts["memory"]
    rest = ", ".join(f"{v:.3g} x {k}" for k, v in memory.items() if k not in ("fixed", "baseline", "quantile"))
    console.print(
        f"memory at quantile {memory['quantile']:g}: {memory['fixed'] / 1e6:.0f} MB {'+ ' + rest if rest else ''}"
    )
    console.print(f"once per worker process: {facts['process_seconds']:.3g} s")
    console.print(
        f"whole dataset: {facts['seconds']:.4g} s ({facts['seconds_low']:.4g} to {facts['seconds_high']:.4g}), "
        f"{facts['fragments']} fragments, held-out error {facts['held_out_error']:.1%}"
    )
    pilot = facts["pilot"]
    console.print(
        f"pilot: {pilot['pieces']} pieces, {pilot['seconds']:.3g} s, {pilot['share_of_seconds']:.2%} of the work"
    )
    if pilot["failed_pieces"]:
        console.print(f"the program failed on {pilot['failed_pieces']} more pieces, which are left out")
    for note in facts["notes"]:
        console.print(f"note: {note}")


@profile_app.command("list")
def list_profiles(store: Store = None, as_json: AsJson = False) -> None:
    """Every profile: program, data shape, worker class, runs, measurements."""
    rows = ProfileStore(store).profiles()
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table("program", "shape", "worker class", "runs", "measurements", "updated")
    for row in rows:
        table.add_row(
            row["program"],
            row["shape"],
            row["worker_class"] or "-",
            str(row["runs"]),
            str(row["measurements"]),
            _when(row),
        )
    Console().print(table)


@profile_app.command("show")
def show_profile(program: str, store: Store = None, as_json: AsJson = False) -> None:
    """The runs of a program's profiles, with drift where it was seen."""
    held = ProfileStore(store)
    facts = [{**row, "runs": held.runs(row["id"])} for row in _of(held, program)]
    if as_json:
        typer.echo(json.dumps(facts))
        return
    console = Console()
    for row in facts:
        table = Table(
            "run", "when", "measurements", "drift", title=f"{row['program']} {row['shape']} {row['worker_class']}"
        )
        for run in row["runs"]:
            drift = run["drift"]
            said = "-" if drift is None else f"{drift['ratio']:.2f}x{' DRIFT' if drift['drifted'] else ''}"
            table.add_row(run["run_id"], _when({"updated": run["at"]}), str(run["measurements"]), said)
        console.print(table)


@profile_app.command("forget")
def forget_profile(program: str, store: Store = None, as_json: AsJson = False) -> None:
    """Drop a program's profiles: the next run starts with a pilot."""
    held = ProfileStore(store)
    count = sum(held.forget(name) for name in {row["program"] for row in _of(held, program)})
    typer.echo(json.dumps({"forgotten": count}) if as_json else f"forgot {count} profile(s) of {program}")


def _of(store: ProfileStore, program: str) -> list[dict[str, Any]]:
    """The profiles of a program, or of one with what it is given; ConfigError with the nearest name where there are none."""
    rows = store.profiles()
    found = [row for row in rows if program in (row["program"], row["program"].partition(" [")[0])]
    if not found:
        known = sorted({row["program"] for row in rows})
        held = ", ".join(known) or "no profile"
        raise ConfigError(f"no profile of {program!r} in {store.location}; it holds {held}.{nearest(program, known)}")
    return found


def _when(row: dict[str, Any]) -> str:
    return datetime.fromtimestamp(row["updated"] or 0.0, UTC).strftime("%Y-%m-%d %H:%M UTC")
