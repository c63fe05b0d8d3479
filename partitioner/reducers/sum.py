"""``sum`` of everything the program returned, per column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from partitioner.reducers.mean import Mean
from partitioner.reducers.totals import Totals


class Sum(Mean):
    """As ``mean``, of which it has the options; the sum of nothing is 0. Rounded once, however the rows are cut."""

    name = "sum"

    def _of_groups(self, parts: Mapping[str, Any]) -> Any:
        return parts["sum"] + parts["rest"]

    def extract_output(self, accumulator: Totals | None) -> Any:
        """A float, an array or a dict by column."""
        return 0.0 if accumulator is None else accumulator.shaped(accumulator.total())
