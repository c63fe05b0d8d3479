"""The seven stages, visible: dataset -> cost -> split -> place -> execute -> reduce -> report.

``plan`` is the first four, functions of values. ``run`` is all seven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from partitioner import config as configuration
from partitioner import results, stages
from partitioner import resume as resuming
from partitioner.attempt.job import Job, forget
from partitioner.config import RunConfig
from partitioner.coordinator.execute import execute
from partitioner.engines.base import Engine
from partitioner.engines.preflight import preflight
from partitioner.engines.resolve import resolve as resolve_engine
from partitioner.errors import ConfigError, Interrupted
from partitioner.model import CommitRecord, Plan
from partitioner.report.progress import Progress
from partitioner.report.report import reported_if_stopped
from partitioner.run import Run
from partitioner.run_directory import RunDirectory, new_run_id


def plan(dataset: Any, program: Any = None, *, workers: Any = None, **options: Any) -> Plan:
    """Describe, cost, split and place, and run nothing.

    ``dataset`` as for ``run``; ``workers`` a number of equal one-core workers, ``Worker`` values, a ``Workers``, or a table
    (see ``place``), by default one per core of this machine; ``options`` are settings of ``RunConfig``. Raises DataError,
    CostError, ConfigError or InfeasiblePlan.
    """
    return plan_config(configuration.make({"dataset": dataset, "program": program, **options}), workers)


def plan_config(config: RunConfig, workers: Any = None) -> Plan:
    """``plan`` for a configuration that is made already."""
    table = stages.workers_of(workers)
    dataset = stages.describe(config)
    job = None if config.program is None else stages.make_job(config, dataset, RunDirectory(config.checkpoint))
    costs = stages.cost(stages.cost_model(config, job), dataset)
    dataset, costs = stages.regroup(config, dataset, costs)
    tasks = stages.split(config, dataset, costs, table)
    return stages.explained(config, stages.place(config, tasks, table), dataset, costs)


def run(dataset: Any = None, program: Any = None, *, resume: str | None = None, **options: Any) -> Run:
    """Apply ``program`` to ``dataset`` in sub-tasks of balanced cost, and reduce what it returns.

    Parameters
    ----------
    dataset
        Path, glob, URL, list of those, DataFrame, Arrow table, arrays, ``sklearn://digits``, or {connector: ...}.
    program
        A function of one batch, or a class: ``__init__`` once per worker process, ``__call__`` per batch.
    resume
        Id of a run below ``checkpoint``, or its directory: committed sub-tasks are kept, the rest runs, on any engine.
    options
        Settings of ``RunConfig``: cost, split, limits, placement, engine, reducer, output, checkpoint, on_error, ...

    Raises an error of ``partitioner.errors``; what was committed stays in the run directory and can be resumed.
    """
    return run_config(configuration.make({"dataset": dataset, "program": program, **options}), resume)


def run_config(
    config: RunConfig, resume: str | None = None, on_plan: Callable[[Plan, RunDirectory], None] | None = None
) -> Run:
    """``run`` for a configuration that is made already; ``on_plan`` sees the plan before anything runs."""
    if config.dataset is None or config.program is None:
        raise ConfigError("a run needs a dataset and a program; give both (settings 'dataset' and 'program').")
    if resume is not None:
        return _run_rest(config, resuming.find_run(config, resume))
    directory = RunDirectory(f"{config.checkpoint}/{new_run_id()}")
    with directory.discarded_unless_claimed():
        dataset = stages.describe(config, directory)
        job = stages.make_job(config, dataset, directory)
        model = stages.cost_model(config, job)
        costs = stages.cost(model, dataset)
        with _engine(config) as engine:
            workers, facts = stages.workers_to_use(config, engine, model, directory, job)
            dataset, costs = stages.regroup(config, dataset, costs)
            job = replace(job, source=dataset.source)
            tasks = stages.split(config, dataset, costs, workers)
            planned = stages.explained(config, stages.place(config, tasks, workers), dataset, costs, facts)
            stages.write_job(directory, job)
            preflight(engine, directory)
            stages.claim(config, directory, job, planned)
            if on_plan is not None:
                on_plan(planned, directory)
            learn = partial(stages.learn, model, dataset)
            return _finish(config, engine, planned, directory, job, {}, costs.unit == "seconds", learn)


def _run_rest(config: RunConfig, directory: RunDirectory) -> Run:
    """Refuse what changed, keep what is committed, place and run the rest on the workers there are now."""
    dataset, _ = stages.regroup(config, stages.describe(config, directory), None)
    job = stages.make_job(config, dataset, directory)
    resuming.check_unchanged(config, directory, job)
    committed = resuming.reconcile(directory, job)
    stages.write_job(directory, job)
    with _engine(config) as engine:
        tasks = resuming.without_done(directory.read_tasks(), committed)
        planned = stages.place(config, tasks, engine.workers())
        preflight(engine, directory)
        learn = partial(stages.learn, stages.cost_model(config, job), dataset)
        return _finish(config, engine, planned, directory, job, committed, False, learn)


def _finish(
    config: RunConfig,
    engine: Engine,
    planned: Plan,
    directory: RunDirectory,
    job: Job,
    committed: Mapping[str, CommitRecord],
    seconds_known: bool,
    learn: Callable[[Plan, Sequence[CommitRecord], RunDirectory], None],
) -> Run:
    """Execute, reduce, learn, report."""
    with reported_if_stopped(directory, html=config.report):
        try:
            with Progress(planned, enabled=config.progress) as progress:
                records, attempted = execute(config, engine, planned, directory, committed, seconds_known, [progress])
            counts = results.check_rows(planned.tasks, records)
            result = results.reduce(config, directory, job, records, counts)
        except (Interrupted, KeyboardInterrupt) as error:
            raise Interrupted(
                f"{str(error) or 'stopped by Ctrl-C'}; resume with: {resuming.resume_command(directory)}"
            ) from None
    learn(planned, records, directory)
    forget(directory.url)
    finished = Run(directory, planned, result, records, attempted, counts)
    finished.report.write(html=config.report)
    return finished


@contextmanager
def _engine(config: RunConfig) -> Iterator[Engine]:
    engine, ours = resolve_engine(config.engine)
    try:
        yield engine
    finally:
        if ours:
            engine.close()
