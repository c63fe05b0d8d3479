"""Stage 6 where partial results are large: they are merged where the workers are, and the driver reads one.

<run>/merge/
  plan.json, plan.parquet, ledger/, commits/   of the merges, as a run has them of its sub-tasks
  partials/merge-04-000012.value                node 12 on level 4 of the tree over all partial results

A node says at its end which partial results it was made of. So a resume keeps what fits, whatever the fan-in was
then, and merges again what was made of others. Small results are merged by the driver: the same tree, the same bits.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from partitioner.attempt.job import Job
from partitioner.config import RunConfig
from partitioner.coordinator.execute import in_order
from partitioner.coordinator.merges import execute_merges
from partitioner.engines.base import Engine
from partitioner.errors import DamagedOutput
from partitioner.measure import release_memory
from partitioner.model import CommitRecord, Edges, Merge, Piece, Plan, Sink, SubTasks, Workers
from partitioner.placement.algorithms.heft import Heft
from partitioner.reducers import partials
from partitioner.reducers.base import Reducer
from partitioner.reducers.fan_in import DEEPEST, LINK, MERGING, FanIn, fan_in, held_by, of_levels
from partitioner.report.progress import Progress
from partitioner.runs.merge_tree import Tree
from partitioner.stages.resolved import USABLE_MEMORY
from partitioner.store.lease import Lease
from partitioner.store.run_directory import RunDirectory

FEWEST = 3
"""Partial results from which on a merge elsewhere can be worth it: two are the input of the last merge in any case."""

DRIVER_HOLDS = 2
"""Partial results that a merge may hold where the engine works in the driver's process, which so stays below three."""


def pieces_of(sink: Sink, records: Sequence[CommitRecord]) -> list[Piece]:
    """The partial results of committed sub-tasks, in order; those that were split are in their parts."""
    return [Piece(r.task_key, sink.url, r.path, 0, r.size, r.digest) for r in records if not r.split]


@dataclass(frozen=True, slots=True, eq=False)
class Merger:
    """Merges the partial results of one run, here or on the workers; ``planned`` are those that the run was planned for.

    ``early``: the fan-in of merges that were made while sub-tasks ran, where any could be.
    """

    config: RunConfig
    engine: Engine
    run: RunDirectory
    lease: Lease
    planned: Workers
    early: FanIn | None = None

    def merged(self, job: Job, pieces: Sequence[Piece]) -> Any:
        """All pieces as one accumulator. RunFailed names the sub-task whose piece is gone, torn, another or NaN."""
        if not (self.early or elsewhere(self.config, job.reducer, pieces)):
            return partials.merged(job.reducer, job.sink, pieces, job.partials_key)
        tree = Tree.over(f"{self.run.url}/merge", pieces)
        sink = job.sink.beside(f"{tree.home}/partials")
        if not _sound(sink, tree.root):
            self._merge(job, tree, sink)
        release_memory()
        found = partials.stored(job.reducer, sink, tree.root, job.partials_key)
        for key in sink.keys() - {tree.root.key}:
            sink.discard(key)  # what was merged on the way
        return found

    def _merge(self, job: Job, tree: Tree, sink: Sink) -> None:
        workers = self.engine.workers()
        if self.engine.late is not None:  # whoever has not answered all the while is given nothing now
            silent = self.engine.late.waiting
            workers = workers.take([j for j, name in enumerate(workers.worker_id) if name not in silent])
        if not len(workers):
            workers = self.planned  # they died a moment ago; some come back, or the run stops and says so
        chosen, slots = self._fan_in(job.reducer, tree, workers)
        merges, below = tree.merges(chosen.stages)
        done = {key for key, merge in merges.items() if _sound(sink, _piece(merge))}
        left = {key: merge for key, merge in merges.items() if key not in done}
        planned = self._placed(left, below, chosen, tree, workers)
        said = (
            f"{len(tree.leaves)} partial results of up to {tree.size / 1e6:.3g} MB are merged by sub-tasks of their own: "
            f"{len(left)}, on workers: {len(workers)}, up to {chosen.inputs} at a time, stages: {len(chosen.stages)}"
        )
        why = (
            f"fan-in {chosen.inputs}: about {chosen.seconds:.3g} s on {slots} slots with a link of {LINK / 1e9:g} GB/s and "
            f"{MERGING / 1e9:g} GB/s in memory; {chosen.held} partial results held at once"
        )
        before = (
            "merges while sub-tasks still ran, or of an earlier session"
            if self.early
            else "merges of an earlier session"
        )
        kept = {"kept": f"{before}: {len(done)}"} if done else {}
        notes = {**planned.about.notes, "merge": said, "fan-in": why, **kept}
        planned = replace(planned, about=replace(planned.about, notes=notes))
        home = RunDirectory(tree.home)
        with Progress(planned, enabled=self.config.progress) as progress:
            execute_merges(self.config, self.engine, planned, self.run, home, left, self.lease, [progress])

    def _fan_in(self, reducer: Reducer, tree: Tree, workers: Workers) -> tuple[FanIn, int]:
        """The fan-in, and the slots of all workers; what was chosen while sub-tasks ran stays where it fits."""
        slots, memory = self._room(workers)
        if self.engine.capabilities.in_driver:
            memory = min(memory, DRIVER_HOLDS * tree.size)
        if self.early is not None and self.early.held * tree.size <= memory:
            return of_levels(self.early.levels, len(tree.leaves), tree.size, slots, reducer.in_place), slots
        return fan_in(len(tree.leaves), tree.size, slots, memory, reducer.in_place), slots

    def _room(self, workers: Workers) -> tuple[int, float]:
        """Slots of all workers, and bytes of the smallest."""
        at_once = np.maximum(1.0, np.floor(workers.cpus / self.config.task_cpus))
        return int(at_once.sum()), float((workers.memory_bytes / at_once).min()) * USABLE_MEMORY

    def meanwhile(self, reducer: Reducer, count: int, size: float, held: float) -> FanIn | None:
        """The fan-in of merges beside sub-tasks that hold ``held`` bytes each: None where there is no room for one.

        Half the levels of the tree at most, so that something can be merged before the last sub-task is committed.
        """
        slots, memory = self._room(self.planned)
        if held_by(1, reducer.in_place) * size > memory - held:
            return None
        half = max(1, (count - 1).bit_length() // 2)
        return fan_in(count, size, slots, memory - held, reducer.in_place, min(half, DEEPEST))

    def _placed(
        self,
        merges: Mapping[str, Merge],
        below: Mapping[str, Sequence[str]],
        chosen: FanIn,
        tree: Tree,
        workers: Workers,
    ) -> Plan:
        """Merges on workers, each after those whose results it takes."""
        index = {key: i for i, key in enumerate(merges)}
        pairs = [(index[child], i) for key, i in index.items() for child in below[key] if child in index]
        source, target = np.array(pairs, np.int64).reshape(-1, 2).T
        n = len(merges)
        taken = np.array([len(merge.pieces) for merge in merges.values()], np.float64)
        room = float(workers.memory_bytes.max()) * USABLE_MEMORY
        tasks = SubTasks.build(
            (taken + 1) * tree.size / LINK + (taken - 1) * tree.size / MERGING,
            list(merges),
            cpus=np.full(n, self.config.task_cpus),
            memory_bytes=np.full(n, min(chosen.held * tree.size, room)),
            edges=Edges(source, target, np.zeros(len(source)), np.full(len(source), tree.size)),
        )
        return Heft().place(tasks, workers, "makespan", self.config.seed)


def elsewhere(config: RunConfig, reducer: Reducer, pieces: Sequence[Piece]) -> bool:
    """Whether partial results are merged by sub-tasks: not few or small ones, nor what merging makes no smaller."""
    large = sum(piece.size for piece in pieces) > config.merge_above
    return large and len(pieces) >= FEWEST and not reducer.gathers and not reducer.rows


def waits(
    config: RunConfig, run: RunDirectory, job: Job, tasks: SubTasks, committed: Mapping[str, CommitRecord], version: int
) -> bool:
    """Whether merges on workers may be left to run, where all sub-tasks are committed."""
    if job.reducer.rows or job.reducer.gathers:
        return False
    pieces = pieces_of(job.sink, in_order(tasks.task_id.to_pylist(), committed))
    if version or not elsewhere(config, job.reducer, pieces):
        return elsewhere(config, job.reducer, pieces)
    tree = Tree.over(f"{run.url}/merge", pieces)
    return not _sound(job.sink.beside(f"{tree.home}/partials"), tree.root)


def _piece(merge: Merge) -> Piece:
    return Piece(merge.key, merge.place, f"{merge.key}.value", of=merge.of)


def _sound(sink: Sink, piece: Piece) -> bool:
    """Whether a merge is committed, whole, and of these partial results; what is not so is removed, and that is said."""
    try:
        facts = sink.committed(piece.key)
        if facts is None:
            return False
        if facts.get("of") == piece.of:
            sink.partials(piece.name, [0])  # reads it, and checks its digest
            return True
        problem = "made of other partial results"
    except DamagedOutput as error:
        problem = str(error)
    sink.discard(piece.key)
    print(f"{piece.key}: {problem}; it is merged again", file=sys.stderr)
    return False
