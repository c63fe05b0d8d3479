"""The default placement of a run: lpt, and some milliseconds of search where they pay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.config import RunConfig
from partitioner.model import SubTasks, Worker, Workers
from partitioner.placement.api import place


def test_it_is_the_default_of_a_run() -> None:
    assert RunConfig.model_fields["placement"].default == "refined_lpt"


@pytest.mark.parametrize(("n", "slots"), [(30, 4), (100, 8), (100, 20), (500, 40), (2000, 100)])
@pytest.mark.parametrize("speeds", [(1.0,), (1.0, 1.5, 2.0)])
def test_within_a_thousandth_of_the_bound(n: int, slots: int, speeds: tuple[float, ...]) -> None:
    """Where lpt leaves up to 1 %; repeatable, for steps are counted."""
    workers = Workers.of(Worker(f"w{j}", speed=speeds[j % len(speeds)]) for j in range(slots))
    tasks = SubTasks.build(np.random.default_rng(0).lognormal(1, 1, n))
    assert place(tasks, workers, algorithm="refined_lpt").gap <= 1e-3


def test_what_lpt_solves_is_left_alone() -> None:
    tasks, workers = SubTasks.build([5.0, 4.0, 3.0, 2.0]), Workers.identical(2)
    plain, refined = (place(tasks, workers, algorithm=name) for name in ("lpt", "refined_lpt"))
    assert (refined.worker.tolist(), refined.gap) == (plain.worker.tolist(), 0.0)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0.1, 30), min_size=1, max_size=40),
    st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=1, max_size=5),
    st.booleans(),
)
def test_never_worse_than_lpt(seconds: list[float], cores: list[float], uneven: bool) -> None:
    workers = Workers.of(Worker(f"w{j}", cpus=c) for j, c in enumerate(cores))
    tasks = SubTasks.build(seconds, cpus=[0.5 if uneven and i % 2 else 1.0 for i in range(len(seconds))])
    lpt, refined = (place(tasks, workers, algorithm=name, steps=20_000).makespan for name in ("lpt", "refined_lpt"))
    assert refined <= lpt


def test_the_old_names_still_work() -> None:
    tasks, workers = SubTasks.build([5.0, 4.0, 3.0]), Workers.identical(2)
    assert place(tasks, workers, algorithm="hybrid").algorithm == "block_exchange"
    assert place(tasks, workers, algorithm="distributed").algorithm == "dimension_exchange"
