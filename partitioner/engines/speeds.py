"""How fast the workers are: the same pilot pieces run on every one of them before the plan is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from partitioner.attempt.pilot import pilot_program
from partitioner.costs.measuring.measurements import Measurements, Timing
from partitioner.costs.measuring.runner import InProcess
from partitioner.costs.measuring.speed import Speed, relative_speeds
from partitioner.engines.base import Engine
from partitioner.errors import CostError
from partitioner.model import Dataset, Fragments, Workers
from partitioner.run_directory import RunDirectory

PIECES = 12
SECONDS = 5.0
"""A worker spends no more than this on its pieces."""

ALIKE = 0.15
"""Workers within this share of the typical one count as equal: machines differ by that from minute to minute."""


def time_pieces(run_url: str, key: bytes, pieces: Fragments) -> list[Timing]:
    """On a worker: timings of the pieces, in order, within ``SECONDS``."""
    import pickle

    job = pickle.loads(RunDirectory(run_url, key).read_job())
    runner = InProcess(pilot_program(job), None if job.columns is None else list(job.columns))
    dataset = Dataset(job.source, pieces)
    runner(dataset, pieces.take([0]), SECONDS)  # imports, first reads and first calls are not what is compared
    return [timing for timing in runner(dataset, pieces, SECONDS) if timing is not None]


def _on_cpu_clock(timings: list[Timing]) -> Measurements:
    """Work done per CPU second does not depend on what else the machine does; all workers are timed at once."""
    m = Measurements.of({}, timings)
    return replace(m, seconds=m.cpu_seconds)


def _told_apart(speed: Speed, typical: float) -> float:
    """Relative to the typical worker, 1.0 where the measurement cannot tell them apart."""
    slower, faster = speed.high < typical * (1 - ALIKE), speed.low > typical * (1 + ALIKE)
    return round(speed.speed / typical, 3) if slower or faster else 1.0


def with_measured_speeds(engine: Engine, run: RunDirectory, pieces: Fragments) -> tuple[Workers, Mapping[str, float]]:
    """The engine's workers with measured speeds, and worker id to speed; 1.0 is the typical worker.

    ``job.pkl`` must be in the run directory. A worker whose pieces could not be timed keeps its declared speed, for the
    preflight will say what is wrong there.
    """
    workers = engine.workers()
    largest = np.sort(np.argsort(pieces.bytes)[-PIECES:])
    answers = engine.call(time_pieces, run.url, run.key, pieces.take(largest))
    timings = {w: t for w, t in answers.items() if w in workers.worker_id and not isinstance(t, BaseException) and t}
    shortest = min((len(t) for t in timings.values()), default=0)
    if len(timings) < 2 or not shortest:
        return workers, {}
    try:
        found = relative_speeds({w: _on_cpu_clock(t[:shortest]) for w, t in timings.items()})
    except CostError:
        return workers, {}  # pieces too short to tell workers apart
    typical = float(np.median([s.speed for s in found.values()]))
    speeds = {w: _told_apart(s, typical) for w, s in found.items()}
    column = np.array([speeds.get(w, float(workers.speed[j])) for j, w in enumerate(workers.worker_id)])
    return replace(workers, speed=column), speeds
