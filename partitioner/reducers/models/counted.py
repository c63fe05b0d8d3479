"""How often each value of a column of text is there: what an imputer of such columns is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from partitioner.frames import decoded

Counts = Mapping[Any, int]


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """``counts`` of the values of each column and its ``missing`` rows; ``names`` of the columns."""

    counts: tuple[Counts, ...]
    missing: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def width(self) -> int:
        """How many columns."""
        return len(self.names)

    @classmethod
    def of(cls, table: pa.Table) -> Counted:
        """Of the columns of one output."""
        columns = [decoded(table[name]) for name in table.column_names]
        known = [column.filter(pc.invert(pc.is_null(column, nan_is_null=True))) for column in columns]
        counts = [{row["values"]: row["counts"] for row in pc.value_counts(column).to_pylist()} for column in known]
        missing = tuple(table.num_rows - len(column) for column in known)
        return cls(tuple(counts), missing, tuple(table.column_names))

    def merged(self, later: Counted) -> Counted:
        """Both as one."""
        counts = tuple(_added(a, b) for a, b in zip(self.counts, later.counts, strict=True))
        missing = tuple(a + b for a, b in zip(self.missing, later.missing, strict=True))
        return Counted(counts, missing, self.names)

    def as_rows(self) -> Any:
        """A data frame of two rows: the most frequent value of each column (of equal ones the smallest), and a hole."""
        frequent = [min(c, key=lambda value: (-c[value], value)) if c else None for c in self.counts]
        held = zip(self.names, frequent, self.missing, strict=True)
        return pa.table({name: [value, None if lacking else value] for name, value, lacking in held}).to_pandas()


def is_text(table: pa.Table) -> bool:
    """Whether a column holds what is no number."""
    kinds = [t.value_type if pa.types.is_dictionary(t) else t for t in table.schema.types]
    return any(not (pa.types.is_integer(t) or pa.types.is_floating(t) or pa.types.is_null(t)) for t in kinds)


def _added(left: Counts, right: Counts) -> dict[Any, int]:
    return {value: left.get(value, 0) + right.get(value, 0) for value in {**left, **right}}
