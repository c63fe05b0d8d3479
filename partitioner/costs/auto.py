"""The cost model for who names none: what earlier runs showed, else a pilot where the job is worth one, else bytes.

Whether few rows are worth it is known once the trial before the run has timed the first of them: ``after_trial``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import hypot, sqrt
from pathlib import Path
from typing import Any

from partitioner.costs.base import CostModel
from partitioner.costs.bytes import Bytes
from partitioner.costs.calibrated import PRUDENT
from partitioner.costs.learned import Learned
from partitioner.costs.measuring.drift import all_work, spell
from partitioner.costs.measuring.first_rows import FirstRows
from partitioner.costs.memory import positive
from partitioner.costs.rows import Rows
from partitioner.errors import CostError, PreflightFailed
from partitioner.model import Costs, Dataset
from partitioner.sizes import as_bytes, counted

WORTH_ROWS = 1000
"""Rows from which a pilot is worth its calls: some thirty of them, of one row and of small blocks."""

WORTH_BYTES = 1 << 20
"""Bytes from which one is, however few the rows: a program that takes as long as reading does not notice it below."""


WORTH_SECONDS = 5.0
"""Seconds of all sub-tasks from which few rows are worth a pilot after all, and a run that had none is remembered."""

SMALL_PILOT = 12
"""Rows of a pilot of few rows: single ones and two blocks, so that what calls and what rows cost are told apart."""

SMALL_SHARE = 0.05
"""Of the rows of a slot that such a pilot takes at most; below, all rows count as much as those of the trial."""


SCATTER = 0.7
"""Standard deviation of what rows cost, relative to their mean, where a few of them are all that is known."""


class Auto(CostModel):
    """The profile of the program where there is one; else a pilot, from ``worth_rows`` rows or ``worth_bytes`` bytes on;
    else, and where the pilot fails, the bytes, which predict no time.

    ``store``, ``features``, ``budget_share`` and ``budget_seconds`` are those of ``learned``. Runs that were measured, or
    took ``WORTH_SECONDS``, are remembered in the profile. The plan says which it was, and why.
    """

    name = "auto"
    measures = True
    times_first_rows = True

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
        self.first: FirstRows | None = None
        self.because = ""

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
        if self.first is not None:
            return self._by_first_rows(dataset, self.first)
        if not self.learned.knows(dataset) and not self.worth(dataset):
            return _said(Bytes().estimate(dataset), f"bytes, for {self._too_small(dataset)}")
        return self._measured(dataset)

    def _too_small(self, dataset: Dataset) -> str:
        size = as_bytes(float(dataset.fragments.bytes.sum()))
        rows = f"{counted(dataset.rows, 'row')}, {size}" if dataset.rows >= 0 else size
        return (
            f"the job is too small to measure ({rows}): from {counted(self.worth_rows, 'row')} or "
            f"{as_bytes(self.worth_bytes)} on, or where its first rows let expect {WORTH_SECONDS:g} s of work, a run "
            "measures first, and predicts"
        )

    def after_trial(self, dataset: Dataset, first: FirstRows) -> Auto | None:
        """For a small job whose first rows were slow: a pilot where it has the rows for one, else the seconds of these rows.

        None where it is cheap, or its rows are too few for a pilot and ended too late to be timed twice.
        """
        if not self.bound or self.learned.knows(dataset) or self.worth(dataset):
            return None
        rows = dataset.rows if dataset.rows >= 0 else _rows_of(dataset, first)
        work = first.at_least * rows
        if work < WORTH_SECONDS:
            return None
        again = copy.copy(self)
        worth_pilot = (self.learned.pilot.slots + SMALL_PILOT) / rows <= SMALL_SHARE
        if worth_pilot and first.together <= 1:  # what rows wait together single ones and small blocks do not show
            again.learned, again.learned.pilot = copy.copy(self.learned), copy.copy(self.learned.pilot)
            share = (SMALL_PILOT + 0.5) / (PRUDENT * rows)
            again.learned.pilot.budget_share = max(self.learned.pilot.budget_share, share)
            again.worth_rows, again.worth_bytes = 0, 0
            again.because = f", for the first rows let expect {work:.3g} s of work"
            return again
        again.first = first
        return again if len(first.calls) > 1 and dataset.rows >= 0 else None  # one call alone holds what comes once

    def _by_first_rows(self, dataset: Dataset, first: FirstRows) -> Costs:
        self.measured = True
        why = f"the trial alone ({first.told}): every row counts as much as these"
        costs = Rows(first.seconds_per_row).estimate(dataset)
        known = all_work(float(costs.seconds.sum()), hypot(spell(), SCATTER / sqrt(sum(c.rows for c in first.calls))))
        costs = replace(
            costs, source=self.name, fixed_seconds=first.seconds_per_call, details={**costs.details, **known}
        )
        return _said(costs, why)

    def _measured(self, dataset: Dataset) -> Costs:
        """From the profile or a pilot; bytes where the pilot fails."""
        try:
            costs = self.learned.estimate(dataset)
        except (CostError, PreflightFailed) as error:
            return _said(Bytes().estimate(dataset), f"bytes, for the pilot failed: {error}")
        self.measured = True
        return _said(costs, "a profile of earlier runs" if "runs" in _profile(costs) else f"a pilot{self.because}")

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


def _rows_of(dataset: Dataset, first: FirstRows) -> int:
    """About how many rows there are, where nobody has counted them: bytes by those of a row in memory."""
    return int(float(dataset.fragments.bytes.sum()) / first.row_bytes) if first.row_bytes else 0


def _profile(costs: Costs) -> Any:
    told = costs.details.get("profile", {})
    return told if isinstance(told, dict) else {}


def _said(costs: Costs, why: str) -> Costs:
    return replace(costs, details={**costs.details, "cost chosen": why})
