"""Cost by a formula over fragment features and data columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from partitioner.costs.base import CostModel, checked
from partitioner.costs.formulas.formula import Formula, parse
from partitioner.costs.memory import MEMORY_PER_BYTE, from_bytes, positive
from partitioner.costs.units import SECONDS, in_seconds
from partitioner.errors import DataError, excerpt, listed, nearest
from partitioner.model import Costs, Dataset, Fragment
from partitioner.model.data import Floats

KEPT_ROWS = 20_000_000
"""Rows up to which the cost of each is kept for the splitter, which then cuts between rows by their own costs."""


class Expression(CostModel):
    """A formula such as ``"1e-6*rows + 2e-9*bytes"`` or ``"2e-6 * len(text) ** 2"``, in seconds.

    Names are ``rows``, ``bytes``, features of fragments, and columns of the data. A formula without columns is evaluated
    on the fragments at once. One with columns is evaluated for every row, reading only these columns, and summed over the
    rows of a fragment; there ``rows`` is 1 and ``bytes`` or a feature the row's equal share. With ``sum``, ``mean``,
    ``min`` or ``max`` of one argument the formula is one per fragment: ``"0.5 + 1e-9 * max(len(text)) ** 2"``.
    Nulls count as 0. ``unit`` is as in ``Declared``. ``memory`` is a formula in bytes, by default ``memory_per_byte`` times
    the bytes of a fragment.
    """

    name = "expression"

    def __init__(
        self,
        expression: str,
        memory: str | None = None,
        memory_per_byte: float = MEMORY_PER_BYTE,
        unit: str = SECONDS,
    ) -> None:
        positive("memory_per_byte", memory_per_byte)
        self.expression = str(expression)
        self.memory = memory
        self.memory_per_byte = memory_per_byte
        self.factor, self.unit = in_seconds(unit)
        self._formulas = [parse(str(text)) for text in (expression, memory) if text is not None]

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of n fragments. DataError names a column that is not there, CostError a fragment of invalid cost."""
        rows: list[Floats] | None = [] if dataset.divisible_by == "rows" and dataset.rows <= KEPT_ROWS else None
        seconds, *memory = evaluate(self._formulas, dataset, rows)
        costs = Costs(
            seconds * self.factor,
            memory[0] if memory else from_bytes(dataset.fragments, self.memory_per_byte),
            unit=self.unit,
            source=self.name,
            memory_declared=bool(memory),
            details={
                "model": "expression",
                "expression": self.expression,
                "memory": self.memory or f"{self.memory_per_byte:g} x bytes",
                "columns_read": columns_of(self._formulas, dataset),
            },
            record_seconds=np.concatenate(rows) * self.factor if rows else None,
        )
        return checked(costs, dataset)


def evaluate(formulas: list[Formula], dataset: Dataset, rows: list[Floats] | None = None) -> list[Floats]:
    """float64[n] per formula: one value per fragment, reading the columns that any of them needs, once.

    Into ``rows`` go the values of the first formula for the rows of each fragment, where it has one per row.
    """
    n = len(dataset.fragments)
    columns = columns_of(formulas, dataset)
    whole = _fragment_values(dataset)
    if not columns:
        return [_per_fragment(formula, whole, n) for formula in formulas]
    out = [np.zeros(n) for _ in formulas]
    for i in range(n):
        values = {name: float(array[i]) for name, array in whole.items()}
        for result, value in zip(
            out, _evaluate_rows(formulas, dataset, dataset.fragments[i], values, columns, rows), strict=True
        ):
            result[i] = value
    return out


def _per_fragment(formula: Formula, whole: dict[str, Floats], n: int) -> Floats:
    if not formula.aggregates:
        return np.array(np.broadcast_to(formula.evaluate(whole), n), np.float64)
    rows = ({name: float(array[i]) for name, array in whole.items()} for i in range(n))
    return np.fromiter((formula.evaluate(values) for values in rows), np.float64, n)


def columns_of(formulas: list[Formula], dataset: Dataset) -> list[str]:
    """The data columns that the formulas need; DataError where a name is neither a column nor a feature."""
    features = ["rows", "bytes", *dataset.fragments.features]
    wanted = [name for name in dict.fromkeys(n for f in formulas for n in f.names) if name not in features]
    if not wanted:
        return []
    known = column_names(dataset)
    for name in wanted:
        if name not in known:
            raise DataError(
                f"The cost needs {name!r}, which is neither a column of the data ({listed(known) or 'none'}) nor a "
                f"feature of its fragments ({listed(features)}).{nearest(name, [*known, *features])}"
            )
    for formula in formulas:
        loose = [name for name in wanted if name in formula.names and name not in formula.inside]
        if formula.aggregates and loose:
            raise DataError(
                f"cost expression {excerpt(formula.text)} mixes a value per row, {loose[0]!r}, with one per fragment; "
                f"put {loose[0]!r} inside sum(), mean(), min() or max()."
            )
    return wanted


def column_names(dataset: Dataset) -> list[str]:
    """Names of the data columns, from the schema or, where there is none, from the first batch."""
    if dataset.schema is not None:
        return list(dataset.schema.names)
    for i in range(len(dataset.fragments)):
        for batch in dataset.source.read(dataset.fragments[i]):
            return list(batch.schema.names)
    return []


def _fragment_values(dataset: Dataset) -> dict[str, Floats]:
    """What is known of fragments without reading; an unknown row count is NaN, so that using it is an error."""
    f = dataset.fragments
    rows = np.where(f.rows < 0, np.nan, f.rows.astype(np.float64))
    return {**f.features, "rows": rows, "bytes": np.asarray(f.bytes, np.float64)}


def _evaluate_rows(
    formulas: list[Formula],
    dataset: Dataset,
    fragment: Fragment,
    whole: dict[str, float],
    columns: list[str],
    rows: list[Floats] | None,
) -> list[float]:
    """One value per formula for one fragment, from its rows; those of the first formula are added to ``rows``."""
    import pyarrow as pa

    batches = [b for b in dataset.source.read(fragment, columns) if b.num_rows]
    if not batches:
        return [0.0] * len(formulas)
    table = pa.Table.from_batches(batches)
    count = table.num_rows
    data: dict[str, Any] = {name: table[name] for name in columns}
    share = {name: value / count for name, value in whole.items()} | {"rows": 1.0}
    total = whole | {"rows": float(count)}
    results = []
    for formula in formulas:
        value = formula.evaluate((total if formula.aggregates else share) | data)
        results.append(float(value) if formula.aggregates else _sum(value, count))
        if rows is not None and formula is formulas[0] and not formula.aggregates:
            rows.append(np.array(np.broadcast_to(value, count), np.float64))
    return results


def _sum(value: npt.ArrayLike, count: int) -> float:
    """The total over ``count`` rows of a value per row, or of one that is the same for each."""
    array = np.asarray(value, np.float64)
    return float(array.sum()) if array.ndim else float(array) * count
