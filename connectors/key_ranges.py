"""Ranges of equal rows over a key of a table, however the keys lie: boundaries in the order of (key, place of the row).

The database ranks its rows once, and every so many rows a boundary is taken. Where that lies within a key of many rows,
the place of the row tells these apart; otherwise it moves to the start of its key, so that the key alone is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from connectors.databases import Database, column, quoted

NEAR = 20
"""A boundary moves to the start of its key where that is at most a 20th of a range away: ranges differ by so much."""

FETCH = 14
"""Looks at a row of pages that are read in order, for which one row is fetched through the index of the key (PostgreSQL 15,
all in memory). Of a key with n of a table's rows, s are found by looking at s * rows / n in order, or by fetching all n."""

Ask = Callable[[str, Sequence[Any]], Sequence[Mapping[str, Any]]]
Also = Callable[[list[Any]], str]


@dataclass(frozen=True, slots=True)
class Range:
    """Rows from the key ``low`` to below the key ``high`` (None: no bound).

    ``rows`` of it. ``places``: of the key ``low`` the rows from the first place on, and of the key ``high`` those before the
    second as well (None: as the keys alone say), as the database writes them. ``single``: all of them within the key
    ``low``. ``null``: rows without a key. ``few``: whether the keys ``low`` and ``high`` have so few rows that these are
    found by the key, and not by their places.
    """

    rows: int
    low: Any = None
    high: Any = None
    null: bool = False
    single: bool = False
    places: tuple[Any, Any] = (None, None)
    few: tuple[bool, bool] = (False, False)

    @property
    def by_place(self) -> bool:
        """Whether places of rows, which move when rows change, are part of it."""
        return self.places != (None, None)

    def conditions(self, key: str, kind: Database, cast: str = "") -> Iterator[tuple[str, list[Any]]]:
        """Its rows as conditions in SQL with their values, one after the other in the order of the key.

        ``cast`` is the type that values of the key are cast to, empty where they need not be.
        """
        first, last = self.places
        if self.null or self.single:
            yield _of_one(key, kind, None if self.null else self.low, first, last, self.few[0], cast)
            return
        if first is not None:
            yield _of_one(key, kind, self.low, first, None, self.few[0], cast)
        terms, values = [f"{column(key)} {'>=' if first is None else '>'} {_mark(kind, 1, cast)}"], [self.low]
        if self.high is not None:
            terms, values = [*terms, f"{column(key)} < {_mark(kind, 2, cast)}"], [*values, self.high]
        yield " AND ".join(terms), values
        if last is not None:
            yield _of_one(key, kind, self.high, None, last, self.few[1], cast)


def _mark(kind: Database, i: int, cast: str) -> str:
    return f"CAST({kind.mark(i)} AS {cast})" if cast else kind.mark(i)


def _of_one(key: str, kind: Database, value: Any, first: Any, last: Any, few: bool, cast: str) -> tuple[str, list[Any]]:
    """Rows of one key (None: without one) between two places."""
    values: list[Any] = [] if value is None else [value]
    terms = [f"{column(key)} IS NULL" if value is None else f"{column(key)} = {_mark(kind, 1, cast)}"]
    for sign, place in ((">=", first), ("<", last)):
        if place is not None:
            values.append(place)
            compared = f"{kind.row} {sign} {kind.mark(len(values))}{kind.cast_row}"
            terms.append(kind.looked_at.format(compared) if few else compared)
    return " AND ".join(terms), values


def ranges_of(table: str, key: str, count: int, kind: Database, ask: Ask, also: Also, cast: str = "") -> list[Range]:
    """About ``count`` ranges of a table, those without a key first; with a ``cast`` their keys are text.

    ``ask`` gives the rows of a query with its values; ``also`` is a further condition (`` AND ...`` or nothing), which adds
    its values to those there are.
    """
    values: list[Any] = []
    more = also(values)
    query = f"SELECT count(*) AS n, count({column(key)}) AS k FROM {quoted(table)} WHERE 1 = 1{more}"
    (counts,) = ask(query, values)
    rows, keyed = int(counts["n"]), int(counts["k"])
    step = max(-(-keyed // count), 1)
    bounds = [_Bound.of(row, step) for row in ask(_ranked(table, key, kind, step, more, cast), values)]
    bounds = [b for i, b in enumerate(bounds) if not i or b.position > bounds[i - 1].position]
    bounds = _with_few(bounds, keyed, step, rows)
    found = [a.until(b) for a, b in zip(bounds, [*bounds[1:], _Bound(keyed)], strict=True)] if bounds else []
    missing = rows - keyed
    if missing * NEAR > step * (NEAR + 1):
        return [*_without_key(missing, ask(_without(table, key, kind, step, more), values)), *found]
    return [*([Range(missing, null=True)] if missing else []), *found]


@dataclass(frozen=True, slots=True)
class _Bound:
    """``position``: rows before it; its ``key``, ``place`` within that, and ``group``: rows before its key (end: -1).
    ``few``: see ``Range``."""

    position: int
    key: Any = None
    place: Any = None
    group: int = -1
    few: bool = False

    @classmethod
    def of(cls, row: Mapping[str, Any], step: int) -> _Bound:
        """From a row of ``_ranked``."""
        group, exact = int(row["f"]) - 1, int(row["g"]) - 1
        if (exact - group) * NEAR <= step:
            return cls(group, row["k"], None, group)
        return cls(exact, row["k"], row["t"], group)

    def until(self, end: _Bound) -> Range:
        """The rows from here to another one."""
        single = end.group == self.group
        places, few = (self.place, end.place), (self.few, end.few)
        return Range(end.position - self.position, self.key, end.key, single=single, places=places, few=few)


def _with_few(bounds: Sequence[_Bound], keyed: int, step: int, rows: int) -> list[_Bound]:
    """The bounds with what is known of how many rows their keys have: at most those before the key of a later bound."""
    found, end, before = list[_Bound](), keyed, None
    for bound in reversed(bounds):
        if before is not None and before.group != bound.group:
            end = before.group
        found.append(replace(bound, few=(end - bound.group) ** 2 * FETCH < step * rows))
        before = bound
    return found[::-1]


def _ranked(table: str, key: str, kind: Database, step: int, more: str, cast: str) -> str:
    """The first row of every ``step``: its key, its place as text, the rank of its key and its own rank."""
    name, found = column(key), "CAST(k AS text) AS k" if cast else "k"
    ranked = (
        f"SELECT {name} AS k, {kind.row} AS p, row_number() OVER w AS r, rank() OVER w AS g, "
        f"rank() OVER (ORDER BY {name}) AS f FROM {quoted(table)} WHERE {name} IS NOT NULL{more} "
        f"WINDOW w AS (ORDER BY {name}, {kind.row})"
    )
    wanted = f"{found}, {_as_value('p', kind)} AS t, f, g"
    return f"SELECT {wanted} FROM ({ranked}) AS ranked WHERE (r - 1) % {step} = 0 ORDER BY r"


def _as_value(row: str, kind: Database) -> str:
    return f"CAST({row} AS VARCHAR)" if kind.cast_row else row


def _without(table: str, key: str, kind: Database, step: int, more: str) -> str:
    """As ``_ranked``, for the rows whose key is null: place and rank."""
    ranked = (
        f"SELECT {kind.row} AS p, row_number() OVER w AS r, rank() OVER w AS g FROM {quoted(table)} "
        f"WHERE {column(key)} IS NULL{more} WINDOW w AS (ORDER BY {kind.row})"
    )
    return f"SELECT {_as_value('p', kind)} AS t, g FROM ({ranked}) AS ranked WHERE (r - 1) % {step} = 0 ORDER BY r"


def _without_key(rows: int, ranked: Sequence[Mapping[str, Any]]) -> list[Range]:
    """Ranges over the rows whose key is null, by their places."""
    starts = [(row["t"] if i else None, int(row["g"]) - 1) for i, row in enumerate(ranked)]
    ends = [*starts[1:], (None, rows)]
    return [Range(b - a, null=True, places=(p, q)) for (p, a), (q, b) in zip(starts, ends, strict=True) if b > a]


def encoded(ranges: Sequence[Range]) -> pa.Table:
    """Ranges as columns, of the types that keys and places have."""
    rows = [asdict(r) for r in ranges]
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in ("rows", "low", "high", "null", "single")}
    columns |= {name: [row["places"][i] for row in rows] for i, name in enumerate(("first", "last"))}
    columns |= {name: [row["few"][i] for row in rows] for i, name in enumerate(("few_low", "few_high"))}
    return pa.table(columns)


def decoded(table: pa.Table) -> tuple[Range, ...]:
    """The inverse of ``encoded``."""
    return tuple(
        Range(
            row["rows"],
            row["low"],
            row["high"],
            row["null"],
            row["single"],
            (row["first"], row["last"]),
            (row.get("few_low", False), row.get("few_high", False)),
        )
        for row in table.to_pylist()
    )
