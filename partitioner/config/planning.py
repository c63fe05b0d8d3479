"""What sub-tasks cost, how they are cut, where they are placed, and on which engine."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from partitioner.config.section import Section, durations, numbers, shaping, sizes


class Planning(Section):
    """What sub-tasks cost, how they are cut, where they are placed, and on which engine."""

    cost: Any = shaping(
        "auto", description="auto, rows, bytes, calibrate, learned, an expression, numbers, or {model: ..., ...}."
    )
    measure_speeds: bool = Field(True, description="Time the pilot's pieces on every worker, where a pilot runs.")
    split: Any = shaping("ordered", description="ordered, packed, by_weight, or {split: grouped, key: ...}.")
    target_task_seconds: float | None = shaping(None, gt=0, description="Seconds a sub-task should take.")
    allowed_mem: Any = shaping(None, description="Predicted peak bytes a sub-task may have, as a number or '4GB'.")
    max_tasks: int | None = shaping(None, ge=1, description="Sub-tasks at most.")
    min_tasks_per_slot: int | None = shaping(None, ge=1, description="Sub-tasks per slot at least.")
    task_cpus: float = Field(1.0, gt=0, description="Cores one sub-task uses.")
    task_gpus: float = Field(0.0, ge=0, description="GPUs one sub-task uses; a fraction shares a device.")
    placement: Any = Field(
        "refined_lpt", description="Placement algorithm: a name, or {placement: name, <option>: ...}."
    )
    objective: Any = Field("makespan", description="What the placement minimises.")
    time_limit: float | None = Field(None, gt=0, description="Seconds the placement may search.")
    engine: Any = Field(
        "dask", description="serial, dask, spark, a Client, a SparkSession, or {engine: dask, workers: 4}."
    )

    _planning_numbers = numbers(
        *("target_task_seconds", "allowed_mem", "max_tasks", "min_tasks_per_slot", "task_cpus", "task_gpus"),
        "time_limit",
    )
    _planning_sizes = sizes("allowed_mem")
    _planning_seconds = durations("target_task_seconds", "time_limit")
