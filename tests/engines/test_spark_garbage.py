"""What a Python worker keeps is out of sight of the collection after every task, and what it drops is not."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from partitioner.engines import spark_garbage


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(spark_garbage, "_settled", [])
    yield
    gc.unfreeze()


class Model:
    """With a cycle, which only the collector ends."""

    def __init__(self) -> None:
        self.me = self


def test_the_first_attempt_of_a_run_takes_what_is_there_out_of_sight_and_the_next_ones_nothing() -> None:
    spark_garbage.settle("runs/1")
    frozen = gc.get_freeze_count()
    assert frozen > 1000
    kept = [Model() for _ in range(2000)]
    spark_garbage.settle("runs/1")
    assert gc.get_freeze_count() <= frozen + 1000 < frozen + len(kept)


def test_a_program_of_an_earlier_run_that_was_dropped_is_freed_in_the_end() -> None:
    model = Model()
    gone = weakref.ref(model)
    spark_garbage.settle("runs/1")
    del model
    spark_garbage.settle("runs/2")
    assert gone() is not None
    spark_garbage.settle("runs/3")
    assert gone() is None
