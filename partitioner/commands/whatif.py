"""``partitioner whatif``: a run, or a configuration, on other fleets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from partitioner import config as configuration
from partitioner.errors import ConfigError
from partitioner.outlook.whatif import whatif as asked
from partitioner.security import trust
from partitioner.store.run_directory import RunDirectory


def whatif(
    subject: Annotated[str, typer.Argument(help="Run directory, or YAML configuration.", metavar="RUN|CONF")],
    workers: Annotated[
        str | None, typer.Option("--workers", help="Counts, such as 8,16,32; half to four times as many by default.")
    ] = None,
    fleet: Annotated[
        list[str] | None, typer.Option("--fleet", help="Table of workers, as for place; may be repeated.")
    ] = None,
    deadline: Annotated[str | None, typer.Option("--deadline", help="Seconds, or such as 15min or 2h.")] = None,
    price: Annotated[
        list[str] | None, typer.Option("--price", help="Per worker and hour: 0.5, or class=0.5; may be repeated.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="key=value on top of the configuration; may be repeated.")
    ] = None,
    allowed: Annotated[
        list[str] | None, typer.Option("--allow-module", help="Module that the configuration may name.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")] = False,
) -> None:
    """Tell how long other fleets would take, how sure that is, for how much money, and the smallest that is in time.

    From a run with the seconds that it measured; from a configuration with predicted ones, cut anew for every fleet.
    """
    fleets = [*_counts(workers), *(fleet or [])] or None
    prices = _prices(price)
    answer = asked(_subject(subject, settings, allowed), fleets, deadline, prices)
    typer.echo(json.dumps(answer.to_json(), allow_nan=False) if as_json else str(answer))


def _subject(text: str, settings: list[str] | None, allowed: list[str] | None) -> Any:
    """The configuration of a file; a run else."""
    if Path(text).is_file():
        return configuration.load_config(Path(text), settings or [], allow_modules=allowed or [])
    if not Path(text).exists() and Path(text).suffix in (".yaml", ".yml"):
        raise ConfigError(
            f"no configuration at {Path(text).absolute()}; give the path of a YAML file, or a run directory."
        )
    if settings or allowed:
        raise ConfigError(f"--set and --allow-module are for a configuration, and there is no file {text!r}.")
    return _trusted(text)


def _trusted(text: str) -> RunDirectory:
    """A run whose ``run.json`` names no placement of elsewhere, which would be imported to place its sub-tasks again."""
    if not ("://" in text or Path(text).is_dir()):
        raise ConfigError(f"{text} does not exist; give the directory of a run, such as runs/<run id>.")
    run = RunDirectory(text)
    named = {"placement": run.description().get("config", {}).get("placement")}
    trust.check_resumed(named, f"{run.url}/run.json", ())
    return run


def _counts(text: str | None) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise ConfigError(f"--workers {text!r}: write counts with commas between them, such as 8,16,32.") from None


def _prices(given: list[str] | None) -> Any:
    """None, one number, or a mapping by class or worker."""
    if not given:
        return None
    pairs = [text.rpartition("=") for text in given]
    try:
        prices = {name: float(number) for name, _, number in pairs}
    except ValueError:
        raise ConfigError(f"--price {' '.join(given)}: write a number, or class=number, such as gpu=2.5.") from None
    if "" in prices and len(given) > 1:
        raise ConfigError(f"--price {' '.join(given)}: write one number for all workers, or class=number for each.")
    return prices.get("", prices)
