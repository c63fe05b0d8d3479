import numpy as np
import pytest

from partitioner.costs.guarantee import guarantee, shortfalls
from partitioner.errors import InfeasiblePlan
from partitioner.model import SubTasks, Worker, Workers

MB = 1e6
WORKERS = Workers.of(
    [Worker("small", memory_bytes=100 * MB), Worker("big", memory_bytes=500 * MB, labels=frozenset({"big"}))]
)


def tasks(*megabytes, **columns):
    return SubTasks.build(np.ones(len(megabytes)), memory_bytes=np.array(megabytes) * MB, **columns)


def test_what_fits_the_worker_it_is_placed_on_passes():
    guarantee(tasks(90, 400), WORKERS, np.array([0, 1], np.int32))


def test_what_exceeds_its_worker_is_refused_with_the_remedy():
    with pytest.raises(
        InfeasiblePlan, match=r"t000001 .*400 MB.*quantile 0.99.*small has 100 MB.*allowed_mem to at most 100MB"
    ):
        guarantee(tasks(90, 400), WORKERS, np.array([0, 0], np.int32), quantile=0.99)


def test_headroom_counts():
    assert shortfalls(tasks(90), WORKERS, np.array([0], np.int32), headroom=0.2).tolist() == [0]


def test_without_a_placement_the_largest_worker_decides():
    assert shortfalls(tasks(400, 600), WORKERS).tolist() == [1]


def test_labels_restrict_the_workers():
    needs = {"gpu": np.array([True])}
    assert shortfalls(tasks(1, requires=needs), WORKERS).tolist() == [0]
