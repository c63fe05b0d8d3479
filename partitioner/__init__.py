"""Cost-based partitioning for batch training and inference on Dask and Spark."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from partitioner.attempt.surroundings import TaskContext, task_context
    from partitioner.config import RunConfig, load_config, load_settings
    from partitioner.errors import PartitionerError
    from partitioner.graphs.cascade import cascade
    from partitioner.graphs.pipeline import pipeline
    from partitioner.graphs.step import Step
    from partitioner.iteration.iterate import iterate
    from partitioner.model import Plan, SubTasks, Worker, Workers
    from partitioner.outlook.whatif import whatif
    from partitioner.output.output import Output
    from partitioner.placement.api import compare, place
    from partitioner.reading import load_result, read_bytes, read_table
    from partitioner.rebalancing.frame import rebalance
    from partitioner.registry import register
    from partitioner.running import plan, plan_config, run, run_config
    from partitioner.runs.run import Run
    from partitioner.simulation import simulate

__all__ = [
    "Output",
    "PartitionerError",
    "Plan",
    "Run",
    "RunConfig",
    "Step",
    "SubTasks",
    "TaskContext",
    "Worker",
    "Workers",
    "cascade",
    "compare",
    "iterate",
    "load_config",
    "load_result",
    "load_settings",
    "pipeline",
    "place",
    "plan",
    "plan_config",
    "read_bytes",
    "read_table",
    "rebalance",
    "register",
    "run",
    "run_config",
    "simulate",
    "task_context",
    "whatif",
]

_HOMES = {
    "attempt.surroundings": ("TaskContext", "task_context"),
    "config": ("RunConfig", "load_config", "load_settings"),
    "errors": ("PartitionerError",),
    "graphs.cascade": ("cascade",),
    "graphs.pipeline": ("pipeline",),
    "graphs.step": ("Step",),
    "iteration.iterate": ("iterate",),
    "model": ("Plan", "SubTasks", "Worker", "Workers"),
    "outlook.whatif": ("whatif",),
    "output.output": ("Output",),
    "running": ("plan", "plan_config", "run", "run_config"),
    "placement.api": ("compare", "place"),
    "reading": ("load_result", "read_bytes", "read_table"),
    "rebalancing.frame": ("rebalance",),
    "registry": ("register",),
    "runs.run": ("Run",),
    "simulation": ("simulate",),
}
"""Module to public names. Each is loaded when it is first asked for: a worker process never asks, and starts at once."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """A public name, loaded now."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """Goes by name when it is pickled: programs that use it travel to workers."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
