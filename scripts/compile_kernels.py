"""Compile the search kernels once, so that no first plan of a task graph waits for it; numba caches them on disk."""

import numpy as np

from partitioner.model import Edges, SubTasks, Worker, Workers
from partitioner.placement.algorithms.graph_search import GraphSearch
from partitioner.placement.search.graph_kernel import anneal, compiled

# Its bound, 5 s, lies below its optimum, 6 s: a search never stops before the first step.
edges = Edges(np.array([0, 0, 1, 2]), np.array([1, 2, 3, 3]), np.zeros(4), np.zeros(4))
tasks = SubTasks.build([2.0, 4.0, 4.0, 2.0], edges=edges)
workers = Workers.of([Worker("fast", speed=2.0), Worker("slow", speed=1.0)])
GraphSearch(rounds=1).place(tasks, workers, time_limit=60.0)
if compiled and not getattr(anneal, "signatures", ()):
    raise SystemExit("The kernel of graph_search was not compiled: the search stopped before its first step.")
