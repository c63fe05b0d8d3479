"""Statistics of many keys at once, as columns: what ``by_key`` keeps where its inner reducer can be read from them.

One row per key, keys sorted, nulls last. ``count``, ``sum`` with its rounding error ``rest``, ``mean`` with the squared
deviations summed, ``squares`` (Chan, Golub and LeVeque 1979), ``low`` and ``high``: float64[keys, columns] each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partitioner.errors import ProgramError, listed
from partitioner.frames import UNFIT, to_numpy
from partitioner.model.data import Floats
from partitioner.reducers.exact import two_product
from partitioner.reducers.observations import Observations

Parts = Mapping[str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """``keys`` of g groups, ``rows`` of each, int64[g], and the ``parts`` of the d columns in ``names``."""

    keys: pa.Array
    rows: Any
    names: tuple[str, ...]
    parts: Parts

    @classmethod
    def of(cls, keys: pa.Array, seen: Observations, wanted: tuple[str, ...]) -> Groups:
        """Of the rows of one output."""
        coded = pc.dictionary_encode(keys, null_encoding="encode")
        order = to_numpy(pc.sort_indices(coded.dictionary))  # nulls last
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        codes = rank[to_numpy(coded.indices)]
        size = len(order)
        parts = _parts_of(codes, size, seen, wanted) if wanted else {}
        return cls(coded.dictionary.take(order), np.bincount(codes, minlength=size), seen.names or (), parts)

    def merged(self, later: Groups) -> Groups:
        """Both as one. Raises ProgramError where their columns differ."""
        if self.names != later.names:
            raise ProgramError(
                f"The program returned columns {listed(self.names)} first and {listed(later.names)} later; outputs "
                "that are reduced need the same columns every time."
            )
        if self.keys.equals(later.keys):
            return Groups(self.keys, self.rows + later.rows, self.names, _combined(self.parts, later.parts))
        keys, here, there = _joined(self.keys, later.keys)
        left, right = self._spread(here, len(keys)), later._spread(there, len(keys))
        return Groups(keys, left.rows + right.rows, self.names, _combined(left.parts, right.parts))

    def _spread(self, places: Any, size: int) -> Groups:
        """The same groups at ``places`` among ``size``, the others empty."""
        rows = np.zeros(size, np.int64)
        rows[places] = self.rows
        parts = {}
        for name, held in self.parts.items():
            parts[name] = np.full((size, held.shape[1]), _EMPTY.get(name, 0.0))
            parts[name][places] = held
        return Groups(self.keys, rows, self.names, parts)


_EMPTY = {"low": np.inf, "high": -np.inf}


def _joined(left: pa.Array, right: pa.Array) -> tuple[pa.Array, Any, Any]:
    """The sorted union of two key arrays, and where the keys of each are in it."""
    if left.type == right.type and pa.types.is_integer(left.type) and not left.null_count + right.null_count:
        keys, here, there = _joined_numbers(left.to_numpy(), right.to_numpy())
        return pa.array(keys, left.type), here, there
    try:
        both = pa.concat_tables([pa.table({"k": left}), pa.table({"k": right})], promote_options="permissive")["k"]
    except UNFIT as error:
        raise ProgramError(
            f"The program's keys are {left.type} in one output and {right.type} in another, which are no keys together; "
            "return one type."
        ) from error
    coded = pc.dictionary_encode(both.combine_chunks(), null_encoding="encode")
    coded = pa.concat_arrays(coded.chunks) if isinstance(coded, pa.ChunkedArray) else coded
    order = to_numpy(pc.sort_indices(coded.dictionary))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    places = rank[to_numpy(coded.indices)]
    return coded.dictionary.take(order), places[: len(left)], places[len(left) :]


def _joined_numbers(left: Any, right: Any) -> tuple[Any, Any, Any]:
    """The same of sorted whole numbers without nulls: a merge of the two, no sorting."""
    at = np.searchsorted(left, right)
    new = at == len(left)
    new[~new] = left[at[~new]] != right[~new]
    fresh = right[new]
    keys = np.insert(left, at[new], fresh)
    here = np.arange(len(left)) + np.searchsorted(fresh, left)
    there = at + np.cumsum(new) - new
    return keys, here, there


def _parts_of(codes: Any, size: int, seen: Observations, wanted: tuple[str, ...]) -> dict[str, Floats]:
    columns = [_column_parts(codes, size, *pair, wanted) for pair in zip(seen.values.T, seen.known.T, strict=True)]
    return {name: np.column_stack([c[name] for c in columns]) if columns else np.empty((size, 0)) for name in wanted}


def _column_parts(codes: Any, size: int, values: Floats, known: Any, wanted: tuple[str, ...]) -> dict[str, Floats]:
    """Two passes over one column: the mean, then what is left of it."""
    if not known.all():
        codes, values = codes[known], values[known]
    found: dict[str, Floats] = {"count": np.bincount(codes, minlength=size).astype(np.float64)}
    if {"sum", "mean"} & set(wanted):
        found |= _sums_of(codes, size, values, "squares" in wanted)
    for name, function in (("low", np.minimum), ("high", np.maximum)):
        if name in wanted:
            found[name] = np.full(size, _EMPTY[name])
            function.at(found[name], codes, values)
    return {name: found[name] for name in wanted}


def _sums_of(codes: Any, size: int, values: Floats, squares: bool) -> dict[str, Floats]:
    """Sums, means and squared deviations; of a key with an infinity or NaN what that makes of them."""
    finite = np.isfinite(values)
    if not finite.all():
        found = _sums_of(codes[finite], size, values[finite], squares)
        with np.errstate(invalid="ignore"):  # infinities of both signs give NaN
            special = np.bincount(codes[~finite], values[~finite], size)
        odd = special != 0.0
        makes: dict[str, Any] = {"sum": special, "mean": special, "rest": 0.0, "squares": np.nan}
        return {name: np.where(odd, makes[name], held) for name, held in found.items()}
    number = np.bincount(codes, minlength=size).astype(np.float64)
    count = np.maximum(number, 1.0)
    first = np.bincount(codes, values, size) / count
    apart = values - first[codes]
    left = np.bincount(codes, apart, size)
    total, error = two_product(first, number)
    found = {"sum": total, "rest": error + left, "mean": first + left / count}
    if squares:
        found["squares"] = np.maximum(np.bincount(codes, apart * apart, size) - left * left / count, 0.0)
    return found


def _combined(left: Parts, right: Parts) -> dict[str, Floats]:
    return {name: _COMBINE[name](left, right) for name in left}


def _sums(left: Parts, right: Parts) -> tuple[Floats, Floats]:
    """The sum of two sums with its rounding error (Knuth's TwoSum)."""
    a, b = left["sum"], right["sum"]
    with np.errstate(invalid="ignore"):
        total = a + b
        part = total - a
        error = (a - (total - part)) + (b - part)
    return total, np.where(np.isfinite(total), error, 0.0)


def _mean(left: Parts, right: Parts) -> Floats:
    share = right["count"] / np.maximum(left["count"] + right["count"], 1.0)
    with np.errstate(invalid="ignore"):
        found = left["mean"] + (right["mean"] - left["mean"]) * share
        both = left["mean"] + right["mean"]
    found = np.where(np.isfinite(both), found, both)
    return np.where(right["count"] == 0, left["mean"], np.where(left["count"] == 0, right["mean"], found))


def _squares(left: Parts, right: Parts) -> Floats:
    weight = left["count"] * right["count"] / np.maximum(left["count"] + right["count"], 1.0)
    with np.errstate(invalid="ignore"):
        apart = right["mean"] - left["mean"]
        return left["squares"] + right["squares"] + np.where(weight > 0, apart * apart * weight, 0.0)


_COMBINE: dict[str, Callable[[Parts, Parts], Floats]] = {
    "count": lambda left, right: left["count"] + right["count"],
    "sum": lambda left, right: _sums(left, right)[0],
    "rest": lambda left, right: left["rest"] + right["rest"] + _sums(left, right)[1],
    "mean": _mean,
    "squares": _squares,
    "low": lambda left, right: np.minimum(left["low"], right["low"]),
    "high": lambda left, right: np.maximum(left["high"], right["high"]),
}
