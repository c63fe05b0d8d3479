"""The ``partitioner`` command.

Exit codes: 0 done, 2 usage or invalid config, 3 infeasible plan, 4 run failed, 5 done with quarantined rows,
6 another driver works on that run or output, 130 interrupted (resumable). With ``--json`` standard output holds JSON and
nothing else.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from partitioner import config as configuration
from partitioner import interrupts, registry
from partitioner.commands.calibrate import calibrate, profile_app
from partitioner.commands.diff import diff
from partitioner.commands.doctor import doctor
from partitioner.commands.explain import explain
from partitioner.commands.init import init
from partitioner.commands.jobs import run_job
from partitioner.commands.place import compare, place
from partitioner.commands.quarantine import quarantine_app
from partitioner.commands.report import report
from partitioner.commands.runs import runs
from partitioner.commands.whatif import whatif
from partitioner.errors import Interrupted, PartitionerError
from partitioner.model import Plan
from partitioner.reading import sign_file
from partitioner.running import plan_config, run_config
from partitioner.runs.resume import from_directory
from partitioner.runs.run import Run
from partitioner.simulation import simulate as simulated
from partitioner.store.run_directory import RunDirectory

BEGIN, RUN, LOOK, PLAN = "Begin", "Run", "Look at runs", "Costs and plans"
"""The panels of ``partitioner --help``; they come in the order in which they are first named."""


class _Commands(TyperGroup):
    """Tells what stopped a command; typer would end it without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with interrupts.as_ctrl_c():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted(str(error) or interrupts.told()) from None


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Cost-based partitioning for batch training and inference on Dask and Spark.\n\n"
    "Begin with: partitioner init my-project",
    epilog="Exit codes: 0 done, 2 usage or invalid configuration, 3 infeasible plan, 4 run failed, 5 done with quarantined "
    "rows, 6 another driver works on the run, 130 interrupted (partitioner resume goes on).",
)
app.command(rich_help_panel=BEGIN)(init)
app.command(rich_help_panel=BEGIN)(doctor)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{registry.DISTRIBUTION} {importlib.metadata.version(registry.DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="The installed version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


Conf = Annotated[Path, typer.Argument(help="YAML configuration.", metavar="CONF")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="key=value on top of the file; may be repeated.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="serial, dask, spark, or an address.")]
Allowed = Annotated[
    list[str] | None, typer.Option("--allow-module", help="Module that the configuration may name; may be repeated.")
]
TakeOver = Annotated[
    bool,
    typer.Option("--take-over", help="Take the run from a driver that is there but silent for longer than its lease."),
]
Force = Annotated[
    bool, typer.Option("--force", help="Resume in spite of changed input, settings or code; what changed is said.")
]
Mode = Annotated[
    str | None,
    typer.Option("--mode", help="error, resume, overwrite, append or incremental: what is done with the output."),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]


def _config(
    path: Path,
    settings: list[str] | None = None,
    engine: str | None = None,
    allowed: list[str] | None = None,
    quiet: bool = False,
) -> configuration.RunConfig:
    extra = [f"engine={engine}"] if engine else []
    extra += ["progress=false"] if quiet else []
    return configuration.load_config(path, [*(settings or []), *extra], allow_modules=allowed or [])


def _with(settings: list[str] | None, **given: str | None) -> list[str]:
    """Settings, with those that have an option of their own on top; these are text, also ``--name 2026-11-21``."""
    return [*(settings or []), *(f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None)]


@app.command(rich_help_panel=RUN)
def run(
    conf: Conf,
    engine: EngineName = None,
    settings: Settings = None,
    resume: Annotated[str | None, typer.Option(help="Id or directory of the run to go on with, or auto.")] = None,
    mode: Mode = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the schedule that starts this command.")] = None,
    take_over: TakeOver = False,
    force: Force = False,
    allowed: Allowed = None,
    as_json: AsJson = False,
) -> None:
    """Run a configuration: plan, execute, reduce, report; or the job that its setting 'job' names."""
    given = [*_with(settings, mode=mode, name=name), *([f"engine={engine}"] if engine else [])]
    if (job := configuration.job_of(conf, given, allowed or [])) is not None:
        raise typer.Exit(run_job(job, conf, given, resume))
    config = _config(conf, _with(settings, mode=mode, name=name), engine, allowed, as_json)
    _done(
        run_config(config, resume, on_plan=None if as_json else _show_plan, take_over=take_over, force=force), as_json
    )


@app.command(rich_help_panel=RUN)
def resume(
    run_dir: Annotated[str, typer.Argument(help="Run directory.")],
    engine: EngineName = None,
    take_over: TakeOver = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Go on with an interrupted or failed run, from its directory alone; committed sub-tasks do not run again."""
    changes = ({"engine": engine} if engine else {}) | ({"progress": False} if as_json else {})
    config = from_directory(RunDirectory(run_dir), changes)
    place = str(Path(run_dir).absolute()) if "://" not in run_dir else run_dir
    _done(run_config(config, place, take_over=take_over, force=force), as_json)


def _show_plan(plan: Plan, directory: RunDirectory) -> None:
    typer.echo(plan.explain(limit=0))
    typer.echo(f"run {directory.run_id} in {directory.url}")


def _done(finished: Run, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_facts(finished), default=str))
    else:
        typer.echo(str(finished.report))
        typer.echo(f"result: {finished.result!r}")
        if finished.directory.files.exists("report.html"):
            typer.echo(f"report: {finished.url}/report.html")
    if finished.exit_code:
        raise typer.Exit(finished.exit_code)


def _facts(finished: Run) -> dict[str, Any]:
    return {
        "run_id": finished.run_id,
        "run_directory": finished.url,
        "counts": dict(finished.counts),
        "attempted": finished.attempted,
        "result": repr(finished.result),
        "exit_code": finished.exit_code,
        "report": finished.report.to_json(),
    }


@app.command(rich_help_panel=RUN)
def plan(
    conf: Conf,
    engine: EngineName = None,
    settings: Settings = None,
    mode: Mode = None,
    explain: Annotated[bool, typer.Option("--explain", help="Reasons and the first assignments.")] = False,
    allowed: Allowed = None,
    as_json: AsJson = False,
) -> None:
    """Show the plan of a configuration and run nothing."""
    config = _config(conf, _with(settings, mode=mode), engine, allowed)
    planned = plan_config(config)
    if as_json:
        typer.echo(json.dumps(planned.to_json(), default=str))
    else:
        typer.echo(planned.explain(limit=20 if explain else 0))


@app.command(rich_help_panel=PLAN)
def simulate(
    conf: Annotated[Path | None, typer.Argument(help="YAML configuration.", metavar="[CONF]")] = None,
    tasks: Annotated[Path | None, typer.Option(help="Table of sub-tasks, as for place.")] = None,
    workers: Annotated[Path | None, typer.Option(help="Table of workers, as for place.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of noise and faults.")] = 0,
    faults: Annotated[
        Path | None, typer.Option(help="YAML: noise, failure_rate, deaths, restart_seconds, slowdowns.")
    ] = None,
    allowed: Allowed = None,
    as_json: AsJson = False,
) -> None:
    """Run a plan under a fake clock with injected faults; no user code runs."""
    from partitioner.placement.api import place as place_tables

    if (conf is None) == (tasks is None or workers is None):
        raise typer.BadParameter("give a configuration, or both --tasks and --workers")
    if conf is not None:
        config = _config(conf, allowed=allowed)
        planned = plan_config(config)
    else:
        planned = place_tables(tasks, workers, seed=seed)
    outcome = simulated(planned, None if faults is None else configuration.read_mapping(faults), seed)
    if as_json:
        typer.echo(json.dumps(outcome.to_json()))
        return
    for name, value in outcome.to_json().items():
        if name != "timeline":
            typer.echo(f"{name}: {value}")


@app.command(rich_help_panel=RUN)
def sign(file: Annotated[str, typer.Argument(help="A pickled model that you trust.")]) -> None:
    """Sign a pickle with your own key, so that jobs load it; results of runs are signed already."""
    typer.echo(sign_file(file))


@app.command("list", rich_help_panel=BEGIN)
def list_names(kind: Annotated[str, typer.Argument(help="|".join(registry.kinds()))], as_json: AsJson = False) -> None:
    """Names registered for a kind, with where they are implemented."""
    if as_json:
        typer.echo(json.dumps({name: entry._asdict() for name, entry in registry.entries(kind).items()}))
        return
    for name, entry in registry.entries(kind).items():
        typer.echo(f"{name:22} {entry.target}" + (f"  [{entry.extra}]" if entry.extra else ""))


@app.command(rich_help_panel=BEGIN)
def schema() -> None:
    """JSON Schema of the configuration, for editors."""
    typer.echo(json.dumps(configuration.schema(), indent=2))


app.command(rich_help_panel=LOOK)(runs)
app.command(rich_help_panel=LOOK)(report)
app.command(rich_help_panel=LOOK)(explain)
app.command(rich_help_panel=LOOK)(diff)
app.command(rich_help_panel=LOOK)(whatif)
app.add_typer(quarantine_app, name="quarantine", rich_help_panel=RUN)
app.command(rich_help_panel=PLAN)(place)
app.command(rich_help_panel=PLAN)(compare)
app.command(rich_help_panel=PLAN)(calibrate)
app.add_typer(profile_app, name="profile", rich_help_panel=PLAN)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: errors of ours become one message and their exit code; anything else keeps its traceback.

    With ``--json`` the message is JSON too, on standard output: ``{"error": {"type", "message"}, "exit_code"}``.
    """
    try:
        app(args=arguments, prog_name="partitioner", standalone_mode=True)
    except PartitionerError as error:
        if "--json" in (sys.argv[1:] if arguments is None else arguments):
            told = {"type": type(error).__name__, "message": str(error)}
            print(json.dumps({"error": told, "exit_code": error.exit_code}))
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
