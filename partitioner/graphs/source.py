"""A pipeline as the stages of a run see it: a dataset whose fragments are its sub-tasks, their costs, and their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from partitioner import choices
from partitioner.costs.base import CostModel
from partitioner.errors import DataError
from partitioner.graphs.graph import Graph
from partitioner.graphs.step import DATASET, Step
from partitioner.model import Costs, Dataset, Fragment, Fragments, Limits, SubTasks
from partitioner.model.source import Source
from partitioner.splits.base import Splitter


@dataclass(frozen=True, slots=True, eq=False)
class StepsSource(Source):
    """The rows of ``inner`` in ``parts`` partitions for the steps over them; one empty row for the calls of other steps.

    ``graph`` and ``partitions`` (the fragments of each) are known once it is described.
    """

    inner: Source | None
    steps: tuple[Step, ...]
    parts: int
    graph: Graph | None = None
    partitions: tuple[Fragments, ...] = ()

    name: ClassVar[str] = "steps"

    def describe(self) -> Dataset:
        """A fragment for each sub-task."""
        partitions = () if self.inner is None else _partitions(self.inner.describe(), self.parts)
        if self.inner is not None and not partitions:
            raise DataError("the dataset of the pipeline has no rows; check its path.")
        sizes = np.array([_size(p) for p in partitions], np.float64)
        shares = (sizes / sizes.sum()).tolist() if sizes.sum() > 0 else [1.0 for _ in sizes]
        graph = Graph.of(self.steps, shares)
        described = replace(self, graph=graph, partitions=partitions)
        return Dataset(described, Fragments.of(described._fragments(graph)), None, None)

    def _fragments(self, graph: Graph) -> list[Fragment]:
        of_dataset = {step.name for step in self.steps if step.over == DATASET}
        found = []
        for i, cell in enumerate(graph.cells):
            held = self._held(cell.part) if cell.step in of_dataset and not cell.merges else None
            known = held is None or bool((held.rows >= 0).all())
            rows = 1 if held is None else int(held.rows.sum()) if known else -1
            size = 0 if held is None else int(held.bytes.sum())
            found.append(Fragment(i, cell.key, cell.part if held is not None else -2, 0, max(rows, 1), rows, size))
        return found

    def _held(self, part: int) -> Fragments:
        if part >= 0:
            return self.partitions[part]
        return Fragments.of([p[i] for p in self.partitions for i in range(len(p))])

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a partition (section -1: of all), or the row that lets a step over other results be called."""
        if fragment.section < -1 or self.inner is None:
            yield pa.RecordBatch.from_pydict({"sub_task": [fragment.path]})
            return
        held = self._held(fragment.section)
        for i in range(len(held)):
            yield from self.inner.read(held[i], columns)

    def fingerprints(self) -> dict[str, str]:
        """Those of the dataset."""
        return {} if self.inner is None else self.inner.fingerprints()

    def contents(self) -> dict[str, str]:
        """Those of the dataset."""
        return {} if self.inner is None else self.inner.contents()

    def own_engine(self) -> Any:
        """That of the dataset."""
        return None if self.inner is None else self.inner.own_engine()

    def materialise(self, directory: str) -> Source:
        """With the dataset where workers reach it."""
        return self if self.inner is None else replace(self, inner=self.inner.materialise(directory))


def _partitions(dataset: Dataset, parts: int) -> tuple[Fragments, ...]:
    """At most so many contiguous ranges of the dataset, of about equal rows."""
    rows = np.where(dataset.fragments.rows >= 0, dataset.fragments.rows, dataset.fragments.bytes).astype(np.float64)
    splitter: Splitter = choices.choose("splits", "ordered")
    costs = Costs(rows, np.zeros(len(rows)), unit="rows", source="rows")
    tasks = splitter.split(dataset, costs, Limits(max_tasks=parts, slots=parts, min_tasks_per_slot=1))
    assert tasks.fragments is not None, "a split has fragments"
    return tuple(tasks.fragments.take(tasks.fragments_of(i)) for i in range(len(tasks)))


def _size(partition: Fragments) -> float:
    known = bool((partition.rows >= 0).all())
    return float((partition.rows if known else partition.bytes).sum())


def _graph_of(dataset: Dataset) -> Graph:
    source = dataset.source
    assert isinstance(source, StepsSource), "steps are planned"
    assert source.graph is not None, "they are described"
    return source.graph


class StepCosts(CostModel):
    """Seconds of each sub-task: ``calls`` by step are (fixed, for all rows) seconds, ``merges`` seconds of its merge.

    ``held``: bytes of a process that has called every step; 0 where none was seen.
    """

    name = "steps"

    def __init__(
        self, calls: Mapping[str, tuple[float, float]], merges: Mapping[str, float], source: str, held: float = 0.0
    ) -> None:
        self.calls, self.merges, self.source, self.held = dict(calls), dict(merges), source, held

    def estimate(self, dataset: Dataset) -> Costs:
        """What is fixed counts for every call; the rest follows the rows."""
        graph = _graph_of(dataset)
        memory = {step.name: step.memory_bytes for step in graph.steps}
        told = {f"step {name}": f"{a:.3g} s a call, {b:.3g} s for all rows" for name, (a, b) in self.calls.items()}
        held = 0.0 if any(memory.values()) else self.held
        seconds = [self.merges[c.step] if c.merges else self._call(c.step, c.share) for c in graph.cells]
        return Costs(
            np.array(seconds, np.float64),
            np.array([memory[c.step] for c in graph.cells], np.float64),
            source=self.source,
            details=told,
            memory_declared=any(memory.values()),
            fixed_memory_bytes=held,
            process_memory=held > 0,
        )

    def _call(self, step: str, share: float) -> float:
        fixed, rest = self.calls[step]
        return fixed + rest * share


class StepSplit(Splitter):
    """One sub-task for each fragment, waiting for those that the graph says."""

    name = "steps"
    own_demands = True
    keeps_groups = True

    def split(self, dataset: Dataset, costs: Costs, limits: Limits) -> SubTasks:
        """The cells of the graph, with the demands of their steps."""
        graph = _graph_of(dataset)
        steps = {step.name: step for step in graph.steps}
        n = len(graph.cells)
        return SubTasks.build(
            costs.seconds + costs.fixed_seconds,
            [cell.key for cell in graph.cells],
            memory_bytes=costs.memory_bytes + costs.fixed_memory_bytes,
            cpus=[steps[cell.step].cpus for cell in graph.cells],
            gpus=[0.0 if cell.merges else steps[cell.step].gpus for cell in graph.cells],
            edges=graph.edges(),
            fragments=dataset.fragments,
            offsets=np.arange(n + 1, dtype=np.int64),
            fragment_index=np.arange(n, dtype=np.int64),
        )
