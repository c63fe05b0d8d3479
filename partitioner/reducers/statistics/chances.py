"""Probabilities that a program predicted: read, checked and judged by the logarithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.errors import ProgramError, clause
from partitioner.frames import UNFIT, doubles, to_numpy, vectors
from partitioner.model.data import Floats
from partitioner.reducers.columns import column_of

SMALLEST = float(np.finfo(np.float64).eps)  # scikit-learn clips probabilities to [eps, 1 - eps]


def surprise(chances: Floats) -> Floats:
    """-ln p of the probabilities of what came true; those of 0 and 1 are clipped as scikit-learn does."""
    return -np.log(np.clip(np.ascontiguousarray(chances), SMALLEST, 1.0 - SMALLEST))


def check_chances(chances: Floats, name: str) -> None:
    """Raise ProgramError for what is no probability."""
    outside = ~((chances >= 0.0) & (chances <= 1.0))
    if outside.any():
        place = int(np.argmax(outside.reshape(len(chances), -1).any(axis=1)))
        raise ProgramError(
            f"Column {name!r} of the program's output is {chances[place]} in row {place}; probabilities are from 0 to 1."
        )


def chances_of(table: pa.Table, name: str, classes: Sequence[Any]) -> Floats:
    """float64[n, k] of a column of lists of k, or of numbers: the probability of the second of two ``classes``.

    Raises ProgramError for other lengths, for nulls, and for what is no probability.
    """
    column = column_of(table, name).combine_chunks()
    column = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
    if column.null_count:
        raise ProgramError(f"Column {name!r} of the program's output has {column.null_count} nulls; fill or drop them.")
    nested = pa.types.is_nested(column.type)
    try:
        flat = vectors(column).reshape(-1) if nested else np.asarray(to_numpy(doubles(column)), np.float64)
    except (ValueError, *UNFIT) as error:
        raise ProgramError(
            f"Column {name!r} is {column.type}; probabilities are numbers, or lists of them, as many in each: "
            f"{clause(error)}."
        ) from error
    width = len(classes) if nested else 1
    if len(flat) != width * len(column) or (not nested and len(classes) != 2):
        raise ProgramError(
            f"Column {name!r} has {len(flat)} probabilities in {len(column)} rows for {len(classes)} classes; return a list "
            "of one for each class in every row, or with two classes that of the second."
        )
    found: Any = flat.reshape(-1, width) if nested else np.column_stack([1.0 - flat, flat])
    check_chances(found, name)
    return np.asarray(found)


def label_places(labels: Any, classes: Sequence[Any], name: str) -> Any:
    """int64[n]: where each label stands among ``classes``. Raises ProgramError for one that is not there."""
    place: dict[Any, int] = {label: i for i, label in enumerate(classes)}
    found = [place.get(label, -1) for label in labels]
    if -1 in found:
        other = labels[found.index(-1)]
        raise ProgramError(f"Column {name!r} holds {other!r}, which is not one of classes={list(classes)}; add it.")
    return np.array(found, np.int64)
