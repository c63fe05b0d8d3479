"""Cost measured on a small pilot before the run."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from partitioner.costs.base import CostModel
from partitioner.costs.fitting.fit import PIECES, FitOptions, fit
from partitioner.costs.fitting.fitted import Fitted
from partitioner.costs.fitting.terms import Term, automatic, candidates, columns
from partitioner.costs.measuring.drift import spell
from partitioner.costs.measuring.measurements import Measurements, Timing, program_seconds
from partitioner.costs.measuring.pilot import Pilot, choose
from partitioner.costs.measuring.row_ranges import LEAST_PIECES
from partitioner.costs.measuring.runner import InProcess, Program, Runner
from partitioner.costs.measuring.schedule import alike, calls, evenly, schedule
from partitioner.costs.memory import positive
from partitioner.errors import ConfigError, CostError
from partitioner.model import Costs, Dataset
from partitioner.model.data import Ints

PRUDENT = 0.8
"""Part of the budget that is planned for: small pieces cost more than their share, and predictions miss."""

TOGETHER = 0.4
"""Part of the budget in which every slot is busy until the end: what slots take from one another shows only then."""

LEAST_TOGETHER = 0.02
"""Seconds below which a spell with all slots busy tells nothing."""

LEAST_SECONDS = 0.25
"""Seconds that a pilot may always add: a hundredth of a short job tells nothing, and few miss a quarter of a second."""

DOUBTED = 1.25
"""Times that calls take longer with every slot busy from which on the fit to the rounds before is doubted first."""

MOST_REPEATS = 2000
"""Pieces that run before a slot is given for that spell at most."""

EVERYWHERE_SECONDS = 0.5
"""The few pieces of a job of few rows run in every slot where that takes no longer; else they are shared out."""

AUTOMATIC_LIMIT = 512 << 20


class Calibrated(CostModel):
    """A stratified pilot of at most ``budget_share`` of the work and ``budget_seconds``, then a fit.

    A share that would add less than ``LEAST_SECONDS`` to the makespan counts as that much.

    ``features`` are formulas over data columns such as ``len(text)``, considered besides rows, bytes and the features that
    the connector gives; None considers the lengths of text, binary and list columns where the dataset holds at most
    512 MB, and numbers of small datasets (``automatic``), an empty list none. ``quantile`` is that of memory. ``clock`` is
    what is fitted: wall seconds, CPU seconds, or, by default, CPU seconds scaled to wall seconds where these are too noisy
    (a busy machine). ``bind`` gives the program; the fit is kept, so that plan and run of one dataset calibrate once.
    """

    name = "calibrated"
    measures = True

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
        self.slots = 1
        self.spent = 0.0
        self.company, self.warming = 1.0, 0.0
        self._fitted_for: tuple[Any, ...] = ()

    def bind(
        self,
        build: Callable[[], Program] | None = None,
        runner: Runner | None = None,
        columns: list[str] | None = None,
        program: str = "",
        slots: int = 1,
    ) -> Calibrated:
        """A copy that runs the program which ``build`` makes, in this process, or whatever ``runner`` does.

        ``columns`` are those the program reads, None for all; ``program`` names it in what the model tells; ``runner``
        runs ``slots`` pieces at once, piece i of those given in slot i modulo ``slots``.
        """
        if (build is None) == (runner is None):
            raise ConfigError("bind a cost model to either build, which makes the program, or a runner.")
        bound = copy.copy(self)
        bound.program = program
        bound.runner = runner if build is None else InProcess(build, columns)
        bound.read_columns = columns
        bound.slots = max(1, slots)
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
        share = PRUDENT * self.budget_share
        pilot = choose(dataset, terms, share, self.options.seed, self.read_columns, self.slots)
        self.pilot, self.measurements = self._run(dataset, pilot, terms)
        self.fitted, self._fitted_for = replace(fit(self.measurements, terms, self.options), spell=spell()), key
        return self.fitted

    def _run(self, dataset: Dataset, pilot: Pilot, terms: list[Term]) -> tuple[Pilot, Measurements]:
        """Run the pieces in rounds, as far as the budget goes: how much work there is, the rounds before tell."""
        parts: list[Measurements] = []
        ran: list[Ints] = []
        spent = 0.0
        seen: set[str] = set()
        self.company, self.warming = 1.0, 0.0
        rounds, warming = schedule(pilot, self.slots)
        few = not warming
        # The first round runs in every slot, which tells workers apart; the others are shared out.
        for k, one_round in enumerate(rounds):
            everywhere = not k or (few and _takes(pilot, parts[0], np.concatenate(rounds[1:])) <= EVERYWHERE_SECONDS)
            if few and k == 2 and not everywhere and alike(program_seconds(parts[1], self._clock)):
                break
            shared = evenly(one_round, self.slots) if few else one_round
            indices = np.repeat(one_round, self.slots) if everywhere else shared
            chosen = self._affordable(dataset, pilot.take(indices), terms, parts, spent)
            part = pilot.take(indices[:chosen])
            if not chosen:
                break
            # The smallest of few runs alone: where it fails, the others may tell more.
            others = any(map(len, parts)) or (few and not k)
            timings = self._timed(dataset, part, self.budget_seconds - spent, others)
            good = [t for t in timings if t is not None]
            done = np.array([i for i, t in enumerate(timings) if t is not None], np.int64)
            self.failed += len(timings) - len(good)
            alone = dict(part.take(done).columns) | {PIECES: np.ones(len(good))}
            told = (done < self.slots) | (done >= (1 + warming) * self.slots) if not k else done >= 0
            parts.append(_warmed(Measurements.of(alone, good), good, seen).take(told))
            ran.append(indices[done[told]])
            self.warming += self._longest_slot(timings[: (1 + warming) * self.slots]) if not k else 0.0
            spent += self._longest_slot(timings)
            if chosen < len(indices) or len(timings) < chosen or spent >= self.budget_seconds:
                break
        self.spent = spent
        if not any(map(len, parts)):
            return pilot, Measurements.of({}, [])
        measured, indices = Measurements.concat(parts), np.concatenate(ran)
        self.company, beside = self._together(dataset, pilot, terms, measured, indices)
        return pilot.take(indices), Measurements.concat([measured.times(self.company), *beside])

    def _together(
        self, dataset: Dataset, pilot: Pilot, terms: list[Term], before: Measurements, indices: Ints
    ) -> tuple[float, list[Measurements]]:
        """What calls take with every slot busy, beside what the rounds let expect, and the measurements that say so; of one
        slot these alone.

        The calls are of new pieces, several each, as a sub-task is: a piece that runs again finds its data in the caches of
        the processor. Where calls are so dear that the rest of the budget holds too few of them, the pieces known run again.
        1.0 where too little of the budget is left to tell.
        """
        so_far = self._so_far(terms, [before.without_reading()])
        window = self._allowed(dataset, self._so_far(terms, [before])) - (self.spent - self.warming)
        if window < LEAST_TOGETHER or len(before) < LEAST_PIECES:
            return 1.0, []
        part, sizes = calls(pilot.reserve, so_far, window, self.slots)
        if not len(sizes):
            return self._again(dataset, pilot, before, indices, window) if self.slots > 1 else 1.0, []
        timings = self._spell(dataset, part, sizes, window)
        done = np.array([i for i, t in enumerate(timings) if t is not None], np.int64)
        if not len(done):
            return 1.0, []
        whole = {name: np.add.reduceat(values, np.cumsum(sizes) - sizes)[done] for name, values in part.columns.items()}
        m = Measurements.of(whole | {PIECES: sizes[done].astype(np.float64)}, [t for t in timings if t is not None])
        m = replace(m, first=np.zeros(len(m), np.bool_))
        if self.slots == 1:
            return 1.0, [m]
        expected = so_far.predict(whole)[0] + so_far.fixed_seconds
        took = program_seconds(m, self._clock)
        return self._doubted(terms, before, m, _crowding(float(took.sum()), float(expected.sum()))), [m]

    def _doubted(self, terms: list[Term], before: Measurements, beside: Measurements, factor: float) -> float:
        """``factor``, or 1.0 where calls that took so much longer than the rounds let expect tell of a wrong fit to these,
        not of crowded slots: what then fits all of them better is taken.
        """
        if factor < DOUBTED:
            return factor
        error = {c: self._so_far(terms, [before.times(c), beside]).held_out_error for c in (1.0, factor)}
        return min(error, key=lambda c: error[c])

    def _again(self, dataset: Dataset, pilot: Pilot, before: Measurements, indices: Ints, window: float) -> float:
        """The same for pieces that ran before: all slots go through them, in orders of their own."""
        steady = ~before.first
        known = np.unique(indices[steady])
        took = before.seconds - before.read_seconds
        usual = np.array([took[steady & (indices == i)].mean() for i in known])
        if not usual.sum() > 0:
            return 1.0
        rng = np.random.default_rng(self.options.seed)
        passes = max(min(int(2 * window / usual.sum()) + 1, MOST_REPEATS // len(known)), 1)
        orders = [np.concatenate([rng.permutation(len(known)) for _ in range(passes)]) for _ in range(self.slots)]
        asked = np.stack(orders, axis=1).ravel()
        timings = self._spell(dataset, pilot.take(known[asked]), None, window)
        done = [(t.seconds - t.read_seconds, usual[asked[i]]) for i, t in enumerate(timings) if t is not None]
        together, apart = np.sum(done, axis=0) if done else (0.0, 0.0)
        return _crowding(together, apart)

    def _timed(
        self, dataset: Dataset, part: Pilot, limit: float, others: bool, sizes: Ints | None = None
    ) -> Sequence[Timing | None]:
        """What the runner tells; no timing where all calls fail but there are ``others`` that may not, or have not."""
        assert self.runner is not None
        try:
            if sizes is None:  # a runner of single pieces need not know of more
                return self.runner(dataset, part.pieces, limit)
            return self.runner(dataset, part.pieces, limit, sizes)
        except CostError:
            if not others:
                raise
            return [None] * (len(part.pieces) if sizes is None else len(sizes))

    def _spell(self, dataset: Dataset, part: Pilot, sizes: Ints | None, window: float) -> Sequence[Timing | None]:
        timings = self._timed(dataset, part, window, True, sizes)
        self.spent += self._longest_slot(timings)
        return timings

    def _affordable(
        self, dataset: Dataset, part: Pilot, terms: list[Term], parts: list[Measurements], spent: float
    ) -> int:
        """How many pieces of the next round the budget holds, from a fit to the rounds before."""
        n = len(part.pieces)
        if sum(map(len, parts)) < LEAST_PIECES * self.slots:
            return n
        so_far = self._so_far(terms, parts)
        share = 1 - TOGETHER if self.slots > 1 else 1.0
        allowed = share * self._allowed(dataset, so_far) - (spent - self.warming)
        ahead = so_far.predict(part.columns)[0] + so_far.fixed_seconds
        for slot in range(self.slots):
            ahead[slot :: self.slots] = np.cumsum(ahead[slot :: self.slots])
        return int(np.argmin(np.append(ahead <= allowed, False)))

    def _so_far(self, terms: list[Term], parts: list[Measurements]) -> Fitted:
        """A fit while the slots wait for it: what it says of itself nobody reads."""
        quick = replace(self.options, bootstraps=0)
        return fit(Measurements.concat(parts), [t for t in terms if t.shape != "log"], quick)

    def _allowed(self, dataset: Dataset, so_far: Fitted) -> float:
        """Seconds that the whole pilot may add to the makespan, for as much work as the fit so far lets expect.

        Those in which processes warm up do not count: the run would pay them.
        """
        share = max(self.budget_share * _work(dataset, so_far) / self.slots, LEAST_SECONDS)
        return PRUDENT * min(share, self.budget_seconds)

    @property
    def _clock(self) -> str:
        return "cpu" if self.options.clock == "cpu" else "wall"

    def _longest_slot(self, timings: Sequence[Timing | None]) -> float:
        """Seconds until the last slot was done with a round: what the round adds to the makespan."""
        by_cpu = self.options.clock == "cpu"
        took = [0.0 if t is None else t.cpu_seconds if by_cpu else t.seconds for t in timings]
        return max((sum(took[slot :: self.slots]) for slot in range(self.slots)), default=0.0)

    def _spent(self, dataset: Dataset, fitted: Fitted) -> dict[str, Any]:
        assert self.measurements is not None
        assert self.pilot is not None
        spent = float(self.measurements.seconds.sum())
        notes = fitted.details()["notes"]
        if self.spent > self.budget_seconds:
            at_least = float(self.measurements.seconds.min())
            notes.append(
                f"the pilot took {self.spent:.3g} s, above budget_seconds = {self.budget_seconds:g}: one call takes "
                f"{at_least:.3g} s on the smallest piece; a call cannot be stopped half-way"
            )
        if abs(self.company - 1) > 0.05:
            notes.append(f"with all {self.slots} slots busy to the end a piece takes {self.company:.2f} x as long")
        work = _work(dataset, fitted)
        return {
            "model": "calibrated",
            "program": self.program,
            "notes": notes,
            "pilot": {
                "pieces": len(self.measurements),
                "failed_pieces": self.failed,
                "seconds": spent,
                "share_of_seconds": spent / work if work > 0 else 0.0,
                "slots": self.slots,
                "makespan_seconds": self.spent,
                "share_of_makespan": self.spent * self.slots / work if work > 0 else 0.0,
                "share_of_bytes": self.pilot.share,
            },
        }


def _takes(pilot: Pilot, before: Measurements, indices: Ints) -> float:
    """Seconds of some pieces, by what the bytes of the first one took; infinite where it failed."""
    size = pilot.columns["bytes"]
    if not len(before):
        return math.inf
    return float(np.median(program_seconds(before, "wall"))) / max(float(size[0]), 1.0) * float(size[indices].sum())


def _crowding(together: float, apart: float) -> float:
    """How much longer work takes with every slot busy: never shorter, what looks so is noise or data that caches hold."""
    return max(float(together / apart), 1.0) if together > 0 and apart > 0 else 1.0


def _work(dataset: Dataset, fitted: Fitted) -> float:
    """Seconds of the whole dataset, one call a fragment."""
    values = columns(dataset, fitted.terms) if fitted.terms else {}
    return float(fitted.predict(values)[0].sum()) + fitted.fixed_seconds * len(dataset.fragments)


def _warmed(m: Measurements, timings: Sequence[Timing], seen: set[str]) -> Measurements:
    """``m`` with ``first`` only where a process is new: one that ran a round before is warm."""
    first = m.first & np.array([t.process not in seen for t in timings], np.bool_)
    seen.update(t.process for t in timings)
    return replace(m, first=first)
