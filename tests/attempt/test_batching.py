import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.attempt.batching import Batcher, restored
from partitioner.errors import ConfigError, CostError, DataError


def rows(*sizes):
    """Record batches of one column ``n``; ``rows([1, 2], [3])`` is two batches."""
    return [pa.record_batch({"n": pa.array(part, pa.float64())}) for part in sizes]


def contents(batcher, *parts):
    return [batch["n"].to_pylist() for batch, _ in batcher.batches(rows(*parts))]


def test_without_bounds_there_is_one_batch():
    assert contents(Batcher(), [1, 2], [], [3]) == [[1, 2, 3]]


def test_rows_are_bounded_across_record_batches():
    assert contents(Batcher(batch_size=2), [1, 2, 3], [4, 5]) == [[1, 2], [3, 4], [5]]


def test_weight_is_bounded_by_its_sum():
    assert contents(Batcher(max_batch_weight=6, weight="n"), [1, 2, 3], [4, 2, 1]) == [[1, 2, 3], [4, 2], [1]]


def test_padded_weight_is_rows_times_the_heaviest():
    batcher = Batcher(max_batch_weight=6, weight="n", padded=True)
    assert contents(batcher, [1, 2, 3, 3, 1]) == [[1, 2], [3, 3], [1]]


def test_rows_and_weight_are_bounded_together():
    assert contents(Batcher(batch_size=2, max_batch_weight=6, weight="n"), [1, 1, 1, 6]) == [[1, 1], [1], [6]]


def test_a_row_above_the_bound_gets_a_batch_of_its_own():
    assert contents(Batcher(max_batch_weight=6, weight="n"), [1, 9, 1]) == [[1], [9], [1]]


def test_weight_may_be_an_expression_or_a_function():
    for weight in ("n * 2 + 1", lambda batch: batch["n"].to_numpy() * 2 + 1):
        assert contents(Batcher(max_batch_weight=8, weight=weight), [1, 2, 3]) == [[1, 2], [3]]


def test_weight_of_text_is_its_length():
    batch = pa.record_batch({"text": ["a", "bbb", "cc"]})
    cut = Batcher(max_batch_weight=4, weight="len(text)").batches([batch])
    assert [part["text"].to_pylist() for part, _ in cut] == [["a", "bbb"], ["cc"]]


def test_sorting_puts_like_weights_together_and_says_where_rows_were():
    pairs = list(Batcher(batch_size=2, weight="n", sort_by_weight=True).batches(rows([1, 9], [2, 8])))
    assert [batch["n"].to_pylist() for batch, _ in pairs] == [[9, 8], [2, 1]]
    assert [places.tolist() for _, places in pairs] == [[1, 3], [2, 0]]


def test_outputs_are_put_back_in_input_order():
    pairs = Batcher(batch_size=2, weight="n", sort_by_weight=True).batches(rows([1, 9], [2, 8]))
    assert [batch["n"].to_pylist() for batch in restored(pairs)] == [[1, 9, 2, 8]]


def test_rows_that_were_left_out_stay_out():
    (batch,) = rows([5, 7])
    (restored_batch,) = restored([(batch, np.array([3, 0])), (batch.slice(0, 1), np.array([1]))])
    assert restored_batch["n"].to_pylist() == [7, 5, 5]


def test_unsorted_outputs_pass_through_one_by_one():
    batches = rows([1], [2])
    assert list(restored((batch, None) for batch in batches)) == batches


def test_sorting_refuses_programs_that_drop_rows():
    (batch,) = rows([1])
    with pytest.raises(ConfigError, match="a batch of 2 rows gave 1"):
        list(restored([(batch, np.array([0, 1]))]))


def test_no_rows_make_no_batches():
    assert list(Batcher(weight="n", sort_by_weight=True).batches([])) == []
    assert list(restored([])) == []


@settings(deadline=None, max_examples=150)
@given(
    parts=st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=6),
    size=st.none() | st.integers(1, 4),
    most=st.none() | st.integers(1, 12),
    ordered=st.booleans(),
    padded=st.booleans(),
)
def test_every_row_comes_once_within_bounds_and_order_is_restored(parts, size, most, ordered, padded):
    batcher = Batcher(batch_size=size, max_batch_weight=most, weight="n", sort_by_weight=ordered, padded=padded)
    pairs = list(batcher.batches(rows(*parts)))
    for batch, _ in pairs:
        held = batch["n"].to_pylist()
        assert size is None or len(held) <= size
        weight = len(held) * max(held) if padded else sum(held)
        assert most is None or len(held) == 1 or weight <= most
    assert [n for batch in restored(pairs) for n in batch["n"].to_pylist()] == [n for part in parts for n in part]


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def sizes_of(batcher, clock, seconds_of, count, **columns):
    """Rows of every batch when a batch of n rows takes ``seconds_of(n)``."""
    made = []
    for batch, _ in batcher.batches([pa.record_batch({"n": np.ones(count)})]):
        made.append(batch.num_rows)
        clock.now += seconds_of(batch.num_rows)
    return made


def test_auto_doubles_until_batches_take_the_target():
    clock = Clock()
    made = sizes_of(Batcher(batch_size="auto", clock=clock), clock, lambda n: 0.1 + n * 0.01, 1000)
    assert made[:8] == [1, 1, 2, 4, 8, 16, 32, 64]
    assert made[8:-1] == [90] * len(made[8:-1])


def test_auto_goes_on_where_the_last_sub_task_ended():
    clock = Clock()
    batcher = Batcher(batch_size="auto", clock=clock)
    sizes_of(batcher, clock, lambda n: n * 0.01, 500)
    assert sizes_of(batcher, clock, lambda n: n * 0.01, 300) == [100, 100, 100]


def test_auto_counts_in_weight_where_there_is_one():
    clock = Clock()
    batcher = Batcher(batch_size="auto", weight="n * 10", clock=clock)
    assert sizes_of(batcher, clock, lambda n: n * 0.25, 40)[-3:-1] == [4, 4]


def test_auto_ignores_the_first_batch():
    clock, first = Clock(), iter([100.0])
    made = sizes_of(Batcher(batch_size="auto", clock=clock), clock, lambda n: next(first, n * 0.125), 40)
    assert made == [1, 1, 2, 4, 8, 8, 8, 8]


def test_auto_makes_rows_outweigh_a_fixed_part_above_the_target():
    clock = Clock()
    assert max(sizes_of(Batcher(batch_size="auto", clock=clock), clock, lambda n: 2.0 + n * 0.1, 200)) == 20


def test_auto_stays_within_the_weight_bound():
    clock = Clock()
    batcher = Batcher(batch_size="auto", max_batch_weight=5, weight="n", clock=clock)
    assert max(sizes_of(batcher, clock, lambda n: n * 0.01, 100)) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size = 0"),
        ({"batch_size": "many"}, "batch_size = 'many'"),
        ({"max_batch_weight": -1, "weight": "n"}, "max_batch_weight = -1"),
        ({"max_batch_weight": 5}, "max_batch_weight = 5 needs a weight"),
        ({"sort_by_weight": True}, "sort_by_weight = True needs a weight"),
        ({"weight": "sum(n)"}, "one value for all rows"),
        ({"weight": 7}, "weight = 7"),
        ({"batch_size": "auto", "target_batch_seconds": 0}, "target_batch_seconds = 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Batcher(**options)


def test_a_weight_of_a_missing_column_names_the_nearest():
    with pytest.raises(DataError, match=r"reads column 'nn'; there are n\. Did you mean 'n'"):
        contents(Batcher(weight="nn", max_batch_weight=1), [1])


@pytest.mark.parametrize(("weight", "value"), [("1 - n", "-2.0"), ("1 / (3 - n)", "inf")])
def test_an_invalid_weight_names_the_row(weight, value):
    with pytest.raises(CostError, match=rf"weight gave {value} for row 1 of a batch of 2"):
        contents(Batcher(weight=weight, max_batch_weight=1), [1, 3])


def test_a_function_that_gives_too_few_weights_is_refused():
    with pytest.raises(CostError, match=r"gave \(1,\) values for 2 rows"):
        contents(Batcher(weight=lambda batch: [1.0], max_batch_weight=1), [1, 2])
