"""Async programs (calls of a model server, a database, a service): many calls at once, bounded, in the order of the rows.

One event loop per process runs in a thread of its own, so that clients which a program opened in ``__init__`` or at its
first call stay usable from sub-task to sub-task.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from partitioner.errors import ConfigError, ProgramExited

T = TypeVar("T")

MOST_BACKOFF = 60.0
"""Seconds between two tries of one call at most."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How an async program is called.

    ``rows`` of one call: 0 means a single row as a dict, else a batch of that many rows. ``calls`` at once and
    ``per_second`` starts (0: any) of one running sub-task. Errors named in ``retry_on`` (class name, bare or with its
    module; base classes count) are tried ``retries`` times more, after ``backoff_seconds``, doubled each time up to a
    minute, with a random part so that calls do not return together.
    """

    rows: int = 0
    calls: int = 16
    per_second: float = 0.0
    retry_on: tuple[str, ...] = ()
    retries: int = 5
    backoff_seconds: float = 0.5

    def again(self, error: Exception) -> bool:
        """Whether the error is one of those named."""
        names = {n for k in type(error).__mro__ for n in (k.__name__, f"{k.__module__}.{k.__qualname__}")}
        return not names.isdisjoint(self.retry_on)


def rows_together(how: Concurrency | None) -> int:
    """Rows that one sub-task has under way at once; 1 of a program that is not async."""
    return 1 if how is None else how.calls * max(1, how.rows)


def is_async(program: Callable[..., Any]) -> bool:
    """Whether calling the program, or instances of it, gives a coroutine. ConfigError for an async generator."""
    while isinstance(program, functools.partial):
        program = program.func
    called = program if inspect.isroutine(program) else getattr(program, "__call__", None)  # noqa: B004
    if inspect.isasyncgenfunction(called):
        raise ConfigError(
            "the program is an async generator; write an async function that returns the result of one row or batch, "
            "and set max_concurrency."
        )
    return inspect.iscoroutinefunction(called)


def call_all(call: Callable[[Any], Awaitable[T]], units: Sequence[Any], how: Concurrency) -> list[T | Exception]:
    """The results of ``call`` on every unit, in order; an exception in the place of a call that failed for good."""
    return _on_the_loop(_all(call, units, how))


async def _all(call: Callable[[Any], Awaitable[T]], units: Sequence[Any], how: Concurrency) -> list[T | Exception]:
    results: list[Any] = [None] * len(units)
    waiting = iter(enumerate(units))
    pace = _Pace(how.per_second)

    async def work() -> None:
        for i, unit in waiting:
            try:
                results[i] = await _one(call, unit, how, pace)
            except Exception as error:
                results[i] = error

    await asyncio.gather(*(work() for _ in range(min(how.calls, len(units)))))
    return results


async def _one(call: Callable[[Any], Awaitable[T]], unit: Any, how: Concurrency, pace: _Pace) -> T:
    done = 0
    while True:
        await pace.turn()
        try:
            return await call(unit)
        except Exception as error:
            if done == how.retries or not how.again(error):
                raise
        except BaseException as error:  # SystemExit would end the loop, and with it every later call
            if _is_cancelled():
                raise
            raise ProgramExited.by(error) from error
        pause = min(how.backoff_seconds * 2**done, MOST_BACKOFF)
        done += 1
        await asyncio.sleep(pause * (0.5 + random.random() / 2))


def _is_cancelled() -> bool:
    """Whether this call is not wanted any more: what it raises then is not the program's."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Pace:
    """Starts of calls, no more than so many per second, evenly spaced."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Return when the next call may start."""
        if not self._gap:
            return
        now = time.monotonic()
        mine = max(self._next, now)
        self._next = mine + self._gap
        await asyncio.sleep(mine - now)


_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}


def _loop() -> asyncio.AbstractEventLoop:
    """This process's loop; a fork has threads of its own, and so makes a new one."""
    with _lock:
        if os.getpid() not in _loops:
            _loops.clear()
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="partitioner-async", daemon=True).start()
            _loops[os.getpid()] = loop
        return _loops[os.getpid()]


def _on_the_loop(work: Coroutine[Any, Any, T]) -> T:
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:  # also an interrupt of this thread, which would leave the calls running on the loop
        future.cancel()
        raise


def pieces(rows: int, most: int) -> Iterator[slice]:
    """Slices of at most ``most`` rows."""
    for start in range(0, rows, most):
        yield slice(start, min(start + most, rows))
