from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.errors import ConfigError, DataError, InfeasiblePlan
from partitioner.model import Costs, Limits
from partitioner.splits.stratified import Stratified
from partitioner.testing.splits import dataset_of, rows_of
from partitioner.testing.tables import TableSource


def stratify(labels, limits, memory=0.0, fragment_rows=4):
    """Labels of the rows of every sub-task."""
    table = pa.table({"row": range(len(labels)), "label": labels})
    dataset = TableSource(table).pieces(fragment_rows)
    costs = Costs(dataset.fragments.rows.astype(float), np.full(len(dataset.fragments), memory))
    splitter = Stratified()
    seen, costs = splitter.prepare(dataset, costs)
    tasks = splitter.split(seen, costs, limits)
    return seen, tasks, [[labels[r] for r in rows] for rows in rows_of(seen, tasks)]


def test_every_sub_task_has_the_same_share_of_every_class():
    _, tasks, held = stratify(list("aabaabaabaab"), Limits(min_tasks_per_slot=4))
    assert [Counter(labels) for labels in held] == [Counter(a=2, b=1)] * 4
    assert tasks.seconds.tolist() == [3.0] * 4


def test_sorted_input_is_dealt_out_too():
    _, _, held = stratify(list("aaaaaaaabbbb"), Limits(min_tasks_per_slot=4))
    assert held == [["a", "a", "b"]] * 4


def test_rows_stay_in_input_order_within_a_sub_task():
    seen, tasks, _ = stratify(list("abababab"), Limits(min_tasks_per_slot=2))
    assert rows_of(seen, tasks) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_rare_class_goes_to_as_many_sub_tasks_as_it_has_rows():
    _, _, held = stratify(list("aaaabaaaaaab"), Limits(min_tasks_per_slot=4))
    assert [Counter(labels)["b"] for labels in held] == [0, 0, 1, 1]


def test_there_are_more_slices_where_memory_asks_for_them():
    _, tasks, _ = stratify(list("ab" * 8), Limits(allowed_mem=20, min_tasks_per_slot=1), memory=16.0)
    assert tasks.memory_bytes.tolist() == [16.0] * 4


def test_memory_that_no_slice_keeps_within_is_refused():
    with pytest.raises(
        InfeasiblePlan, match=r"into 4 sub-tasks, the most there can be, the largest needs 4 bytes, above"
    ):
        stratify(list("abab"), Limits(allowed_mem=3), memory=16.0)


def test_a_target_that_no_slice_keeps_gives_way():
    _, tasks, _ = stratify(list("abab"), Limits(target_task_seconds=0.5))
    assert len(tasks) == 4


def test_a_class_that_is_new_since_the_plan_is_refused_by_its_value():
    seen, tasks, _ = stratify(list("abab"), Limits(min_tasks_per_slot=2))
    changed = pa.table({"row": range(4), "label": list("abcb")})
    later = replace(seen, source=replace(seen.source, inner=TableSource(changed)))
    with pytest.raises(DataError, match="column 'label' holds 'c', which was not there when the run was planned"):
        rows_of(later, tasks)


def test_splitting_without_preparing_is_refused():
    with pytest.raises(ConfigError, match="prepare"):
        Stratified().split(dataset_of(np.full(3, 10)), Costs(np.ones(3), np.ones(3)), Limits())


@settings(deadline=None, max_examples=80)
@given(
    labels=st.lists(st.sampled_from("abcde"), min_size=1, max_size=80),
    count=st.integers(1, 9),
    fragment_rows=st.integers(1, 30),
)
def test_classes_differ_by_one_row_at_most_between_sub_tasks(labels, count, fragment_rows):
    _, tasks, held = stratify(labels, Limits(min_tasks_per_slot=count), fragment_rows=fragment_rows)
    k = len(tasks)
    assert k == min(count, len(labels))
    for name, n in Counter(labels).items():
        assert {Counter(rows)[name] for rows in held} <= {n // k, -(-n // k)}
    assert {len(rows) for rows in held} <= {len(labels) // k, -(-len(labels) // k)}
