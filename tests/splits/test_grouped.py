import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.errors import ConfigError, DataError, InfeasiblePlan
from partitioner.model import Costs, Dataset, Fragments, Limits
from partitioner.splits.grouped import Grouped
from partitioner.testing.splits import dataset_of
from partitioner.testing.tables import TableSource


def costs(*seconds, **fields):
    return Costs(np.array(seconds, float), np.array(fields.pop("memory", [0] * len(seconds)), float), **fields)


def held(tasks):
    """First rows of the fragments of every sub-task, in tens."""
    return [(tasks.fragments.start[tasks.fragments_of(i)] // 10).tolist() for i in range(len(tasks))]


def keyed(keys, fragment_rows=4, **options):
    """A dataset of rows with ``key`` and their number, prepared for a grouped split, one second a row."""
    table = pa.table({"key": keys, "row": range(len(keys))})
    dataset = TableSource(table).pieces(fragment_rows)
    seconds = dataset.fragments.rows.astype(float)
    splitter = Grouped("key", **options)
    return splitter, *splitter.prepare(dataset, Costs(seconds, seconds * 10))


def read(dataset, tasks, columns=None):
    """What each sub-task reads, as a table."""
    tables = []
    for i in range(len(tasks)):
        batches = [b for f in tasks.fragments_of(i) for b in dataset.source.read(tasks.fragments[int(f)], columns)]
        tables.append(pa.Table.from_batches(batches))
    return tables


def test_scattered_groups_are_packed_whole():
    splitter = Grouped(["a", "b", "a", "c", "b"])
    tasks = splitter.split(dataset_of(np.full(5, 10), None), costs(4, 1, 4, 5, 2), Limits(min_tasks_per_slot=2))
    assert held(tasks) == [[0, 2], [1, 3, 4]]


def test_fragments_of_a_sub_task_are_side_by_side_so_that_one_call_gets_them_all():
    splitter = Grouped(["a", "b", "a", "c", "b"])
    tasks = splitter.split(dataset_of(np.full(5, 10), None), costs(4, 1, 4, 5, 2), Limits(min_tasks_per_slot=2))
    assert tasks.fragment_index.tolist() == [0, 1, 2, 3, 4]
    assert tasks.offsets.tolist() == [0, 2, 5]


def test_groups_in_runs_become_contiguous_ranges():
    splitter = Grouped(["a", "a", "b", "c", "c", "d"])
    tasks = splitter.split(dataset_of(np.full(6, 10), None), costs(1, 1, 1, 1, 1, 1), Limits(min_tasks_per_slot=2))
    assert held(tasks) == [[0, 1, 2], [3, 4, 5]]


def test_groups_may_come_from_a_feature_of_fragments():
    dataset = dataset_of(np.full(3, 10), None)
    fragments = Fragments.of([dataset.fragments[i] for i in range(3)])
    fragments.features["day"] = np.array([1.0, 2.0, 1.0])
    tasks = Grouped("day").split(Dataset(dataset.source, fragments), costs(1, 1, 1), Limits(min_tasks_per_slot=2))
    assert held(tasks) == [[0, 2], [1]]


def test_rows_of_a_key_are_read_by_one_sub_task():
    splitter, dataset, cost = keyed(list("abcabcaabbccabc"))
    tasks = splitter.split(dataset, cost, Limits(min_tasks_per_slot=3))
    assert [set(t["key"].to_pylist()) for t in read(dataset, tasks)] == [{"a"}, {"b"}, {"c"}]
    assert read(dataset, tasks)[0]["row"].to_pylist() == [0, 3, 6, 7, 12]


def test_neighbouring_keys_of_a_sub_task_are_read_as_one_range():
    splitter, dataset, cost = keyed(list("abcdabcd"))
    tasks = splitter.split(dataset, cost, Limits(min_tasks_per_slot=2))
    ranges = [(f.section, f.start, f.stop, f.rows) for f in (tasks.fragments[i] for i in range(len(tasks.fragments)))]
    assert ranges == [(-1, 0, 2, 4), (-1, 2, 4, 4)]


def test_the_key_is_read_but_not_given_where_it_is_not_asked_for():
    splitter, dataset, cost = keyed(list("abab"))
    tasks = splitter.split(dataset, cost, Limits(min_tasks_per_slot=2))
    assert [t.to_pydict() for t in read(dataset, tasks, ["row"])] == [{"row": [0, 2]}, {"row": [1, 3]}]


def test_null_is_a_key_of_its_own():
    splitter, dataset, cost = keyed(["a", None, "a", None, "b"])
    tasks = splitter.split(dataset, cost, Limits(min_tasks_per_slot=3))
    assert [t["row"].to_pylist() for t in read(dataset, tasks)] == [[0, 2], [1, 3], [4]]


def test_a_hot_group_stays_whole_and_is_reported_where_the_reducer_cannot_merge():
    splitter, dataset, cost = keyed(list("aaaabacaadaa"))
    limits = Limits(min_tasks_per_slot=3)
    tasks = splitter.split(dataset, cost, limits)
    assert tasks.seconds.max() == 9.0
    assert tasks.hot_groups[int(tasks.seconds.argmax())] == "key = 'a'"
    (hot,) = splitter.hot_groups(dataset, cost, limits)
    assert str(hot).startswith(
        "Group key = 'a' has 9 seconds, 2.25 times an even sub-task (4 seconds), and stays whole"
    )


def test_a_hot_group_is_split_where_the_reducer_merges():
    splitter, dataset, cost = keyed(list("aaaabacaadaa"))
    tasks = splitter.split(dataset, cost, Limits(min_tasks_per_slot=3, divisible=True))
    assert tasks.seconds.tolist() == pytest.approx([4.0, 4.0, 4.0])
    assert sorted(n for t in read(dataset, tasks) for n in t["row"].to_pylist()) == list(range(12))
    assert splitter.hot_groups(dataset, cost, Limits(min_tasks_per_slot=3, divisible=True))[0].split


def test_splitting_can_be_forbidden_for_a_mergeable_reducer():
    splitter, dataset, cost = keyed(list("aaaabacaadaa"), split_hot=False)
    assert splitter.split(dataset, cost, Limits(min_tasks_per_slot=3, divisible=True)).seconds.max() == 9.0


def test_a_scattered_hot_group_is_split_into_even_parts():
    splitter = Grouped(["a", "b", "a", "c", "a", "a"])
    dataset, cost = dataset_of(np.full(6, 10), "rows"), costs(4, 2, 4, 2, 4, 4)
    tasks = splitter.split(dataset, cost, Limits(min_tasks_per_slot=4, divisible=True))
    assert tasks.seconds.tolist() == pytest.approx([5.0] * 4, abs=1.01)


def test_a_hot_group_above_the_memory_is_refused_by_name():
    splitter, dataset, cost = keyed(list("aaaabaaa"))
    with pytest.raises(InfeasiblePlan, match=r"Group key = 'a' needs 70 bytes, above allowed_mem = 50"):
        splitter.split(dataset, cost, Limits(allowed_mem=50))


def test_a_hot_group_above_the_memory_is_split_where_the_reducer_merges():
    splitter, dataset, cost = keyed(list("aaaabaaa"))
    tasks = splitter.split(dataset, cost, Limits(allowed_mem=50, divisible=True))
    assert tasks.memory_bytes.max() <= 50


def test_without_a_key_every_fragment_is_a_group():
    tasks = Grouped().split(dataset_of(np.full(3, 10)), costs(1, 1, 1), Limits(min_tasks_per_slot=3))
    assert held(tasks) == [[0], [1], [2]]


def test_a_wrong_number_of_groups_is_refused():
    with pytest.raises(ConfigError, match="2 groups for 3 fragments"):
        Grouped(["a", "b"]).split(dataset_of(np.full(3, 10)), costs(1, 1, 1), Limits())


def test_a_key_that_is_no_column_names_the_nearest():
    table = pa.table({"key": ["a"], "row": [0]})
    with pytest.raises(DataError, match=r"'keys' is no column; there are key, row\. Did you mean 'key'"):
        Grouped("keys").prepare(TableSource(table).pieces(1))


def test_splitting_by_a_column_without_preparing_is_refused():
    with pytest.raises(DataError, match=r"no feature 'user' \(they have: none\)"):
        Grouped("user").split(dataset_of(np.full(3, 10)), costs(1, 1, 1), Limits())


@settings(deadline=None, max_examples=60)
@given(keys=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60), merge=st.booleans(), count=st.integers(1, 6))
def test_groups_are_whole_unless_split_and_rows_come_once(keys, merge, count):
    splitter, dataset, cost = keyed(keys, fragment_rows=7)
    limits = Limits(min_tasks_per_slot=count, divisible=merge)
    tasks = splitter.split(dataset, cost, limits)
    tables = read(dataset, tasks)
    assert sorted(n for t in tables for n in t["row"].to_pylist()) == list(range(len(keys)))
    assert [t.num_rows for t in tables] == tasks.seconds.round().astype(int).tolist()
    hot = {g.name for g in splitter.hot_groups(dataset, cost, limits)} if merge else set()
    for key in set(keys) - {name[-2] for name in hot}:
        assert sum(pc.any(pc.equal(t["key"], key)).as_py() for t in tables) == 1


def test_groups_given_as_a_list_may_be_of_any_kind():
    splitter = Grouped([None, "a", None])
    dataset, cost = dataset_of(np.full(3, 10), None), costs(5, 1, 5)
    (hot,) = splitter.hot_groups(dataset, cost, Limits(min_tasks_per_slot=2))
    assert hot.name == "fragment = None"
