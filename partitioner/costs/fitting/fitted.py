"""A fitted cost: seconds and memory of fragments from coefficients, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import hypot
from typing import Any

import numpy as np

from partitioner.costs.base import checked
from partitioner.costs.expression import KEPT_ROWS
from partitioner.costs.fitting.terms import Term, columns, columns_and_rows
from partitioner.costs.measuring.drift import all_work
from partitioner.model import Costs, Dataset
from partitioner.model.data import Floats, Ints
from partitioner.model.explanation import NINETY


@dataclass(frozen=True, slots=True)
class Fitted:
    """seconds = fixed + sum of coefficient x term, memory likewise.

    ``covariance`` float[p+1][p+1] of the fixed seconds and the coefficients (bootstrap); ``noise`` relative residual
    standard deviation of a piece and ``piece_seconds`` its typical duration, since noise of many pieces averages out;
    ``cpu_ratio`` wall per CPU second where fitted on CPU seconds, else 0;
    ``held_out_error`` mean relative error in cross-validation, whose standard error widens the intervals;
    ``process_seconds`` once per worker process (imports, model load, warming up); ``memory_*`` already hold the
    ``quantile``, and ``memory_baseline`` is what of the fixed part the measured process held before it began;
    ``spell`` standard deviation, in logs, of the machines' speed in the run beside that where it was measured;
    ``measurements`` how many were fitted; ``considered`` held-out error by term; ``notes`` in words.
    """

    terms: tuple[Term, ...]
    coefficients: tuple[float, ...]
    fixed_seconds: float
    covariance: tuple[tuple[float, ...], ...]
    noise: float
    piece_seconds: float
    process_seconds: float
    memory_terms: tuple[Term, ...]
    memory_coefficients: tuple[float, ...]
    memory_fixed: float
    quantile: float
    measurements: int
    held_out_error: float
    memory_baseline: float = 0.0
    cpu_ratio: float = 0.0
    spell: float = 0.0
    considered: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def predict(self, values: Mapping[str, Floats]) -> tuple[Floats, Floats]:
        """Seconds without the fixed part, and their standard deviation, float64[n] each, from term columns by name."""
        n = len(next(iter(values.values()))) if values else 0
        x = np.stack([values[t.name] for t in self.terms], axis=1) if self.terms else np.zeros((n, 0))
        seconds = x @ np.array(self.coefficients)
        sigma = np.array(self.covariance)[1:, 1:]
        variance = np.einsum("ij,jk,ik->i", x, sigma, x) if self.terms else np.zeros(n)
        variance = variance + self.noise**2 * seconds * self.piece_seconds
        variance = variance + (self.held_out_error * seconds) ** 2 / max(self.measurements, 1)
        return seconds, np.sqrt(np.maximum(variance, 0.0))

    def estimate(self, dataset: Dataset, source: str, extra: Mapping[str, Any] | None = None) -> Costs:
        """Costs of n fragments, and of their rows where per-row terms are in use, for which data columns are read."""
        by_row = dataset.divisible_by == "rows" and 0 < dataset.rows <= KEPT_ROWS
        values, rows = columns_and_rows(dataset, self.terms, self.coefficients if by_row else None)
        n = len(dataset.fragments)
        seconds, deviation = self.predict(values) if self.terms else (np.zeros(n), np.zeros(n))
        memory = np.zeros(n)
        held = columns(dataset, self.memory_terms)
        for term, coefficient in zip(self.memory_terms, self.memory_coefficients, strict=True):
            memory += coefficient * held[term.name]
        costs = Costs(
            seconds,
            memory,
            seconds_low=np.maximum(seconds - NINETY * deviation, 0.0),
            seconds_high=seconds + NINETY * deviation,
            fixed_seconds=self.fixed_seconds,
            fixed_memory_bytes=self.memory_fixed,
            process_memory=self.memory_fixed >= self.memory_baseline > 0,
            source=source,
            details={
                **self.details(),
                **self._work(values),
                **_least_sure(dataset, seconds, deviation),
                **(extra or {}),
            },
            record_seconds=_record_seconds(rows, seconds, dataset.fragments.rows) if rows else None,
        )
        return checked(costs, dataset)

    def _work(self, values: Mapping[str, Floats]) -> dict[str, Any]:
        """Seconds of all fragments together and their 90 % interval: coefficients are wrong for all of them alike, and the
        machines are faster or slower for all of them.
        """
        if not self.terms:
            return {}
        seconds, deviation = self.predict({t.name: values[t.name].sum(keepdims=True) for t in self.terms})
        total = float(seconds[0])
        return all_work(total, hypot(float(deviation[0]) / total, self.spell) if total > 0 else 0.0)

    def details(self) -> dict[str, Any]:
        """What ``plan.explain()`` shows: coefficients with units and 90 % intervals, what was considered, notes."""
        spread = np.sqrt(np.maximum(np.diag(np.array(self.covariance)), 0.0))
        rows = zip(
            ("fixed", *(t.name for t in self.terms)),
            ("s/sub-task", *(t.unit for t in self.terms)),
            (self.fixed_seconds, *self.coefficients),
            spread,
            strict=True,
        )
        return {
            "coefficients": {
                name: {
                    "value": value,
                    "unit": unit,
                    "low": max(value - NINETY * float(sd), 0.0),
                    "high": value + NINETY * float(sd),
                }
                for name, unit, value, sd in rows
            },
            "process_seconds": self.process_seconds,
            "memory": {
                "fixed": self.memory_fixed,
                "baseline": self.memory_baseline,
                **{t.name: c for t, c in zip(self.memory_terms, self.memory_coefficients, strict=True)},
                "quantile": self.quantile,
            },
            "measurements": self.measurements,
            "held_out_error": self.held_out_error,
            "features_considered": dict(self.considered),
            "notes": list(self.notes),
        }


def _record_seconds(rows: list[Floats], seconds: Floats, counts: Ints) -> Floats:
    """float64[rows]: what the per-row terms give, and of the rest of the fragment's seconds an equal share."""
    own = np.concatenate(rows)
    filled = counts > 0
    seconds, counts = seconds[filled], counts[filled]
    starts = np.cumsum(counts) - counts
    rest = seconds - np.add.reduceat(own, starts)
    return np.asarray(own + np.repeat(rest / counts, counts))


def _least_sure(dataset: Dataset, seconds: Floats, deviation: Floats, most: int = 3) -> dict[str, Any]:
    """The fragments whose seconds are known worst, relative to what they cost."""
    if not len(seconds):
        return {"least_sure": []}
    # Relative uncertainty of a fragment that costs next to nothing is of no interest: weigh by the mean cost.
    relative = deviation / np.maximum(seconds, max(float(seconds.mean()), 1e-12))
    worst = np.argsort(-relative, kind="stable")[:most]
    return {
        "least_sure": [
            {
                "fragment": dataset.fragments[int(i)].name,
                "seconds": float(seconds[i]),
                "plus_minus": NINETY * float(deviation[i]),
            }
            for i in worst
        ]
    }
