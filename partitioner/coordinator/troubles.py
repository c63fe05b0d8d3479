"""What has gone wrong so far, by sub-task and by worker, and which parts a sub-task was split into."""

from __future__ import annotations

from dataclasses import dataclass, field

from partitioner.model import Spans

Range = tuple[int, int]
"""Rows [start, stop) of a sub-task."""


@dataclass(slots=True)
class Trouble:
    """What happened to the attempts at one sub-task.

    ``failed_on`` and ``died_on``: the workers in order, with how often; ``suspects``: worker to the rows that failed
    alone there; ``rounds``: attempts that ended with such rows; ``losses``: attempts that were lost and are not charged;
    ``smaller``: into how many a batch is divided, for the memory of a GPU; ``condemned``: why its only row is to be set
    aside; ``doubted``: an attempt that set it aside died too, so it was tried once more; ``counting``: its rows are to be
    counted, so that it can be split; ``slow_on``: workers that are slow.
    """

    failed_on: dict[str, int] = field(default_factory=dict)
    died_on: dict[str, int] = field(default_factory=dict)
    suspects: dict[str, Spans] = field(default_factory=dict)
    rounds: int = 0
    losses: int = 0
    smaller: int = 1
    condemned: str = ""
    doubted: bool = False
    counting: bool = False
    slow_on: frozenset[str] = frozenset()

    def times_on(self, worker_id: str) -> int:
        """How many attempts went wrong on that worker."""
        return self.failed_on.get(worker_id, 0) + self.died_on.get(worker_id, 0)


@dataclass(slots=True)
class Health:
    """What speaks for and against one worker.

    ``failing``: sub-tasks that failed here and of which no other worker has said yet whose fault that was; ``blamed``: those
    that went well elsewhere, where the worker is to blame; ``successes``; ``exclusions``: how often it was left out.
    """

    failing: dict[int, None] = field(default_factory=dict)
    blamed: dict[int, None] = field(default_factory=dict)
    successes: int = 0
    exclusions: int = 0
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Rows [start, stop) of the planned sub-task ``whole``; ``split_from``: the keys of what it was split from."""

    whole: int
    key: str
    start: int
    stop: int
    split_from: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many."""
        return self.stop - self.start


def range_of(key: str, rows: int) -> Range:
    """The rows that a name stands for: all ``rows`` where it is that of a whole sub-task."""
    start, dash, stop = key.partition(".")[2].partition("-")
    return (int(start), int(stop)) if dash else (0, rows)


@dataclass(slots=True)
class Search:
    """The search for rows that kill in one planned sub-task of ``rows`` rows.

    ``good``: rows of the largest range that went well; ``by_row``: a range no larger died, so a row is the cause; ``next``:
    part to the other half, to be looked at when the part went well; ``put_by``: ranges nobody has tried; ``parts`` that are
    not done; ``condemned`` rows.
    """

    rows: int
    good: int = 0
    by_row: bool = False
    next: dict[int, Range] = field(default_factory=dict)
    put_by: list[Range] = field(default_factory=list)
    parts: set[int] = field(default_factory=set)
    condemned: int = 0
    split: dict[str, Range] = field(default_factory=dict)  # keys of what was divided: never to be committed any more
