"""The pilot in all slots of an engine at once, so that contention, speed, devices and memory are those of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from partitioner.attempt.pilot import Asked, Share, run_share
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.costs.measuring.speed import Speed, relative_speeds
from partitioner.errors import CostError, EngineLost, PreflightFailed
from partitioner.model import Dataset, Fragments, Workers
from partitioner.model.data import Ints
from partitioner.store.run_directory import RunDirectory

ALIKE = 0.15
"""Workers within this share of the typical one count as equal: machines differ by that from minute to minute."""

Piece = tuple[str, int, int, int]
"""Path, section, start and stop: what tells a piece from another."""


class Slots(Protocol):
    """Who runs functions in slots: an engine, or processes of this machine."""

    def call_slots(self, function: Any, slots: Mapping[str, int], *args: Any) -> dict[str, list[Any]]:
        """See ``Engine.call_slots``."""
        ...


FEWEST_PIECES = 3
"""Pieces that must have run on every worker to tell their speeds: one or two scatter by more than workers differ."""


class OnSlots:
    """Runs pieces on all slots together: slot k of n gets every n-th call of those asked for.

    A ``Runner`` of cost models. ``job.pkl`` must be in the run directory. A slot that dies loses its pieces, the others go
    on; CostError where the program failed on every piece, PreflightFailed where no slot lived to tell.
    """

    def __init__(self, where: Slots, run: RunDirectory, slots: Mapping[str, int], traced: bool = False) -> None:
        self.slots = dict(slots)
        self.lost: dict[str, str] = {}
        self._where, self._run, self._traced = where, run, traced
        self._timed: dict[str, dict[Piece, list[Timing]]] = {}

    def __call__(
        self, dataset: Dataset, pieces: Fragments, seconds_limit: float, sizes: Ints | None = None
    ) -> list[Timing | None]:
        """One timing per call, None where the program failed in it or its slot did not come to it."""
        rows, order = _unique(pieces)
        asked = Asked(rows, _parents(dataset.fragments, rows), order, self._traced, sizes)
        count = len(order if sizes is None else sizes)
        answers = self._where.call_slots(run_share, self.slots, self._run.url, self._run.key, asked, seconds_limit)
        found: list[Timing | None] = [None] * count
        errors = []
        for worker, shares in answers.items():
            for share in shares:
                if not isinstance(share, Share):
                    self.lost[worker] = f"{type(share).__name__}: {share}"
                    continue
                errors += [share.error] if share.error else []
                for i, timing in zip(range(share.index, count, share.count), share.timings, strict=False):
                    found[i] = found[i] or timing
                    if timing is not None and sizes is None:
                        self._timed.setdefault(worker, {}).setdefault(_key(rows, int(order[i])), []).append(timing)
        if not any(found):
            self._refuse(errors)
        return found

    def ask(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """What ``function(index, count, run_url, key, *args)`` returns in every slot at once, of those that live to tell.

        Raises a CostError that one raises, PreflightFailed where none lived.
        """
        found = self._where.call_slots(function, self.slots, self._run.url, self._run.key, *args)
        told = []
        for worker, answers in found.items():
            for answer in answers:
                if isinstance(answer, CostError):
                    raise answer
                if isinstance(answer, BaseException):
                    self.lost[worker] = f"{type(answer).__name__}: {answer}"
                else:
                    told.append(answer)
        if not told:
            self._refuse([])
        return told

    def _refuse(self, errors: Sequence[str]) -> None:
        if errors:
            raise CostError(errors[0])
        said = "; ".join(f"worker {worker}: {why}" for worker, why in sorted(self.lost.items()))
        raised = any(not why.startswith(EngineLost.__name__) for why in self.lost.values())
        remedy = (
            "The program cannot be loaded or built there: mend that, or declare the cost instead of measuring it."
            if raised
            else "The program may need more memory than a worker has: give workers more, or fewer slots each."
        )
        raise PreflightFailed(f"no worker lived through the pilot ({said or 'none answered'}). {remedy}")

    def speeds(self, workers: Workers) -> Mapping[str, float]:
        """Worker id to speed beside the typical worker, from the pieces that ran on every one of them; empty where unknown.

        Work done per CPU second does not depend on what else the machine does, so CPU seconds are compared.
        """
        timed = {w: self._timed[w] for w in workers.worker_id if w in self._timed}
        if len(timed) < 2:
            return {}
        common = [p for p in next(iter(timed.values())) if all(p in pieces for pieces in timed.values())]
        if len(common) < FEWEST_PIECES:
            return {}
        try:
            found = relative_speeds({w: _on_cpu_clock([t[p] for p in common]) for w, t in timed.items()})
        except CostError:
            return {}  # pieces too short to tell workers apart
        typical = float(np.median([s.speed for s in found.values()]))
        return {w: _told_apart(s, typical) for w, s in found.items()}


def _on_cpu_clock(pieces: Sequence[Sequence[Timing]]) -> Measurements:
    """One measurement per piece: the median over the slots of a worker; of its first calls the fastest."""
    m = Measurements.of({}, [min(timings, key=lambda t: t.cpu_seconds) for timings in pieces])
    return replace(m, seconds=m.cpu_seconds, first=np.zeros(len(m), np.bool_))


def _told_apart(speed: Speed, typical: float) -> float:
    """Relative to the typical worker, 1.0 where the measurement cannot tell them apart."""
    slower, faster = speed.high < typical * (1 - ALIKE), speed.low > typical * (1 + ALIKE)
    return round(speed.speed / typical, 3) if slower or faster else 1.0


def _key(pieces: Fragments, i: int) -> Piece:
    return (
        pieces.paths[pieces.path_index[i]],
        int(pieces.section[i]),
        int(pieces.start[i]),
        int(pieces.stop[i]),
    )


def _unique(pieces: Fragments) -> tuple[Fragments, Ints]:
    """The distinct pieces, with no more paths than they have, and for each asked for which of them it is."""
    seen: dict[Piece, int] = {}
    order = np.array([seen.setdefault(_key(pieces, i), len(seen)) for i in range(len(pieces))], np.int64)
    first = {k: i for i, k in reversed(list(enumerate(order.tolist())))}
    return Fragments.of([pieces[first[k]] for k in range(len(seen))]), order


def _parents(fragments: Fragments, pieces: Fragments) -> Fragments:
    """The fragments that the pieces were cut from, as far as they are row groups: those are read whole."""
    held = []
    for i in range(len(pieces)):
        section, start, stop = int(pieces.section[i]), int(pieces.start[i]), int(pieces.stop[i])
        if section < 0:
            continue
        fits = np.flatnonzero((fragments.section == section) & (fragments.start <= start) & (fragments.stop >= stop))
        path = pieces.paths[pieces.path_index[i]]
        held += [int(j) for j in fits if fragments.paths[fragments.path_index[j]] == path][:1]
    return Fragments.of([fragments[j] for j in dict.fromkeys(held)])
