"""The ten-task graph on three unlike workers that Topcuoglu et al. 2002 schedule by hand."""

import numpy as np
import pytest

from partitioner.model import Edges, SubTasks, Worker, Workers

SECONDS = [
    [14, 16, 9],
    [13, 19, 18],
    [11, 13, 19],
    [13, 8, 17],
    [12, 13, 10],
    [13, 16, 9],
    [7, 15, 11],
    [5, 11, 14],
    [18, 12, 20],
    [21, 7, 16],
]
LINKS = [
    (1, 2, 18),
    (1, 3, 12),
    (1, 4, 9),
    (1, 5, 11),
    (1, 6, 14),
    (2, 8, 19),
    (2, 9, 16),
    (3, 7, 23),
    (4, 8, 27),
    (4, 9, 23),
    (5, 9, 13),
    (6, 8, 15),
    (7, 10, 17),
    (8, 10, 11),
    (9, 10, 13),
]


@pytest.fixture
def paper_tasks() -> SubTasks:
    """Transfers are bytes; at a bandwidth of 1 they are the paper's communication costs."""
    times = np.array(SECONDS, np.float64)
    ends = np.array([(a - 1, b - 1) for a, b, _ in LINKS], np.int64)
    edges = Edges(ends[:, 0], ends[:, 1], np.zeros(len(LINKS)), np.array([c for _, _, c in LINKS], np.float64))
    by_class = {name: times[:, k] for k, name in enumerate("abc")}
    return SubTasks.build(times.mean(axis=1), [f"n{i}" for i in range(1, 11)], seconds_by_class=by_class, edges=edges)


@pytest.fixture
def paper_workers() -> Workers:
    return Workers.of(Worker(name, worker_class=name) for name in "abc")
