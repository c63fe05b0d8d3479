"""The fleets that a question is about: so many workers like those there were, or given ones, with prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, nearest
from partitioner.model import Worker, Workers
from partitioner.placement.tables import workers_from

MOST = 100_000
"""Workers of a fleet: beyond that no plan is of use, and a table of them fills memory."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """``workers`` under a ``name``; ``counted``: they are so many like those there were."""

    name: str
    workers: Workers
    counted: bool = True


def fleets_of(wanted: Any, like: Workers, prices: Any) -> list[Fleet]:
    """One fleet for each entry of ``wanted``: a count, ``Workers``, a list of ``Worker``, or the path of a table.

    A mapping gives names to them. None asks for half, one, two and four times the workers there were. ConfigError for
    anything else.
    """
    if wanted is None:
        n = len(like)
        wanted = sorted({max(1, n // 2), n, 2 * n, 4 * n})
    entries = list(wanted.items()) if isinstance(wanted, Mapping) else [(None, w) for w in _several(wanted)]
    if not entries:
        raise ConfigError("workers is empty; name a fleet, such as workers=[8, 16, 32].")
    made = [_fleet(name, entry, like) for name, entry in entries]
    return [replace(fleet, workers=priced(fleet.workers, prices)) for fleet in made]


def _several(wanted: Any) -> Sequence[Any]:
    """The entries; a single fleet is one."""
    one = isinstance(wanted, int | float | str | Path | Workers)
    if not one and not isinstance(wanted, Sequence):
        raise ConfigError(f"workers is {wanted!r}; give counts or fleets, such as [8, 16, 32].")
    if not one and len(wanted) and all(isinstance(w, Worker) for w in wanted):
        return [Workers.of(wanted)]
    return [wanted] if one else wanted


def _fleet(name: str | None, entry: Any, like: Workers) -> Fleet:
    if isinstance(entry, int | float) and not isinstance(entry, bool):
        if entry != int(entry) or not 1 <= entry <= MOST:
            raise ConfigError(f"a fleet of {entry!r} workers: a count is a whole number from 1 to {MOST:,}.")
        n = int(entry)
        return Fleet(name or f"{n} worker{'s' if n > 1 else ''}", repeated(like, n))
    if isinstance(entry, str | Path):
        if not Path(entry).exists():
            raise ConfigError(f"no file {str(entry)!r}: a fleet is a count, or a table of workers (CSV or Parquet).")
        return Fleet(name or Path(entry).stem, _some(workers_from(str(entry)), entry), counted=False)
    if isinstance(entry, bool) or not isinstance(entry, Workers | Sequence):
        raise ConfigError(f"a fleet is {entry!r}; it is a count, a list of Worker, Workers, or the path of a table.")
    workers = _some(workers_from(entry), entry)
    return Fleet(name or f"{len(workers)} given workers", workers, counted=False)


def _some(workers: Workers, entry: Any) -> Workers:
    if not len(workers):
        raise ConfigError(f"the fleet {entry!r} has no workers; it needs at least one.")
    return workers


def repeated(like: Workers, n: int) -> Workers:
    """``n`` workers as those there are, in turn, so that their mix stays; further ones get names of their own."""
    taken = like.take(np.arange(n) % len(like))
    turns = np.arange(n) // len(like)
    names = tuple(f"{w}+{k}" if k else w for w, k in zip(taken.worker_id, turns.tolist(), strict=True))
    return replace(taken, worker_id=names)


def priced(workers: Workers, prices: Any) -> Workers:
    """The workers with ``prices`` per hour: None for their own, a number for all, or by worker class or id."""
    if prices is None:
        return workers
    if not isinstance(prices, Mapping):
        return replace(workers, price_per_hour=np.full(len(workers), _price(prices, "prices")))
    known = [*workers.worker_class, *workers.worker_id]
    column = workers.price_per_hour.copy()
    for name, price in prices.items():
        here = np.array([name in (c, w) for c, w in zip(workers.worker_class, workers.worker_id, strict=True)])
        column[here] = _price(price, f"the price of {name!r}")
        if not here.any():
            raise ConfigError(f"prices names {name!r}, which is no worker class and no worker.{nearest(name, known)}")
    return replace(workers, price_per_hour=column)


def _price(value: Any, what: str) -> float:
    fine = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value) and value >= 0
    if not fine:
        raise ConfigError(f"{what} is {value!r}; a price per hour is a number of at least 0.")
    return float(value)
