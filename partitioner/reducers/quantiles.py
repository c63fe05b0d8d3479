"""``quantiles`` of everything the program returned, per column, from t-digests (Dunning 2021) of Apache DataSketches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, ProgramError
from partitioner.model.given import check_number
from partitioner.model.naming import column_names
from partitioner.reducers.base import Reducer
from partitioner.reducers.observations import Observations, observations
from partitioner.reducers.totals import check_nan_policy, under_policy

Digests = tuple[tuple[bytes, ...], tuple[int, ...], tuple[str, ...] | None]
"""A serialized digest per column, the shape of one observation, the names of columns."""


class Quantiles(Reducer):
    """Numbers, arrays or tables, as ``mean`` takes them; the result has a list of one number per ``at`` for each column.

    ``at``: shares from 0 to 1. ``compression``: of the digest; at 200 the error of a rank is below about 0.5 % in the middle
    and much smaller at the ends. Nothing seen gives NaN.
    """

    name = "quantiles"
    takes = "data"
    commutative = True
    mergeable = True

    def __init__(
        self,
        at: float | Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        compression: int = 200,
        columns: str | Sequence[str] | None = None,
        nan: str = "raise",
    ) -> None:
        shares: tuple[Any, ...] = (at,) if isinstance(at, int | float | np.number) else tuple(at)
        if not shares or not all(isinstance(q, int | float | np.number) and 0 <= q <= 1 for q in shares):
            raise ConfigError(f"at is {at!r}; give shares from 0 to 1, such as [0.5, 0.99].")
        check_number("compression", compression, whole=True)
        if compression < 10:
            raise ConfigError(f"compression is {compression}; a digest needs at least 10.")
        self.at, self.compression = tuple(map(float, shares)), compression
        self.columns = column_names(columns)
        self.nan = check_nan_policy(nan)
        if nan == "propagate":
            raise ConfigError("nan = 'propagate' has no meaning for quantiles; use 'raise' or 'omit'.")

    def create_accumulator(self) -> Digests | None:
        """Nothing seen."""
        return None

    def seen(self, value: Any) -> Observations:
        """The observations of one output. Raises ProgramError for NaN, unless it is to be left out."""
        return under_policy(observations(value, self.columns), self.nan)

    def add_input(self, accumulator: Digests | None, value: Any) -> Digests | None:
        """With one output."""
        from datasketches import tdigest_double

        seen, digests = self.seen(value), []
        for column, known in zip(seen.values.T, seen.known.T, strict=True):
            digest = tdigest_double(self.compression)
            if known.any():
                digest.update(np.ascontiguousarray(column[known]))
            digests.append(bytes(digest.serialize()))
        return self.merge_accumulators(accumulator, (tuple(digests), seen.shape, seen.names))

    def merge_accumulators(self, left: Digests | None, right: Digests | None) -> Digests | None:
        """Both as one. Raises ProgramError where columns differ."""
        from datasketches import tdigest_double

        if left is None or right is None:
            return left if right is None else right
        if left[1:] != right[1:]:
            raise ProgramError(f"The program returned {left[1:]} first and {right[1:]} later; return the same columns.")
        merged = []
        for one, other in zip(left[0], right[0], strict=True):
            digest = tdigest_double.deserialize(one)
            digest.merge(tdigest_double.deserialize(other))
            merged.append(bytes(digest.serialize()))
        return tuple(merged), left[1], left[2]

    def extract_output(self, accumulator: Digests | None) -> Any:
        """A list, lists in an array of the observations' shape, or a dict of lists by column."""
        from datasketches import tdigest_double

        if accumulator is None:
            return [float("nan")] * len(self.at)
        found = []
        for data in accumulator[0]:
            digest = tdigest_double.deserialize(data)
            found.append([float("nan") if digest.is_empty() else digest.get_quantile(q) for q in self.at])
        if accumulator[2] is not None:
            return dict(zip(accumulator[2], found, strict=True))
        return np.reshape(found, (*accumulator[1], len(self.at))) if accumulator[1] else found[0]
