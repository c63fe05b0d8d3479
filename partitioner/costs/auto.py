"""The cost model for who names none: what earlier runs showed, else a pilot where the job is worth one, else bytes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from partitioner.costs.base import CostModel
from partitioner.costs.bytes import Bytes
from partitioner.costs.learned import Learned
from partitioner.costs.memory import positive
from partitioner.errors import CostError, PreflightFailed
from partitioner.model import Costs, Dataset

WORTH_ROWS = 1000
"""Rows from which a pilot is worth its calls: some thirty of them, of one row and of small blocks."""

WORTH_BYTES = 1 << 20
"""Bytes from which one is, however few the rows: a program that takes as long as reading does not notice it below."""


WORTH_SECONDS = 5.0
"""Seconds of all sub-tasks from which a run is remembered that was too small to measure before: few rows may take long."""


class Auto(CostModel):
    """The profile of the program where there is one; else a pilot, from ``worth_rows`` rows or ``worth_bytes`` bytes on;
    else, and where the pilot fails, the bytes, which predict no time.

    ``store``, ``features``, ``budget_share`` and ``budget_seconds`` are those of ``learned``. Runs that were measured, or
    took ``WORTH_SECONDS``, are remembered in the profile. The plan says which it was, and why.
    """

    name = "auto"
    measures = True

    def __init__(
        self,
        store: str | Path | None = None,
        features: Sequence[str] | None = None,
        budget_share: float = 0.01,
        budget_seconds: float = 60.0,
        worth_rows: int = WORTH_ROWS,
        worth_bytes: int = WORTH_BYTES,
        seed: int = 0,
    ) -> None:
        positive("worth_rows", worth_rows)
        positive("worth_bytes", worth_bytes)
        self.learned = Learned(store, features, budget_share, budget_seconds, seed=seed)
        self.worth_rows, self.worth_bytes = worth_rows, worth_bytes
        self.bound = False
        self.measured = False

    def bind(
        self,
        build: Callable[[], Any] | None = None,
        runner: Any | None = None,
        columns: list[str] | None = None,
        program: str = "",
        slots: int = 1,
    ) -> Auto:
        """A copy for one program."""
        bound = copy.copy(self)
        bound.learned = self.learned.bind(build, runner, columns, program, slots)
        bound.bound, bound.measured = True, False
        return bound

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of n fragments, from the first of the three that can tell."""
        if not self.bound:
            return _said(Bytes().estimate(dataset), "bytes, for there is no program to measure")
        if not self.learned.knows(dataset) and not self.worth(dataset):
            small = f"below {self.worth_rows} rows and {self.worth_bytes} bytes"
            return _said(Bytes().estimate(dataset), f"bytes, for the job is too small to measure ({small})")
        try:
            costs = self.learned.estimate(dataset)
        except (CostError, PreflightFailed) as error:
            return _said(Bytes().estimate(dataset), f"bytes, for the pilot failed: {error}")
        self.measured = True
        return _said(costs, "a profile of earlier runs" if "runs" in _profile(costs) else "a pilot")

    def worth(self, dataset: Dataset) -> bool:
        """Whether the job is large enough to measure."""
        return dataset.rows >= self.worth_rows or int(dataset.fragments.bytes.sum()) >= self.worth_bytes

    def learns(self, seconds: float) -> bool:
        """From runs that were measured, and from long ones: few rows may take long."""
        return self.bound and (self.measured or seconds >= WORTH_SECONDS)

    def terms(self, dataset: Dataset) -> Sequence[Any]:
        """Those of the profile."""
        return self.learned.terms(dataset)

    def observe(self, dataset: Dataset, measurements: Any, run_id: str = "") -> Sequence[Any]:
        """Add a run to the profile."""
        return self.learned.observe(dataset, measurements, run_id)


def _profile(costs: Costs) -> Any:
    told = costs.details.get("profile", {})
    return told if isinstance(told, dict) else {}


def _said(costs: Costs, why: str) -> Costs:
    return replace(costs, details={**costs.details, "cost chosen": why})
