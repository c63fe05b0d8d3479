import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import partitioner as pt
from partitioner.costs.declared import Declared
from partitioner.costs.expression import Expression
from partitioner.errors import ConfigError, CostError, DataError
from partitioner.testing.costs import sample_dataset
from partitioner.testing.tables import TableSource


def test_numbers_in_fragment_order():
    costs = Declared([4.0, 3.0, 2.0, 1.0], memory_bytes=np.array([1, 2, 3, 4])).estimate(sample_dataset())
    assert costs.seconds.tolist() == [4.0, 3.0, 2.0, 1.0]
    assert costs.memory_bytes.tolist() == [1.0, 2.0, 3.0, 4.0]


def test_one_number_for_all():
    assert Declared(2).estimate(sample_dataset()).seconds.tolist() == [2.0, 2.0, 2.0, 2.0]


def test_a_feature_by_name():
    assert Declared("pixels").estimate(sample_dataset()).seconds.tolist() == [10.0, 20.0, 30.0, 40.0]


def test_a_column_by_name_is_summed():
    assert Declared("n").estimate(sample_dataset()).seconds.tolist() == [0.0, 3.0, 12.0, 30.0]


def test_a_column_tells_the_seconds_of_every_row():
    source = TableSource(pa.table({"s": [1.0, 1.0, 9.0, 1.0]}))
    costs = Declared("s").estimate(source.dataset([3, 1]))
    assert costs.record_seconds.tolist() == [1.0, 1.0, 9.0, 1.0]


def test_cuts_follow_the_declared_seconds_of_rows():
    table = pa.table({"s": [1.0] * 6 + [6.0] + [1.0] * 6})
    plan = pt.plan(table, cost={"model": "declared", "seconds": "s"}, workers=3, max_tasks=3, split="ordered")
    assert plan.tasks.seconds.tolist() == [6.0, 6.0, 6.0]


def test_a_feature_tells_nothing_of_rows():
    assert Declared("pixels").estimate(sample_dataset()).record_seconds is None


@pytest.mark.parametrize("kind", [dict, pd.DataFrame, pa.table])
def test_a_table_by_path_is_shared_by_size(kind):
    source = TableSource(pa.table({"n": list(range(8))}))
    dataset = source.dataset([1, 3, 4], paths=["a", "a", "b"])
    table = kind({"path": ["b", "a"], "seconds": [5.0, 8.0], "memory_bytes": [50.0, 80.0]})
    costs = Declared(table=table).estimate(dataset)
    assert costs.seconds.tolist() == [2.0, 6.0, 5.0]
    assert costs.memory_bytes.tolist() == [20.0, 60.0, 50.0]


def test_a_wrong_count_is_refused():
    with pytest.raises(CostError, match="2 declared seconds for 4 fragments"):
        Declared([1.0, 2.0]).estimate(sample_dataset())


def test_a_negative_number_names_the_fragment():
    with pytest.raises(CostError, match=r"-1.0 s for fragment 1, part-1"):
        Declared([1.0, -1.0, 1.0, 1.0]).estimate(sample_dataset())


def test_a_path_without_a_row_is_named():
    with pytest.raises(CostError, match=r"no row for 'part-1' \(3 of 4"):
        Declared(table={"path": ["part-0"], "seconds": [1.0]}).estimate(sample_dataset())


def test_a_table_without_seconds_is_refused():
    with pytest.raises(ConfigError, match=r"lacks the column 'seconds'.*Did you mean 'second'"):
        Declared(table={"path": ["a"], "second": [1.0]})


def test_an_unknown_name_is_refused():
    with pytest.raises(DataError, match=r"'pixel'.*Did you mean 'pixels'"):
        Declared("pixel").estimate(sample_dataset())


def test_neither_seconds_nor_table_is_refused():
    with pytest.raises(ConfigError, match="either seconds"):
        Declared()


def test_a_row_below_0_that_hides_in_the_sum_of_its_fragment_is_named():
    source = TableSource(pa.table({"s": [1.0, 1.0, 5.0, -2.0, 1.0]}))
    with pytest.raises(CostError, match=r"seconds = -2\.0 s for row 1 of fragment 1, "):
        Declared("s").estimate(source.dataset([2, 3]))


@pytest.mark.parametrize("table", ["costs.csv", 5, [1.0]])
def test_a_table_of_paths_is_no_path_and_no_number(table):
    with pytest.raises(ConfigError, match="give an Arrow table, a data frame, or a mapping"):
        Declared(table=table)


def test_what_rounding_leaves_below_0_is_no_error():
    source = TableSource(pa.table({"s": [1.0, -1e-17, 2.0]}))
    assert Declared("s").estimate(source.dataset([3])).seconds.tolist() == [3.0]


@pytest.mark.parametrize(
    ("unit", "seconds", "said"),
    [("s", 6.0, "seconds"), ("ms", 0.006, "seconds"), ("Minutes", 360.0, "seconds"), ("tokens", 6.0, "tokens")],
)
def test_times_of_other_units_become_seconds(unit, seconds, said):
    table = TableSource(pa.table({"cost": [1.0, 2.0, 3.0]})).dataset([3])
    for model in (Declared("cost", unit=unit), Expression("1 * cost", unit=unit)):
        costs = model.estimate(table)
        assert (costs.unit, costs.seconds[0]) == (said, pytest.approx(seconds))
        assert costs.record_seconds.sum() == pytest.approx(seconds)


@pytest.mark.parametrize("unit", ["", 3, None])
def test_a_unit_that_is_no_name_is_refused(unit):
    with pytest.raises(ConfigError, match="name what the numbers count: seconds, ms"):
        Declared(1.0, unit=unit)
