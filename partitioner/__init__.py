"""Cost-based partitioning for batch training and inference on Dask and Spark."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from partitioner.attempt.surroundings import TaskContext, task_context
    from partitioner.config import RunConfig
    from partitioner.errors import PartitionerError
    from partitioner.iteration.iterate import iterate
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
    "iterate",
    "place",
    "plan",
    "rebalance",
    "run",
    "simulate",
    "task_context",
]

_HOMES = {
    "attempt.surroundings": ("TaskContext", "task_context"),
    "config": ("RunConfig",),
    "errors": ("PartitionerError",),
    "iteration.iterate": ("iterate",),
    "model": ("Plan", "SubTasks", "Worker", "Workers"),
    "output": ("Output",),
    "pipeline": ("plan", "run"),
    "placement.api": ("compare", "place"),
    "rebalancing.frame": ("rebalance",),
    "run": ("Run",),
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
    """Keeps ``partitioner.run`` the function: importing the module of that name must not put itself in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """By name: programs that use it travel to workers."""
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package
