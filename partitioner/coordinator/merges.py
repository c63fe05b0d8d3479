"""Merges of partial results, driven as sub-tasks are: placed, in the order of their predecessors, committed one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from partitioner.config import RunConfig
from partitioner.coordinator import ledger as ledgers
from partitioner.coordinator.driver import Observer, drive
from partitioner.coordinator.execute import Collector, Fence, policy_for, write_plan
from partitioner.coordinator.policy import BACKUP_FACTOR
from partitioner.coordinator.state import initial
from partitioner.engines.base import Engine
from partitioner.engines.passing import Passing
from partitioner.model import Attempt, CommitRecord, Merge, Plan
from partitioner.store.lease import Lease
from partitioner.store.run_directory import RunDirectory


class MergingEngine(Passing):
    """An engine for merges: it gives every attempt the partial results that it is to merge."""

    def __init__(self, engine: Engine, merges: Mapping[str, Merge]) -> None:
        super().__init__(engine)
        self._merges = merges

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """With what each merges."""
        self._engine.submit([replace(attempt, merge=self._merges[attempt.task_key]) for attempt in attempts])


def execute_merges(
    config: RunConfig,
    engine: Engine,
    planned: Plan,
    run: RunDirectory,
    home: RunDirectory,
    merges: Mapping[str, Merge],
    lease: Lease,
    watching: Sequence[Observer] = (),
) -> Mapping[str, CommitRecord]:
    """Run all merges of a plan to their commits: the record of each by its key.

    No row is to blame for a merge that fails, and nothing of it is set aside; limits on the program's time are not its own.
    Ledger, plan and commits lie in ``home``, apart from those of sub-tasks.
    """
    policy = policy_for(config, engine)
    keys = planned.tasks.task_id.to_pylist()
    numbers = ledgers.next_numbers(home)
    state = initial(
        planned,
        run.url,
        replace(policy, quarantine=False, backup_factor=BACKUP_FACTOR, timeout_seconds=inf, timeout_factor=inf),
        seconds_known=False,
        key=run.key,
        epoch=lease.epoch,
        first_numbers={i: numbers[key] for i, key in enumerate(keys) if key in numbers},
    )
    ledger, collector = ledgers.Ledger(home), Collector({})
    write_plan(home, planned)
    ledger.note("session", engine=engine.name, workers=list(planned.workers.worker_id), committed=0)
    try:
        drive(MergingEngine(engine, merges), state, [ledger, collector, Fence(lease), *watching], engine.clock)
        ledger.note("end")
    finally:
        ledger.flush()
    return collector.records
