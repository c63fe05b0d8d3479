"""The sub-tasks of a pipeline: one for each call of each step, with what each waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.graphs.step import DATASET, MERGE, Step
from partitioner.model import Edges


@dataclass(frozen=True, slots=True)
class Cell:
    """One sub-task: a call of ``step``, on partition ``part`` of its rows (-1: on all, or none), or its merge.

    ``share`` of the rows that the step gets in all. ``waits``: keys of the cells whose results it reads.
    """

    step: str
    part: int
    share: float
    waits: tuple[str, ...] = ()
    merges: bool = False

    @property
    def key(self) -> str:
        """The name of the sub-task, such as ``features-0003``."""
        return f"{self.step}-{MERGE}" if self.merges else f"{self.step}-{max(self.part, 0):04d}"


def step_of(key: str) -> tuple[str, bool]:
    """The step of a sub-task, and whether it is its merge."""
    name, _, part = key.rpartition("-")
    return name, part == MERGE


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """All cells, each after those that it waits for; ``results``: the keys that hold the result of each step, in order."""

    steps: tuple[Step, ...]
    cells: tuple[Cell, ...]
    results: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, steps: Sequence[Step], shares: Sequence[float]) -> Graph:
        """For a dataset whose partitions hold these ``shares`` of its rows (they sum to 1)."""
        cells: list[Cell] = []
        outcome: dict[str, tuple[str, ...]] = {}
        split: dict[str, tuple[float, ...]] = {DATASET: tuple(shares)}
        for step in steps:
            calls = _calls(step, split, outcome)
            cells += calls
            outcome[step.name] = tuple(c.key for c in calls)
            split[step.name] = tuple(c.share for c in calls)
            if step.reducer is not None:
                merge = Cell(step.name, -1, 1.0, outcome[step.name], merges=True)
                cells.append(merge)
                outcome[step.name], split[step.name] = (merge.key,), (1.0,)
        return cls(tuple(steps), tuple(cells), outcome)

    def edges(self) -> Edges:
        """Which sub-task waits for which, by index."""
        index = {cell.key: i for i, cell in enumerate(self.cells)}
        pairs = [(index[key], i) for i, cell in enumerate(self.cells) for key in cell.waits]
        source, target = np.array(pairs, np.int64).reshape(-1, 2).T
        return Edges(source, target, np.zeros(len(pairs)), np.zeros(len(pairs)))


def _calls(step: Step, split: dict[str, tuple[float, ...]], outcome: dict[str, tuple[str, ...]]) -> list[Cell]:
    """The calls of a step: partition by partition of what it is over, or one."""
    used = tuple(key for name in step.using for key in outcome[name])
    if step.over is None:
        return [Cell(step.name, -1, 1.0, used)]
    rows = outcome.get(step.over, ())
    if step.whole:
        return [Cell(step.name, -1, 1.0, (*rows, *used))]
    shares = split[step.over]
    return [Cell(step.name, p, shares[p], (*rows[p : p + 1], *used)) for p in range(len(shares))]
