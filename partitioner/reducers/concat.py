"""``concat``: the outputs one after the other, in input order."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from partitioner.reducers.base import Reducer

Outputs = tuple[Any, ...]


class Concat(Reducer):
    """Keeps every output. The pipeline writes rows straight to the sink; this is the algebra for outputs in memory.

    Not mergeable: two outputs for parts of one group stay two.
    """

    name = "concat"
    commutative = False
    exact = True
    mergeable = False
    whole_task = False
    rows = True

    def create_accumulator(self) -> Outputs:
        """No outputs."""
        return ()

    def add_input(self, accumulator: Outputs, value: Any) -> Outputs:
        """One more at the end."""
        return (*accumulator, value)

    def merge_accumulators(self, left: Outputs, right: Outputs) -> Outputs:
        """``left``, then ``right``."""
        return left + right

    def extract_output(self, accumulator: Outputs) -> Any:
        """One Arrow table where all outputs are tables or record batches, else the list of outputs."""
        if accumulator and all(isinstance(value, pa.Table | pa.RecordBatch) for value in accumulator):
            tables = [v if isinstance(v, pa.Table) else pa.Table.from_batches([v]) for v in accumulator]
            return pa.concat_tables(tables)
        return list(accumulator)
