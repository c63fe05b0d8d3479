"""How an async program is called, from the configuration: row by row, or in batches, and how many at once."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

from partitioner.attempt.asynchronous import Concurrency, is_async
from partitioner.config import Calls
from partitioner.errors import ConfigError, nearest

_FRAMES = ("DataFrame", "RecordBatch", "Table", "ndarray", "list")
_FOR_ASYNC = ("max_concurrency", "rate_limit", "retry_on")
_FOR_BATCHES = ("max_batch_weight", "sort_by_weight", "weight")


def concurrency_of(config: Calls, program: Callable[..., Any]) -> Concurrency | None:
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
        retry_on=tuple(map(_error_name, config.retry_on)),
        retries=config.retry_calls,
        backoff_seconds=config.retry_backoff,
    )


def _wants_batches(program: Callable[..., Any]) -> bool:
    called = program.__call__ if inspect.isclass(program) else program
    names = [p.annotation for p in inspect.signature(called).parameters.values() if p.name != "self"]
    text = str(names[0]) if names else ""
    return any(kind in text for kind in _FRAMES)


def _error_name(given: str) -> str:
    """A name of ``retry_on`` as ``Concurrency.again`` compares it. ConfigError where no exception class has it.

    With its module it is looked up there, and a class that another module made is then known by its own name. Bare it is
    that of a class which Python has, or which the program, imported by now, brought.
    """
    if "." not in given:
        known = {kind.__name__ for kind in _loaded_errors(Exception)}
        if given in known:
            return given
        raise ConfigError(
            f"retry_on names {given!r}, and no exception class of that name is loaded with the program. Check the spelling, "
            f"or write it with its module, such as httpx.ReadTimeout.{nearest(given, sorted(known))}"
        )
    try:
        found = pkgutil.resolve_name(given)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"retry_on names {given!r}, which cannot be found: {error}. Check the spelling.") from error
    if not (isinstance(found, type) and issubclass(found, Exception)):
        raise ConfigError(
            f"retry_on names {given!r}, which is {found!r} and no class of exceptions (class E(Exception))."
        )
    return f"{found.__module__}.{found.__qualname__}"


def _loaded_errors(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _loaded_errors(below)
