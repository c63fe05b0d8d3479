import pyarrow as pa

from partitioner.reducers.concat import Concat


def reduced(*values):
    accumulator = Concat().create_accumulator()
    for value in values:
        accumulator = Concat().add_input(accumulator, value)
    return Concat().extract_output(accumulator)


def test_tables_and_record_batches_become_one_table():
    assert reduced(pa.table({"x": [1]}), pa.record_batch({"x": [2]})) == pa.table({"x": [1, 2]})


def test_other_outputs_become_a_list():
    assert reduced("a", {"b": 1}) == ["a", {"b": 1}]


def test_nothing_becomes_an_empty_list():
    assert reduced() == []
