"""The contract suite of splitters: subclass it in a test module and give the ``splitter`` fixture.

The laws hold for every splitter that needs no keys; instances come from a seeded generator, so a failure repeats.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from partitioner.errors import ConfigError, InfeasiblePlan
from partitioner.model import Costs, Dataset, Fragments, Limits, SubTasks
from partitioner.model.data import Floats, Ints
from partitioner.splits.base import Splitter


def dataset_of(rows: Ints, divisible_by: str | None = "rows") -> Dataset:
    """A dataset of one file with a fragment per entry of ``rows``, 8 bytes a row; it cannot be read."""
    stop = np.cumsum(rows)
    zeros = np.zeros(len(rows), np.int32)
    fragments = Fragments(("data",), zeros, zeros, stop - rows, stop, rows, rows * 8)
    return Dataset(None, fragments, None, divisible_by)  # type: ignore[arg-type]


def rows_held(tasks: SubTasks) -> list[tuple[int, int]]:
    """Every (start, stop) range that some sub-task holds, sorted."""
    assert tasks.fragments is not None
    held = tasks.fragments.take(tasks.fragment_index)
    return sorted((int(a), int(b)) for a, b in zip(held.start, held.stop, strict=True))


def _instances(divisible_by: str | None) -> Iterator[tuple[Dataset, Costs]]:
    for seed in range(20):
        draw = np.random.default_rng(seed)
        rows = draw.integers(1, 200, size=int(draw.integers(1, 60)))
        seconds: Floats = rows * draw.uniform(0.1, 2.0, size=len(rows))
        costs = Costs(seconds, rows.astype(np.float64) * 1e3, fixed_seconds=0.25, fixed_memory_bytes=5e3)
        yield dataset_of(rows, divisible_by), costs


class SplitterContract:
    """Laws of ``Splitter.split``."""

    @pytest.fixture
    def splitter(self) -> Splitter:
        """The splitter under test."""
        raise NotImplementedError

    @pytest.mark.parametrize("divisible_by", ["rows", None])
    def test_every_row_is_held_exactly_once(self, splitter: Splitter, divisible_by: str | None) -> None:
        """Ranges of all sub-tasks tile the input, and rows and bytes add up."""
        for dataset, costs in _instances(divisible_by):
            tasks = splitter.split(dataset, costs, Limits(slots=3))
            ranges = rows_held(tasks)
            assert ranges[0][0] == 0
            assert [a for a, _ in ranges[1:]] == [b for _, b in ranges[:-1]]
            assert ranges[-1][1] == dataset.rows
            assert tasks.fragments is not None
            assert int(tasks.fragments.rows.sum()) == dataset.rows
            assert int(tasks.fragments.bytes.sum()) == int(dataset.fragments.bytes.sum())

    @pytest.mark.parametrize("divisible_by", ["rows", None])
    def test_seconds_are_those_of_the_fragments_plus_the_fixed_part(
        self, splitter: Splitter, divisible_by: str | None
    ) -> None:
        """Nothing is lost between fragments and sub-tasks."""
        for dataset, costs in _instances(divisible_by):
            tasks = splitter.split(dataset, costs, Limits(slots=3))
            assert float(tasks.seconds.sum()) == pytest.approx(float(costs.seconds.sum()) + 0.25 * len(tasks))
            assert float(tasks.memory_bytes.sum()) == pytest.approx(float(costs.memory_bytes.sum()) + 5e3 * len(tasks))

    def test_limits_hold_for_every_sub_task(self, splitter: Splitter) -> None:
        """No sub-task is above the target seconds or the allowed memory."""
        for dataset, costs in _instances("rows"):
            limits = Limits(target_task_seconds=20.0, allowed_mem=20e3)
            tasks = splitter.split(dataset, costs, limits)
            assert tasks.seconds.max() <= 20.0 * (1 + 1e-6)
            assert tasks.memory_bytes.max() <= 20e3 * (1 + 1e-6)

    def test_max_tasks_is_not_exceeded(self, splitter: Splitter) -> None:
        """``max_tasks`` prevails over the target and over tasks per slot."""
        for dataset, costs in _instances("rows"):
            limits = Limits(target_task_seconds=5.0, max_tasks=3, min_tasks_per_slot=4, slots=2)
            assert len(splitter.split(dataset, costs, limits)) <= 3

    def test_fragments_of_a_sub_task_are_in_input_order(self, splitter: Splitter) -> None:
        """Indices ascend within each sub-task, and none is empty."""
        for dataset, costs in _instances("rows"):
            tasks = splitter.split(dataset, costs, Limits(slots=3))
            for i in range(len(tasks)):
                index = tasks.fragments_of(i)
                assert len(index) > 0
                assert (np.diff(index) > 0).all()

    def test_same_input_gives_the_same_sub_tasks(self, splitter: Splitter) -> None:
        """Pure and deterministic."""
        for dataset, costs in _instances("rows"):
            first, second = (splitter.split(dataset, costs, Limits(slots=5)) for _ in range(2))
            assert first.task_id == second.task_id
            assert first.offsets.tolist() == second.offsets.tolist()
            assert first.fragment_index.tolist() == second.fragment_index.tolist()

    def test_an_empty_dataset_has_no_sub_tasks(self, splitter: Splitter) -> None:
        """And is no error."""
        empty = np.empty(0)
        tasks = splitter.split(dataset_of(np.empty(0, np.int64)), Costs(empty, empty), Limits())
        assert len(tasks) == 0
        assert tasks.offsets.tolist() == [0]

    def test_a_fragment_that_breaks_a_limit_and_cannot_be_cut_is_refused(self, splitter: Splitter) -> None:
        """The message names fragment, size, limit and remedy."""
        dataset = dataset_of(np.array([10, 10]), None)
        costs = Costs(np.array([5.0, 45.0]), np.array([1e6, 9e9]))
        for limits, words in (
            (Limits(target_task_seconds=30.0), ("Fragment 1", "45 s", "target_task_seconds = 30", "Raise")),
            (Limits(allowed_mem=4e9), ("Fragment 1", "9e+09 bytes", "allowed_mem = 4e+09", "Raise")),
        ):
            with pytest.raises(InfeasiblePlan) as caught:
                splitter.split(dataset, costs, limits)
            assert all(word in str(caught.value) for word in words), caught.value

    @pytest.mark.parametrize("name", ["target_task_seconds", "allowed_mem", "max_tasks", "min_tasks_per_slot"])
    def test_a_limit_of_zero_is_refused(self, splitter: Splitter, name: str) -> None:
        """The message names the limit."""
        wrong: dict[str, Any] = {name: 0}
        with pytest.raises(ConfigError, match=f"{name} = 0"):
            splitter.split(dataset_of(np.array([10])), Costs(np.ones(1), np.ones(1)), Limits(**wrong))
