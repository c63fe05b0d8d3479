"""A reducer."""

from typing import Any

from partitioner.reducers.base import Reducer

Bounds = tuple[float, float] | None


class Extent(Reducer):
    """The smallest and the largest value that the program returned in ``column``."""

    name = "extent"
    commutative = exact = mergeable = True

    def __init__(self, column: str = "x") -> None:
        self.column = column

    def create_accumulator(self) -> Bounds:
        return None

    def add_input(self, accumulator: Bounds, value: Any) -> Bounds:
        values = [float(v) for v in value[self.column]]
        return self.merge_accumulators(accumulator, (min(values), max(values)) if values else None)

    def merge_accumulators(self, left: Bounds, right: Bounds) -> Bounds:
        if left is None or right is None:
            return right if left is None else left
        return min(left[0], right[0]), max(left[1], right[1])

    def extract_output(self, accumulator: Bounds) -> Bounds:
        return accumulator
