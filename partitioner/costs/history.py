"""Cost of every row from a table of earlier ones: requests with their features and what each took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.costs.base import CostModel, checked
from partitioner.costs.expression import KEPT_ROWS, column_names
from partitioner.costs.fitting.boosted import LEAST, Boosted, boost, later_error, split_in_time
from partitioner.costs.fitting.powers import Powers, fit_powers
from partitioner.costs.fitting.sums import Sum, fit_sum
from partitioner.costs.measuring.drift import all_work, spell
from partitioner.costs.memory import MEMORY_PER_BYTE, from_bytes, positive
from partitioner.errors import ConfigError, CostError, DataError, clause, listed, nearest
from partitioner.frames import to_numpy
from partitioner.model import Costs, Dataset
from partitioner.model.data import Floats

FEWEST = 20
"""Earlier rows without which nothing can be compared."""

NEWEST = 0.25
"""Part of the rows, the newest, that is also tried by itself: what a program costs changes with its code and machines."""

ALIKE = 0.002
"""Errors, as shares of the mean, that differ by less say the same."""


class History(CostModel):
    """Seconds of rows, learned from ``table`` (Arrow, pandas, a mapping of columns, or a Parquet path), oldest first.

    ``seconds`` names its column of seconds; ``numbers`` numeric features and ``categories`` kinds (model, adapter,
    language), by column names that the dataset has too. Models are compared on the newest fifth, which none has seen: a sum
    of terms in s per unit, products among them, without and with a factor for every kind, and a product of powers, each from
    all rows and from the newest quarter; and, from 150 rows on, boosted trees, and their means with these two. The best is
    fitted to all. Written ``{model: history, table: ..., ...}``.
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
        for option, given in (("numbers", numbers), ("categories", categories)):
            if isinstance(given, str):
                raise ConfigError(f"cost 'history': {option} = {given!r}; it is a list, such as [{given!r}].")
        held = _table(table)
        for name in (seconds, *numbers, *categories):
            if name not in held.column_names:
                known = held.column_names
                raise ConfigError(f"the history has no column {name!r}; it has {listed(known)}.{nearest(name, known)}")
        self.numbers, self.categories = tuple(numbers), tuple(categories)
        self.memory_per_byte = memory_per_byte
        self._seconds = _seconds(held[seconds], seconds)
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
            | {"chosen": self._model.words()}
            | all_work(float(sum(r.sum() for r in rows)), spell()),
            record_seconds=np.concatenate(rows) if by_row else None,
        )
        return checked(costs, dataset)

    def _rows(self, dataset: Dataset, i: int) -> Floats:
        wanted = [*self.numbers, *self.categories]
        batches = [b for b in dataset.source.read(dataset.fragments[i], wanted) if b.num_rows]
        return self._model.predict(*self._columns(pa.Table.from_batches(batches))) if batches else np.zeros(0)

    def _columns(self, table: pa.Table) -> tuple[dict[str, Floats], dict[str, list[str]]]:
        kinds = {name: [_kind(v) for v in table[name].to_pylist()] for name in self.categories}
        return {name: _numbers(table[name], name) for name in self.numbers}, kinds


def _chosen(
    seconds: Floats, numbers: Mapping[str, Floats], kinds: Mapping[str, list[str]], seed: int
) -> tuple[_Model, dict[str, float]]:
    """The model that predicts the newest measurements best, fitted to all up to the last, and the errors of all there.

    Of those that differ by no more than ``ALIKE`` the first is taken, which is the simplest.
    """
    ways, n = _ways(kinds, seed), len(seconds)

    def fitted(name: str, stop: int) -> _Model:
        build, share, least = ways[name]
        part = slice(stop - max(round(share * stop), least), stop)
        x, c = {k: v[part] for k, v in numbers.items()}, {k: v[part] for k, v in kinds.items()}
        return build(seconds[part], x, c)

    earlier, later = split_in_time(n)
    ahead = {k: v[later] for k, v in numbers.items()}, {k: v[later] for k, v in kinds.items()}
    able = [name for name, (_, share, least) in ways.items() if round(share * earlier.stop) >= least]
    errors = {name: later_error(fitted(name, earlier.stop).predict(*ahead), seconds[later]) for name in able}
    least_error = min(errors.values())
    best = next(name for name in able if errors[name] <= least_error + ALIKE)
    return fitted(best, n), errors


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of two models that err in different ways: trees know requests like those seen, a formula goes on beyond."""

    of: tuple[Boosted, Sum | Powers]

    def predict(self, numbers: Mapping[str, Floats], categories: Mapping[str, Sequence[str]] | None = None) -> Floats:
        """float64[n] seconds."""
        trees, terms = self.of
        return np.asarray((trees.predict(numbers, categories) + terms.predict(numbers, categories)) / 2, np.float64)

    def words(self) -> str:
        """Both, in words."""
        return f"the mean of {' and of '.join(model.words() for model in self.of)}"


_Model = Boosted | Sum | Powers | Mean
_Fit = Callable[[Floats, dict[str, Floats], dict[str, list[str]]], _Model]


def _ways(kinds: Mapping[str, list[str]], seed: int) -> dict[str, tuple[_Fit, float, int]]:
    """Models by name, the simplest first: what fits them, the share of the rows, the newest, and the fewest rows needed."""

    def plain(seconds: Floats, numbers: dict[str, Floats], categories: dict[str, list[str]]) -> Sum:
        return fit_sum(seconds, numbers)

    grown: dict[int, Boosted] = {}

    def trees(seconds: Floats, numbers: dict[str, Floats], categories: dict[str, list[str]]) -> Boosted:
        if len(seconds) not in grown:
            grown[len(seconds)] = boost(seconds, numbers, categories, list(combinations(numbers, 2)), seed)
        return grown[len(seconds)]

    def both(fit: Callable[..., Sum | Powers]) -> _Fit:
        return lambda *rows: Mean((trees(*rows), fit(*rows)))

    found: dict[str, tuple[_Fit, float, int]] = {"sum of terms": (plain, 1.0, 1)}
    found |= {"sum of terms by kind": (fit_sum, 1.0, 1)} if kinds else {}
    found |= {"product of powers": (fit_powers, 1.0, 1)}
    newest = {f"{name}, newest quarter": (fit, NEWEST, FEWEST) for name, (fit, _, _) in found.items()}
    grown_ways: dict[str, tuple[_Fit, float, int]] = {
        "boosted trees": (trees, 1.0, LEAST),
        "boosted trees, newest quarter": (trees, NEWEST, LEAST),
        "mean of trees and sum": (both(fit_sum), 1.0, LEAST),
        "mean of trees and powers": (both(fit_powers), 1.0, LEAST),
    }
    return found | newest | grown_ways


def _table(table: Any) -> pa.Table:
    if isinstance(table, pa.Table):
        return table
    if isinstance(table, str | Path):
        return _read(str(table))
    if isinstance(table, Mapping) or not isinstance(table, Sequence):
        columns = dict(table) if isinstance(table, Mapping) else {str(c): list(table[c]) for c in table.columns}
        return pa.table(columns)
    raise ConfigError(
        f"the history is {table!r}; give an Arrow table, a data frame, a mapping of columns, or the path of a Parquet file."
    )


def _read(path: str) -> pa.Table:
    from partitioner.storage import Directory, read_parquet

    folder, slash, name = path.rpartition("/")
    try:
        return read_parquet(Directory(folder or slash or ".").get(name))
    except FileNotFoundError:
        raise DataError(f"there is no history at {path!r}; give the path of a Parquet file.") from None
    except pa.ArrowInvalid as error:
        raise DataError(f"the history at {path!r} is no Parquet file: {clause(error)}. Give the path of one.") from None


def _seconds(column: pa.ChunkedArray, name: str) -> Floats:
    """Finite seconds of at least 0, and enough of them; CostError names the first row that has none."""
    values = _floats(column, name)
    if len(values) < FEWEST:
        raise CostError(f"the history has {len(values)} rows in {name!r}; at least {FEWEST} are needed.")
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        raise CostError(
            f"the history holds {values[bad[0]]} in column {name!r}, row {bad[0]}; seconds are finite and at least 0. "
            f"Leave such rows out ({len(bad)} of {len(values)})."
        )
    return values


def _numbers(column: pa.ChunkedArray, name: str) -> Floats:
    """A null counts as 0, as in expressions; CostError for what is infinite."""
    values = np.nan_to_num(_floats(column, name), posinf=np.inf, neginf=-np.inf)
    endless = np.flatnonzero(np.isinf(values))
    if len(endless):
        raise CostError(f"column {name!r} holds {values[endless[0]]} in row {endless[0]}; its numbers must be finite.")
    return values


def _floats(column: pa.ChunkedArray, name: str) -> Floats:
    try:
        return np.asarray(to_numpy(column), np.float64)
    except (TypeError, ValueError):
        raise ConfigError(
            f"column {name!r} of a history holds {column.type} and no numbers; what is no number goes to categories."
        ) from None


def _kind(value: Any) -> str:
    """A kind by its text; 3.0, which a column with gaps makes of 3, is 3."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
