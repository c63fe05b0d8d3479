import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.errors import InfeasiblePlan
from partitioner.model import Costs, Limits
from partitioner.splits.packed import Packed
from partitioner.testing.splits import dataset_of


def split(seconds, limits, memory=None, divisible_by=None):
    n = len(seconds)
    costs = Costs(np.array(seconds, float), np.array(memory if memory is not None else [0] * n, float))
    return Packed().split(dataset_of(np.full(n, 10), divisible_by), costs, limits)


def held(tasks):
    return [tasks.fragments_of(i).tolist() for i in range(len(tasks))]


def test_the_longest_are_dealt_first():
    assert held(split([3, 3, 2, 2, 2], Limits(min_tasks_per_slot=2))) == [[0, 2, 4], [1, 3]]


def test_sub_tasks_are_numbered_by_their_first_fragment():
    assert held(split([1, 9, 8], Limits(min_tasks_per_slot=2))) == [[0, 2], [1]]


def test_whole_fragments_fit_the_target():
    tasks = split([6, 4, 7, 3], Limits(target_task_seconds=10.0))
    assert tasks.seconds.tolist() == [10.0, 10.0]


def test_a_bin_is_added_where_the_packing_misses_the_target():
    tasks = split([6, 6, 6], Limits(target_task_seconds=9.0))
    assert tasks.seconds.tolist() == [6.0, 6.0, 6.0]


def test_memory_opens_another_sub_task():
    tasks = split([1, 1, 1], Limits(allowed_mem=10, min_tasks_per_slot=1), memory=[6, 6, 6])
    assert tasks.memory_bytes.tolist() == [6.0, 6.0, 6.0]


def test_packing_that_needs_more_than_max_tasks_is_refused():
    with pytest.raises(InfeasiblePlan, match=r"took 3 sub-tasks, and max_tasks = 2"):
        split([1, 1, 1], Limits(allowed_mem=10, max_tasks=2), memory=[6, 6, 6])


def test_fragments_are_cut_into_ranges_where_whole_ones_are_uneven():
    tasks = split([9, 1, 1, 1], Limits(min_tasks_per_slot=2), divisible_by="rows")
    assert tasks.seconds.tolist() == pytest.approx([6.3, 5.7], abs=0.31)


@settings(deadline=None, max_examples=100)
@given(
    pairs=st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=60),
    limit=st.floats(10, 40),
    slots=st.integers(1, 9),
)
def test_memory_is_never_exceeded_and_nothing_is_lost(pairs, limit, slots):
    seconds, memory = zip(*pairs, strict=True)
    tasks = split(seconds, Limits(allowed_mem=limit, min_tasks_per_slot=1, slots=slots), memory)
    assert sorted(tasks.fragment_index.tolist()) == list(range(len(pairs)))
    assert tasks.memory_bytes.max() <= limit * (1 + 1e-6)


@settings(deadline=None, max_examples=100)
@given(seconds=st.lists(st.floats(0.1, 10), min_size=1, max_size=60), parts=st.integers(1, 9))
def test_longest_first_is_within_its_bound_of_the_mean_and_the_largest(seconds, parts):
    tasks = split(seconds, Limits(min_tasks_per_slot=parts))
    count = min(parts, len(seconds))
    assert tasks.seconds.max() <= sum(seconds) / count + max(seconds) * (1 - 1 / count) + 1e-9
