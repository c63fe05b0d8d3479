"""Stage 5: preflight, then the driver loop over the machine, watched by ledger, progress and collector."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import inf
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner import choices
from partitioner.config import Attempts, RunConfig, timeout_of
from partitioner.coordinator import ledger as ledgers
from partitioner.coordinator import splitting
from partitioner.coordinator.driver import Observer, drive
from partitioner.coordinator.machine import too_many
from partitioner.coordinator.policy import BACKUP_FACTOR, HAND_OVER_SECONDS, NO_WORKER_SECONDS, Policy
from partitioner.coordinator.state import Action, HandOver, State, Submit, initial
from partitioner.engines.base import Engine
from partitioner.errors import ConfigError, LeaseLost, PartitionerError
from partitioner.model import CommitRecord, Event, EventKind, Plan, SubTasks
from partitioner.model.data import Ints
from partitioner.store.commit_log import SEGMENT
from partitioner.store.commits import Commits, total
from partitioner.store.lease import Lease
from partitioner.store.run_directory import RunDirectory


class Collector:
    """Keeps the record of every sub-task and counts submissions."""

    def __init__(self, committed: Mapping[str, CommitRecord], run: RunDirectory | None = None) -> None:
        self.records = {} if isinstance(committed, Commits) else dict(committed)
        self._run = run
        self._loose: list[CommitRecord] = []  # not in a segment yet
        self.attempted = 0

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """The first record of a sub-task is the one that counts."""
        self.attempted += sum(isinstance(action, Submit) for action in actions)
        for event in events:
            if event.kind is EventKind.FINISHED and event.record is not None:
                self.records.setdefault(event.record.task_key, event.record)
                self._loose.append(event.record)
        if self._run is not None and len(self._loose) >= SEGMENT:
            self._run.gather(self._loose)
            self._loose = []


class Requests:
    """Brings attempts what the machine asks of them while they run, through the run directory, where they look."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """Requests for the rest of their rows."""
        for action in actions:
            if isinstance(action, HandOver):
                self._run.ask_for_rest(action.attempt_id)


class Fence:
    """Stops a driver whose run another one took over."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """Raises LeaseLost; a worker that was refused for it knows before the next heartbeat."""
        self._lease.check()
        if any(event.error is not None and event.error.type == LeaseLost.__name__ for event in events):
            self._lease.check(now=True)


AGAIN = 10.0
"""Times what the engine took to start: so long it is waited for workers that died, which start as slowly again."""


def policy_for(config: RunConfig, engine: Engine, tasks: SubTasks | None = None, start_seconds: float = 0.0) -> Policy:
    """Limits from the configuration, and dispatch as the engine's capabilities ask for.

    Without ``tasks``, for rounds, whose partitions stay where they are: no back-ups, and no rows of one apart.
    ``start_seconds``: what the engine took to start, where it did for this run.
    """
    able = engine.capabilities
    seconds, factor = timeout_of(config)
    return Policy(
        max_retries=config.max_retries,
        bundle=able.bundle,
        recall=able.cancel and able.bundle == 1,
        rerouted=able.placement != "exact",
        quarantine=config.on_error == "quarantine",
        max_quarantined=inf if tasks is None else most_quarantined(config, tasks),
        divisible=tasks is not None and _divisible(config),
        backup_factor=inf if tasks is None else BACKUP_FACTOR,
        hand_over_seconds=HAND_OVER_SECONDS if config.hand_over else inf,
        timeout_seconds=seconds,
        timeout_factor=factor,
        read_ahead=tasks is not None and able.real,
        one_process=able.one_process,
        no_worker_seconds=max(NO_WORKER_SECONDS, AGAIN * start_seconds),
    )


def _divisible(config: RunConfig) -> bool:
    """Whether the rows of a sub-task may go to the program apart: not where groups stay together or models are trained."""
    reducer = choices.choose("reducers", config.reducer)
    return bool(reducer.divisible or (reducer.rows and not choices.choose("splits", config.split).keeps_groups))


def resume_parts(state: State, index: Mapping[str, int], committed: Mapping[str, CommitRecord]) -> None:
    """Sub-tasks that an earlier session had split go on with the rows that no part holds yet."""
    done: dict[str, list[tuple[int, int]]] = {}
    cuts: dict[str, list[int]] = {}
    split: dict[str, list[str]] = {}
    for record in committed.apart() if isinstance(committed, Commits) else committed.values():
        if record.split:
            split.setdefault(record.whole, []).append(record.task_key)
            if record.cut:
                cuts.setdefault(record.whole, []).append(record.cut)
        elif record.part is not None:
            done.setdefault(record.whole, []).append(record.part)
    for key in sorted(done.keys() | split.keys()):
        whole, counted = index[key], committed.get(key)
        rows = counted.part[1] if counted is not None and counted.part is not None else state.rows_of(whole)
        splitting.go_on(state, whole, rows, done.get(key, []), split.get(key, []), cuts.get(key, []))


def most_quarantined(config: Attempts, tasks: SubTasks) -> float:
    """Rows that may be set aside; a share is one of the rows that the input describes."""
    most = config.max_quarantined
    if most is None:
        return inf
    if not isinstance(most, float):
        return most
    rows = None if tasks.fragments is None else tasks.fragments.rows[tasks.fragment_index]
    if rows is None or (rows < 0).any():
        raise ConfigError(
            f"max_quarantined is {most:g}, a share, but this input does not say how many rows it has; give a number of rows."
        )
    return most * float(rows.sum())


def in_order(keys: Sequence[str], records: Mapping[str, CommitRecord]) -> tuple[CommitRecord, ...]:
    """The records in sub-task order; in the place of one that was split, its parts in the order of their rows."""
    parts: dict[str, list[CommitRecord]] = {}
    for record in records.values():
        if record.task_key != record.whole and not record.split:
            parts.setdefault(record.whole, []).append(record)
    ordered: list[CommitRecord] = []
    for key in keys:
        if key in records:
            ordered.append(records[key])
        ordered += sorted(parts.get(key, ()), key=lambda r: r.part or (0, 0))
    return tuple(ordered)


def execute(
    config: RunConfig,
    engine: Engine,
    planned: Plan,
    run: RunDirectory,
    committed: Mapping[str, CommitRecord],
    seconds_known: bool,
    lease: Lease,
    watching: Sequence[Observer] = (),
    start_seconds: float = 0.0,
) -> tuple[Sequence[CommitRecord], int]:
    """Run what is not committed; the records of all sub-tasks in order, and how many attempts this session made.

    ``start_seconds``: what the engine took to start.
    """
    ids = planned.tasks.task_id
    many = committed if isinstance(committed, Commits) else None
    left = None if many is None else frozenset(ids.filter(pa.array(~many.done(ids))).to_pylist())
    numbers = ledgers.next_numbers(run, left) if committed or run.files.names("ledger") else {}
    state = initial(
        planned,
        run.url,
        policy_for(config, engine, planned.tasks, start_seconds),
        committed=_done(ids, committed),
        seconds_known=seconds_known,
        key=run.key,
        epoch=lease.epoch,
        first_numbers=_by_index(ids, numbers),
        awaited=() if engine.late is None else engine.late.waiting,
    )
    state.quarantined = many.total("quarantined") if many is not None else total([*committed.values()], "quarantined")
    state.part_numbers = {key: number for key, number in numbers.items() if "." in key}
    if many is None or many.apart():
        resume_parts(state, {key: i for i, key in enumerate(ids.to_pylist())}, committed)
    ledger, collector = ledgers.Ledger(run), Collector(committed, run)
    watching = [ledger, collector, Fence(lease), Requests(run), *watching]
    # A resume with nothing left to do leaves the plan that was followed.
    if not state.finished or not run.files.exists("plan.json"):
        write_plan(run, planned)
    ledger.note("session", engine=engine.name, workers=list(planned.workers.worker_id), committed=len(committed))
    try:
        if (full := too_many(state)) is not None:
            raise full
        drive(engine, state, watching, engine.clock)
        ledger.note("end")
    except PartitionerError as error:
        ledger.note("stopped", error={"type": type(error).__name__, "message": str(error)})
        raise
    finally:
        ledger.flush()
    ordered = in_order(ids.to_pylist(), collector.records) if many is None else many.in_order(ids, collector.records)
    return ordered, collector.attempted


def _done(ids: pa.Array, committed: Mapping[str, CommitRecord]) -> list[int] | Ints:
    """Indices of the sub-tasks that are committed as a whole."""
    if isinstance(committed, Commits):
        return np.flatnonzero(committed.done(ids))
    return [i for i, key in enumerate(ids.to_pylist()) if key in committed and not committed[key].split]


def _by_index(ids: pa.Array, numbers: Mapping[str, int]) -> dict[int, int]:
    """The same by the sub-task's index; parts are passed over."""
    where = pc.index_in(pa.array(numbers.keys(), pa.string()), value_set=ids).to_pylist()
    return {i: number for i, number in zip(where, numbers.values(), strict=True) if i is not None}


def write_plan(run: RunDirectory, planned: Plan) -> None:
    """``plan.json`` and ``plan.parquet``: what the report compares the run with."""
    figures: dict[str, Any] = {
        name: getattr(planned, name)
        for name in ("makespan", "lower_bound", "gap", "utilization", "objective", "algorithm", "planning_seconds")
    }
    figures["reasons"] = {**_cost_reasons(run), **planned.reasons}
    every = (planned.workers[j] for j in range(len(planned.workers)))
    figures["workers"] = [{**asdict(w), "labels": sorted(w.labels)} for w in every]
    run.files.put("plan.json", json.dumps(figures, default=str).encode())
    ids = pa.DictionaryArray.from_arrays(pa.array(planned.worker), pa.array(planned.workers.worker_id, pa.string()))
    columns = {"task_id": planned.tasks.task_id, "worker_id": ids, "start": planned.start, "finish": planned.finish}
    columns |= {"seconds": planned.tasks.seconds, "memory_bytes": planned.tasks.memory_bytes}
    run.write_table("plan", pa.table(columns))


def _cost_reasons(run: RunDirectory) -> dict[str, Any]:
    """What the plan of an earlier session said about its costs: a resume places the rest by the same ones."""
    reasons = run.plan().get("reasons")
    if not isinstance(reasons, dict):
        return {}
    return {key: reasons[key] for key in ("cost source", "cost unit") if key in reasons}
