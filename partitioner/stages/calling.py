"""How an async program is called, from the configuration: row by row, or in batches, and how many at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from partitioner.attempt.asynchronous import Concurrency, is_async
from partitioner.config import RunConfig
from partitioner.errors import ConfigError

_FRAMES = ("DataFrame", "RecordBatch", "Table", "ndarray", "list")
_FOR_ASYNC = ("max_concurrency", "rate_limit", "retry_on")
_FOR_BATCHES = ("max_batch_weight", "sort_by_weight", "weight")


def concurrency_of(config: RunConfig, program: Callable[..., Any]) -> Concurrency | None:
    """None for a program that is not async. ConfigError for settings that do not go together.

    An async program gets one row at a time, as a dict. It gets batches of ``batch_size`` rows where that is given; of one
    row where ``batch_format`` is given, or where its argument is annotated as a frame, table, array or list.
    """
    if not is_async(program):
        given = [name for name in _FOR_ASYNC if getattr(config, name)]
        if given:
            raise ConfigError(f"{given[0]} is for async programs; write the program as async def, or leave it out.")
        return None
    unfit = [name for name in _FOR_BATCHES if getattr(config, name)]
    if unfit or config.batch_size == "auto":
        raise ConfigError(
            f"{unfit[0] if unfit else 'batch_size: auto'} is not for async programs; give batch_size as a number of rows, "
            "or leave it out for one row per call."
        )
    batches = "batch_format" in config.model_fields_set or _wants_batches(program)
    rows = config.batch_size if isinstance(config.batch_size, int) else int(batches)
    return Concurrency(
        rows=rows,
        calls=config.max_concurrency or Concurrency().calls,
        per_second=config.rate_limit or 0.0,
        retry_on=tuple(config.retry_on),
        retries=config.retry_calls,
        backoff_seconds=config.retry_backoff,
    )


def _wants_batches(program: Callable[..., Any]) -> bool:
    called = program.__call__ if inspect.isclass(program) else program
    names = [p.annotation for p in inspect.signature(called).parameters.values() if p.name != "self"]
    text = str(names[0]) if names else ""
    return any(kind in text for kind in _FRAMES)
