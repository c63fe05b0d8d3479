"""The planning stages, one function each, and the job that workers will load."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from partitioner import program as programs
from partitioner import registry
from partitioner.attempt.batching import Batcher
from partitioner.attempt.job import Job
from partitioner.attempt.pilot import pilot_program
from partitioner.config import RunConfig, named, plain
from partitioner.costs.base import checked
from partitioner.costs.measuring.observed import observed
from partitioner.costs.resolve import resolve as resolve_cost
from partitioner.engines.base import Engine
from partitioner.engines.preflight import versions
from partitioner.engines.resolve import resolve as resolve_engine
from partitioner.engines.speeds import with_measured_speeds
from partitioner.errors import ConfigError, OutputExists
from partitioner.model import CommitRecord, Costs, Dataset, Limits, Plan, SubTasks, Worker, Workers
from partitioner.run_directory import RunDirectory
from partitioner.storage import Directory


def source_of(config: RunConfig) -> Any:
    """The source of the configured dataset, through the registry since connectors are a package of their own."""
    resolve = registry.import_ours("connectors.resolve").resolve
    return resolve(config.dataset)


def describe(config: RunConfig, directory: RunDirectory | None = None) -> Dataset:
    """Stage 1. The dataset as fragments; data in memory is first written to the run directory, where workers read it."""
    source = source_of(config)
    if directory is not None and hasattr(source, "materialise"):
        source = source.materialise(f"{directory.url}/input")
    described: Dataset = source.describe()
    if config.columns is not None and described.schema is not None:
        _check_columns(config.columns, list(described.schema.names))
    return described


def _check_columns(wanted: list[str], known: list[str]) -> None:
    from partitioner.errors import DataError, nearest

    for name in wanted:
        if name not in known:
            raise DataError(f"the dataset has no column {name!r}; it has {', '.join(known)}.{nearest(name, known)}")


def cost_model(config: RunConfig, job: Job | None) -> Any:
    """The configured cost model; one that measures is given the program."""
    model: Any = resolve_cost(config.cost)
    if job is None or not hasattr(model, "bind"):
        return model
    columns = None if job.columns is None else list(job.columns)
    return model.bind(build=pilot_program(job), columns=columns, program=programs.name_of(job.program))


def cost(model: Any, described: Dataset) -> Costs:
    """Stage 2. Seconds (or a stand-in) and bytes of every fragment."""
    return checked(model.estimate(described), described)


def workers_to_use(
    config: RunConfig, engine: Engine, model: Any, directory: RunDirectory, job: Job
) -> tuple[Workers, Mapping[str, Any]]:
    """The engine's workers, and what there is to say of them; where a pilot ran, they are timed on its pieces."""
    pilot = getattr(model, "pilot", None)
    pieces = getattr(getattr(pilot, "pilot", pilot), "pieces", None)  # a learned model holds a calibrated one
    workers = engine.workers()
    if not config.measure_speeds or pieces is None or not len(pieces) or len(workers) < 2:
        return workers, {}
    write_job(directory, job)
    workers, speeds = with_measured_speeds(engine, directory, pieces)
    uneven = {w: s for w, s in speeds.items() if s != 1.0}
    return workers, {"worker speeds": f"measured, {uneven or 'all alike'}"} if speeds else {}


def regroup(config: RunConfig, described: Dataset, costs: Any) -> tuple[Dataset, Any]:
    """The dataset as the splitter wants to see it: by key or by class, where it splits by a column's values."""
    splitter = splitter_of(config)
    if not hasattr(splitter, "prepare"):
        return described, costs
    dataset, shared = splitter.prepare(described, costs)
    return dataset, shared


def splitter_of(config: RunConfig) -> Any:
    """The configured splitter."""
    name, options = named(config.split, "split")
    return registry.build("splits", name, options)


def split(config: RunConfig, described: Dataset, costs: Costs, workers: Workers) -> SubTasks:
    """Stage 3. Sub-tasks within the limits, with the demands of the configuration."""
    tasks: SubTasks = splitter_of(config).split(described, costs, limits_of(config, workers))
    n = len(tasks)
    return tasks.with_columns(cpus=np.full(n, config.task_cpus), gpus=np.full(n, config.task_gpus))


def limits_of(config: RunConfig, workers: Workers) -> Limits:
    """The limits of the configuration for these workers."""
    slots = max(1, int(np.floor(workers.cpus / config.task_cpus).sum()))
    return Limits(
        target_task_seconds=config.target_task_seconds,
        allowed_mem=config.allowed_mem or _memory_of_a_slot(config, workers),
        max_tasks=config.max_tasks,
        min_tasks_per_slot=config.min_tasks_per_slot,
        slots=slots,
        mergeable=bool(reducer_of(config).mergeable),
    )


def reducer_of(config: RunConfig) -> Any:
    """The configured reducer."""
    name, options = named(config.reducer, "reducer")
    return registry.build("reducers", name, options)


USABLE_MEMORY = 0.8
"""Of a worker's memory: Dask pauses a worker above this share and ends it at 0.95."""


def _memory_of_a_slot(config: RunConfig, workers: Workers) -> float | None:
    """The memory one sub-task can count on anywhere: none is made that would only run on hope."""
    at_once = np.maximum(1.0, np.floor(workers.cpus / config.task_cpus))
    least = float((workers.memory_bytes / at_once).min()) * USABLE_MEMORY if len(workers) else np.inf
    return least if np.isfinite(least) else None


def place(config: RunConfig, tasks: SubTasks, workers: Workers) -> Plan:
    """Stage 4. Sub-tasks onto workers, with bound and gap."""
    algorithm = registry.load("placements", config.placement)()
    planned: Plan = algorithm.place(tasks, workers, config.objective, config.seed, config.time_limit)
    return planned


def explained(
    config: RunConfig, planned: Plan, dataset: Dataset, costs: Costs, facts: Mapping[str, Any] = MappingProxyType({})
) -> Plan:
    """The plan with the source of its costs, and the groups that are larger than a sub-task, among its reasons."""
    about: dict[str, Any] = {"cost source": costs.source, "cost unit": costs.unit, **facts}
    about |= {str(k): v for k, v in costs.details.items()}
    if config.target_task_seconds is not None and costs.unit != "seconds":
        about["target_task_seconds"] = f"not applied, for the cost is in {costs.unit} and not in seconds"
    splitter = splitter_of(config)
    if hasattr(splitter, "hot_groups"):
        hot = splitter.hot_groups(dataset, costs, limits_of(config, planned.workers))
        about |= {f"hot group {i}": str(group) for i, group in enumerate(hot[:10])}
    return replace(planned, reasons={**about, **planned.reasons})


def workers_of(workers: Any) -> Workers:
    """Workers from a count, values, or None for one per core of this machine."""
    if workers is None:
        return Workers.identical(os.cpu_count() or 1)
    if isinstance(workers, Workers):
        return workers
    if isinstance(workers, int) and not isinstance(workers, bool):
        if workers < 1:
            raise ConfigError(f"workers is {workers}; a plan needs at least 1.")
        return Workers.identical(workers)
    if isinstance(workers, list | tuple) and all(isinstance(w, Worker) for w in workers):
        return Workers.of(workers)
    from partitioner.placement.tables import workers_from

    return workers_from(workers)


def planned_workers(config: RunConfig) -> Workers:
    """The workers that the configured engine would start here, without starting it; a running cluster is asked."""
    if not isinstance(config.engine, str | Mapping):
        engine, ours = resolve_engine(config.engine)
        return engine.workers()
    name, options = named(config.engine, "engine")
    if name == "serial":
        return Workers.identical(1)
    if "address" in options or "://" in name:
        engine, ours = resolve_engine(config.engine)
        try:
            return engine.workers()
        finally:
            if ours:
                engine.close()
    return Workers.identical(int(options.get("workers") or max(2, os.cpu_count() or 1)))


def learn(
    model: Any, dataset: Dataset, planned: Plan, records: Sequence[CommitRecord], directory: RunDirectory
) -> None:
    """Give a model that learns what the run measured; what it says of drift is kept in ``drift.json``."""
    if not hasattr(model, "observe"):
        return
    classes = dict(zip(planned.workers.worker_id, planned.workers.worker_class, strict=True))
    measurements = observed(dataset, planned.tasks, records, model.terms(dataset), classes)
    if len(measurements):
        drift = [report.to_json() for report in model.observe(dataset, measurements, directory.run_id)]
        directory.files.put("drift.json", json.dumps(drift).encode())


def make_job(config: RunConfig, described: Dataset, directory: RunDirectory) -> Job:
    """What workers load. Raises ProgramError where the program cannot be found or pickled, before anything starts."""
    program = programs.resolve(config.program)
    reducer = reducer_of(config)
    rows = reducer.name == "concat"
    place_of_rows = (config.output or f"{directory.url}/output") if rows else f"{directory.url}/partials"
    job = Job(
        program=program,
        arguments=config.arguments,
        source=described.source,
        sink=registry.import_ours("connectors.parquet_sink").ParquetSink(place_of_rows),
        reducer=reducer,
        columns=None if config.columns is None else tuple(config.columns),
        batch_format=config.batch_format,
        batching=batching_of(config),
        seed=config.seed,
        on_error=config.on_error,
        allow_row_change=config.allow_row_change,
    )
    programs.dumps(job, program)
    return job


def batching_of(config: RunConfig) -> Mapping[str, Any]:
    """The settings of batches within a sub-task. Raises ConfigError for settings that do not go together."""
    names = ("batch_size", "max_batch_weight", "weight", "sort_by_weight", "padded")
    settings = {n: getattr(config, n) for n in names if getattr(config, n)}
    unread = [c for c in Batcher(**settings).columns if config.columns is not None and c not in config.columns]
    if unread:
        raise ConfigError(f"weight reads column {unread[0]!r}, which is not among columns; add it there.")
    if config.sort_by_weight and config.allow_row_change:
        raise ConfigError(
            "sort_by_weight restores the order of one output row per input row; leave out allow_row_change."
        )
    return settings


def claim(config: RunConfig, directory: RunDirectory, job: Job, planned: Plan) -> None:
    """Take the output and the run directory, and write down all that a resume needs. Raises OutputExists."""
    if config.output is not None:
        claim_output(Directory(config.output), directory.run_id)
    directory.write_tasks(planned.tasks)
    directory.create(
        {
            "run_id": directory.run_id,
            "config": plain(config),
            "fingerprints": fingerprints(config, job),
            "versions": versions(),
        }
    )


def write_job(directory: RunDirectory, job: Job) -> None:
    """``job.pkl``, sealed."""
    directory.write_job(programs.dumps(job, job.program))


def claim_output(output: Directory, run_id: str) -> None:
    """The output directory belongs to the run that creates ``_run.json`` in it, and must be empty before."""
    present = output.names()
    if present or not output.put_new("_run.json", f'{{"run_id": "{run_id}"}}'.encode()):
        raise OutputExists(
            f"output {output.url} is not empty (it holds {present[0] if present else '_run.json'}"
            f"{f' and {len(present) - 1} more' if len(present) > 1 else ''}); "
            "name a new directory, remove it, or resume the run it belongs to."
        )


def fingerprints(config: RunConfig, job: Job) -> dict[str, Any]:
    """What must be the same for a resume: input files, the settings that shape the result, and the program's code."""
    shaping = {k: v for k, v in plain(config).items() if k in SHAPING}
    return {
        "input": dict(job.source.fingerprints()),
        "config": shaping,
        "code": programs.fingerprint(job.program, job.arguments),
    }


SHAPING = frozenset(
    {
        *("dataset", "columns", "batch_format", "batch_size", "max_batch_weight", "weight", "sort_by_weight"),
        *("cost", "split", "target_task_seconds", "allowed_mem", "max_tasks", "min_tasks_per_slot"),
        *("reducer", "output", "allow_row_change", "seed"),
    }
)
"""Settings that a resume must not change; engine, placement, on_error, max_retries and the like may differ."""
