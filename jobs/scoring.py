"""The programs of ``jobs.evaluate``: rows to train on, and predictions beside the truth."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.training import Design

SMALLEST = float(np.finfo(np.float64).eps)  # probabilities of 0 have no logarithm


@dataclass(frozen=True)
class Columns:
    """Where everything is in the dataset; one row in ``one_in`` is held back for judging, by a checksum of its features.

    ``held_back``: whether those rows count, or the others. ``bins``: edges that cut the numbers of ``key`` into ranges.
    """

    label: str
    design: Design
    prediction: str = "prediction"
    probability: str | None = None
    weight: str | None = None
    key: str | None = None
    bins: tuple[float, ...] | None = None
    one_in: int = 0
    held_back: bool = True

    def rows(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, np.ndarray]:
        """The rows that count, and their features."""
        design = self.design
        if design.features is None and not {"indices", "values"} <= set(batch.schema.names):
            names = tuple(n for n in batch.schema.names if n not in (self.label, self.weight))
            design = replace(design, features=names[0] if len(names) == 1 else names)
        x = design.matrix(batch)
        x = np.ascontiguousarray(x if isinstance(x, np.ndarray) else x.toarray())
        if self.one_in < 1:
            return batch, x
        chosen = np.array([zlib.crc32(row.tobytes()) % self.one_in == 0 for row in x], bool) == self.held_back
        return batch.filter(pa.array(chosen)), x[chosen]

    def others(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """``weight`` and ``key`` of each row, where they are asked for."""
        found: dict[str, Any] = {}
        if self.weight is not None:
            found["weight"] = batch[self.weight]
        if self.key is not None:
            found["key"] = batch[self.key] if self.bins is None else ranges(np.asarray(batch[self.key]), self.bins)
        return found


def ranges(values: np.ndarray, edges: Sequence[float]) -> pa.Array:
    """In which range each number lies, as text."""
    inner = (f"{a:g} to {b:g}" for a, b in pairwise(edges))
    names = [f"below {edges[0]:g}", *inner, f"{edges[-1]:g} and above"]
    places = np.searchsorted(np.asarray(edges, float), values, "right")
    return pa.array(names).take(pa.array(places))


class TrainingRows:
    """(X, y) of the rows that a model is trained on."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __call__(self, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """float64[n, f] and n labels."""
        rows, x = self.columns.rows(batch)
        return x, self.columns.design.labels(rows)


class GivenPredictions:
    """``label``, ``prediction`` and, where it is named, ``probability``, as the dataset has them."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns

    def __call__(self, batch: pa.RecordBatch) -> pa.Table:
        """A table of one row for each."""
        names = {"label": self.columns.label, "prediction": self.columns.prediction}
        if self.columns.probability is not None:
            names["probability"] = self.columns.probability
        table = pa.Table.from_batches([batch])
        return pa.table({**{role: table[name] for role, name in names.items()}, **self.columns.others(batch)})


class Score:
    """What a model says of each row: ``prediction``, ``loss``, and with ``classes`` ``probability_<i>`` of each.

    ``loss`` is -ln of the probability of the truth, without probabilities 1 for a wrong class, of numbers the distance.
    """

    def __init__(self, columns: Columns, model: Any, task: str, classes: Sequence[Any] | None) -> None:
        self.columns, self.model, self.task, self.classes = columns, model, task, classes

    def __call__(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """Columns of one value for each row that counts."""
        rows, x = self.columns.rows(batch)
        label = self.columns.design.labels(rows)
        found = {"label": label, **self.columns.others(rows)}
        found["prediction"] = np.asarray(self.model.predict(x)) if len(x) else label[:0]
        if self.classes is None:
            wrong = found["prediction"] != label
            distance = np.abs(found["prediction"] - label) if self.task == "regression" else wrong.astype(float)
            return {**found, "loss": distance}
        chances = np.asarray(self.model.predict_proba(x)) if len(x) else np.empty((0, len(self.classes)))
        found |= {f"probability_{i}": chances[:, i] for i in range(len(self.classes))}
        flat = pa.array(chances.ravel())
        found["probabilities"] = pa.FixedSizeListArray.from_arrays(flat, len(self.classes))
        return {**found, "loss": self._surprise(label.tolist(), chances)}

    def _surprise(self, labels: list[Any], chances: np.ndarray) -> np.ndarray:
        places = {c: i for i, c in enumerate(self.classes or ())}
        chance = [chances[i, places[label]] if label in places else 0.0 for i, label in enumerate(labels)]
        return -np.log(np.clip(np.array(chance, float), SMALLEST, 1.0))
