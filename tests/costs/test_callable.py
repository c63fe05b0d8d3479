import pyarrow as pa
import pytest

from partitioner.costs.callable import CostFunction
from partitioner.errors import ConfigError, CostError
from partitioner.testing.costs import sample_dataset


def test_seconds_of_a_fragment():
    assert CostFunction(lambda f: f.rows * 2).estimate(sample_dataset()).seconds.tolist() == [2.0, 4.0, 6.0, 8.0]


def test_seconds_and_bytes():
    costs = CostFunction(lambda f: (f.rows, 10 * f.rows)).estimate(sample_dataset())
    assert costs.memory_bytes.tolist() == [10.0, 20.0, 30.0, 40.0]


def test_a_parameter_annotated_record_batch_gets_batches():
    def cost(rows: pa.RecordBatch):
        return sum(rows["n"].to_pylist())

    assert CostFunction(cost).estimate(sample_dataset()).seconds.tolist() == [0.0, 3.0, 12.0, 30.0]


def test_columns_limit_what_is_read():
    dataset = sample_dataset()
    CostFunction(lambda batch: batch.num_rows, columns=["n"]).estimate(dataset)
    assert {columns for _, _, columns in dataset.source.reads} == {("n",)}


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf"), (1.0, -5.0)])
def test_an_invalid_value_names_the_fragment(value):
    with pytest.raises(CostError, match=r"fragment 2, part-2 .*at least 0"):
        CostFunction(lambda f: value if f.index == 2 else 1.0).estimate(sample_dataset())


@pytest.mark.parametrize("value", ["fast", None, (1.0, 2.0, 3.0)])
def test_what_is_no_cost_is_refused(value):
    with pytest.raises(CostError, match=r"return seconds or \(seconds, bytes\)"):
        CostFunction(lambda f: value).estimate(sample_dataset())


def test_an_exception_of_the_function_keeps_its_cause():
    with pytest.raises(CostError, match=r"fragment 0, part-0 .*ZeroDivisionError") as caught:
        CostFunction(lambda f: 1 / 0).estimate(sample_dataset())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_something_not_callable_is_refused():
    with pytest.raises(ConfigError, match="needs a function, got 3"):
        CostFunction(3)
