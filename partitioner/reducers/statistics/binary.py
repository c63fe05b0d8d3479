"""What the metrics of two classes share: a label that is positive or not, a score or probability, and a weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import ProgramError
from partitioner.frames import UNFIT, decoded
from partitioner.model.data import Floats
from partitioner.reducers.columns import check_weights, column_of, finite_columns, missing_message, table_of


@dataclass(frozen=True, slots=True)
class Binary:
    """Rows whose ``label`` is ``positive`` against all others, by their ``score``; ``nan`` as in ``columns``."""

    label: str
    score: str
    positive: Any
    weight: str | None
    nan: str

    def read(self, value: Any, reducer: str) -> tuple[Any, Floats, Floats | None]:
        """bool[n] positive, float64[n] scores and weights. Raises ProgramError for what cannot be read."""
        table = table_of(value, reducer)
        missing = pc.is_null(column_of(table, self.label), nan_is_null=True)
        if count := pc.sum(missing).as_py():
            if self.nan == "raise":
                raise ProgramError(missing_message(self.label, missing.index(True).as_py(), count))
            table = table.filter(pc.invert(missing))
        table = table.append_column(_POSITIVE, self._positive(table[self.label]))
        wanted = {"positive": _POSITIVE, "score": self.score, "weight": self.weight}
        held = finite_columns(table, wanted, self.nan)
        weight = held.get("weight")
        if weight is not None:
            check_weights(weight, self.weight)
        return held["positive"] > 0, held["score"], weight

    def _positive(self, column: Any) -> Any:
        """1 where the label is the positive one, else 0."""
        column = decoded(column)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        positive = int(self.positive) if isinstance(self.positive, bool) else self.positive
        try:
            found = pc.equal(column, pa.scalar(positive))
        except UNFIT as error:
            raise ProgramError(
                f"Column {self.label!r} of the program's output is {column.type} and positive={self.positive!r} is not; "
                "name the positive class as it is written there."
            ) from error
        return found.cast(pa.int8())


_POSITIVE = "__positive"
