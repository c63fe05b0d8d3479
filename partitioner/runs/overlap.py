"""Merges while sub-tasks still run: a node of the tree over partial results is merged once all that is below it is there.

The tree is the one of ``runs.merging``, and so are the files: what was merged meanwhile is found there when the last
sub-task is committed, as after a resume, and only the rest is merged then. What fails here is left to that.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace

from partitioner.attempt.job import Job
from partitioner.coordinator import ledger as ledgers
from partitioner.engines.base import Engine
from partitioner.engines.passing import Passing
from partitioner.model import Attempt, CommitRecord, Event, EventKind, Merge, Piece, Plan
from partitioner.reducers.fan_in import FanIn, width
from partitioner.runs.merge_tree import Tree, digest_of
from partitioner.runs.merging import FEWEST, Merger, pieces_of
from partitioner.store.run_directory import RunDirectory

ENOUGH = 4
"""Partial results that tell how large the others will be."""

MOST = 100_000
"""Sub-tasks up to which it is noted which are there: a dictionary of a million keys costs the driver more than it saves."""

SETTLE = 30.0
"""Seconds that merges under way get once the last sub-task is committed; they take less than a second for each GB."""

ENDS = (EventKind.FINISHED, EventKind.FAILED, EventKind.LOST, EventKind.CANCELLED)


@dataclass(frozen=True, slots=True)
class _Node:
    """A merge, with the number of its stage, its place on that level, who it was given to, and what became of it."""

    merge: Merge
    stage: int
    place: int
    worker_id: str = ""
    started: bool = False
    losses: int = 0


@contextmanager
def overlapped(merger: Merger, job: Job, planned: Plan, committed: Mapping[str, CommitRecord]) -> Iterator[Engine]:
    """The engine to run the sub-tasks on, which merges what they leave; the engine itself where there is nothing to gain.

    In the driver's own process nothing overlaps, and rows and what a reducer gathers are not merged at all.
    """
    able, reducer, left = merger.engine.capabilities, job.reducer, len(planned) > len(committed)
    merges = not reducer.rows and not reducer.gathers and FEWEST <= len(planned) <= MOST
    if able.in_driver or not able.real or not merges or not left:
        yield merger.engine
        return
    engine = Overlap(merger, job, planned, committed)
    try:
        yield engine
        engine.settle(SETTLE)
    finally:
        engine.settle(0.0)


def chosen_in(engine: Engine) -> FanIn | None:
    """The fan-in of what was merged meanwhile, None where nothing was."""
    return engine.chosen if isinstance(engine, Overlap) else None


def least_busy(busy: Mapping[str, int], merging: Set[str], cores: Mapping[str, float]) -> str | None:
    """Who gets the next merge: the worker with the fewest attempts and merges for each of its cores.

    None where that is one that merges: what it merges is done before a busier worker would begin.
    """
    load = {name: (count + (name in merging)) / cores[name] for name, count in busy.items()}
    name = min(load, key=lambda name: (load[name], name not in merging), default=None)
    return None if name in merging else name


class Overlap(Passing):
    """Hands out merges between sub-tasks, one at a time to a worker, and hides their events from the coordinator.

    Where a sub-task is divided the places in the tree shift, and it stops.
    """

    def __init__(self, merger: Merger, job: Job, planned: Plan, committed: Mapping[str, CommitRecord]) -> None:
        super().__init__(merger.engine)
        keys = planned.tasks.task_id.to_pylist()
        home = f"{merger.run.url}/merge"
        self._merger, self._job, self._planned = merger, job, planned
        self._index = {key: i for i, key in enumerate(keys)}
        self._leaves = [Piece(key, job.sink.url, "") for key in keys]
        self._digests = [""] * len(keys)
        self._tree = Tree(home, self._leaves, self._digests)
        self.chosen: FanIn | None = None  # once enough is there to tell
        self._missing: dict[tuple[int, int], int] = {}
        self._ready: deque[_Node] = deque()
        self._flying: dict[str, _Node] = {}
        self.late = merger.engine.late  # the driver loop hears of them; they are given no merges
        silent = frozenset() if self.late is None else self.late.waiting
        self._busy: Counter[str] = Counter({name: 0 for name in planned.workers.worker_id if name not in silent})
        self._cores = dict(zip(planned.workers.worker_id, planned.workers.cpus.tolist(), strict=True))
        self._live: dict[str, str] = {}
        self._ledger = ledgers.Ledger(RunDirectory(home))
        self._numbers: dict[str, int] = {}
        self._there, self._bytes, self._off = 0, 0, False
        for key in keys:
            if key in committed:
                self._leaf(committed[key])

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """As they are; where each runs is noted."""
        for attempt in attempts:
            self._live[attempt.attempt_id] = attempt.worker_id
            self._busy[attempt.worker_id] += 1
        self._engine.submit(attempts)

    def poll(self, timeout: float) -> list[Event]:
        """Events of sub-tasks; those of merges stay here."""
        events = [event for event in self._engine.poll(timeout) if not self._own(event)]
        for event in events:
            self._hear(event)
        self._hand_out()
        return events

    def settle(self, seconds: float) -> None:
        """Wait for merges under way, and give up those that take longer."""
        self._off = True
        end = time.monotonic() + seconds
        while self._flying and time.monotonic() < end:
            for event in self._engine.poll(0.1):
                if not self._own(event):
                    self._hear(event)
        if self._flying:
            self._engine.cancel(list(self._flying))
            self._flying.clear()
        self._ledger.flush()

    def _own(self, event: Event) -> bool:
        """Whether it is of a merge; one that is done may be what the merge above it waited for."""
        node = self._flying.get(event.attempt_id)
        if node is None:
            return False
        if event.kind is EventKind.STARTED:
            self._flying[event.attempt_id] = replace(node, started=True)
        if event.kind in ENDS:
            del self._flying[event.attempt_id]
            self._ledger.note(event.kind, attempt=event.attempt_id, worker=event.worker_id)
        if event.kind is EventKind.FINISHED:
            self._arrived(node.stage + 1, node.place)
        elif event.kind is EventKind.CANCELLED:
            self._ready.append(node)
        elif event.kind is EventKind.LOST:
            self._again(node)
        return True

    def _again(self, node: _Node) -> None:
        """A merge that was lost with its worker is tried once more; after that it may be what ends workers."""
        if node.losses == 0:
            self._ready.append(replace(node, losses=1))

    def _hear(self, event: Event) -> None:
        """Which workers there are, how much each has to do, and what is committed."""
        if event.kind is EventKind.WORKER_LOST:
            self._busy.pop(event.worker_id, None)
            for attempt_id in [a for a, node in self._flying.items() if node.worker_id == event.worker_id]:
                self._again(self._flying.pop(attempt_id))
        elif event.kind is EventKind.WORKER_JOINED:
            self._busy.setdefault(event.worker_id, 0)
            self._engine.cancel([a for a, node in self._flying.items() if not node.started])  # it has nothing to do
            if event.worker is not None:
                self._cores[event.worker_id] = event.worker.cpus
        elif event.kind in ENDS:
            where = self._live.pop(event.attempt_id, "")
            if where in self._busy:
                self._busy[where] -= 1
            if event.record is not None:
                self._leaf(event.record)

    def _leaf(self, record: CommitRecord) -> None:
        """A partial result is there."""
        place = self._index.get(record.task_key)
        if record.split or record.part is not None or place is None:
            self._off = True
            return
        if self._digests[place]:
            return
        (self._leaves[place],) = pieces_of(self._job.sink, [record])
        self._digests[place] = digest_of(self._leaves[place])
        self._there, self._bytes = self._there + 1, self._bytes + record.size
        if self.chosen is not None:
            self._arrived(0, place)
        elif self._there >= min(ENOUGH, len(self._leaves) - 1) and self._worth():
            self._begin()

    def _worth(self) -> bool:
        """Whether all of them will be more than the driver merges by itself."""
        return self._bytes / self._there * len(self._leaves) > int(self._merger.config.merge_above)

    def _begin(self) -> None:
        """Choose the fan-in by the sizes so far, and take up what is there already."""
        held = float(self._planned.tasks.memory_bytes.max())
        largest = float(max(leaf.size for leaf in self._leaves))
        self.chosen = self._merger.meanwhile(self._job.reducer, len(self._leaves), largest, held)
        if self.chosen is None:
            self._off = True
            return
        self._numbers = ledgers.next_numbers(RunDirectory(self._tree.home))
        for place, digest in enumerate(self._digests):
            if digest:
                self._arrived(0, place)

    def _arrived(self, stage: int, place: int) -> None:
        """A node that merges of ``stage`` take is there."""
        if self.chosen is None or stage == len(self.chosen.stages):
            return
        before, level = (0, *self.chosen.stages)[stage : stage + 2]
        step, above = level - before, place >> (level - before)
        children = min(width(len(self._leaves), before), (above + 1) << step) - (above << step)
        left = self._missing[stage, above] = self._missing.get((stage, above), children) - 1
        if left:
            return
        merge = self._tree.merge(before, level, above)
        if merge is None:
            self._arrived(stage + 1, above)
        else:
            self._ready.append(_Node(merge, stage, above))

    def _hand_out(self) -> None:
        """The merges that are ready, each to the worker with least to do, once that merges nothing any more."""
        while self._ready and not self._off:
            worker = least_busy(self._busy, {node.worker_id for node in self._flying.values()}, self._cores)
            if worker is None:
                return
            node = replace(self._ready.popleft(), worker_id=worker, started=False)
            attempt = self._attempt(node)
            self._numbers[node.merge.key] = attempt.number + 1
            self._flying[attempt.attempt_id] = node
            self._ledger.note("submitted", attempt=attempt.attempt_id, worker=worker)
            self._engine.submit([attempt])

    def _attempt(self, node: _Node) -> Attempt:
        assert self.chosen is not None, "merges are handed out once the fan-in is chosen"
        merger, key = self._merger, node.merge.key
        return Attempt(
            task_key=key,
            task=0,
            number=self._numbers.get(key, 0),
            worker_id=node.worker_id,
            run_url=merger.run.url,
            memory_bytes=self.chosen.held * max(leaf.size for leaf in self._leaves),
            cpus=merger.config.task_cpus,
            key=merger.run.key,
            epoch=merger.lease.epoch,
            merge=node.merge,
        )
