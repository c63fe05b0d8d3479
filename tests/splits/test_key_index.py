import numpy as np
import pyarrow as pa

from partitioner.model import Costs
from partitioner.splits.key_index import index_keys
from partitioner.splits.keyed import by_key
from partitioner.testing.tables import TableSource


def dataset(keys, fragment_rows=3):
    return TableSource(pa.table({"key": keys})).pieces(fragment_rows)


def entries(index):
    return [
        (index.keys[int(r)].as_py(), int(f), int(n))
        for r, f, n in zip(index.rank, index.fragment, index.rows, strict=True)
    ]


def test_keys_are_ranked_by_first_appearance_and_counted_by_fragment():
    index = index_keys(dataset(list("bab" + "aac" + "b")), "key")
    assert entries(index) == [("b", 0, 2), ("b", 2, 1), ("a", 0, 1), ("a", 1, 2), ("c", 1, 1)]
    assert index.rows_of_key.tolist() == [3, 3, 1]
    assert index.rows_of_fragment.tolist() == [3, 3, 1]


def test_rows_before_an_entry_are_counted_by_key():
    index = index_keys(dataset(list("bab" + "aac" + "b")), "key")
    assert index.before().tolist() == [0, 2, 0, 1, 0]


def test_dictionary_columns_are_read_by_value():
    first, second = pa.array(["x", "y"]).dictionary_encode(), pa.array(["y", "z"]).dictionary_encode()
    column = pa.chunked_array([first, second])
    assert entries(index_keys(dataset(column, 4), "key")) == [("x", 0, 1), ("y", 0, 2), ("z", 0, 1)]


def test_costs_of_fragments_are_shared_by_rows():
    data = dataset(list("aab" + "bbb"))
    _, costs = by_key(data, "key", Costs(np.array([3.0, 30.0]), np.array([6.0, 3.0])))
    assert costs.seconds.tolist() == [2.0, 31.0]
    assert costs.memory_bytes.tolist() == [4.0, 5.0]


def test_costs_of_rows_go_to_their_keys():
    data = dataset(list("aab" + "bbb"))
    costs = Costs(np.array([6.0, 9.0]), np.zeros(2), record_seconds=np.array([1.0, 0.0, 5.0, 2.0, 3.0, 4.0]))
    assert by_key(data, "key", costs)[1].seconds.tolist() == [1.0, 14.0]


def test_memory_that_does_not_add_up_is_that_of_the_largest_fragment_read():
    costs = Costs(np.ones(2), np.array([6.0, 3.0]), memory_combines="max")
    assert by_key(dataset(list("aab" + "bcc")), "key", costs)[1].memory_bytes.tolist() == [6.0, 6.0, 3.0]
