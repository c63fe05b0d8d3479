"""Where batches are cut: at their bounds exactly, across record batches and across the rows that are weighed at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from partitioner.attempt import batching
from partitioner.attempt.batching import Batcher, restored
from partitioner.errors import ConfigError


def rows(*parts: list[float]) -> list[pa.RecordBatch]:
    return [pa.record_batch({"n": pa.array(part, pa.float64())}) for part in parts]


def cut(batcher: Batcher, *parts: list[float]) -> list[list[float]]:
    return [batch["n"].to_pylist() for batch, _ in batcher.batches(rows(*parts))]


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than two rows are weighed at once."""
    monkeypatch.setattr(batching, "LOOKAHEAD", 2)


@pytest.mark.usefixtures("two_at_once")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[1, 2, 3, 4, 5]]),
        ({"batch_size": 3}, [[1, 2, 3], [4, 5]]),
        ({"batch_size": 1}, [[1], [2], [3], [4], [5]]),
        ({"weight": "n", "max_batch_weight": 6}, [[1, 2, 3], [4], [5]]),
        ({"weight": "n", "max_batch_weight": 9}, [[1, 2, 3], [4, 5]]),
        ({"weight": "n", "max_batch_weight": 9, "padded": True}, [[1, 2, 3], [4], [5]]),
        ({"weight": "n", "max_batch_weight": 10, "padded": True}, [[1, 2, 3], [4, 5]]),
        ({"weight": "n", "batch_size": 2, "sort_by_weight": True}, [[5, 4], [3, 2], [1]]),
        ({"weight": "n", "max_batch_weight": 9, "sort_by_weight": True}, [[5, 4], [3, 2, 1]]),
    ],
)
def test_bounds_hold_across_the_rows_that_are_weighed_at_once(options: Any, expected: list[list[float]]) -> None:
    assert cut(Batcher(**options), [1, 2, 3, 4, 5]) == expected
    assert cut(Batcher(**options), [1, 2], [3], [], [4, 5]) == expected


def test_the_heaviest_row_of_before_counts_for_a_padded_batch() -> None:
    assert cut(Batcher(weight="n", max_batch_weight=9, padded=True), [4], [1], [1]) == [[4, 1], [1]]


def test_a_bound_that_rounding_misses_by_a_bit_is_reached() -> None:
    assert cut(Batcher(weight="n", max_batch_weight=0.3), [0.1, 0.2, 0.1]) == [[0.1, 0.2], [0.1]]


def test_equal_weights_keep_their_order_when_sorted() -> None:
    pairs = list(Batcher(weight="1 + 0 * n", sort_by_weight=True).batches(rows([5, 3], [4])))
    assert [(b["n"].to_pylist(), p.tolist()) for b, p in pairs] == [([5, 3, 4], [0, 1, 2])]  # type: ignore[union-attr]


def test_only_empty_batches_are_no_rows() -> None:
    assert cut(Batcher(batch_size=2), [], []) == []
    assert cut(Batcher(weight="n", sort_by_weight=True), []) == []


def test_a_batch_is_one_record_batch() -> None:
    ((batch, places),) = Batcher().batches(rows([1], [2], [3]))
    assert (batch.num_rows, places) == (3, None)


def test_columns_are_those_of_the_weight() -> None:
    assert (Batcher().columns, Batcher(weight="n * 2").columns) == ((), ("n",))


class Clock:
    """Time that passes only when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def observed(batcher: Batcher, clock: Clock, *parts: list[float]) -> list[tuple[float, float]]:
    """What the batcher learned of every batch, each of which takes a second more than that before."""
    seen: list[tuple[float, float]] = []
    auto = batcher._auto
    assert auto is not None
    original = auto.observe

    class Watched:
        size = staticmethod(lambda: 2.0)

        @staticmethod
        def observe(size: float, seconds: float) -> None:
            seen.append((size, seconds))
            original(size, seconds)

    batcher._auto = Watched()  # type: ignore[assignment]
    for i, _ in enumerate(batcher.batches(rows(*parts))):
        clock.now += i + 1
    return seen


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(2, 1), (2, 2), (1, 3)]),
        ({"weight": "n"}, [(2, 1), (1, 2), (2, 3), (2, 4)]),
        ({"weight": "n", "padded": True}, [(2, 1), (1, 2), (2, 3), (2, 4)]),
    ],
)
def test_what_a_batch_held_and_took_is_learned(options: Any, expected: list[tuple[float, float]]) -> None:
    clock = Clock()
    parts: list[float] = [1, 1, 1, 2, 2] if options else [1, 1, 1, 1, 1]
    assert observed(Batcher(batch_size="auto", clock=clock, **options), clock, parts) == expected


def test_a_padded_batch_counts_as_its_heaviest_row_times_its_rows() -> None:
    clock = Clock()
    batcher = Batcher(batch_size="auto", weight="n", max_batch_weight=2, padded=True, clock=clock)
    assert observed(batcher, clock, [0.5, 1, 1]) == [(2, 1), (1, 2)]


def test_a_row_bound_and_a_learned_size_hold_together() -> None:
    clock = Clock()
    batcher = Batcher(batch_size="auto", weight="n", max_batch_weight=3, clock=clock)
    assert max(batch.num_rows for batch, _ in batcher.batches(rows([1] * 20))) <= 3


def test_outputs_of_several_record_batches_are_restored() -> None:
    one, two = rows([10, 30], [20])
    (found,) = restored([(one, np.array([0, 2])), (two, np.array([1]))])
    assert found["n"].to_pylist() == [10, 20, 30]


def test_outputs_without_places_come_before_those_that_are_held() -> None:
    one, two = rows([1], [2])
    assert [b["n"].to_pylist() for b in restored([(one, np.array([0])), (two, None)])] == [[2], [1]]


def test_empty_outputs_are_restored_to_an_empty_one() -> None:
    (found,) = restored([(rows([])[0], np.array([], np.int64))])
    assert (found.num_rows, found.schema.names) == (0, ["n"])


def test_a_batch_size_is_a_whole_number() -> None:
    with pytest.raises(ConfigError, match=r"batch_size = 1\.5; it is a number of rows of at least 1, or 'auto'"):
        Batcher(batch_size=1.5)  # type: ignore[arg-type]


def test_a_bound_of_one_row_and_a_small_weight_are_fine() -> None:
    assert cut(Batcher(batch_size=1), [1, 2]) == [[1], [2]]
    assert cut(Batcher(weight="n", max_batch_weight=0.5), [1, 2]) == [[1], [2]]


@pytest.mark.parametrize("bound", [0, -1])
def test_a_weight_bound_is_above_zero(bound: float) -> None:
    with pytest.raises(ConfigError, match=rf"max_batch_weight = {bound}; it is a number above 0"):
        Batcher(weight="n", max_batch_weight=bound)


def test_an_unsettled_weight_bound_is_refused() -> None:
    with pytest.raises(ConfigError, match="'auto' is settled by the pilot of a run; give a number here"):
        Batcher(weight="n", max_batch_weight="auto")
