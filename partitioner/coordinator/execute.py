"""Stage 5: preflight, then the driver loop over the machine, watched by ledger, progress and collector."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from partitioner.config import RunConfig
from partitioner.coordinator import ledger as ledgers
from partitioner.coordinator.driver import Observer, drive
from partitioner.coordinator.state import Action, Policy, State, Submit, initial
from partitioner.engines.base import Engine
from partitioner.errors import PartitionerError
from partitioner.lease import Lease
from partitioner.model import CommitRecord, Event, EventKind, Plan
from partitioner.run_directory import RunDirectory


class Collector:
    """Keeps the record of every sub-task and counts submissions."""

    def __init__(self, committed: Mapping[str, CommitRecord]) -> None:
        self.records = dict(committed)
        self.attempted = 0

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """The first record of a sub-task is the one that counts."""
        self.attempted += sum(isinstance(action, Submit) for action in actions)
        for event in events:
            if event.kind is EventKind.FINISHED and event.record is not None:
                self.records.setdefault(event.record.task_key, event.record)


class Fence:
    """Stops a driver whose run another one took over."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def observe(self, state: State, events: Sequence[Event], actions: Sequence[Action]) -> None:
        """Raises LeaseLost."""
        self._lease.check()


def policy_for(config: RunConfig, engine: Engine) -> Policy:
    """Limits from the configuration, and dispatch as the engine's capabilities ask for."""
    able = engine.capabilities
    return Policy(max_retries=config.max_retries, bundle=able.bundle, rerouted=able.placement == "hint")


def execute(
    config: RunConfig,
    engine: Engine,
    planned: Plan,
    run: RunDirectory,
    committed: Mapping[str, CommitRecord],
    seconds_known: bool,
    lease: Lease,
    watching: Sequence[Observer] = (),
) -> tuple[tuple[CommitRecord, ...], int]:
    """Run what is not committed; the records of all sub-tasks in order, and how many attempts this session made."""
    keys = planned.tasks.task_id.to_pylist()
    numbers = ledgers.next_numbers(run) if committed or run.files.names("ledger") else {}
    state = initial(
        planned,
        run.url,
        policy_for(config, engine),
        committed=[i for i, key in enumerate(keys) if key in committed],
        seconds_known=seconds_known,
        key=run.key,
        epoch=lease.epoch,
        first_numbers={i: numbers[key] for i, key in enumerate(keys) if key in numbers},
    )
    ledger, collector = ledgers.Ledger(run), Collector(committed)
    watching = [ledger, collector, Fence(lease), *watching]
    if not state.finished:  # a resume with nothing left to do leaves the plan that was followed
        write_plan(run, planned)
    ledger.note("session", engine=engine.name, workers=list(planned.workers.worker_id), committed=len(committed))
    try:
        drive(engine, state, watching, engine.clock)
        ledger.note("end")
    except PartitionerError as error:
        ledger.note("stopped", error={"type": type(error).__name__, "message": str(error)})
        raise
    finally:
        ledger.flush()
    return tuple(collector.records[key] for key in keys), collector.attempted


def write_plan(run: RunDirectory, planned: Plan) -> None:
    """``plan.json`` and ``plan.parquet``: what the report compares the run with."""
    import pyarrow as pa

    figures: dict[str, Any] = {
        name: getattr(planned, name)
        for name in ("makespan", "lower_bound", "gap", "utilization", "objective", "algorithm", "planning_seconds")
    }
    figures["reasons"] = {**_cost_reasons(run), **planned.reasons}
    figures["workers"] = [
        {"worker_id": w.worker_id, "cpus": w.cpus, "memory_bytes": w.memory_bytes, "speed": w.speed, "host": w.host}
        for w in (planned.workers[j] for j in range(len(planned.workers)))
    ]
    run.files.put("plan.json", json.dumps(figures, default=str).encode())
    ids = pa.DictionaryArray.from_arrays(pa.array(planned.worker), pa.array(planned.workers.worker_id, pa.string()))
    columns = {"task_id": planned.tasks.task_id, "worker_id": ids, "start": planned.start, "finish": planned.finish}
    columns |= {"seconds": planned.tasks.seconds, "memory_bytes": planned.tasks.memory_bytes}
    run.write_table("plan", pa.table(columns))


def _cost_reasons(run: RunDirectory) -> dict[str, Any]:
    """What the plan of an earlier session said about its costs: a resume places the rest by the same ones."""
    try:
        reasons = json.loads(run.files.get("plan.json"))["reasons"]
    except FileNotFoundError:
        return {}
    return {key: reasons[key] for key in ("cost source", "cost unit") if key in reasons}
