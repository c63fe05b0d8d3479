"""Costs that the user knows: numbers, a column, or a table by path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.costs.base import CostModel, checked
from partitioner.costs.expression import KEPT_ROWS, evaluate
from partitioner.costs.formulas.formula import Formula, parse
from partitioner.costs.memory import MEMORY_PER_BYTE, from_bytes, positive
from partitioner.costs.units import SECONDS, in_seconds
from partitioner.errors import ConfigError, CostError, listed, nearest
from partitioner.model import Costs, Dataset
from partitioner.model.data import Floats


class Declared(CostModel):
    """Seconds per fragment as given.

    ``seconds`` and ``memory_bytes`` are each one number for every fragment, n numbers in fragment order, or the name of a
    fragment feature or data column; a column is summed over the rows of a fragment, and cuts follow its rows. Instead,
    ``table`` (Arrow, pandas or a mapping of columns ``path``, ``seconds`` and, if known, ``memory_bytes``) gives them per
    path; fragments of one path share its seconds by size. ``unit`` of the numbers: ``ms``, ``minutes`` and the like become
    seconds, and what is no time (``tokens``) predicts none. Memory not given is ``memory_per_byte`` times the bytes of a
    fragment.
    """

    name = "declared"

    def __init__(
        self,
        seconds: float | str | Sequence[float] | Floats | None = None,
        memory_bytes: float | str | Sequence[float] | Floats | None = None,
        table: Any = None,
        memory_per_byte: float = MEMORY_PER_BYTE,
        unit: str = SECONDS,
    ) -> None:
        if (seconds is None) == (table is None):
            raise ConfigError(
                "cost 'declared' needs either seconds (numbers or a name) or a table with path and seconds."
            )
        positive("memory_per_byte", memory_per_byte)
        self.seconds = seconds
        self.memory_bytes = memory_bytes
        self.table = None if table is None else _columns(table)
        self.memory_per_byte = memory_per_byte
        self.factor, self.unit = in_seconds(unit)

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of n fragments; CostError where the count of numbers differs or a path is not in the table."""
        rows: list[Floats] | None = [] if dataset.divisible_by == "rows" and dataset.rows <= KEPT_ROWS else None
        if self.table is not None:
            seconds, memory = _by_path(self.table, dataset)
        else:
            seconds = _values("seconds", self.seconds, dataset, rows)
            memory = None if self.memory_bytes is None else _values("memory_bytes", self.memory_bytes, dataset)
        given_memory = memory is not None
        if memory is None:
            memory = from_bytes(dataset.fragments, self.memory_per_byte)
        given = "table by path" if self.table is not None else self.seconds
        details = {
            "model": "declared",
            "seconds": given if isinstance(given, str | float | int) else "one per fragment",
        }
        by_row = np.concatenate(rows) * self.factor if rows else None
        costs = Costs(
            seconds * self.factor,
            memory,
            unit=self.unit,
            source=self.name,
            details=details,
            record_seconds=by_row,
            memory_declared=given_memory,
        )
        return checked(costs, dataset)


def _values(what: str, given: Any, dataset: Dataset, rows: list[Floats] | None = None) -> Floats:
    """float64[n] of what was declared; into ``rows`` go the values of every row where a data column is named."""
    n = len(dataset.fragments)
    if isinstance(given, str):
        formula = parse(given) if given.isidentifier() else None
        return evaluate([formula or _named(given)], dataset, rows)[0]
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise CostError(f"declared {what} are numbers or a name, got {given!r}.") from None
    if values.ndim == 0:
        return np.full(n, float(values))
    if values.shape != (n,):
        raise CostError(
            f"{len(values)} declared {what} for {n} fragments; give one number per fragment, in order, or a table of paths."
        )
    return values


def _named(name: str) -> Formula:
    return parse(f"column({name!r})")


def _columns(table: Any) -> dict[str, Any]:
    """``path``, ``seconds`` and perhaps ``memory_bytes`` as lists; ConfigError for a table that lacks the first two."""
    if isinstance(table, pa.Table):
        columns: Mapping[str, Any] = table.to_pydict()
    elif isinstance(table, Mapping):
        columns = table
    elif isinstance(table, str | int | float | list | tuple):
        raise ConfigError(
            f"the table of declared costs is {table!r}; give an Arrow table, a data frame, or a mapping with the columns "
            "path and seconds."
        )
    else:
        columns = {str(c): list(table[c]) for c in table.columns}
    known = ["path", "seconds", "memory_bytes"]
    for name in known[:2]:
        if name not in columns:
            close = nearest(name, list(columns))
            raise ConfigError(
                f"the table of declared costs lacks the column {name!r}; it has {listed(columns)}.{close}"
            )
    return {name: list(columns[name]) for name in known if name in columns}


def _by_path(table: dict[str, Any], dataset: Dataset) -> tuple[Floats, Floats | None]:
    """Seconds of a path shared by its fragments in proportion to size, memory likewise."""
    f = dataset.fragments
    row = {str(path): i for i, path in enumerate(table["path"])}
    missing = [path for path in f.paths if path not in row]
    if missing:
        raise CostError(
            f"the table of declared costs has no row for {missing[0]!r} ({len(missing)} of {len(f.paths)} paths lack one); "
            f"add it.{nearest(missing[0], list(row))}"
        )
    which = np.array([row[path] for path in f.paths], np.int64)
    size = np.maximum(f.bytes, 1).astype(np.float64)
    share = size / np.bincount(f.path_index, weights=size, minlength=len(f.paths))[f.path_index] if len(f) else size
    results = [
        np.asarray(table[name], np.float64)[which][f.path_index] * share if name in table and len(f) else None
        for name in ("seconds", "memory_bytes")
    ]
    seconds = results[0] if results[0] is not None else np.zeros(len(f))
    return seconds, results[1]
