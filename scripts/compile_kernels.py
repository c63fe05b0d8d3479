"""Compile the search kernels once, so that no first plan of a task graph waits for it; numba caches them on disk."""

import numpy as np

from partitioner.model import Edges, SubTasks, Workers
from partitioner.placement.graph_search import GraphSearch

edges = Edges(np.array([0, 0]), np.array([1, 2]), np.zeros(2), np.zeros(2))
GraphSearch(rounds=1).place(
    SubTasks.build([1.0, 2.0, 3.0, 4.0, 5.0], edges=edges), Workers.identical(2), time_limit=60.0
)
