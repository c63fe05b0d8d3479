"""Cost of every row from a table of earlier ones: requests with their features and what each took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.costs.base import CostModel, checked
from partitioner.costs.expression import KEPT_ROWS, column_names
from partitioner.costs.fitting.boosted import LEAST, Boosted, boost, later_error, split_in_time
from partitioner.costs.fitting.regression import robust
from partitioner.costs.memory import MEMORY_PER_BYTE, from_bytes, positive
from partitioner.errors import ConfigError, CostError, DataError, listed, nearest
from partitioner.frames import to_numpy
from partitioner.model import Costs, Dataset
from partitioner.model.data import Floats

FEWEST = 20
"""Earlier rows without which nothing can be compared."""


class History(CostModel):
    """Seconds of rows, learned from ``table`` (Arrow, pandas, a mapping of columns, or a Parquet path), oldest first.

    ``seconds`` names its column of seconds; ``numbers`` numeric features and ``categories`` kinds (model, adapter,
    language), by column names that the dataset has too. Products of every two numbers are considered. Two models are
    compared on the newest fifth, which neither has seen: a sum of terms in s per unit, and, from 500 rows on, boosted trees;
    the better one is fitted to all. Written ``{model: "partitioner.costs.history:History", ...}``.
    """

    name = "history"

    def __init__(
        self,
        table: Any,
        seconds: str,
        numbers: Sequence[str],
        categories: Sequence[str] = (),
        memory_per_byte: float = MEMORY_PER_BYTE,
        seed: int = 0,
    ) -> None:
        positive("memory_per_byte", memory_per_byte)
        if not numbers:
            raise ConfigError("cost 'history' needs numbers, the numeric columns that a row's seconds depend on.")
        held = _table(table)
        for name in (seconds, *numbers, *categories):
            if name not in held.column_names:
                known = held.column_names
                raise ConfigError(f"the history has no column {name!r}; it has {listed(known)}.{nearest(name, known)}")
        self.numbers, self.categories = tuple(numbers), tuple(categories)
        self.memory_per_byte = memory_per_byte
        self._seconds = _floats(held[seconds])
        if len(self._seconds) < FEWEST or not (np.isfinite(self._seconds) & (self._seconds >= 0)).all():
            raise CostError(
                f"the history has {len(self._seconds)} rows in {seconds!r}; at least {FEWEST} finite seconds of at least 0 "
                "are needed."
            )
        self._model, self._errors = _chosen(self._seconds, *self._columns(held), seed)

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of n fragments, the sums over their rows, which are read for the named columns."""
        known = column_names(dataset)
        for name in (*self.numbers, *self.categories):
            if name not in known:
                raise DataError(f"the cost needs column {name!r}; the data has {listed(known)}.{nearest(name, known)}")
        rows = [self._rows(dataset, i) for i in range(len(dataset.fragments))]
        by_row = dataset.divisible_by == "rows" and 0 < dataset.rows <= KEPT_ROWS
        costs = Costs(
            np.array([float(r.sum()) for r in rows]),
            from_bytes(dataset.fragments, self.memory_per_byte),
            source=self.name,
            details={"model": "history", "measurements": len(self._seconds), "error on later rows": self._errors}
            | {"chosen": self._model.words()},
            record_seconds=np.concatenate(rows) if by_row else None,
        )
        return checked(costs, dataset)

    def _rows(self, dataset: Dataset, i: int) -> Floats:
        wanted = [*self.numbers, *self.categories]
        batches = [b for b in dataset.source.read(dataset.fragments[i], wanted) if b.num_rows]
        return self._model.predict(*self._columns(pa.Table.from_batches(batches))) if batches else np.zeros(0)

    def _columns(self, table: pa.Table) -> tuple[dict[str, Floats], dict[str, list[str]]]:
        kinds = {name: [str(v) for v in table[name].to_pylist()] for name in self.categories}
        return {name: _floats(table[name]) for name in self.numbers}, kinds


class Sum:
    """A non-negative sum: seconds per unit of every number and of every product of two, and a fixed part."""

    def __init__(self, seconds: Floats, numbers: Mapping[str, Floats]) -> None:
        self.terms = [(name,) for name in numbers] + list(combinations(numbers, 2))
        design = self._design(numbers)
        fitted = robust(design, seconds).coefficients
        total = float((design @ fitted).sum())
        self.coefficients = fitted * (float(seconds.sum()) / total if total > 0 else 1.0)

    def predict(self, numbers: Mapping[str, Floats], categories: Mapping[str, Sequence[str]] | None = None) -> Floats:
        """float64[n] seconds."""
        return np.asarray(self._design(numbers) @ self.coefficients, np.float64)

    def words(self) -> str:
        """The formula, with units."""
        parts = [f"{self.coefficients[0]:.3g} s"] if self.coefficients[0] > 0 else []
        parts += [
            f"{c:.3g} s per {' x '.join(term)}"
            for c, term in zip(self.coefficients[1:], self.terms, strict=True)
            if c > 0
        ]
        return " + ".join(parts) or "0 s"

    def _design(self, numbers: Mapping[str, Floats]) -> Floats:
        columns = [np.prod([np.maximum(numbers[name], 0.0) for name in term], axis=0) for term in self.terms]
        return np.stack([np.ones(len(columns[0])), *columns], axis=1)


def _chosen(
    seconds: Floats, numbers: Mapping[str, Floats], kinds: Mapping[str, list[str]], seed: int
) -> tuple[Boosted | Sum, dict[str, float]]:
    """The model that predicts the newest measurements best, fitted to all, and the errors of both there."""
    pairs = list(combinations(numbers, 2))

    def fits(part: slice) -> dict[str, Boosted | Sum]:
        x, c = {k: v[part] for k, v in numbers.items()}, {k: v[part] for k, v in kinds.items()}
        found: dict[str, Boosted | Sum] = {"sum of terms": Sum(seconds[part], x)}
        if len(seconds[part]) >= LEAST:
            found["boosted trees"] = boost(seconds[part], x, c, pairs, seed)
        return found

    earlier, later = split_in_time(len(seconds))
    ahead = {k: v[later] for k, v in numbers.items()}, {k: v[later] for k, v in kinds.items()}
    errors = {name: later_error(m.predict(*ahead), seconds[later]) for name, m in fits(earlier).items()}
    best = min(errors, key=lambda name: errors[name])
    return fits(slice(0, len(seconds)))[best], errors


def _table(table: Any) -> pa.Table:
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, str):
        from partitioner.storage import Directory, read_parquet

        folder, _, name = table.rpartition("/")
        return read_parquet(Directory(folder or ".").get(name))
    return pa.table(dict(table) if isinstance(table, Mapping) else {str(c): list(table[c]) for c in table.columns})


def _floats(column: pa.ChunkedArray) -> Floats:
    """A null counts as 0, as in expressions."""
    return np.nan_to_num(np.asarray(to_numpy(column), np.float64))
