"""Cost learned from earlier runs of the same program on data of the same shape."""

from __future__ import annotations

import copy
import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from partitioner.costs.base import CostModel
from partitioner.costs.calibrated import Calibrated
from partitioner.costs.fitting.fit import fit
from partitioner.costs.fitting.fitted import Fitted
from partitioner.costs.fitting.terms import Term
from partitioner.costs.measuring.drift import DriftReport, detect, spell
from partitioner.costs.measuring.measurements import Measurements
from partitioner.costs.measuring.profile import Profile, ProfileKey, ProfileStore
from partitioner.costs.measuring.runner import Program, Runner
from partitioner.errors import ConfigError
from partitioner.model import Costs, Dataset
from partitioner.model.data import Floats

LEAST = 8
"""Measurements a profile needs before it replaces the pilot."""

FITTED_AT_MOST = 600


class Learned(CostModel):
    """Costs from the profile at ``store``; where there is none yet, from a pilot, whose measurements begin one.

    ``bind`` names the program; ``estimate`` reads the profile; ``observe`` adds a run to it and tells drift. Features,
    budget and quantile are those of the pilot (see ``Calibrated``). Of several worker classes with a profile the first in
    alphabetical order, or the one bound, is the reference; the others give ``seconds_by_class``.
    """

    name = "learned"
    measures = True

    def __init__(
        self,
        store: str | Path | None = None,
        features: Sequence[str] | None = None,
        budget_share: float = 0.01,
        budget_seconds: float = 60.0,
        quantile: float = 0.99,
        clock: str = "auto",
        seed: int = 0,
    ) -> None:
        self.store = ProfileStore(store)
        self.pilot = Calibrated(features, budget_share, budget_seconds, quantile, clock, seed)
        self.program = ""
        self.worker_class: str | None = None
        self._fits: dict[tuple[ProfileKey, float], Fitted] = {}

    def bind(
        self,
        build: Callable[[], Program] | None = None,
        runner: Runner | None = None,
        columns: list[str] | None = None,
        program: str = "",
        slots: int = 1,
        worker_class: str | None = None,
    ) -> Learned:
        """A copy for ``program``, a stable name such as ``module:function``; ``build`` or ``runner`` serve a first pilot."""
        bound = copy.copy(self)
        if build is not None or runner is not None:
            bound.pilot = self.pilot.bind(build, runner, columns, slots=slots)
        bound.program, bound.worker_class = program, worker_class
        return bound

    def estimate(self, dataset: Dataset) -> Costs:
        """Costs of n fragments. ConfigError where there is no profile and no program to run a pilot with."""
        found = self._profiles(dataset)
        if not found:
            costs = self.pilot.estimate(dataset)
            note = f"no profile of {self.program!r} for this data yet: measured on a pilot, which begins one"
            return replace(costs, source=self.name, details={**costs.details, "profile": note})
        reference = self.worker_class if self.worker_class in found else min(found)
        costs = self._fit(dataset, reference, found).estimate(
            dataset, self.name, self._about(found[reference], reference)
        )
        others = {c: self._fit(dataset, c, found).estimate(dataset, self.name) for c in found if c and c != reference}
        return replace(costs, seconds_by_class={c: other.seconds for c, other in others.items()})

    def knows(self, dataset: Dataset) -> bool:
        """Whether there is a profile that needs no pilot."""
        return bool(self._profiles(dataset))

    def terms(self, dataset: Dataset) -> list[Term]:
        """The terms that a run's measurements should have where they are known."""
        return self.pilot.terms(dataset)

    def observe(self, dataset: Dataset, measurements: Measurements, run_id: str = "") -> list[DriftReport]:
        """Add a run to the profiles, one per worker class, and compare it with what they predicted before.

        A run is added once, whatever is called again after a resume. The pilot's pieces begin a new profile and stay in it:
        sub-tasks of a good split all cost the same, and tell little of what makes up the cost.
        """
        run_id = run_id or uuid.uuid4().hex
        terms = self.terms(dataset)
        found = self._profiles(dataset)
        reports = []
        for worker_class in dict.fromkeys(measurements.worker_class):
            part = measurements.take(np.array([c == worker_class for c in measurements.worker_class]))
            key = self._key(dataset, worker_class)
            drift = None
            if worker_class in found:
                drift = self._drift(self._fit(dataset, worker_class, found), part, worker_class)
                reports.append(drift)
            elif self.pilot.measurements is not None:
                self.store.add(key, _without_reading(self.pilot.measurements), terms, f"pilot of {run_id}", pilot=True)
            self.store.add(key, part, terms, run_id, drift)
        self._fits.clear()
        return reports

    def _drift(self, fitted: Fitted, part: Measurements, worker_class: str) -> DriftReport:
        steady = part.take(~part.first) if (~part.first).sum() >= 3 else part
        by_cpu = fitted.cpu_ratio or float(self.pilot.options.clock == "cpu")
        actual = steady.cpu_seconds * by_cpu if by_cpu else steady.seconds
        on = f" on {worker_class!r} workers" if worker_class else ""
        missing = [t for t in fitted.terms if t.name not in steady.columns]
        if missing:
            return DriftReport(False, 1.0, 0.0, np.inf, 0, f"drift unknown: the run did not record {missing[0].name}.")
        return detect(_predicted(fitted, steady), actual, f"{self.program}{on}")

    def _profiles(self, dataset: Dataset) -> dict[str, Profile]:
        """Profiles with enough measurements, by worker class."""
        if not self.program:
            raise ConfigError(
                "cost 'learned' keeps profiles by program, and no program is named here; use partitioner.run or give a "
                "program to partitioner.plan."
            )
        classes = self.store.classes(self.program, shape_of(dataset))
        loaded = {c: self.store.load(self._key(dataset, c)) for c in classes}
        return {c: p for c, p in loaded.items() if p is not None and len(p.measurements) >= LEAST}

    def _key(self, dataset: Dataset, worker_class: str) -> ProfileKey:
        return ProfileKey(self.program, shape_of(dataset), worker_class)

    def _fit(self, dataset: Dataset, worker_class: str, found: dict[str, Profile]) -> Fitted:
        key = (self._key(dataset, worker_class), found[worker_class].updated)
        if key not in self._fits:
            profile = found[worker_class]
            every = np.arange(len(profile.measurements))
            latest = np.concatenate([every[: profile.pilot], every[profile.pilot :][-FITTED_AT_MOST:]])
            # Only terms that this dataset has: a connector may describe other features than it did.
            usable = set(self.terms(dataset))
            fitted = fit(
                profile.measurements.take(latest), [t for t in profile.terms if t in usable], self.pilot.options
            )
            self._fits[key] = replace(fitted, spell=spell(profile.ratios))
        return self._fits[key]

    def _about(self, profile: Profile, worker_class: str) -> dict[str, Any]:
        return {
            "model": "learned",
            "profile": {
                "store": self.store.location,
                "program": self.program,
                "worker_class": worker_class,
                "runs": profile.runs,
                "measurements": len(profile.measurements) - profile.pilot,
                "pilot_pieces": profile.pilot,
                "updated": profile.updated,
            },
        }


def shape_of(dataset: Dataset) -> str:
    """A hash of the column names and types, or of the features known where there is no schema."""
    if dataset.schema is not None:
        text = "\n".join(f"{field.name}: {field.type}" for field in dataset.schema)
    else:
        text = "\n".join(sorted(dataset.fragments.features))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _predicted(fitted: Fitted, m: Measurements) -> Floats:
    if not fitted.terms:
        return np.full(len(m), fitted.fixed_seconds)
    return fitted.predict(m.columns)[0] + fitted.fixed_seconds


def _without_reading(m: Measurements) -> Measurements:
    """Pilot pieces beside whole sub-tasks: what a small piece took to read says nothing of its size."""
    none = np.zeros(len(m))
    return replace(
        m,
        seconds=np.maximum(m.seconds - m.read_seconds, 0.0),
        cpu_seconds=np.maximum(m.cpu_seconds - m.read_cpu_seconds, 0.0),
        read_seconds=none,
        read_cpu_seconds=none,
    )
