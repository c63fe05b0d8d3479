"""The planning stages, one function each: every one takes what is resolved and the value of the stage before it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from partitioner import known_secrets, registry
from partitioner import program as programs
from partitioner.attempt.asynchronous import rows_together
from partitioner.attempt.isolate import ERROR_COLUMN
from partitioner.attempt.job import Job
from partitioner.attempt.pilot import pilot_program
from partitioner.config import SHAPING, RunConfig, plain
from partitioner.costs.base import CostModel, checked
from partitioner.costs.measuring.observed import observed
from partitioner.costs.measuring.runner import InProcess
from partitioner.engines.base import Engine
from partitioner.engines.preflight import versions
from partitioner.errors import ConfigError, DataError, OutputExists, clause, listed, nearest, to_go_on
from partitioner.model import CommitRecord, CostFacts, Costs, Dataset, Plan, SubTasks, Worker, Workers
from partitioner.output.exporting import folder_of, form_of, home_of, names_on_disk
from partitioner.output.modes import NO_VERSION, Target
from partitioner.output.tracking import tracking_of
from partitioner.output.versions import check_nobody_writes, newest
from partitioner.security import trust
from partitioner.security.sealing import key_of_partials
from partitioner.stages.narrowing import less_of
from partitioner.stages.reducer_print import around, is_named, print_of
from partitioner.stages.resolved import Resolved
from partitioner.stages.start import Start
from partitioner.storage import Directory
from partitioner.store.run_directory import RunDirectory


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """After stage 1: the dataset, and the job that workers load; no job where there is no program."""

    dataset: Dataset
    job: Job | None


@dataclass(frozen=True, slots=True, eq=False)
class Costed:
    """After stage 2: the dataset with its costs; ``model`` is bound to the program."""

    dataset: Dataset
    job: Job | None
    model: CostModel
    costs: Costs


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """After stage 3: the sub-tasks, and the dataset and job in the units that the splitter works in.

    ``notes`` are what the plan tells besides its own reasons.
    """

    dataset: Dataset
    job: Job | None
    costs: Costs
    tasks: SubTasks
    notes: Mapping[str, Any] = field(default_factory=dict)


def describe(parts: Resolved, directory: RunDirectory | None = None, version: int = 0) -> Described:
    """Stage 1. The dataset as fragments; data in memory is first written to the run directory, where workers read it."""
    source = parts.source if directory is None else parts.source.materialise(f"{directory.url}/input")
    config = parts.config
    dataset = less_of(source.describe(), parts.keep, config.sample, config.limit, config.seed)
    if parts.config.columns is not None and dataset.schema is not None:
        _check_columns(parts.config.columns, list(dataset.schema.names))
    if config.on_error == "quarantine" and dataset.schema is not None:
        _check_no_errors(config.columns or list(dataset.schema.names))
    at = directory or RunDirectory(parts.config.checkpoint)
    return Described(dataset, None if parts.program is None else make_job(parts, dataset, at, version))


def _check_columns(wanted: list[str], known: list[str]) -> None:
    for name in wanted:
        if name not in known:
            raise DataError(f"the dataset has no column {name!r}; it has {listed(known)}.{nearest(name, known)}")


def _check_no_errors(columns: Sequence[str]) -> None:
    if ERROR_COLUMN in columns:
        raise DataError(
            f"the dataset has a column {ERROR_COLUMN!r}, and rows that are set aside say what went wrong there; leave it "
            "out with columns=, or rename it."
        )


def cost(parts: Resolved, described: Described, started: Start | None = None) -> Costed:
    """Stage 2. Seconds (or a stand-in) and bytes of every fragment; a model that measures runs in the slots that started."""
    model = bound(parts, described.job, started)
    costs = checked(model.estimate(described.dataset), described.dataset)
    return Costed(described.dataset, described.job, model, costs)


def bound(parts: Resolved, job: Job | None, started: Start | None = None) -> CostModel:
    """The cost model for the job's program, which runs in this process where no slots were started."""
    if job is None:
        return parts.model
    columns = None if job.columns is None else list(job.columns)
    name = programs.profile_name(job.program, job.arguments)
    if started is None or started.runner is None:
        if job.concurrency is None:
            return parts.model.bind(build=pilot_program(job), columns=columns, program=name)
        runner = InProcess(pilot_program(job), columns, together=rows_together(job.concurrency))
        return parts.model.bind(runner=runner, columns=columns, program=name)
    return parts.model.bind(runner=started.runner, columns=columns, program=name, slots=started.count)


def workers_to_use(parts: Resolved, started: Start) -> tuple[Workers, Mapping[str, Any]]:
    """The engine's workers, and what there is to say of them: where a pilot ran, its pieces told how fast they are."""
    workers = started.workers
    speeds = started.runner.speeds(workers) if parts.config.measure_speeds and started.runner is not None else {}
    if not speeds:
        return workers, {}
    column = np.array([speeds.get(w, float(workers.speed[j])) for j, w in enumerate(workers.worker_id)])
    uneven = {w: s for w, s in speeds.items() if s != 1.0}
    return replace(workers, speed=column), {"worker speeds": f"measured, {uneven or 'all alike'}"}


def unmet(config: RunConfig, engine: Engine) -> dict[str, str]:
    """What the configuration asks for and the engine only plans with, in words for the plan."""
    able, found = engine.capabilities, dict[str, str]()
    if config.allowed_mem is not None and not able.memory_limit:
        found["allowed_mem"] = f"planned with; engine {engine.name!r} does not hold its workers to their memory"
    if config.timeout is not None and not able.cancel:
        found["timeout"] = f"waited for; engine {engine.name!r} cannot stop an attempt that runs"
    if config.task_gpus and not able.gpu:
        found["task_gpus"] = (
            f"counted; engine {engine.name!r} assigns no devices, so every sub-task sees all those of its machine"
        )
    return found


def split(parts: Resolved, costed: Costed, workers: Workers) -> Split:
    """Stage 3. Sub-tasks within the limits, with the demands of the configuration."""
    dataset, costs = parts.splitter.prepare(costed.dataset, costed.costs)
    assert costs is not None, "costs were given"
    limits = parts.limits(workers)
    tasks = parts.splitter.split(dataset, costs, limits)
    if not parts.splitter.own_demands:
        n = len(tasks)
        tasks = tasks.with_columns(cpus=np.full(n, parts.config.task_cpus), gpus=np.full(n, parts.config.task_gpus))
    hot = parts.splitter.hot_groups(dataset, costs, limits)
    notes = {f"hot group {i}": str(group) for i, group in enumerate(hot[:10])}
    job = None if costed.job is None else replace(costed.job, source=dataset.source)
    return Split(dataset, job, costs, tasks, notes)


def place(parts: Resolved, tasks: SubTasks, workers: Workers) -> Plan:
    """Stage 4. Sub-tasks onto workers, with bound and gap."""
    config = parts.config
    return parts.algorithm.place(tasks, workers, config.objective, config.seed, config.time_limit)


def explained(parts: Resolved, planned: Plan, work: Split, facts: Mapping[str, Any]) -> Plan:
    """The plan with the source of its costs, and the groups that are larger than a sub-task, among its reasons."""
    costs, target = work.costs, parts.config.target_task_seconds
    notes = {**facts, **work.notes}
    if target is not None and (told := _beyond(target, work)):
        notes["target_task_seconds"] = told
    if parts.splitter.regroups and parts.config.preserve_order and parts.reducer.rows:
        notes["order"] = f"rows come out as split {parts.splitter.name!r} puts them together, not in input order"
    source = CostFacts(costs.source, costs.unit, {str(name): figure for name, figure in costs.details.items()})
    return replace(planned, about=replace(planned.about, cost=source, notes={**notes, **planned.about.notes}))


def _beyond(target: float, work: Split) -> str:
    """Why sub-tasks are longer than the target, in words; empty where none is."""
    if work.costs.unit != "seconds":
        return f"not applied, for the cost is in {work.costs.unit} and not in seconds"
    tasks = work.tasks
    longer = int((tasks.seconds > target * (1 + 1e-6)).sum())
    if not longer or tasks.fragments is None:
        return ""
    longest = int(np.argmax(tasks.seconds))
    name = tasks.fragments[int(tasks.fragments_of(longest)[0])].name
    return (
        f"{longer} of {len(tasks)} sub-tasks take longer than {target:g} s, the longest {tasks.seconds[longest]:.4g} s "
        f"({name}): max_tasks bounds their number, or what they hold cannot be cut further"
    )


def whereabouts(name: str, workers: Workers, where: str) -> dict[str, str]:
    """What the plan tells under ``name``: how many workers of how many cores, and where; nothing where that is empty."""
    cores = " or ".join(f"{c:g}" for c in sorted(set(workers.cpus.tolist())))
    many = f"{len(workers)} worker{'s' * (len(workers) != 1)} of {cores} core{'s' * (cores != '1')}"
    return {name: f"{many}: {where}"} if where else {}


def workers_of(parts: Resolved, workers: Any) -> Workers:
    """Workers from a count, values or a table; None for those that the engine would start, or has."""
    if workers is None:
        return parts.engine.expected_workers()
    from partitioner.placement.feasible import check_workers

    found = _given(workers)
    check_workers(found, usable=True)
    return found


def _given(workers: Any) -> Workers:
    """From a count, values or a table."""
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


def learn(
    model: CostModel, dataset: Dataset, planned: Plan, records: Sequence[CommitRecord], directory: RunDirectory
) -> None:
    """Give the cost model what the run measured; what it says of drift is kept in ``drift.json``.

    The rows are out by now: a place that takes no profile, such as a home that is read-only, is said and ends nothing.
    """
    if not model.learns(sum(record.seconds for record in records)):
        return
    classes = dict(zip(planned.workers.worker_id, planned.workers.worker_class, strict=True))
    measurements = observed(dataset, planned.tasks, records, model.terms(dataset), classes)
    try:
        drift = model.observe(dataset, measurements, directory.run_id) if len(measurements) else ()
    except (DataError, OSError) as error:
        print(
            f"what this run measured is not kept for the next one: {clause(error)}. "
            "PARTITIONER_PROFILES names a file that can be written.",
            file=sys.stderr,
        )
        return
    if drift:
        directory.files.put("drift.json", json.dumps([report.to_json() for report in drift]).encode())


def make_job(parts: Resolved, dataset: Dataset, directory: RunDirectory, version: int = 0) -> Job:
    """What workers load. Raises ProgramError where the program cannot be pickled, before anything starts."""
    assert parts.program is not None, "a job runs a program"
    config = parts.config
    own = home_of(config) if version or form_of(config, parts.reducer.rows) is None else None
    told = tracking_of(config)
    by_rows = told is not None and (parts.reducer.rows or not told.key)
    by_file = (config.mode == "incremental" and not by_rows) or (version > 0 and not parts.reducer.rows)
    kept = parts.reducer.rows or version > 0  # of a version the partial results stay with the output, for the next one
    place_of_rows = (own or f"{directory.url}/output") if kept else f"{directory.url}/partials"
    job = Job(
        program=parts.program,
        arguments=config.arguments,
        source=dataset.source,
        sink=registry.import_ours("connectors.parquet_sink").ParquetSink(
            place_of_rows, fsync=config.fsync == "each", version=version, plain=not parts.reducer.rows
        ),
        reducer=parts.reducer,
        columns=None if config.columns is None else tuple(config.columns),
        batch_format=config.batch_format,
        batching=parts.batching,
        concurrency=parts.concurrency,
        seed=config.seed,
        on_error=config.on_error,
        allow_row_change=config.allow_row_change,
        preserve_order=config.preserve_order,
        fsync=config.fsync == "each",
        by_file=by_file,
        by_section=by_file and dataset.source.tells_sections(),
        names_on_disk=names_on_disk(config),
        secrets=known_secrets.known(),
        partials_key=key_of_partials() if parts.reducer.serializer == "pickle" else b"",
        named=tuple(trust.named_in(plain(config))),
    )
    programs.dumps(job, job.program)
    return job


def claim(
    config: RunConfig,
    directory: RunDirectory,
    job: Job,
    planned: Plan,
    target: Target = NO_VERSION,
    prints: Mapping[str, Any] | None = None,
) -> None:
    """Write down all that a resume needs, ``run.json`` last, and then take the output. Raises OutputExists.

    A driver that dies in between leaves a run that can be resumed, which takes the output then.
    """
    directory.write_tasks(planned.tasks)
    directory.create(
        {
            "run_id": directory.run_id,
            "config": plain(config),
            "fingerprints": prints or fingerprints(config, job),
            "versions": versions(),
            "target": target.to_json(),
            **({"batching": {"max_batch_weight": bound}} if (bound := _found(config, job)) else {}),
        }
    )
    if (folder := folder_of(config)) is not None and not target.number:
        try:
            claim_output(Directory(folder), directory)
        except OutputExists:
            directory.files.remove()
            raise


def _found(config: RunConfig, job: Job) -> float:
    """The bound on a batch that a pilot found, 0 where none did."""
    return float(job.batching["max_batch_weight"]) if config.max_batch_weight == "auto" else 0.0


def write_job(directory: RunDirectory, job: Job) -> None:
    """``job.pkl``, sealed."""
    directory.write_job(programs.dumps(job, job.program))


def check_free(output: Directory, directory: RunDirectory) -> None:
    """Raises OutputExists where an output holds anything but the claim of this run."""
    names = [entry.name for entry in output.entries()]
    if names and holder_of(output) != directory.url:
        raise OutputExists(occupied(output, names))


def write_planned(directory: RunDirectory, job: Job) -> None:
    """``planned.pkl``: processes that hold the program of an earlier ``job.pkl`` take only what the plan changed anew."""
    directory.write_planned(programs.dumps({"source": job.source, "batching": job.batching}, job.program))


def claim_output(output: Directory, directory: RunDirectory) -> None:
    """The output directory belongs to the run that creates ``_run.json`` in it. Claiming again what is one's own is fine."""
    claim = json.dumps({"run_id": directory.run_id, "run": directory.url})
    if not output.put_new(CLAIM, claim.encode()) and holder_of(output) != directory.url:
        raise OutputExists(occupied(output, [CLAIM]))


CLAIM = "_run.json"
"""The object in an output directory that names the run it belongs to."""


def holder_of(output: Directory) -> str:
    """The run directory that an output belongs to; empty where none is named."""
    try:
        return str(json.loads(output.get(CLAIM)).get("run", ""))
    except (FileNotFoundError, ValueError, AttributeError, RecursionError):
        return ""


def occupied(output: Directory, names: Sequence[str]) -> str:
    """Why an output cannot be taken, with the run it belongs to and the commands that go on.

    Raises RunHeld while that run goes on, and OutputExists for a folder that no run wrote.
    """
    last = newest(output)
    check_nobody_writes(output, last)
    assert last is not None, f"a folder with {names} and no run is refused above"
    if not last.run or not RunDirectory(last.run).files.exists("run.json"):
        return (
            f"output {output.url} is not empty: it belongs to run {last.run or last.run_id}, which is gone; "
            f"mode='overwrite' replaces it; or name a new directory, or remove it: rm -r {shlex.quote(output.url)}"
        )
    state = "finished" if last.manifest is not None else "unfinished"
    return (
        f"output {output.url} is not empty: it belongs to the {state} run {last.run_id}. Go on with it: mode='resume' "
        f"(--mode resume), or {to_go_on(last.run)} -- replace it: mode='overwrite'; add to it: mode='append'; "
        "run only what changed: mode='incremental'; or name a new directory, or remove it."
    )


def fingerprints(config: RunConfig, job: Job) -> dict[str, Any]:
    """What must be the same for a resume: input files, settings that shape the result, the code of program and reducer."""
    shaping = {k: v for k, v in plain(config).items() if k in SHAPING}
    contents = job.source.contents()
    reducer = print_of(job.reducer, is_named(shaping["reducer"]))
    return {
        "input": dict(zip(known_secrets.masked_names([*contents]), contents.values(), strict=True)),
        "config": shaping,
        "code": programs.fingerprint(job.program, job.arguments),
        **({"reducer": reducer} if reducer else {}),
        **around(job.program, job.reducer),
    }
