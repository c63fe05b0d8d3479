"""Cost-based partitioning for batch training and inference on Dask and Spark."""

from partitioner.attempt.surroundings import TaskContext, task_context
from partitioner.config import RunConfig
from partitioner.errors import PartitionerError
from partitioner.model import Plan, SubTasks, Worker, Workers
from partitioner.output import Output
from partitioner.pipeline import plan, run
from partitioner.placement.api import compare, place
from partitioner.rebalancing.frame import rebalance
from partitioner.run import Run
from partitioner.simulation import simulate

__all__ = [
    "Output",
    "PartitionerError",
    "Plan",
    "Run",
    "RunConfig",
    "SubTasks",
    "TaskContext",
    "Worker",
    "Workers",
    "compare",
    "place",
    "plan",
    "rebalance",
    "run",
    "simulate",
    "task_context",
]
