"""``classification``: how well labels were predicted: confusion matrix, accuracy, precision, recall and F1 of each class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import ProgramError, nearest
from partitioner.frames import is_frame
from partitioner.reducers.base import Reducer

Pairs = Mapping[tuple[Any, Any], int]
"""How often each (true, predicted) pair was seen."""


class Classification(Reducer):
    """The program returns tables with the true label in ``label`` and the predicted one in ``prediction``."""

    name = "classification"
    commutative = exact = mergeable = True

    def __init__(self, label: str = "label", prediction: str = "prediction") -> None:
        self.label, self.prediction = label, prediction

    def create_accumulator(self) -> Pairs:
        """No rows."""
        return {}

    def add_input(self, accumulator: Pairs, value: Any) -> Pairs:
        """With the rows of one output. Raises ProgramError where a column is not there."""
        table = pa.Table.from_pandas(value, preserve_index=False) if is_frame(value) else value
        table = pa.table(table) if isinstance(table, dict) else table
        if not isinstance(table, pa.Table | pa.RecordBatch):
            raise ProgramError(
                f"The program returned {type(value).__name__}; {self.name} needs a table of two columns."
            )
        for name in (self.label, self.prediction):
            if name not in table.schema.names:
                known = list(table.schema.names)
                raise ProgramError(
                    f"The program's output has no column {name!r}; it has {known}.{nearest(name, known)}"
                )
        pairs = pa.table({"t": table[self.label], "p": table[self.prediction]})
        counted = pairs.group_by(["t", "p"], use_threads=False).aggregate([([], "count_all")]).to_pydict()
        found = {(t, p): n for t, p, n in zip(counted["t"], counted["p"], counted["count_all"], strict=True)}
        return self.merge_accumulators(accumulator, found)

    def merge_accumulators(self, left: Pairs, right: Pairs) -> Pairs:
        """The counts added."""
        return {pair: left.get(pair, 0) + right.get(pair, 0) for pair in {**left, **right}}

    def extract_output(self, accumulator: Pairs) -> dict[str, Any]:
        """``classes``, ``confusion`` int64[true, predicted], ``accuracy``, and by class ``precision``, ``recall``, ``f1``.

        What would be a division by zero is 0, as in scikit-learn.
        """
        classes = sorted({label for pair in accumulator for label in pair}, key=lambda label: (str(type(label)), label))
        place = {label: i for i, label in enumerate(classes)}
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        for (true, predicted), count in accumulator.items():
            confusion[place[true], place[predicted]] += count
        right, said, there = np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
        total = int(confusion.sum())
        return {
            "classes": classes,
            "confusion": confusion,
            "accuracy": float(right.sum() / total) if total else float("nan"),
            "precision": right / np.maximum(said, 1),
            "recall": right / np.maximum(there, 1),
            "f1": 2 * right / np.maximum(said + there, 1),
        }
