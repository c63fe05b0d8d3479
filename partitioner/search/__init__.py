"""scikit-learn's searches as sub-tasks of a plan: every fit has a cost, and the longest begin first, on any engine."""

from partitioner.search.backend import PlannedCalls
from partitioner.search.calls import run_calls
from partitioner.search.grid import GridSearch, RandomizedSearch

__all__ = ["GridSearch", "PlannedCalls", "RandomizedSearch", "run_calls"]
