"""``count``: how many rows the program returned."""

from __future__ import annotations

from typing import Any

from partitioner.reducers.base import Reducer
from partitioner.reducers.observations import count_of


class Count(Reducer):
    """Rows of tables, arrays and lists; any other output counts as one."""

    name = "count"
    commutative = True
    exact = True
    mergeable = True
    whole_task = False
    group_parts = ()

    def create_accumulator(self) -> int:
        """Zero."""
        return 0

    def add_input(self, accumulator: int, value: Any) -> int:
        """Plus the rows of one output."""
        return accumulator + count_of(value)

    def merge_accumulators(self, left: int, right: int) -> int:
        """The sum."""
        return left + right

    def extract_groups(self, rows: Any, names: tuple[str, ...], parts: Any) -> dict[str, Any]:
        """How many rows each key has."""
        return {self.name: rows}

    def extract_output(self, accumulator: int) -> int:
        """The count."""
        return accumulator
