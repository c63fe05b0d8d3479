"""A configuration resolved once into the objects of the run: every wrong choice is found here, before anything runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from partitioner import choices, registry
from partitioner import program as programs
from partitioner.attempt.asynchronous import Concurrency
from partitioner.attempt.batching import Batcher
from partitioner.config import RunConfig
from partitioner.costs.base import CostModel
from partitioner.costs.resolve import resolve as resolve_cost
from partitioner.engines.resolve import EngineChoice
from partitioner.engines.resolve import resolve as resolve_engine
from partitioner.errors import ConfigError
from partitioner.model import Limits, Source, Workers
from partitioner.output import exporting
from partitioner.placement.base import Algorithm
from partitioner.reducers.base import Reducer
from partitioner.splits.base import Splitter
from partitioner.stages.calling import concurrency_of
from partitioner.stages.filters import Filter
from partitioner.stages.filters import parse as parse_filter

USABLE_MEMORY = 0.8
"""Of a worker's memory: Dask pauses a worker above this share and ends it at 0.95."""


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """What a run is made of; ``program`` is None where only a plan was asked for, ``batching`` settings of ``Batcher``;
    ``concurrency`` of an async program, else None; ``keep`` is the filter; ``known_seconds`` of sub-tasks that what is left
    to run takes, as measured when other rows of it ran (None: not known)."""

    config: RunConfig
    source: Source
    model: CostModel
    splitter: Splitter
    algorithm: Algorithm
    reducer: Reducer
    engine: EngineChoice
    program: Callable[..., Any] | None
    batching: Mapping[str, Any]
    concurrency: Concurrency | None
    keep: Filter | None
    known_seconds: float | None = None

    def limits(self, workers: Workers) -> Limits:
        """What the splitter keeps sub-tasks within, for these workers."""
        config = self.config
        return Limits(
            target_task_seconds=config.target_task_seconds,
            allowed_mem=config.allowed_mem or self._memory_of_a_slot(workers),
            max_tasks=config.max_tasks,
            min_tasks_per_slot=config.min_tasks_per_slot,
            slots=max(1, int(np.floor(workers.cpus / config.task_cpus).sum())),
            divisible=self.reducer.divisible,
            known_seconds=self.known_seconds,
        )

    def _memory_of_a_slot(self, workers: Workers) -> float | None:
        """The memory that one sub-task has on any worker, all slots in use; None where a worker's is not known."""
        at_once = np.maximum(1.0, np.floor(workers.cpus / self.config.task_cpus))
        least = float((workers.memory_bytes / at_once).min()) * USABLE_MEMORY if len(workers) else np.inf
        return least if np.isfinite(least) else None


def resolve(config: RunConfig, given: tuple[str, ...] = programs.ONE_BATCH) -> Resolved:
    """The objects that a configuration means; ``given`` is what the program is called with.

    Raises ConfigError, UnknownName, ProgramError or DataError; nothing starts.
    """
    program = None if config.program is None else programs.resolve(config.program)
    if program is not None:
        programs.check_call(program, config.arguments, given)
    concurrency = None if program is None else concurrency_of(config, program)
    source = source_of(config)
    return Resolved(
        config=config,
        source=source,
        model=resolve_cost(config.cost),
        splitter=choices.choose("splits", config.split).bind(config.weight),
        algorithm=choices.choose("placements", config.placement),
        reducer=choices.choose("reducers", config.reducer),
        engine=resolve_engine(engine_of(config, source)),
        program=program,
        batching={} if concurrency else batching_of(config),
        concurrency=concurrency,
        keep=parse_filter(config.filter),
    )


def source_of(config: RunConfig) -> Source:
    """The input, without what the run writes into a folder of it: the next night would read that, and says so.

    Raises ConfigError where the run directories would lie in the input's own folder.
    """
    written = {"output": config.output, "checkpoint": config.checkpoint}
    places = {name: place for name, place in written.items() if place and not _is_table(place)}
    source: Source = registry.import_ours("connectors.resolve").resolve(config.dataset, written=tuple(places.values()))
    for name, place in places.items():
        rest = source.without(place)
        if rest is None and name == "checkpoint":
            raise ConfigError(
                f"checkpoint {place} is the folder of the input, and the next run would read what this one keeps there; "
                "set checkpoint to another folder."
            )
        if rest is not None and rest is not source:
            print(f"{name} {place} lies in the input, and is left out of it", file=sys.stderr)
            source = rest
    return source


def _is_table(place: str) -> bool:
    return place.partition("://")[0] in exporting.BY_SCHEME


def engine_of(config: RunConfig, source: Source) -> Any:
    """The engine named; where none is, that of the DataFrame given, said aloud."""
    own = None if "engine" in config.model_fields_set else source.own_engine()
    if own is None:
        return config.engine
    kind = type(own).__name__
    print(f"the run follows the DataFrame given to its {kind}; engine= names another", file=sys.stderr)
    return own


def batching_of(config: RunConfig) -> Mapping[str, Any]:
    """The settings of batches within a sub-task. Raises ConfigError for settings that do not go together."""
    names = ("batch_size", "max_batch_weight", "weight", "sort_by_weight", "padded")
    settings = {n: value for n, value in ((n, vars(config)[n]) for n in names) if value}
    bounds = {"max_batch_weight": 1.0} if config.max_batch_weight == "auto" and config.weight else {}
    unread = [
        c for c in Batcher(**{**settings, **bounds}).columns if config.columns is not None and c not in config.columns
    ]
    if unread:
        raise ConfigError(f"weight reads column {unread[0]!r}, which is not among columns; add it there.")
    if config.padded and config.weight is None:
        raise ConfigError("padded = True is about the weight of a batch: give weight too, or leave it out.")
    if config.sort_by_weight and config.allow_row_change:
        raise ConfigError(
            "sort_by_weight restores the order of one output row per input row; leave out allow_row_change."
        )
    if config.allow_row_change and config.preserve_order and choices.choose("splits", config.split).reorders:
        raise ConfigError(
            f"split {config.split!r} puts the output back in order by one output row per input row; leave out "
            "allow_row_change, or set preserve_order=False."
        )
    return settings
