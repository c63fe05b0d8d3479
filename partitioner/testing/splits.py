"""The contract suite of splitters: subclass it in a test module and give the ``splitter`` fixture.

The rows have a column ``key`` of five values and a column ``label`` of three, for splitters that need them. Instances
come from a seeded generator, so a failure repeats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from partitioner.errors import ConfigError, InfeasiblePlan
from partitioner.model import Costs, Dataset, Fragment, Fragments, Limits, SubTasks
from partitioner.model.data import Floats, Ints
from partitioner.model.source import Source
from partitioner.splits.base import Splitter


@dataclass(frozen=True)
class NumberedRows(Source):
    """A source of rows numbered by ``row``, with columns ``key`` (row / 7 mod 5) and ``label`` (row mod 3)."""

    name: ClassVar[str] = "numbered"
    batch_rows: int = 16

    def describe(self) -> Dataset:
        """Not known: ``dataset_of`` describes it."""
        raise NotImplementedError

    def read(self, fragment: Fragment, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows ``start`` to ``stop``."""
        for start in range(fragment.start, fragment.stop, self.batch_rows):
            row = np.arange(start, min(start + self.batch_rows, fragment.stop))
            batch = pa.record_batch({"row": row, "key": row // 7 % 5, "label": row % 3})
            yield batch.select(list(columns)) if columns is not None else batch

    def fingerprint(self, fragment: Fragment) -> str:
        """Never changes."""
        return ""

    def fingerprints(self) -> dict[str, str]:
        """No files."""
        return {}


def dataset_of(rows: Ints, divisible_by: str | None = "rows") -> Dataset:
    """``NumberedRows`` with a fragment per entry of ``rows``, 8 bytes a row."""
    stop = np.cumsum(rows, dtype=np.int64)
    zeros = np.zeros(len(rows), np.int32)
    fragments = Fragments(("data",), zeros, zeros, stop - rows, stop, rows, rows * 8)
    return Dataset(NumberedRows(), fragments, None, divisible_by)


def rows_of(dataset: Dataset, tasks: SubTasks) -> list[list[int]]:
    """The numbers of the rows that each sub-task reads."""
    assert tasks.fragments is not None
    held = []
    for i in range(len(tasks)):
        fragments = [tasks.fragments[int(f)] for f in tasks.fragments_of(i)]
        held.append([n for f in fragments for b in dataset.source.read(f, ["row"]) for n in b["row"].to_pylist()])
    return held


def _instances(divisible_by: str | None) -> Iterator[tuple[Dataset, Costs]]:
    for seed in range(12):
        draw = np.random.default_rng(seed)
        rows = draw.integers(1, 200, size=int(draw.integers(1, 60)))
        seconds: Floats = rows * draw.uniform(0.1, 2.0, size=len(rows))
        costs = Costs(seconds, rows.astype(np.float64) * 1e3, fixed_seconds=0.25, fixed_memory_bytes=5e3)
        yield dataset_of(rows, divisible_by), costs


def _split(splitter: Splitter, dataset: Dataset, costs: Costs, limits: Limits) -> tuple[Dataset, SubTasks]:
    seen, costs_seen = splitter.prepare(dataset, costs)
    assert costs_seen is not None
    return seen, splitter.split(seen, costs_seen, limits)


class SplitterContract:
    """Laws of ``Splitter.split``, and of ``prepare`` where there is one."""

    @pytest.fixture
    def splitter(self) -> Splitter:
        """The splitter under test."""
        raise NotImplementedError

    @pytest.mark.parametrize("divisible_by", ["rows", None])
    def test_every_row_is_held_exactly_once(self, splitter: Splitter, divisible_by: str | None) -> None:
        """What sub-tasks read is the input, and as many rows as they say."""
        for dataset, costs in _instances(divisible_by):
            seen, tasks = _split(splitter, dataset, costs, Limits(slots=3))
            held = rows_of(seen, tasks)
            assert sorted(n for rows in held for n in rows) == list(range(dataset.rows))
            assert tasks.fragments is not None
            said = [int(tasks.fragments.rows[tasks.fragments_of(i)].sum()) for i in range(len(tasks))]
            assert [len(rows) for rows in held] == said
            assert abs(int(tasks.fragments.bytes.sum()) - dataset.rows * 8) <= len(tasks.fragments)

    @pytest.mark.parametrize("divisible_by", ["rows", None])
    def test_seconds_are_those_of_the_fragments_plus_the_fixed_part(
        self, splitter: Splitter, divisible_by: str | None
    ) -> None:
        """Nothing is lost between fragments and sub-tasks."""
        for dataset, costs in _instances(divisible_by):
            _, tasks = _split(splitter, dataset, costs, Limits(slots=3))
            assert float(tasks.seconds.sum()) == pytest.approx(float(costs.seconds.sum()) + 0.25 * len(tasks))
            assert float(tasks.memory_bytes.sum()) == pytest.approx(float(costs.memory_bytes.sum()) + 5e3 * len(tasks))

    def test_limits_hold_for_every_sub_task(self, splitter: Splitter) -> None:
        """No sub-task is above the target seconds or the allowed memory."""
        for dataset, costs in _instances("rows"):
            limits = Limits(target_task_seconds=20.0, allowed_mem=20e3, divisible=True)
            _, tasks = _split(splitter, dataset, costs, limits)
            assert tasks.seconds.max() <= 20.0 * (1 + 1e-6)
            assert tasks.memory_bytes.max() <= 20e3 * (1 + 1e-6)

    def test_max_tasks_is_not_exceeded(self, splitter: Splitter) -> None:
        """``max_tasks`` prevails over the target and over tasks per slot."""
        for dataset, costs in _instances("rows"):
            limits = Limits(target_task_seconds=5.0, max_tasks=3, min_tasks_per_slot=4, slots=2)
            assert len(_split(splitter, dataset, costs, limits)[1]) <= 3

    def test_fragments_of_a_sub_task_are_in_input_order(self, splitter: Splitter) -> None:
        """Indices ascend within each sub-task, and none is empty."""
        for dataset, costs in _instances("rows"):
            _, tasks = _split(splitter, dataset, costs, Limits(slots=3))
            for i in range(len(tasks)):
                index = tasks.fragments_of(i)
                assert len(index) > 0
                assert (np.diff(index) > 0).all()

    def test_same_input_gives_the_same_sub_tasks(self, splitter: Splitter) -> None:
        """Pure and deterministic."""
        for dataset, costs in _instances("rows"):
            first, second = (_split(splitter, dataset, costs, Limits(slots=5))[1] for _ in range(2))
            assert first.task_id == second.task_id
            assert first.offsets.tolist() == second.offsets.tolist()
            assert first.fragment_index.tolist() == second.fragment_index.tolist()

    def test_an_empty_dataset_has_no_sub_tasks(self, splitter: Splitter) -> None:
        """And is no error."""
        empty = np.empty(0)
        _, tasks = _split(splitter, dataset_of(np.empty(0, np.int64)), Costs(empty, empty), Limits())
        assert len(tasks) == 0
        assert tasks.offsets.tolist() == [0]

    def test_what_breaks_the_memory_is_refused_where_it_cannot_be_cut(self, splitter: Splitter) -> None:
        """The message names fragment, size, limit and remedy; what ``prepare`` made divisible is cut instead."""
        dataset = dataset_of(np.array([10, 10]), None)
        costs = Costs(np.array([5.0, 45.0]), np.array([1e6, 9e9]))
        limits = Limits(allowed_mem=4e9, divisible=True)
        if splitter.prepare(dataset, costs)[0] is dataset:
            with pytest.raises(InfeasiblePlan) as caught:
                _split(splitter, dataset, costs, limits)
            assert all(word in str(caught.value) for word in ("Fragment 1", "allowed_mem", "Raise")), caught.value
            for size in (r"9(\.0)? ?GB|9e\+09|9_?000_?000_?000", r"4(\.0)? ?GB|4e\+09|4_?000_?000_?000"):
                assert re.search(size, str(caught.value)), caught.value
        else:
            assert _split(splitter, dataset, costs, limits)[1].memory_bytes.max() <= 4e9

    def test_what_is_longer_than_the_target_and_cannot_be_cut_is_a_sub_task_of_its_own(
        self, splitter: Splitter
    ) -> None:
        """The others keep to the target; what ``prepare`` made divisible is cut instead, down to single rows."""
        dataset = dataset_of(np.array([10, 10, 10, 10, 10]), None)
        costs = Costs(np.array([5.0, 10.0, 250.0, 20.0, 15.0]), np.ones(5))
        _, tasks = _split(splitter, dataset, costs, Limits(target_task_seconds=30.0, divisible=True))
        longer = np.flatnonzero(tasks.seconds > 30.0 * (1 + 1e-6)).tolist()
        assert tasks.fragments is not None
        if splitter.prepare(dataset, costs)[0] is dataset:
            assert tasks.seconds[longer].tolist() == [250.0]
        else:
            assert all(int(tasks.fragments.rows[tasks.fragments_of(i)].sum()) == 1 for i in longer)

    @pytest.mark.parametrize("name", ["target_task_seconds", "allowed_mem", "max_tasks", "min_tasks_per_slot"])
    def test_a_limit_of_zero_is_refused(self, splitter: Splitter, name: str) -> None:
        """The message names the limit."""
        wrong: dict[str, Any] = {name: 0}
        with pytest.raises(ConfigError, match=f"{name} = 0"):
            _split(splitter, dataset_of(np.array([10])), Costs(np.ones(1), np.ones(1)), Limits(**wrong))

    def test_preparing_twice_is_preparing_once(self, splitter: Splitter) -> None:
        """A resumed run prepares what may have been prepared."""
        dataset, costs = next(_instances("rows"))
        once = splitter.prepare(dataset, costs)
        assert splitter.prepare(*once) == once
