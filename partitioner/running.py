"""The seven stages, visible: dataset -> cost -> split -> place -> execute -> reduce -> report.

``plan`` is the first four, functions of values. ``run`` is all seven.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from typing import Any

import pyarrow as pa

from partitioner import config as configuration
from partitioner import registry
from partitioner.attempt import upcoming
from partitioner.attempt.agreement import Agreement
from partitioner.attempt.job import Job, forget
from partitioner.config import RunConfig
from partitioner.coordinator.execute import execute, most_quarantined
from partitioner.costs.base import CostModel
from partitioner.engines import preload
from partitioner.engines.base import Engine
from partitioner.engines.resolve import resolve as resolve_engine
from partitioner.engines.trial import columns_of_no_rows
from partitioner.errors import ConfigError, EngineLost, Interrupted, ResumeRefused, StorageFailed
from partitioner.model import CommitRecord, Dataset, Plan, Workers
from partitioner.output import exporting, modes
from partitioner.output.columns import begin_with_kept, mended
from partitioner.report.progress import Progress
from partitioner.report.report import reported_if_stopped
from partitioner.runs import integrity, merging, overlap, results, uniform
from partitioner.runs import resume as resuming
from partitioner.runs.run import Run
from partitioner.stages import batch_weight, changes, places
from partitioner.stages import start as starting
from partitioner.stages import steps as stages
from partitioner.stages.phases import Phases
from partitioner.stages.resolved import Resolved, resolve
from partitioner.stages.tried import settled, tried
from partitioner.storage import Directory
from partitioner.store.commits import Records
from partitioner.store.lease import Lease
from partitioner.store.run_directory import RunDirectory, new_run_id


def plan(dataset: Any, program: Any = None, *, workers: Any = None, **options: Any) -> Plan:
    """Describe, cost, split and place, and run nothing.

    ``dataset`` as for ``run``; ``workers`` a number of equal one-core workers, ``Worker`` values, a ``Workers``, or a table
    (see ``place``), by default those that the engine would start, or has; ``options`` are settings of ``RunConfig``. Raises
    DataError, CostError, ConfigError or InfeasiblePlan.
    """
    return plan_config(configuration.make({"dataset": dataset, "program": program, **options}), workers)


def plan_config(config: RunConfig, workers: Any = None) -> Plan:
    """``plan`` for a configuration that is made already."""
    plan_on, table, load_seconds = planner(config, workers)
    return starting.delayed(plan_on(table), load_seconds)


def planner(config: RunConfig, workers: Any = None) -> tuple[Callable[[Workers], Plan], Workers, float]:
    """What plans a configuration on a fleet, the fleet that ``workers`` mean, and the seconds until its slots are ready.

    Costs are settled here, once, on that fleet.
    """
    parts = resolve(config)
    modes.check(config, parts.reducer)
    changes.check(parts)
    rest = changes.only_changes(parts, stages.describe(parts))
    described, notes, parts = rest.described, rest.notes, replace(parts, known_seconds=rest.seconds)
    costed = None if parts.model.measures else stages.cost(parts, described)  # what is wrong is said before a start
    table = stages.workers_of(parts, workers)
    with starting.tried_here(parts, described.job, table) as started:
        costed = stages.cost(parts, described, started) if costed is None else costed
    load_seconds, facts = starting.told_here(started)
    facts |= stages.whereabouts("workers assumed", table, parts.engine.assumed() if workers is None else "")
    if batch_weight.wanted(parts):
        notes = {**notes, "max_batch_weight": "auto: found on the workers when the run begins, by growing batches"}

    def plan_on(fleet: Workers) -> Plan:
        work = stages.split(parts, costed, fleet)
        return stages.explained(parts, stages.place(parts, work.tasks, fleet), work, {**facts, **notes})

    return plan_on, table, load_seconds


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
        ``"auto"``: the last run of the same output, name, or dataset and program; a new one where there is none, or where
        the input has changed since it finished and ``mode`` says what becomes of the output then.
    options
        Settings of ``RunConfig``: cost, split, limits, placement, engine, reducer, output, checkpoint, on_error, ...

    Raises an error of ``partitioner.errors``; what was committed stays in the run directory and can be resumed.
    """
    return run_config(configuration.make({"dataset": dataset, "program": program, **options}), resume)


def run_config(
    config: RunConfig,
    resume: str | None = None,
    on_plan: Callable[[Plan, RunDirectory], None] | None = None,
    take_over: bool = False,
    force: bool = False,
) -> Run:
    """``run`` for a configuration that is made already; ``on_plan`` sees the plan before anything runs.

    ``take_over`` a run whose driver shows no sign of life, though its process is there. Raises RunHeld where another
    driver works. ``force`` resumes in spite of changed input, settings or code.
    """
    if config.dataset is None or config.program is None:
        raise ConfigError("a run needs a dataset and a program; give both (settings 'dataset' and 'program').")
    phases = Phases()
    with phases("imports and settings"):
        parts = resolve(config)
        parts.engine.refuse_paper()
        modes.check(config, parts.reducer)
        changes.check(parts)
        if resume == "auto":
            found = modes.alike(config)
        else:
            found = resuming.find_run(config, resume) if resume is not None else modes.to_continue(config)
    if found is not None:
        try:
            with resuming.told_if_interrupted(found):
                return _run_rest(parts, found, take_over, force, phases)
        except ResumeRefused as error:
            if not modes.gives_way(config, found, resume):
                raise
            print(f"{error}\nThe mode is {config.mode}: a new run begins.", file=sys.stderr)
    return _run_new(parts, on_plan, phases)


def _run_new(parts: Resolved, on_plan: Callable[[Plan, RunDirectory], None] | None, phases: Phases) -> Run:
    """All stages, as a run of its own."""
    config = parts.config
    directory = _new_directory(config)
    with resuming.told_if_interrupted(directory), directory.discarded_unless_claimed(), ExitStack() as held:
        lease = held.enter_context(Lease(directory.files, config.lease_seconds))
        with phases("describe"):
            rest = _described(parts, directory, held)
        described, notes, parts = rest.described, rest.notes, replace(parts, known_seconds=rest.seconds)
        if notes and not len(described.dataset.fragments):
            parts = replace(parts, engine=resolve_engine("serial"))  # nothing is to run: nothing is started for it
        where = parts.engine.assumed()  # asked before it is opened: then there is a session
        engine, started, costed = _costed(parts, described, directory, held, phases)
        notes = {**notes, **stages.whereabouts("workers started", started.workers, where)}
        with phases("batch weight") if batch_weight.wanted(parts) else nullcontext():
            costed, found = batch_weight.settled(parts, costed, engine, started, directory)
        notes = {**notes, **found}
        with phases("plan"):
            notes = {**notes, **stages.unmet(config, engine)}
            work, planned = _planned(parts, costed, started, notes, phases)
            job = settled(directory, described, work)
        if (again := tried(engine, directory, planned, costed, started, phases)) is not None:
            costed = again
            with phases("plan"):
                work, planned = _planned(parts, costed, started, notes, phases)
                job = settled(directory, described, work)
        most_quarantined(config, planned.tasks)
        with phases("plan"):
            _begin(config, directory, planned, job, on_plan, rest)
        known = work.costs.unit == "seconds"
        target, columns = rest.target, work.dataset.schema
        finished = _execute(config, engine, planned, directory, job, {}, known, lease, phases, target, columns)
        with phases("engine end"):
            held.close()
        return _report(config, finished, costed.model, work.dataset, phases)


def _new_directory(config: RunConfig) -> RunDirectory:
    """The directory of a new run, once it is clear that its output is free: before anything of the user's runs.

    A path that is misspelt is told first.
    """
    if isinstance(config.dataset, str):
        registry.import_ours("connectors.listing").check_there(config.dataset)
    places.check(config)
    directory = RunDirectory(f"{config.checkpoint}/{new_run_id(config.name)}")
    exporting.check_free_file(config)
    if (folder := exporting.folder_of(config)) is not None and config.mode not in modes.VERSIONED:
        stages.check_free(Directory(folder), directory)
    return directory


def _described(parts: Resolved, directory: RunDirectory, held: ExitStack) -> changes.Rest:
    """Stage 1: what the mode leaves to do of the input, where it goes, its fingerprints, and what there is to say."""
    config = parts.config
    target = held.enter_context(modes.begun(config, directory))
    described = stages.describe(parts, directory, target.number)
    rest = changes.rest_of(parts, described, target)
    if rest.rows is not None:
        directory.write_table("rows", rest.rows)
    if rest.aloud:
        print(rest.aloud, file=sys.stderr)
    if parts.reducer.rows:
        begin_with_kept(config, directory, rest.target)
    return rest


def _costed(
    parts: Resolved, described: stages.Described, directory: RunDirectory, held: ExitStack, phases: Phases
) -> tuple[Engine, starting.Start, stages.Costed]:
    """Stage 2 with the engine started, every slot proven and holding the program.

    A model that measures runs in the slots; another is asked before, so that what is wrong is said before a start.
    """
    with phases("describe"):
        costed = None if parts.model.measures else stages.cost(parts, described)
        assert described.job is not None, "a run has a program"
        stages.write_job(directory, described.job)
    forked = directory.url if starting.preloads(parts.config, described.job.program) else None
    with phases("engine start"), preload.wanted(forked, parts.config.batch_format):
        engine = held.enter_context(parts.engine.opened())
    with phases("program load"):
        started = starting.start(parts.config, engine, directory, parts.model.measures, forked is not None)
        held.callback(starting.forget_late, engine)
    if costed is None:
        with phases("pilot"):
            costed = stages.cost(parts, described, started)
    return engine, started, replace(costed, costs=started.with_process(costed.costs))


def _planned(
    parts: Resolved, costed: stages.Costed, started: starting.Start, notes: Mapping[str, Any], phases: Phases
) -> tuple[stages.Split, Plan]:
    """Stages 3 and 4: sub-tasks, and the plan that says what it rests on."""
    workers, facts = stages.workers_to_use(parts, started)
    work = stages.split(parts, costed, workers)
    modes.check_split(parts.config, costed.dataset, work.dataset)
    facts = {**facts, **notes, **started.told, "start": dict(phases.seconds)}
    return work, stages.explained(parts, stages.place(parts, work.tasks, workers), work, facts)


def _run_rest(parts: Resolved, directory: RunDirectory, take_over: bool, force: bool, phases: Phases) -> Run:
    """Refuse what changed, keep what is committed, place and run the rest on the workers there are now."""
    config = parts.config
    with phases("describe"):
        target = modes.held_by(directory.description().get("target", {}), config)
        dataset = changes.resumed(parts, directory, stages.describe(parts, directory).dataset, target)
        dataset, _ = parts.splitter.prepare(dataset)
        parts = replace(parts, batching={**parts.batching, **batch_weight.known(directory.description())})
        job = stages.make_job(parts, dataset, directory, target.number)
        resuming.check_unchanged(config, directory, job, force)
    with ExitStack() as held:
        lease = held.enter_context(Lease(directory.files, config.lease_seconds, take_over))
        if (done := modes.check_current(config, directory, target)) is not None:
            return _answer(parts, directory, job, done)
        if (folder := exporting.folder_of(config)) is not None and not target.number:
            stages.claim_output(Directory(folder), directory)
        # What was not written back when the machine went down may be zeros of the right length.
        unsure = lease.rebooted and config.fsync != "each"
        with phases("reconcile"):
            committed = integrity.reconcile(directory, job, config.verify == "full" or unsure)
            mended(config, directory, target, job)
        stages.write_job(directory, job)
        tasks = directory.read_tasks()
        if not (
            resuming.rest(tasks, committed) or merging.waits(config, directory, job, tasks, committed, target.number)
        ):
            print(f"run {directory.run_id} has nothing left to run", file=sys.stderr)
            parts = replace(parts, engine=resolve_engine("serial"))  # no cluster is started for it
        with phases("engine start"):
            engine = held.enter_context(parts.engine.opened())
        with phases("program load"):
            started = starting.start(config, engine, directory, measures=False)
            held.callback(starting.forget_late, engine)
        with phases("plan"):
            planned = resuming.placed(tasks, committed, lambda left: stages.place(parts, left, started.workers))
        finished = _execute(
            config, engine, planned, directory, job, committed, False, lease, phases, target, dataset.schema
        )
        with phases("engine end"):
            held.close()
        return _report(config, finished, stages.bound(parts, job), dataset, phases)


def _answer(parts: Resolved, directory: RunDirectory, job: Job, manifest: Mapping[str, Any]) -> Run:
    """A run whose version of the output is committed, as it was."""
    print(f"run {directory.run_id} is finished; nothing is left to run", file=sys.stderr)
    records = directory.commits()
    planned = resuming.placed(
        directory.read_tasks(), records, lambda left: stages.place(parts, left, Workers.identical(1))
    )
    result = results.of_version(parts.config, directory, job, manifest)
    directory.mark_finished(manifest["counts"])
    held = tuple(records[key] for key in sorted(records))
    return Run(directory, planned, result, held, 0, dict(manifest["counts"]))


def _begin(
    config: RunConfig,
    directory: RunDirectory,
    planned: Plan,
    job: Job,
    on_plan: Callable[[Plan, RunDirectory], None] | None,
    rest: changes.Rest,
) -> None:
    """The run is on record."""
    agreed = Agreement(directory.files).newest()
    if agreed is not None:
        exporting.check_columns(config, agreed.schema)
    stages.claim(config, directory, job, planned, rest.target, rest.prints)
    if on_plan is not None:
        on_plan(planned, directory)


def _execute(
    config: RunConfig,
    engine: Engine,
    planned: Plan,
    directory: RunDirectory,
    job: Job,
    committed: Mapping[str, CommitRecord],
    seconds_known: bool,
    lease: Lease,
    phases: Phases,
    target: modes.Target,
    schema: pa.Schema | None,
) -> Run:
    """Stages 5 and 6: run what is not committed, count the rows, reduce."""
    merger = merging.Merger(config, engine, directory, lease, planned.workers)
    start_seconds = phases.seconds.get("engine start", 0.0)
    with reported_if_stopped(directory, html=config.report):
        try:
            with (
                phases("run"),
                Progress(planned, enabled=config.progress) as progress,
                overlap.overlapped(merger, job, planned, committed) if not target.number else nullcontext(engine) as at,
            ):
                records, attempted = integrity.verified(
                    directory,
                    job,
                    committed,
                    lambda known: execute(
                        config, at, planned, directory, known, seconds_known, lease, [progress], start_seconds
                    ),
                    full=config.verify == "full",
                )
            upcoming.forget(directory.url)
            merger = replace(merger, early=overlap.chosen_in(at))
            forget(directory.url)  # what this process held to run sub-tasks itself
            lease.check(now=True)
            with phases("reduce"):
                if job.reducer.rows and not any(record.rows_in for record in records):
                    columns_of_no_rows(engine, directory, planned, schema)
                if config.fsync != "never":
                    Directory(job.sink.url).settle()  # what the manifest will name is there for good
                counts = results.check_rows(planned.tasks, records)
                if target.number:
                    result, counts = results.reduce_version(
                        config, directory, job, target, planned.tasks, records, counts, merger
                    )
                else:
                    records = uniform.in_one_schema(directory, job, records)
                    result = results.reduce(config, directory, job, records, counts, merger)
        except (EngineLost, StorageFailed) as error:
            error.args = (f"{error} To go on: {resuming.resume_command(directory)}",)
            raise
        except (Interrupted, KeyboardInterrupt) as error:
            raise resuming.interrupted(directory, error) from None
    directory.mark_finished(counts)
    return Run(directory, planned, result, records, attempted, counts)


def _report(config: RunConfig, finished: Run, model: CostModel, dataset: Dataset, phases: Phases) -> Run:
    """Stage 7: what was measured teaches the cost model and fills the report."""
    with phases("learn"):
        stages.learn(model, dataset, finished.plan, finished.records, finished.directory)
    forget(finished.url)
    finished.directory.write_phases(phases.seconds, phases.total())  # the report shows them, but its own
    with phases("report"):
        _write_report(config, finished)
    finished.directory.write_phases(phases.seconds, phases.total())
    return finished


def _write_report(config: RunConfig, finished: Run) -> None:
    if isinstance(finished.records, Records):  # its report holds an object for each sub-task, a kilobyte or more
        command = f"partitioner report {finished.url}"
        print(f"{len(finished.records)} sub-tasks: no report is written; make one with: {command}", file=sys.stderr)
    else:
        finished.report.write(html=config.report)
