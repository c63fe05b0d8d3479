import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.errors import ConfigError
from partitioner.reducers.concat import Concat
from partitioner.reducers.tree import MergeTree, merge_tree
from partitioner.reducers.tree_sum import TreeSum


class Brackets(Concat):
    """Writes down how it was merged."""

    def merge_accumulators(self, left, right):
        return f"({left}{right})"


def test_neighbours_are_merged_in_pairs_and_the_odd_one_moves_up():
    assert merge_tree(Brackets(), "abcde") == "(((ab)(cd))e)"


def test_one_sub_task_is_not_merged():
    assert merge_tree(Brackets(), "a") == "a"


def test_no_sub_tasks_give_the_empty_accumulator():
    assert merge_tree(Brackets(), "") == ()


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 40).flatmap(lambda n: st.permutations(range(n))))
def test_the_shape_does_not_depend_on_the_order_of_completion(order):
    names = [f"{i}." for i in range(len(order))]
    tree = MergeTree(Brackets(), len(order))
    for index in order:
        tree.put(index, names[index])
    assert tree.result() == merge_tree(Brackets(), names)


def test_a_result_with_sub_tasks_missing_is_refused():
    tree = MergeTree(Brackets(), 3)
    tree.put(1, "b")
    with pytest.raises(ConfigError, match="2 of 3 sub-tasks have not been merged"):
        tree.result()


@pytest.mark.parametrize("index", [1, 3, -1])
def test_a_sub_task_that_is_unknown_or_was_merged_before_is_refused(index):
    tree = MergeTree(Brackets(), 3)
    tree.put(1, "b")
    with pytest.raises(ConfigError, match=f"Sub-task {index} is not one of the 2 of 3"):
        tree.put(index, "x")


def test_what_is_owned_is_merged_in_place_with_the_same_bits():
    parts = [np.random.default_rng(i).normal(size=50) for i in range(7)]
    expected = merge_tree(TreeSum(), parts)
    copies = [part.copy() for part in parts]
    assert merge_tree(TreeSum(), copies, owned=True).tobytes() == expected.tobytes()
    assert copies[0].tobytes() == expected.tobytes()


def test_what_is_not_owned_is_left_alone():
    parts = [np.ones(3) for _ in range(4)]
    assert merge_tree(TreeSum(), parts).tolist() == [4.0] * 3
    assert [part.tolist() for part in parts] == [[1.0] * 3] * 4
