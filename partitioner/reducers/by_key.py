"""``by_key``: another reducer applied to the rows of each key, which is what makes a hot group safe to split."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner import registry
from partitioner.choices import choose
from partitioner.errors import ConfigError, ProgramError, listed, nearest
from partitioner.frames import UNFIT, to_numpy
from partitioner.reducers.base import Reducer
from partitioner.reducers.columns import sliced, table_of, taken
from partitioner.reducers.groups import Groups
from partitioner.reducers.observations import Observations
from partitioner.reducers.partials import UNTAKEN, a_kind, untaken


class ByKey(Reducer):
    """The program returns tables with the column ``key``; ``inner`` reduces the other columns of each key's rows.

    ``inner`` is a reducer, or what names one: ``{"reducer": "variance", "ddof": 0}``. The algebra is that of ``inner``.
    Where its results can be read from the columns of ``reducers.groups`` all keys are kept and merged at once, and sums are
    as exact as two doubles can hold them; else each key has an accumulator of its own. A reducer of the user's gets the
    rows of a key as the program returned them all: a data frame, a dict of columns or a table, without the key.
    NaN is the same key as null. The result is a table sorted by key, nulls last.
    """

    name = "by_key"
    takes = "data"
    per_key = False  # a table is no row of one

    def __init__(self, key: str = "key", inner: Any = "mean") -> None:
        if not isinstance(key, str) or not key:
            raise ConfigError(
                f"key of by_key is {key!r}; it is the name of one column. Make one column of several keys."
            )
        self.key = key
        self.inner = choose("reducers", inner)
        if not self.inner.per_key or self.inner.rows:
            raise ConfigError(
                f"by_key cannot hold {self.inner.name or type(self.inner).__name__!r}, which does not reduce the rows of a "
                f"table to one row; what fits: {', '.join(_fitting())}. Use it on all rows, or run once per key."
            )
        self.parts: tuple[str, ...] | None = self.inner.group_parts
        self.commutative: bool = self.inner.commutative
        self.exact: bool = self.inner.exact and (self.parts is None or set(self.parts) <= _EXACT)
        self.mergeable: bool = self.inner.mergeable
        self.whole_task: bool = self.inner.whole_task
        if self.parts is None:
            self.serializer = self.inner.serializer
        self.allows_nan = True  # a key of nulls alone; NaN of the program's is met by the inner reducer

    def create_accumulator(self) -> Any:
        """No keys."""
        return {} if self.parts is None else None

    def add_input(self, accumulator: Any, value: Any) -> Any:
        """With the rows of one output. Raises ProgramError where it is no table or lacks the key."""
        table = table_of(value, self.name)
        if self.parts is not None:
            return self.merge_accumulators(accumulator, self._columns_of(table, self.parts))
        grown = dict(accumulator)
        for key, rows in self._groups(table, value if self._as_returned(value) else table):
            held = grown[key] if key in grown else self.inner.create_accumulator()
            try:
                grown[key] = self.inner.add_input(held, rows)
            except UNTAKEN as error:
                what = f"the rows of one key, which by_key gives it as {a_kind(rows)}"
                raise ProgramError(untaken(self.inner, error, what)) from error
        return grown

    def _as_returned(self, value: Any) -> bool:
        """Whether the inner reducer gets rows in the program's kind of table, which is then none of Arrow's."""
        return not (self.inner.any_table or isinstance(value, pa.RecordBatch))

    def merge_accumulators(self, left: Any, right: Any) -> Any:
        """Key by key."""
        if self.parts is not None:
            return (right if left is None else left) if left is None or right is None else left.merged(right)
        merged = dict(left)
        for key, accumulator in right.items():
            merged[key] = self.inner.merge_accumulators(merged[key], accumulator) if key in merged else accumulator
        return merged

    def extract_output(self, accumulator: Any) -> pa.Table:
        """A row per key: its inner result, in columns of its own where that is a dict."""
        if self.parts is not None:
            if accumulator is None:
                return pa.table({})
            found = self.inner.extract_groups(accumulator.rows, accumulator.names, accumulator.parts)
            return pa.table({self.key: accumulator.keys, **self._beside(found)})
        rows = []
        for held in accumulator.values():
            found = self.inner.columns_of(self.inner.extract_output(held))
            rows.append(self._beside({name: _cell(value) for name, value in found.items()}))
        try:
            table = pa.Table.from_pylist(rows)
            table = table.add_column(0, self.key, _keys_of(list(accumulator))) if rows else table
        except UNFIT as error:
            kinds = " and ".join(sorted({type(key).__name__ for key in accumulator if key is not None}))
            raise ProgramError(
                f"The program's keys {self.key!r} are {kinds} in different outputs, or results of different types "
                f"({error}); return one type."
            ) from error
        return table.sort_by(self.key) if rows else table

    def _beside(self, found: dict[str, Any]) -> dict[str, Any]:
        """Columns that stand beside the key's. Raises ProgramError where one has its name."""
        if self.key in found:
            raise ProgramError(
                f"A result of by_key is called {self.key!r}, as its key is; call the column of the key otherwise, or "
                "give the reducer another name in several."
            )
        return found

    def _columns_of(self, table: pa.Table, parts: tuple[str, ...]) -> Groups:
        """The groups of one table, all at once."""
        keys = self._keys(table)
        if pa.types.is_floating(keys.type):
            keys = pc.if_else(pc.is_nan(keys), pa.scalar(None, keys.type), keys)
        seen = self.inner.seen(table.drop_columns([self.key])) if parts else NOTHING
        return Groups.of(keys, seen, parts)

    def _keys(self, table: pa.Table) -> pa.Array:
        if self.key not in table.column_names:
            known = table.column_names
            raise ProgramError(
                f"The program's output has no column {self.key!r} to reduce by; it has {listed(known) or 'none'}."
                f"{nearest(self.key, known)}"
            )
        kind = table.schema.field(self.key).type
        if pa.types.is_nested(kind):
            raise ProgramError(
                f"Column {self.key!r} of the program's output is {kind}; keys are numbers, text, dates or truth values. "
                "Make one column of several keys."
            )
        keys = table[self.key].combine_chunks()
        if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):  # Arrow sorts no views
            keys = keys.cast(pa.large_string() if pa.types.is_string_view(kind) else pa.large_binary())
        return pa.concat_arrays(keys.chunks) if isinstance(keys, pa.ChunkedArray) else keys

    def _groups(self, table: pa.Table, given: Any) -> Iterator[tuple[Any, Any]]:
        """Each key with its rows of ``given``, without the key column."""
        coded = pc.dictionary_encode(self._keys(table), null_encoding="encode")
        coded = pa.concat_arrays(coded.chunks) if isinstance(coded, pa.ChunkedArray) else coded
        code = to_numpy(coded.indices)
        order = np.argsort(code, kind="stable")
        bounds = np.searchsorted(code[order], np.arange(len(coded.dictionary) + 1))
        rows = taken(given, order, self.key)
        for i, key in enumerate(coded.dictionary.to_pylist()):
            missing = isinstance(key, float) and isnan(key)
            yield None if missing else key, sliced(rows, bounds[i], bounds[i + 1])


def _fitting() -> list[str]:
    """Names of the reducers that can be applied to each key."""
    made = {name: registry.load("reducers", name) for name in registry.built_in("reducers")}
    return [name for name, factory in made.items() if factory.per_key and not factory.rows]


def _keys_of(keys: list[Any]) -> pa.Array:
    """Keys as a column; whole numbers that only unsigned ones hold are such."""
    try:
        return pa.array(keys)
    except OverflowError:
        return pa.array(keys, pa.uint64())


_EXACT = {"count", "low", "high"}
NOTHING = Observations(np.empty((0, 0)), np.empty((0, 0), np.bool_), ())


def _cell(value: Any) -> Any:
    """A value as Arrow takes it: arrays and tables as lists."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, pa.Table):
        return value.to_pylist()
    if isinstance(value, dict):
        return {str(name): _cell(held) for name, held in value.items()}
    return [_cell(held) for held in value] if isinstance(value, list | tuple) else value
