"""Counts, sums and sums of squares per column, without rounding: what ``sum``, ``mean`` and ``variance`` keep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from partitioner.errors import ConfigError, ProgramError, nearest
from partitioner.model.data import Floats
from partitioner.reducers.exact import UNIT, exact_squares, exact_sums, ratio
from partitioner.reducers.observations import Observations

NAN_POLICIES = ("raise", "omit", "propagate")


def check_nan_policy(nan: str) -> str:
    """``nan``, if it is a policy. Raises ConfigError."""
    if nan not in NAN_POLICIES:
        raise ConfigError(
            f"nan = {nan!r}; it is 'raise' (name the sub-task), 'omit' (as if it were null) or 'propagate'."
            f"{nearest(str(nan), list(NAN_POLICIES))}"
        )
    return nan


def under_policy(seen: Observations, nan: str) -> Observations:
    """The same with NaN left out, or let through. Raises ProgramError for NaN where ``nan`` is ``"raise"``."""
    if nan == "propagate" or not (missing := np.isnan(seen.values) & seen.known).any():
        return seen
    if nan == "raise":
        raise ProgramError(_nan_message(seen, missing))
    return replace(seen, known=seen.known & ~missing)


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Of d columns: ``count`` of known numbers, ``sums`` and ``squares`` in units of 2^-1127 (squares may be left out).

    ``special`` float64[d] is the sum of what is not finite, 0 where all is. ``shape`` and ``names`` as in ``Observations``.
    """

    count: tuple[int, ...]
    sums: tuple[int, ...]
    squares: tuple[int, ...] | None
    special: tuple[float, ...]
    shape: tuple[int, ...]
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, seen: Observations, squares: bool) -> Totals:
        """Of one output."""
        known = seen.known
        finite = known & np.isfinite(seen.values)
        values = np.where(finite, seen.values, 0.0)
        with np.errstate(invalid="ignore"):  # infinities of both signs give NaN
            special = np.where(known & ~finite, seen.values, 0.0).sum(axis=0)
        return cls(
            tuple(known.sum(axis=0).tolist()),
            tuple(exact_sums(values)),
            tuple(exact_squares(values)) if squares else None,
            tuple(special.tolist()),
            seen.shape,
            seen.names,
        )

    def merged(self, later: Totals) -> Totals:
        """Both as one. Raises ProgramError where their columns or shapes differ."""
        if (self.shape, self.names) != (later.shape, later.names):
            raise ProgramError(
                f"The program returned {_words(self)} first and {_words(later)} later; outputs that are "
                "averaged need the same columns every time."
            )
        both = self.squares is not None and later.squares is not None
        return Totals(
            _added(self.count, later.count),
            _added(self.sums, later.sums),
            _added(self.squares, later.squares) if both else None,
            tuple(a + b for a, b in zip(self.special, later.special, strict=True)),
            self.shape,
            self.names,
        )

    def total(self) -> Floats:
        """The sum of each column, rounded once."""
        return self._with_special([ratio(s, 1 << UNIT) for s in self.sums])

    def mean(self) -> Floats:
        """The mean of each column, rounded once; NaN of nothing."""
        return self._with_special([ratio(s, n << UNIT) for s, n in zip(self.sums, self.count, strict=True)])

    def variance(self, ddof: int) -> Floats:
        """Squared deviations from the mean over n - ``ddof``, rounded once; NaN of not more than ``ddof`` numbers."""
        assert self.squares is not None, "variance keeps squares"
        found = np.full(len(self.count), np.nan)
        for j, (n, s, q) in enumerate(zip(self.count, self.sums, self.squares, strict=True)):
            if n > ddof and self.special[j] == 0.0:
                found[j] = ratio((q << UNIT) * n - s * s, n * (n - ddof) << 2 * UNIT)
        return found

    def shaped(self, values: Floats) -> Any:
        """Per-column ``values`` as the program's outputs were: a float, an array, or a dict by column name."""
        if self.names is not None:
            return dict(zip(self.names, values.tolist(), strict=True))
        return values.reshape(self.shape) if self.shape else float(values[0])

    def _with_special(self, values: list[float]) -> Floats:
        special = np.array(self.special)
        return np.where(special == 0.0, values, special)


def _added(left: Any, right: Any) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(left, right, strict=True))


def _nan_message(seen: Observations, missing: Any) -> str:
    row, column = np.argwhere(missing)[0].tolist()
    where = f"in column {seen.names[column]!r}, row {row}" if seen.names else f"at observation {row}, number {column}"
    return (
        f"The program returned NaN {where} of its output ({int(missing.sum())} in all). Fill or drop it in the program, or "
        "set nan='omit' to leave it out, or nan='propagate' to have NaN as the result."
    )


def _words(totals: Totals) -> str:
    if totals.names is not None:
        return f"columns {', '.join(totals.names)}"
    return f"observations of shape {totals.shape}"
