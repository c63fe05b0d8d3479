"""Batches within a sub-task: bounded by rows, by weight, or sized by the clock; like rows together where asked.

A worker builds one ``Batcher`` per process and calls ``batches`` once per sub-task::

    batcher = Batcher(batch_size="auto", weight="len(text)", sort_by_weight=True)
    pairs = ((program(rows), places) for rows, places in batcher.batches(source_batches))
    yield from restored(pairs)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from partitioner.attempt.auto_size import AutoSize
from partitioner.costs.formulas.row_weight import RowWeight
from partitioner.errors import ConfigError
from partitioner.model.data import Floats, Ints

LOOKAHEAD = 1024
"""Rows weighed against the bound at once."""

Places = Ints | None
"""For each row of a batch, where it stood among the rows of the sub-task; None where batches keep that order."""


@dataclass(slots=True)
class _Held:
    """Rows waiting to become a batch."""

    parts: list[pa.RecordBatch] = field(default_factory=list)
    places: list[Ints] = field(default_factory=list)
    rows: int = 0
    weight: float = 0.0
    heaviest: float = 0.0

    def add(self, rows: pa.RecordBatch, weights: Floats, places: Places) -> None:
        self.parts.append(rows)
        self.rows += rows.num_rows
        self.weight += float(weights.sum())
        self.heaviest = max(self.heaviest, float(weights.max()))
        if places is not None:
            self.places.append(places)


class Batcher:
    """Cuts the rows of a sub-task into the batches that the program is called with.

    ``batch_size``: rows at most, or ``"auto"`` for batches of about ``target_batch_seconds``, learned from the batches
    before, across sub-tasks; None for no bound. ``weight``: of a row, see ``RowWeight``. ``max_batch_weight`` bounds the
    sum of the weights, or with ``padded`` rows times the heaviest weight, which is what a padded tensor holds; a row that
    alone is above it gets a batch of its own. ``sort_by_weight``: heaviest first, so that a batch holds rows of like
    weight; all rows of the sub-task are in memory then. Raises ConfigError for settings that do not go together.
    """

    def __init__(
        self,
        batch_size: int | Literal["auto"] | None = None,
        max_batch_weight: float | Literal["auto"] | None = None,
        weight: str | Callable[[pa.RecordBatch], Any] | None = None,
        sort_by_weight: bool = False,
        padded: bool = False,
        target_batch_seconds: float = 1.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if batch_size is not None and batch_size != "auto" and not (isinstance(batch_size, int) and batch_size > 0):
            raise ConfigError(f"batch_size = {batch_size!r}; it is a number of rows of at least 1, or 'auto'.")
        if isinstance(max_batch_weight, int | float) and not max_batch_weight > 0:
            raise ConfigError(f"max_batch_weight = {max_batch_weight}; it is a number above 0.")
        for name, wanted in (("max_batch_weight", max_batch_weight), ("sort_by_weight", sort_by_weight)):
            if wanted and weight is None:
                raise ConfigError(f"{name} = {wanted} needs a weight: a column, an expression or a function.")
        if max_batch_weight == "auto":
            raise ConfigError("max_batch_weight = 'auto' is settled by the pilot of a run; give a number here.")
        self._rows = batch_size if isinstance(batch_size, int) else inf
        self._auto = AutoSize(target_batch_seconds) if batch_size == "auto" else None
        self._most = inf if max_batch_weight is None else max_batch_weight
        self._weight = None if weight is None else RowWeight(weight)
        self._sorted, self._padded, self._clock = sort_by_weight, padded, clock

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the weight reads."""
        return () if self._weight is None else self._weight.columns

    def batches(self, record_batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, Places]]:
        """Every row once, in batches; with ``sort_by_weight`` each with the places of its rows, else with None.

        With ``batch_size="auto"`` the time until the next batch is asked for counts as that of the batch.
        """
        held = _Held()
        for rows, weights, places in self._chunks(record_batches):
            start = 0
            while start < rows.num_rows:
                fit = self._fit(held, weights[start : start + LOOKAHEAD])
                if fit == 0:
                    yield from self._emit(held)
                    held = _Held()
                    continue
                span = slice(start, start + fit)
                held.add(rows.slice(start, fit), weights[span], None if places is None else places[span])
                start += fit
        if held.rows:
            yield from self._emit(held)

    def _chunks(self, record_batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, Floats, Places]]:
        weighed = ((rows, self._weigh(rows)) for rows in record_batches if rows.num_rows)
        if not self._sorted:
            yield from ((rows, weights, None) for rows, weights in weighed)
            return
        everything = list(weighed)
        if not everything:
            return
        table = pa.Table.from_batches([rows for rows, _ in everything])
        weights = np.concatenate([weights for _, weights in everything])
        order = np.argsort(-weights, kind="stable")
        for start in range(0, len(order), LOOKAHEAD):
            places = order[start : start + LOOKAHEAD]
            yield _one(table.take(pa.array(places))), weights[places], places

    def _weigh(self, rows: pa.RecordBatch) -> Floats:
        return np.ones(rows.num_rows) if self._weight is None else self._weight.of(rows)

    def _fit(self, held: _Held, weights: Floats) -> int:
        """How many of the next rows the batch still takes; at least one where it is empty."""
        most_rows, most = self._rows, self._most
        if self._auto is not None:
            size = self._auto.size()
            most_rows, most = (size, most) if self._weight is None else (most_rows, min(most, size))
        if most < inf:
            grown: Floats
            if self._padded:
                count = held.rows + np.arange(1, len(weights) + 1, dtype=np.float64)
                grown = np.maximum(np.maximum.accumulate(weights), held.heaviest) * count
            else:
                grown = held.weight + np.cumsum(weights)
            fit = int(np.searchsorted(grown, most * (1 + 1e-12), "right"))
        else:
            fit = len(weights)
        fit = int(min(fit, max(most_rows - held.rows, 0)))
        return fit if held.rows else max(fit, 1)

    def _emit(self, held: _Held) -> Iterator[tuple[pa.RecordBatch, Places]]:
        places = np.concatenate(held.places) if held.places else None
        begin = self._clock()
        yield _one(pa.Table.from_batches(held.parts)), places
        if self._auto is not None:
            size = held.heaviest * held.rows if self._padded else held.weight
            self._auto.observe(size, self._clock() - begin)


def restored(outputs: Iterable[tuple[pa.RecordBatch, Places]]) -> Iterator[pa.RecordBatch]:
    """Outputs of the batches of one sub-task with their rows back in input order.

    An output has one row per place; for rows that were left out (quarantined), leave out their places. Outputs without
    places pass through as they come; with places they are held until the last.
    """
    held: list[tuple[pa.RecordBatch, Ints]] = []
    for rows, places in outputs:
        if places is None:
            yield rows
            continue
        if rows.num_rows != len(places):
            raise ConfigError(
                f"a batch of {len(places)} rows gave {rows.num_rows}; sort_by_weight restores the order of one output row "
                "per input row. Leave sort_by_weight out for programs that filter or expand."
            )
        held.append((rows, places))
    if held:
        order = np.argsort(np.concatenate([places for _, places in held]), kind="stable")
        yield _one(pa.concat_tables([pa.Table.from_batches([rows]) for rows, _ in held]).take(pa.array(order)))


def _one(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table as one record batch."""
    batches = table.combine_chunks().to_batches()
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return pa.RecordBatch.from_arrays([pa.array([], column.type) for column in table.schema], schema=table.schema)
    return pa.concat_batches(batches)
