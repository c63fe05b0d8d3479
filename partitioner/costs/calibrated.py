"""Cost measured on a small pilot before the run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from partitioner.costs.base import CostModel
from partitioner.costs.fitting.fit import FitOptions, fit
from partitioner.costs.fitting.fitted import Fitted
from partitioner.costs.fitting.terms import Term, automatic, candidates, columns
from partitioner.costs.measuring.measurements import Measurements
from partitioner.costs.measuring.pilot import LEAST_PIECES, Pilot, choose
from partitioner.costs.measuring.runner import InProcess, Program, Runner
from partitioner.costs.memory import positive
from partitioner.errors import ConfigError
from partitioner.model import Costs, Dataset, Fragments
from partitioner.model.data import Ints

ROUNDS = 5
PRUDENT = 0.8
"""Part of the budget that is planned for: small pieces cost more than their share, and predictions miss."""

AUTOMATIC_LIMIT = 512 << 20


class Calibrated(CostModel):
    """A stratified pilot of at most ``budget_share`` of the work and ``budget_seconds``, then a fit.

    ``features`` are formulas over data columns such as ``len(text)``, considered besides rows, bytes and the features that
    the connector gives; None considers the lengths of text, binary and list columns where the dataset holds at most
    512 MB, an empty list none. ``quantile`` is that of memory. ``clock`` is what is fitted: wall seconds, CPU seconds,
    or, by default, CPU seconds scaled to wall seconds where these are too noisy (a busy machine). ``bind`` gives the
    program; the fit is kept, so that plan and run of one dataset calibrate once.
    """

    name = "calibrated"

    def __init__(
        self,
        features: Sequence[str] | None = None,
        budget_share: float = 0.01,
        budget_seconds: float = 60.0,
        quantile: float = 0.99,
        clock: str = "auto",
        seed: int = 0,
    ) -> None:
        positive("budget_share", budget_share)
        positive("budget_seconds", budget_seconds)
        if not 0 < quantile < 1:
            raise ConfigError(f"quantile = {quantile!r}; it is between 0 and 1, such as 0.99.")
        if clock not in ("auto", "wall", "cpu"):
            raise ConfigError(f"clock = {clock!r}; it is 'auto', 'wall' or 'cpu'.")
        if isinstance(features, str):
            raise ConfigError(f"features = {features!r}; it is a list, such as [{features!r}].")
        self.features = None if features is None else list(features)
        self.budget_share, self.budget_seconds = budget_share, budget_seconds
        self.options = FitOptions(quantile=quantile, clock=clock, seed=seed)
        self.program = ""
        self.runner: Runner | None = None
        self.read_columns: list[str] | None = None
        self.measurements: Measurements | None = None
        self.pilot: Pilot | None = None
        self.fitted: Fitted | None = None
        self.failed = 0
        self._fitted_for: tuple[Any, ...] = ()

    def bind(
        self,
        build: Callable[[], Program] | None = None,
        runner: Runner | None = None,
        columns: list[str] | None = None,
        program: str = "",
    ) -> Calibrated:
        """A copy that runs the program which ``build`` makes, in this process, or whatever ``runner`` does.

        ``columns`` are those the program reads, None for all; ``program`` names it in what the model tells.
        """
        if (build is None) == (runner is None):
            raise ConfigError("bind a cost model to either build, which makes the program, or a runner.")
        bound = copy.copy(self)
        bound.program = program
        bound.runner = runner if build is None else InProcess(build, columns)
        bound.read_columns = columns
        bound.fitted, bound._fitted_for, bound.failed = None, (), 0
        return bound

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of n fragments; runs the pilot on the first call for a dataset. ConfigError where no program is bound."""
        if not len(dataset.fragments):
            return Costs(
                np.zeros(0), np.zeros(0), source=self.name, details={"model": "calibrated", "notes": ["no fragments"]}
            )
        fitted = self.calibrate(dataset)
        extra = {} if self.pilot is None or self.measurements is None else self._spent(dataset, fitted)
        return fitted.estimate(dataset, self.name, extra)

    def pieces(self) -> Fragments | None:
        """The pieces that ran, None before the pilot."""
        return None if self.pilot is None else self.pilot.pieces

    def terms(self, dataset: Dataset) -> list[Term]:
        """The terms considered for ``dataset``."""
        if self.features is None:
            return candidates(dataset, automatic(dataset, AUTOMATIC_LIMIT), products=False)
        return candidates(dataset, self.features)

    def calibrate(self, dataset: Dataset) -> Fitted:
        """The fit for ``dataset``, from the pilot run before or, the first time, now."""
        f = dataset.fragments
        key = (f.paths, len(f), int(f.bytes.sum()), int(f.stop.sum()))
        if self.fitted is not None and self._fitted_for == key:
            return self.fitted
        if self.runner is None:
            raise ConfigError(
                "cost 'calibrate' runs the program on a small pilot, and there is no program here; use partitioner.run or "
                "'partitioner calibrate', or plan with cost='rows', 'bytes', declared numbers or a learned profile."
            )
        terms = self.terms(dataset)
        pilot = choose(dataset, terms, PRUDENT * self.budget_share, self.options.seed, self.read_columns)
        self.pilot, self.measurements = self._run(dataset, pilot, terms)
        self.fitted, self._fitted_for = fit(self.measurements, terms, self.options), key
        return self.fitted

    def _run(self, dataset: Dataset, pilot: Pilot, terms: list[Term]) -> tuple[Pilot, Measurements]:
        """Run the pieces in rounds, as far as the budget goes: how much work there is, the rounds before tell."""
        assert self.runner is not None
        parts: list[Measurements] = []
        ran: list[Ints] = []
        spent = 0.0
        for indices in _rounds(len(pilot.pieces)):
            chosen = self._affordable(dataset, pilot.take(indices), terms, parts, spent)
            part = pilot.take(indices[:chosen])
            if not chosen:
                break
            timings = self.runner(dataset, part.pieces, self.budget_seconds - spent)
            good = [t for t in timings if t is not None]
            done = np.array([i for i, t in enumerate(timings) if t is not None], np.int64)
            self.failed += len(timings) - len(good)
            parts.append(Measurements.of(part.take(done).columns, good))
            ran.append(indices[done])
            spent += sum(t.cpu_seconds if self.options.clock == "cpu" else t.seconds for t in good)
            if chosen < len(indices) or len(timings) < chosen or spent >= self.budget_seconds:
                break
        if not parts:
            return pilot, Measurements.of({}, [])
        return pilot.take(np.concatenate(ran)), Measurements.concat(parts)

    def _affordable(
        self, dataset: Dataset, part: Pilot, terms: list[Term], parts: list[Measurements], spent: float
    ) -> int:
        """How many pieces of the next round the budget holds, from a fit to the rounds before."""
        n = len(part.pieces)
        if sum(map(len, parts)) < LEAST_PIECES:
            return n
        linear = [t for t in terms if t.shape != "log"]
        so_far = fit(Measurements.concat(parts), linear, self.options)
        values = columns(dataset, so_far.terms) if so_far.terms else {}
        work = float(so_far.predict(values)[0].sum()) + so_far.fixed_seconds * len(dataset.fragments)
        allowed = PRUDENT * min(self.budget_share * work, self.budget_seconds) - spent
        ahead = so_far.predict(part.columns)[0] + so_far.fixed_seconds
        return int((np.cumsum(ahead) <= allowed).sum())

    def _spent(self, dataset: Dataset, fitted: Fitted) -> dict[str, Any]:
        assert self.measurements is not None
        assert self.pilot is not None
        spent = float(self.measurements.seconds.sum())
        values = columns(dataset, fitted.terms) if fitted.terms else {}
        work = float(fitted.predict(values)[0].sum()) + fitted.fixed_seconds * len(dataset.fragments)
        return {
            "model": "calibrated",
            "program": self.program,
            "pilot": {
                "pieces": len(self.measurements),
                "failed_pieces": self.failed,
                "seconds": spent,
                "share_of_seconds": spent / work if work > 0 else 0.0,
                "share_of_bytes": self.pilot.share,
            },
        }


def _rounds(n: int) -> list[Ints]:
    """Indices 0..n-1, sorted by size, dealt to ``ROUNDS`` that each span all sizes.

    The first holds the largest, which tells most where each call costs much, and enough others to fit.
    """
    every = max(min(ROUNDS, -(-n // (LEAST_PIECES + 1))), 1)
    return [np.arange(n - 1 - k, -1, -every)[::-1] for k in range(every)]
