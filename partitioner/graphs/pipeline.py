"""``pt.pipeline``: features, models beside each other, their combination, its evaluation: one plan, one run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from partitioner import config as configuration
from partitioner import program as programs
from partitioner import registry
from partitioner.config import RunConfig
from partitioner.engines.resolve import resolve as resolve_engine
from partitioner.errors import ConfigError, nearest
from partitioner.graphs.graph import step_of
from partitioner.graphs.pilot import StepsMeasured
from partitioner.graphs.program import StepProgram, together
from partitioner.graphs.results import Kept, Results, read_made
from partitioner.graphs.source import StepSplit, StepsSource
from partitioner.graphs.step import DATASET, Step, steps_from
from partitioner.model import Plan
from partitioner.model.source import Sink, Source
from partitioner.running import run_config
from partitioner.runs.run import Run

SETTINGS = [
    *("checkpoint", "columns", "engine", "fsync", "lease_seconds", "max_retries", "name", "objective", "placement"),
    *("progress", "report", "seed", "time_limit", "timeout", "verify"),
]
"""Settings of ``pt.run`` that a pipeline takes; the rest is said of each step."""

MOST_PARTS = 64
"""Partitions where nothing says how many: with more, the dispatch of short sub-tasks is what is waited for."""


@dataclass(frozen=True, slots=True, eq=False)
class PipelineRun:
    """What ``pt.pipeline`` returns: ``results`` by step (read when asked for), the ``plan``, and the ``run`` behind it."""

    steps: tuple[Step, ...]
    results: Results
    run: Run

    @property
    def plan(self) -> Plan:
        """The plan that was followed, with its lower bound and gap."""
        return self.run.plan

    @property
    def result(self) -> Any:
        """The result of the last step."""
        return self.results[self.steps[-1].name]

    @property
    def run_id(self) -> str:
        """What ``resume`` takes."""
        return self.run.run_id

    @property
    def url(self) -> str:
        """The run directory."""
        return self.run.url

    @property
    def seconds(self) -> dict[str, float]:
        """Measured seconds of each step, over all its sub-tasks."""
        found = dict.fromkeys((step.name for step in self.steps), 0.0)
        for record in self.run.records:
            found[step_of(record.whole)[0]] += record.seconds
        return found

    def __getitem__(self, name: str) -> Any:
        """The result of a step."""
        return self.results[name]

    def __repr__(self) -> str:
        return f"<PipelineRun {self.run_id}: {len(self.steps)} steps in {len(self.run.records)} sub-tasks>"


def pipeline(
    steps: Any,
    dataset: Any = None,
    *,
    parts: int | None = None,
    pilot_rows: int = 200,
    on_plan: Callable[[Plan], None] | None = None,
    resume: str | None = None,
    **options: Any,
) -> PipelineRun:
    """Run a graph of steps over one dataset; steps that do not wait for each other run side by side.

    Every call of a step is a sub-task of one plan, placed by the algorithms for dependencies and run by the coordinator of
    ``pt.run``: each commits on its own, and a resume runs what is missing.

    Parameters
    ----------
    steps
        A list of ``partitioner.graphs.Step``, or a mapping of names to their settings, in any order.
    dataset
        As for ``pt.run``; None where no step is over it.
    parts
        Partitions of the dataset; by default twice as many as there are slots.
    pilot_rows
        Steps that declare no ``seconds`` are measured on so many rows, and twice as many, in all slots of the engine.
    on_plan
        Is given the plan, with its lower bound and gap, before anything runs.
    resume
        Id of an earlier run of the same pipeline below ``checkpoint``, on any engine.
    options
        Settings of ``RunConfig``: engine, checkpoint, seed, placement, objective, max_retries, timeout, ...

    Raises ConfigError, ProgramError, CostError or DataError before anything runs; RunFailed where a step fails.
    """
    config, made = configured(steps, dataset, parts, pilot_rows, options)
    found = run_config(config, resume, None if on_plan is None else lambda planned, _: on_plan(planned))
    return _told(made, found)


def configured(
    steps: Any, dataset: Any, parts: int | None, pilot_rows: int, options: dict[str, Any]
) -> tuple[RunConfig, tuple[Step, ...]]:
    """The pipeline as the configuration of one run."""
    made = steps_from(steps)
    for name in options:
        if name not in SETTINGS:
            raise ConfigError(
                f"pt.pipeline has no setting {name!r}; it has {', '.join(SETTINGS)}.{nearest(name, SETTINGS)}"
            )
    for what, value in (("parts", parts), ("pilot_rows", pilot_rows)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigError(f"{what} is {value!r}; give a number of at least 1.")
    over = [step.name for step in made if step.over == DATASET]
    if over and dataset is None:
        raise ConfigError(f"step {over[0]!r} is over the dataset, and there is none; give dataset=.")
    source: Source | None = None if not over else registry.import_ours("connectors.resolve").resolve(dataset)
    if source is not None and "engine" not in options and source.own_engine() is not None:
        options["engine"] = source.own_engine()
    count = _parts(options.get("engine"), parts) if source is not None else 1
    prints = {step.name: programs.fingerprint(step.program, step.arguments) for step in made}
    values = {
        "dataset": StepsSource(source, made, count),
        "program": StepProgram,
        "arguments": {"steps": made, "prints": prints},
        "batch_format": "arrow",
        "cost": StepsMeasured(made, count, pilot_rows, int(options.get("seed", 0))),
        "split": StepSplit(),
        "reducer": Kept(),
    }
    return configuration.make({**values, **options}), made


def _parts(engine: Any, asked: int | None) -> int:
    if asked is not None:
        return asked
    spec = configuration.make({}).engine if engine is None else engine
    workers = resolve_engine(spec).expected_workers()
    return min(MOST_PARTS, max(2, 2 * int(workers.cpus.sum())))


def _told(steps: tuple[Step, ...], run: Run) -> PipelineRun:
    by_name = {step.name: step for step in steps}
    keys: dict[str, list[str]] = {}
    for record in run.records:
        keys.setdefault(step_of(record.task_key)[0], []).append(record.task_key)
    sink = _sink_of(run)

    def read(name: str) -> Any:
        merged = [key for key in keys[name] if step_of(key)[1]]
        return together(by_name[name], [read_made(sink, key) for key in merged or keys[name]], run.directory.key)

    return PipelineRun(steps, Results(read, tuple(by_name)), run)


def _sink_of(run: Run) -> Sink:
    """Where the run keeps what its sub-tasks made."""
    sink: Sink = registry.import_ours("connectors.parquet_sink").ParquetSink(f"{run.url}/partials", plain=True)
    return sink
